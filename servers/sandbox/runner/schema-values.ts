import { isObject } from '../../../kit/json.ts';
import { Validator } from '@cfworker/json-schema';

const MOST_ERRORS = 5;

/** Characters of JSON above which only the first errors are looked for. */
const LARGE = 100_000;

/**
 * What of a value breaks a schema that passed `checkSchema`: at most five short messages, each with its path, such as
 * `input.title: must be a string`. A pattern may be slow: call it where it can be ended.
 */
export function validate(schema: unknown, value: unknown, what = 'input'): string[] {
  // Copied, because the library writes into the schemas that it is given.
  const copy: unknown = JSON.parse(JSON.stringify(schema));
  if (!isObject(copy)) return copy === false ? [`${what}: nothing is allowed here`] : [];
  // First the short way: the long one gathers a message for every item, and most values are fine.
  const first = new Validator(copy, '2020-12', true).validate(value);
  if (first.valid) return [];
  // It makes two objects for each bad item, and passes them on as arguments: large values get the first errors only.
  const small = JSON.stringify(value).length < LARGE;
  const { errors } = small ? new Validator(copy, '2020-12', false).validate(value) : first;
  const told: string[] = [];
  const inside: string[] = [];
  for (const { keyword, keywordLocation, instanceLocation, error } of errors) {
    if (inside.some((location) => keywordLocation.startsWith(location))) continue;
    if (CHOICES.has(keyword)) inside.push(`${keywordLocation}/`);
    const said = sentence(keyword, error);
    const message = said === '' ? '' : `${pathOf(instanceLocation, what)}: ${said}`;
    if (message !== '' && !told.includes(message)) told.push(message);
    if (told.length === MOST_ERRORS) break;
  }
  return told.length > 0 ? told : [`${what}: does not fit its schema`];
}

/** Keywords after which the errors of every alternative follow, which say less than the alternatives' failing. */
const CHOICES = new Set(['anyOf', 'oneOf', 'contains', 'if']);

/** The library's texts name instances and subschemas; ours say what the value must be. Empty: another error says it. */
function sentence(keyword: string, error: string): string {
  const [, quoted = ''] = /"([^"]*)"/.exec(error) ?? [];
  const [, last = ''] = /(-?[\d.e+-]+)\)?\.$/.exec(error) ?? [];
  const [, expected = ''] = /Expected "(.*)"\.$/.exec(error) ?? [];
  const [, allowed = ''] = /match (?:any of )?([^]*)\.$/.exec(error) ?? [];
  const bound = last.replace(/\.$/, '');
  switch (keyword) {
    case 'properties':
    case 'patternProperties':
    case 'additionalProperties':
    case 'unevaluatedProperties':
    case 'items':
    case 'prefixItems':
    case 'unevaluatedItems':
    case '$ref':
    case 'allOf':
    case 'dependentSchemas':
      return '';
    case 'type':
      return `must be ${article(expected.replaceAll('", "', ' or '))}`;
    case 'required':
      return `needs the property ${JSON.stringify(quoted)}`;
    case 'dependentRequired':
      return error
        .replace('Instance has', 'with')
        .replace(' but does not have', ' it also needs')
        .replace(/\.$/, '');
    case 'false':
      return 'is not allowed here';
    case 'enum':
      return `must be one of ${shorten(allowed.replace(/^\[|\]$/g, ''))}`;
    case 'const':
      return `must be ${shorten(allowed)}`;
    case 'minimum':
      return `must be at least ${bound}`;
    case 'maximum':
      return `must be at most ${bound}`;
    case 'exclusiveMinimum':
      return `must be more than ${bound}`;
    case 'exclusiveMaximum':
      return `must be less than ${bound}`;
    case 'multipleOf':
      return `must be a multiple of ${bound}`;
    case 'pattern':
      return 'does not match the pattern';
    case 'format':
      return `must be in the format ${quoted}`;
    case 'anyOf':
      return 'matches none of the alternatives';
    case 'oneOf':
      return `must match exactly one of the alternatives, and matches ${/\((\d+)/.exec(error)?.[1] ?? 'others'}`;
    case 'not':
      return 'is what must not be here';
    case 'propertyNames':
      return `must not have a property named ${JSON.stringify(quoted)}`;
    default:
      return shorten(error.replace(/\.$/, ''));
  }
}

function article(types: string): string {
  return `${/^[aio]/.test(types) ? 'an' : 'a'} ${types}`.replace(/^an? null$/, 'null');
}

function shorten(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

/** `#/items/3/price` as `input.items[3].price`. */
function pathOf(pointer: string, what: string): string {
  const steps = decode(pointer).split('/').slice(1);
  return steps.reduce((path, step) => {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
    if (/^\d+$/.test(key)) return `${path}[${key}]`;
    return /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
  }, what);
}

/** A URI fragment as plain text; as it stands where it is none. */
export function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
