import { Validator } from '@cfworker/json-schema';
import { z } from 'zod';
import type { JsonObject } from '../../kit/tool.ts';

const objectSchema = z.record(z.string(), z.unknown());

/** Arguments that fit, or what is wrong in the schema's words, for the model to read. */
type Fitted = { ok: true; value: JsonObject } | { ok: false; fault: string };

/**
 * Fits a model's arguments to a tool's schema: numbers and booleans written as text, JSON in a string, a lone value for
 * a list and null for what may be left out are mended; what stays wrong is told.
 */
export function fitArguments(schema: JsonObject, raw: JsonObject): Fitted {
  const value = mendObject(schema, raw);
  const problems = faults(schema, value);
  if (problems.length === 0) return { ok: true, value };
  const names = Object.keys(properties(schema));
  const known = names.length > 0 ? ` Arguments: ${names.join(', ')}.` : ' It takes no arguments.';
  return { ok: false, fault: `${problems.join('; ')}.${known}` };
}

function properties(schema: JsonObject): Record<string, JsonObject> {
  return z.record(z.string(), objectSchema.catch({})).safeParse(schema['properties']).data ?? {};
}

function required(schema: JsonObject): string[] {
  return z.array(z.string()).safeParse(schema['required']).data ?? [];
}

function mendObject(schema: JsonObject, raw: JsonObject): JsonObject {
  const known = properties(schema);
  const needed = required(schema);
  const entries = Object.entries(raw)
    .map(([name, value]): [string, unknown] => [name, known[name] ? mend(known[name], value) : value])
    .filter(([name, value]) => {
      const schemaOf = known[name];
      return value !== null || needed.includes(name) || (schemaOf && types(schemaOf).includes('null'));
    });
  return Object.fromEntries(entries);
}

function types(schema: JsonObject): string[] {
  const { type } = schema;
  return typeof type === 'string' ? [type] : (z.array(z.string()).safeParse(type).data ?? []);
}

/** Mends only where the schema leaves no doubt about the type. */
function mend(schema: JsonObject, value: unknown): unknown {
  const [type, ...others] = types(schema).filter((name) => name !== 'null');
  if (type === undefined || others.length > 0) return value;
  if (type === 'object') {
    const object = objectSchema.safeParse(typeof value === 'string' ? parsed(value) : value);
    return object.success ? mendObject(schema, object.data) : value;
  }
  if (type === 'array') {
    const items = objectSchema.safeParse(schema['items']).data ?? {};
    const list = typeof value === 'string' && value.trim().startsWith('[') ? parsed(value) : value;
    if (Array.isArray(list)) return list.map((one) => mend(items, one));
    return list === null || list === undefined ? list : [mend(items, list)];
  }
  if (typeof value === 'string') return mendText(type, value);
  if (type === 'string' && (typeof value === 'number' || typeof value === 'boolean')) return String(value);
  return value;
}

function mendText(type: string, text: string): unknown {
  const trimmed = text.trim();
  if (type === 'number' || type === 'integer') {
    const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed) ? Number(trimmed) : Number.NaN;
    // Past 2^53 digits would be lost.
    return Math.abs(number) <= Number.MAX_SAFE_INTEGER ? number : text;
  }
  if (type === 'boolean' && /^(true|false)$/i.test(trimmed)) return trimmed.toLowerCase() === 'true';
  return text;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Without `pattern` and `format`: a forged schema may hold a regular expression that never ends, and its server checks anyway. */
function faults(schema: JsonObject, value: JsonObject): string[] {
  try {
    const { valid, errors } = new Validator(plainSchema(schema), '2020-12', false).validate(value);
    if (valid) return [];
    // The outer errors only say that an inner one exists.
    const outer = ['properties', 'additionalProperties', 'items', 'prefixItems', '$ref'];
    const inner = errors.filter(({ keyword }) => !outer.includes(keyword));
    const lines = inner.map(({ instanceLocation, error }) => {
      const where = instanceLocation.replace(/^#\/?/, '').replaceAll('/', '.');
      const said = error === 'False boolean schema.' ? 'no such argument' : error.replace(/\.$/, '');
      return `${where === '' ? '' : `\`${where}\`: `}${said}`;
    });
    return [...new Set(lines)].slice(0, 6);
  } catch {
    return []; // A schema that cannot be read here is the server's to judge.
  }
}

/** Where names are allowed by a pattern, no name is wrong here: `unevaluatedProperties` sees such patterns from afar. */
function plainSchema(schema: JsonObject): JsonObject {
  const patterned = JSON.stringify(schema).includes('"patternProperties":');
  const text = JSON.stringify(schema, (key, value: unknown) => {
    if ((key === 'pattern' || key === 'format') && typeof value === 'string') return undefined;
    if (key === 'unevaluatedProperties' && patterned) return undefined;
    const object = objectSchema.safeParse(value).data;
    if (!object || !('patternProperties' in object)) return value;
    const { patternProperties: _, additionalProperties: __, ...rest } = object;
    return rest;
  });
  return objectSchema.parse(JSON.parse(text));
}
