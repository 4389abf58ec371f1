import { isObject } from '../../../kit/json.ts';
import { patternFault } from './pattern.ts';

import { BOUNDS, KEYWORDS, type Kind, REPLACED, TYPES } from './schema-keywords.ts';
import { decode } from './schema-values.ts';

export { validate } from './schema-values.ts';

const DRAFT = 'https://json-schema.org/draft/2020-12/schema';
const LARGEST = 64 * 1024;
const DEEPEST = 32;
const MOST_FAULTS = 10;

/** Keywords under which a schema looks at the same value again, and so may meet itself for ever. */
const IN_PLACE = ['allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'dependentSchemas'];

/**
 * What is wrong with a schema written by a model: each a sentence that says what to do. `what` is its name in them,
 * such as `input_schema`. A schema without faults can be listed as a tool's and given to `validate`.
 */
export function checkSchema(schema: unknown, what: string): string[] {
  if (!isObject(schema)) {
    return [
      `${what} must be a JSON Schema object, such as {"type": "object", "properties": {"name": {"type": "string"}}}.`,
    ];
  }
  let text: string;
  try {
    text = JSON.stringify(schema);
  } catch {
    return [`${what} must be JSON, without cycles.`];
  }
  if (text.length > LARGEST) return [`${what} is ${text.length} characters; keep it under ${LARGEST}.`];
  if (schema['type'] !== 'object') {
    return [`${what}.type must be "object": tools take and give objects; put other values into a property.`];
  }
  const check = new Check(schema);
  check.schema(schema, what, 0);
  if (check.faults.length === 0) check.references(what);
  return [...new Set(check.faults)].slice(0, MOST_FAULTS);
}

class Check {
  readonly faults: string[] = [];
  readonly #root: Record<string, unknown>;
  readonly #references: [Record<string, unknown>, string][] = [];
  readonly #anchors = new Map<string, unknown>();
  readonly #schemas = new Set<unknown>();

  constructor(root: Record<string, unknown>) {
    this.#root = root;
  }

  schema(schema: unknown, at: string, depth: number): void {
    if (this.faults.length >= MOST_FAULTS) return;
    if (typeof schema === 'boolean') return void this.#schemas.add(schema);
    if (!isObject(schema)) return this.#fault(at, 'must be a schema: an object, or true or false');
    if (depth > DEEPEST)
      return this.#fault(at, `is nested more than ${DEEPEST} deep; use $defs and $ref, or a flatter shape`);
    this.#schemas.add(schema);
    for (const [keyword, value] of Object.entries(schema)) {
      const kind = KEYWORDS.get(keyword);
      const replaced = REPLACED.get(keyword);
      if (kind) this.#keyword(kind, keyword, value, schema, `${at}.${keyword}`, depth);
      else if (replaced) this.#fault(`${at}.${keyword}`, `is not supported: ${replaced}`);
      else if (!keyword.startsWith('x-')) {
        this.#fault(
          `${at}.${keyword}`,
          'is no keyword of JSON Schema 2020-12; leave it out, or put a property of that name under properties',
        );
      }
    }
    for (const [low, high] of BOUNDS) {
      const [least, most] = [schema[low], schema[high]];
      if (typeof least === 'number' && typeof most === 'number' && least > most) {
        this.#fault(`${at}.${low}`, `is above ${high}: no value can pass; swap or widen them`);
      }
    }
    this.#reachable(schema, at);
  }

  #keyword(
    kind: Kind,
    name: string,
    value: unknown,
    schema: Record<string, unknown>,
    at: string,
    depth: number,
  ): void {
    switch (kind) {
      case 'schema':
        if (name === 'items' && Array.isArray(value)) {
          return this.#fault(at, 'must be one schema for all items; for a schema each use prefixItems');
        }
        return this.schema(value, at, depth + 1);
      case 'schemas':
        if (!Array.isArray(value) || value.length === 0)
          return this.#fault(at, 'must be an array of at least one schema');
        return value.forEach((each, index) => this.schema(each, `${at}[${index}]`, depth + 1));
      case 'schemaMap':
        if (!isObject(value)) return this.#fault(at, 'must be an object whose values are schemas');
        for (const [key, each] of Object.entries(value)) {
          if (key === '__proto__') this.#fault(at, 'must not use the name __proto__; choose another');
          if (name === 'patternProperties') this.#pattern(key, `${at}[${JSON.stringify(key)}]`);
          this.schema(each, `${at}.${key}`, depth + 1);
        }
        return;
      case 'names':
        if (typeof value === 'boolean')
          return this.#fault(at, 'belongs on the object that holds the property: an array of names');
        return this.#names(value, at);
      case 'nameMap':
        if (!isObject(value)) return this.#fault(at, 'must be an object whose values are arrays of names');
        return Object.entries(value).forEach(([key, each]) => this.#names(each, `${at}.${key}`));
      case 'type': {
        const types: unknown[] = Array.isArray(value) ? value : [value];
        const known = types.every((each) => typeof each === 'string' && TYPES.includes(each));
        if (types.length === 0 || !known)
          this.#fault(at, `must be one of ${TYPES.join(', ')}, or an array of them`);
        else if (new Set(types).size < types.length) this.#fault(at, 'names a type twice; name each once');
        return;
      }
      case 'enum':
        if (!Array.isArray(value) || value.length === 0)
          this.#fault(at, 'must be an array of at least one value');
        return;
      case 'number':
        if (typeof value !== 'number') this.#fault(at, 'must be a number');
        return;
      case 'positive':
        if (typeof value !== 'number' || value <= 0) this.#fault(at, 'must be a number above 0');
        return;
      case 'count':
        if (!Number.isInteger(value) || Number(value) < 0)
          this.#fault(at, 'must be a whole number, 0 or more');
        return;
      case 'text':
        if (typeof value !== 'string')
          this.#fault(at, 'must be a string; a property of that name goes under properties');
        return;
      case 'flag':
        if (typeof value !== 'boolean') this.#fault(at, 'must be true or false');
        return;
      case 'pattern':
        if (typeof value !== 'string') return this.#fault(at, 'must be a string');
        return this.#pattern(value, at);
      case 'reference':
        if (typeof value !== 'string') return this.#fault(at, 'must be a string, such as "#/$defs/name"');
        if (!value.startsWith('#')) {
          return this.#fault(
            at,
            `refers to ${JSON.stringify(value.slice(0, 80))}, outside this schema; copy it under $defs and refer to "#/$defs/name"`,
          );
        }
        return void this.#references.push([schema, at]);
      case 'anchor':
        if (typeof value !== 'string' || !/^[A-Za-z_][-A-Za-z0-9._]*$/.test(value)) {
          return this.#fault(at, 'must be a plain name, such as "point"');
        }
        return void this.#anchors.set(value, schema);
      case 'list':
        if (!Array.isArray(value)) this.#fault(at, 'must be an array');
        return;
      case 'any':
        if (name === '$schema' && value !== DRAFT && value !== `${DRAFT}#`) {
          this.#fault(at, `must be left out, or be ${DRAFT}: other drafts are not read`);
        }
    }
  }

  #fault(at: string, text: string): void {
    this.faults.push(`${at} ${text}.`);
  }

  #pattern(pattern: string, at: string): void {
    const fault = patternFault(pattern);
    if (fault) this.#fault(at, fault);
  }

  #names(value: unknown, at: string): void {
    if (!Array.isArray(value) || !value.every((name) => typeof name === 'string')) {
      return this.#fault(at, 'must be an array of property names');
    }
    if (new Set(value).size < value.length) this.#fault(at, 'has a name twice; name each once');
  }

  /** A required property that additionalProperties forbids: a misspelt name, most often. */
  #reachable(
    { properties, required, additionalProperties, patternProperties }: Record<string, unknown>,
    at: string,
  ): void {
    if (additionalProperties !== false || patternProperties !== undefined || !Array.isArray(required)) return;
    const known = isObject(properties) ? properties : {};
    const lost = required.find((name) => typeof name === 'string' && !Object.hasOwn(known, name));
    if (lost !== undefined) {
      this.#fault(
        `${at}.required`,
        `names ${JSON.stringify(lost)}, which properties does not have and additionalProperties forbids; add it or take it out`,
      );
    }
  }

  /** Every $ref must arrive at a schema, and none may lead back to itself without going into the value. */
  references(what: string): void {
    for (const [schema, at] of this.#references) {
      if (this.#target(schema['$ref']) === undefined)
        this.#fault(at, `refers to ${String(schema['$ref'])}, which is not there; add it under $defs`);
    }
    if (this.faults.length > 0) return;
    const done = new Set<unknown>();
    const visit = (schema: unknown, path: Set<unknown>): boolean => {
      if (path.has(schema)) return true;
      if (!isObject(schema) || done.has(schema)) return false;
      path.add(schema);
      const next = IN_PLACE.flatMap((keyword) => {
        const value = schema[keyword];
        return Array.isArray(value)
          ? value
          : keyword === 'dependentSchemas' && isObject(value)
            ? Object.values(value)
            : [value];
      });
      const again = [this.#target(schema['$ref']), ...next].some((each) => visit(each, path));
      path.delete(schema);
      done.add(schema);
      return again;
    };
    if ([...this.#schemas].some((schema) => isObject(schema) && visit(schema, new Set()))) {
      this.#fault(
        what,
        'has a $ref that leads back to itself for ever; let it refer to something inside properties or items',
      );
    }
  }

  #target(reference: unknown): unknown {
    if (typeof reference !== 'string') return undefined;
    const pointer = decode(reference.slice(1));
    let found: unknown = this.#root;
    if (pointer !== '' && !pointer.startsWith('/')) found = this.#anchors.get(pointer);
    else {
      for (const step of pointer.split('/').slice(1)) {
        const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
        found = Array.isArray(found)
          ? found[Number(key)]
          : isObject(found) && Object.hasOwn(found, key)
            ? found[key]
            : undefined;
      }
    }
    return this.#schemas.has(found) ? found : undefined;
  }
}
