import { isObject } from './json.ts';
import type { JsonObject } from './tool.ts';

// A schema as a grammar can be made of it. Whoever asks checks the answer anyway.

const BOUNDS = ['minLength', 'maxLength', 'minItems', 'maxItems', 'minProperties', 'maxProperties'];
/** llama.cpp refuses repetitions past 2,000 (`MAX_REPETITION_THRESHOLD`), upon which Ollama 0.24 loses the model's process. */
const MAX_REPEATED = 500;
const TYPES = ['array', 'boolean', 'integer', 'null', 'number', 'object', 'string'];
/** `{}` would be an object (`json-schema-to-grammar.cpp`). */
const ANYTHING = { type: ['string', 'number', 'boolean', 'object', 'array'] };
/** What says by itself what a value looks like, so that no type is needed. */
const SHAPES = ['$ref', 'const', 'enum', 'properties', 'additionalProperties', 'items', 'prefixItems'];
const LISTS = ['anyOf', 'oneOf', 'allOf', 'prefixItems'];
const MAPS = ['properties', '$defs', 'definitions'];

/**
 * Without patterns, most of which llama.cpp refuses, and without more repetitions than it bears. Where a schema leaves open
 * what a value is, as a tool's argument of any kind does, it says so in types: llama.cpp knows no other way, and Ollama
 * answers "invalid JSON schema in format". An empty list of types ends the model's process.
 */
export function grammarSchema(schema: JsonObject): JsonObject {
  const { type, ...rest } = Object.fromEntries(
    Object.entries(schema).flatMap(([key, value]): [string, unknown][] => {
      const tooMany = BOUNDS.includes(key) && typeof value === 'number' && value > MAX_REPEATED;
      if (tooMany || (key === 'pattern' && typeof value === 'string')) return [];
      if (LISTS.includes(key) && Array.isArray(value))
        return value.length > 0 ? [[key, value.map(part)]] : [];
      if (MAPS.includes(key) && isObject(value)) {
        return [[key, Object.fromEntries(Object.entries(value).map(([name, one]) => [name, part(one)]))]];
      }
      if (key === 'items') return [[key, part(value)]];
      return [[key, key === 'additionalProperties' && isObject(value) ? part(value) : value]];
    }),
  );
  const types = [type].flat().filter((one) => typeof one === 'string' && TYPES.includes(one));
  if (types.length > 0) return { ...rest, type: types.length > 1 ? types : types[0] };
  return [...SHAPES, ...LISTS].some((key) => rest[key] !== undefined) ? rest : { ...rest, ...ANYTHING };
}

const part = (value: unknown): JsonObject => (isObject(value) ? grammarSchema({ ...value }) : ANYTHING);
