import { isObject } from '../../kit/json.ts';
import type { JsonObject } from '../../kit/tool.ts';
import { visible } from '../terminal/text.ts';

/** Nested deeper, a schema costs more than a model makes of it. */
const DEEPEST = 6;
const MOST_CHARS = 400;
const MOST_PARTS = 2_000;
/**
 * What Ollama passes on to chat templates (`api.ToolProperty`); it refuses the whole request where one of them has not the
 * type that it should. The server of the tool checks the rest.
 */
const KEPT = ['type', 'description', 'enum', 'properties', 'required', 'items'];

/**
 * A tool's schema as chat templates keep it: `$ref` put in place, `anyOf` and its kin joined, nulls dropped (what may be
 * null may be left out), `const` as `enum`. A schema that refers to itself ends as an object at that place.
 */
export function flatten(schema: JsonObject): JsonObject {
  const flat = flat1(schema, { root: schema, left: MOST_PARTS }, []);
  return { ...flat, type: 'object', properties: isObject(flat['properties']) ? flat['properties'] : {} };
}

interface Scope {
  root: JsonObject;
  /** Parts that may still be looked at: references can multiply. */
  left: number;
}

function flat1(schema: JsonObject, scope: Scope, path: string[]): JsonObject {
  if (scope.left-- <= 0) return plain(schema);
  const { $ref } = schema;
  if (typeof $ref === 'string') {
    const target = path.includes($ref) || path.length > DEEPEST ? undefined : pointed(scope.root, $ref);
    const { $ref: _, ...beside } = schema;
    return target
      ? { ...flat1(target, scope, [...path, $ref]), ...flat1(beside, scope, path) }
      : plain(beside);
  }
  const joined = join(schema, scope, path);
  const flat: JsonObject = {};
  for (const key of KEPT) {
    const value = joined[key];
    if (value === undefined) continue;
    if (key === 'properties' && isObject(value)) flat[key] = flatProperties(value, scope, path);
    else if (key === 'items')
      flat[key] = isObject(value) && path.length <= DEEPEST ? flat1({ ...value }, scope, [...path, '*']) : {};
    else if (key === 'description' && typeof value === 'string') flat[key] = said(value);
    else if (key === 'type') flat[key] = lone(value);
    else if (key === 'required') flat[key] = strings(value);
    else if (key === 'enum' && Array.isArray(value)) flat[key] = value.filter((one) => one !== null);
  }
  if ('const' in joined) flat['enum'] = [joined['const']];
  const more = bounds(joined);
  const before = flat['description'];
  if (more) flat['description'] = typeof before === 'string' && before ? `${before} (${more})` : more;
  return Object.fromEntries(Object.entries(flat).filter(([, value]) => value !== undefined));
}

/** What templates leave out, in words. */
function bounds({ default: preset, minimum, maximum }: JsonObject): string {
  const plainly = ['string', 'number', 'boolean'].includes(typeof preset) && preset !== '';
  return [
    typeof minimum === 'number' ? `at least ${minimum}` : '',
    typeof maximum === 'number' ? `at most ${maximum}` : '',
    plainly ? `default ${String(preset).slice(0, 60)}` : '',
  ]
    .filter(Boolean)
    .join(', ');
}

/** A place that is not looked into any further. */
const plain = ({ type = 'object', description }: JsonObject): JsonObject => ({
  type: lone(type) ?? 'object',
  ...(typeof description === 'string' && { description: said(description) }),
});

/** Nobody but the model would read what is hidden in it. */
const said = (description: string) => visible(description.slice(0, MOST_CHARS));

function flatProperties(properties: JsonObject, scope: Scope, path: string[]): JsonObject {
  if (path.length > DEEPEST) return {};
  return Object.fromEntries(
    Object.entries(properties).map(([name, one]) => [
      name,
      isObject(one) ? flat1({ ...one }, scope, [...path, '*']) : {},
    ]),
  );
}

/** `["string", "null"]` is a string that may be left out. */
function lone(type: unknown): string | string[] | undefined {
  if (!Array.isArray(type)) return typeof type === 'string' ? type : undefined;
  const some = strings(type).filter((one) => one !== 'null');
  return some.length < 2 ? some[0] : some;
}

/** One schema for `allOf`, `anyOf` and `oneOf`: constants become one `enum`, objects one with the fields of all. */
function join(schema: JsonObject, scope: Scope, path: string[]): JsonObject {
  const branches = ['anyOf', 'oneOf'].flatMap((key) => listOf(schema[key]));
  const parts = listOf(schema['allOf']);
  if (branches.length === 0 && parts.length === 0) return schema;
  const { anyOf: _a, oneOf: _o, allOf: _p, ...own } = schema;
  const flat = (one: JsonObject) => flat1(one, scope, [...path, '*']);
  const all = parts.map(flat);
  const any = branches.filter((one) => one['type'] !== 'null').map(flat);
  const base = merged([own, ...all], true);
  const [only, ...others] = any;
  if (!only) return base;
  if (others.length === 0) return { ...only, ...base };
  const enums = any.map((one) => one['enum']);
  if (enums.every(Array.isArray)) return { ...base, type: only['type'], enum: enums.flat() };
  if (any.every((one) => one['type'] === 'object')) return merged([base, ...any], false);
  const types = [...new Set(any.flatMap((one) => one['type'] ?? []))];
  const items = any.find((one) => one['items'] !== undefined)?.['items'];
  return { ...base, type: types, ...(items !== undefined && { items }) };
}

const listOf = (value: unknown): JsonObject[] =>
  Array.isArray(value) ? value.flatMap((one) => (isObject(one) ? [{ ...one }] : [])) : [];

/** Fields of all; required is what every one of them requires, or with `every` false only what the first does. */
function merged(parts: JsonObject[], all: boolean): JsonObject {
  let whole: JsonObject = {};
  for (const [at, part] of parts.entries()) {
    const properties = { ...objectOf(whole['properties']), ...objectOf(part['properties']) };
    const required = [...strings(whole['required']), ...(all || at === 0 ? strings(part['required']) : [])];
    whole = {
      ...part,
      ...whole,
      ...(Object.keys(properties).length > 0 && { properties }),
      ...(required.length > 0 && { required: [...new Set(required)] }),
    };
    if (!all && required.length === 0) delete whole['required'];
  }
  return whole;
}

const objectOf = (value: unknown): JsonObject => (isObject(value) ? { ...value } : {});
const strings = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];

function pointed(root: JsonObject, ref: string): JsonObject | undefined {
  if (!ref.startsWith('#')) return undefined;
  let at: unknown = root;
  for (const step of ref.slice(1).split('/').slice(1)) {
    const key = unescaped(step).replaceAll('~1', '/').replaceAll('~0', '~');
    at = isObject(at) ? { ...at }[key] : undefined;
  }
  return isObject(at) ? { ...at } : undefined;
}

function unescaped(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}
