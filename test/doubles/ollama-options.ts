import { z } from 'zod';
import { isObject } from '../../kit/json.ts';
import { Refused } from './ollama-wire.ts';

/** The options of a model, as `Options.FromMap` takes them: what is unknown is passed over. */
export function modelOptions(given: Record<string, unknown>) {
  for (const [name, value] of Object.entries(given)) {
    const kind = KINDS.get(name);
    if (!kind || value === null) continue;
    const fits =
      kind === 'array' ? Array.isArray(value) : typeof value === (kind === 'boolean' ? kind : 'number');
    if (!fits) throw new Refused(500, `option "${name}" must be of type ${kind}`);
    if (Array.isArray(value) && !value.every((one) => typeof one === 'string')) {
      throw new Refused(500, `option "${name}" must be of an array of strings`);
    }
  }
  return usedOptions.parse(given);
}

const KINDS = new Map(
  Object.entries({
    integer: [
      'num_ctx',
      'num_predict',
      'num_keep',
      'num_batch',
      'num_gpu',
      'num_thread',
      'seed',
      'top_k',
      'repeat_last_n',
    ],
    float32: [
      'temperature',
      'top_p',
      'min_p',
      'typical_p',
      'repeat_penalty',
      'presence_penalty',
      'frequency_penalty',
    ],
    boolean: ['use_mmap'],
    array: ['stop'],
  }).flatMap(([kind, names]) => names.map((name): [string, string] => [name, kind])),
);
const integer = z.number().transform(Math.trunc);
const usedOptions = z.object({
  num_ctx: integer.nullish(),
  num_predict: integer.nullish(),
  stop: z.array(z.string()).nullish(),
});

/** `format`, as far as a grammar can be made of it (`server/routes.go`, llama.cpp's `json-schema-to-grammar.cpp`). */
export function checkFormat(format: unknown): void {
  if (format === undefined || format === null || format === '' || format === 'json') return;
  if (!isObject(format)) {
    const wanted = 'expected "json" or a valid JSON Schema object';
    throw new Refused(500, `invalid format: ${JSON.stringify(JSON.stringify(format))}; ${wanted}`);
  }
  if (!convertible(format, format, 0)) throw new Refused(500, 'invalid JSON schema in format');
}

const TYPES = ['array', 'boolean', 'integer', 'null', 'number', 'object', 'string'];
/** `MAX_REPETITION_THRESHOLD`. */
const MOST_REPEATED = 2000;

function convertible(schema: unknown, root: Record<string, unknown>, depth: number): boolean {
  if (!isObject(schema)) return false;
  if (depth > 20) return true;
  const fits = (one: unknown) => convertible(one, root, depth + 1);
  const { $ref, type, properties, additionalProperties: others, items, prefixItems, pattern } = schema;
  if (typeof $ref === 'string') return fits(pointed(root, $ref));
  for (const branches of [schema['oneOf'], schema['anyOf']]) {
    if (Array.isArray(branches)) return branches.every(fits);
  }
  const is = (name: string) => type === undefined || type === name;
  if (Array.isArray(type)) {
    if (type.length === 0) throw crashed();
    return type.every((one) => fits({ ...schema, type: one }));
  }
  if ('const' in schema || 'enum' in schema) return true;
  if (is('object') && (properties !== undefined || (others !== undefined && others !== true))) {
    return (
      Object.values(isObject(properties) ? properties : {}).every(fits) && (!isObject(others) || fits(others))
    );
  }
  if (is('object') && Array.isArray(schema['allOf'])) return schema['allOf'].every(fits);
  if (['maxLength', 'minLength', 'maxItems'].some((key) => Number(schema[key]) > MOST_REPEATED))
    throw crashed();
  if (is('array') && (items ?? prefixItems) !== undefined) {
    return Array.isArray(prefixItems) ? prefixItems.every(fits) : fits(items);
  }
  if (is('string') && typeof pattern === 'string') return pattern.startsWith('^') && pattern.endsWith('$');
  if (is('string') && typeof schema['format'] === 'string' && FORMATS.test(schema['format'])) return true;
  return Object.keys(schema).length === 0 || (typeof type === 'string' && TYPES.includes(type));
}

const FORMATS = /^(?:uuid[1-5]?|date|time|date-time)$/;

function pointed(root: unknown, ref: string): unknown {
  let at = ref.startsWith('#/') ? root : undefined;
  for (const step of ref.split('/').slice(1)) at = isObject(at) ? at[step] : undefined;
  return at;
}

/** What the server says of a runner that such a grammar has ended. */
function crashed(): Refused {
  return new Refused(
    500,
    'model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, check ollama server logs for details',
  );
}
