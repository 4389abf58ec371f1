import { z } from 'zod';
import type { JsonObject } from '../../../kit/tool.ts';

const node = z.record(z.string(), z.unknown());
const list = z.array(z.unknown());

/** Past this depth a type is `any`: the values are checked against the schema itself anyway. */
const MAX_DEPTH = 6;

/** The TypeScript type of the values that a JSON Schema allows, as source text; `any` where a type cannot say it. */
export function typeOf(schema: unknown, depth = 0): string {
  const parsed = node.safeParse(schema);
  if (!parsed.success || depth > MAX_DEPTH) return 'any';
  const at = parsed.data;
  if ('const' in at) return literal(at['const']);
  const values = list.safeParse(at['enum']);
  if (values.success) return values.data.map(literal).join(' | ') || 'never';
  const choices = list.safeParse(at['anyOf'] ?? at['oneOf']);
  if (choices.success) return choices.data.map((one) => `(${typeOf(one, depth + 1)})`).join(' | ') || 'any';
  if ('$ref' in at || 'allOf' in at || 'not' in at || 'if' in at) return 'any';
  const types = Array.isArray(at['type']) ? at['type'] : [at['type']];
  return types.map((type) => typeNamed(type, at, depth)).join(' | ');
}

function typeNamed(type: unknown, at: JsonObject, depth: number): string {
  switch (type) {
    case 'string':
    case 'boolean':
    case 'null':
      return type;
    case 'number':
    case 'integer':
      return 'number';
    case 'array':
      return `(${typeOf(at['items'], depth + 1)})[]`;
    case 'object':
      return objectType(at, depth);
    default:
      return 'any';
  }
}

function objectType(at: JsonObject, depth: number): string {
  const properties = node.safeParse(at['properties']).data ?? {};
  const required = list.safeParse(at['required']).data ?? [];
  const fields = Object.entries(properties).map(([name, schema]) => {
    const optional = required.includes(name) ? '' : '?';
    return `${JSON.stringify(name)}${optional}: ${typeOf(schema, depth + 1)}`;
  });
  if (at['additionalProperties'] !== false) fields.push('[name: string]: any');
  return `{ ${fields.join('; ')} }`;
}

function literal(value: unknown): string {
  return ['string', 'number', 'boolean'].includes(typeof value) || value === null
    ? JSON.stringify(value)
    : 'any';
}
