import { z } from 'zod';
import { isObject } from '../../kit/json.ts';

// What a server written in Go makes of a body, by `encoding/json`: which it takes, and in which words it refuses one.

/** A body that Go refuses, in its words. */
export class Unreadable extends Error {}

/** What Go knows of a type that does not follow from its schema. */
export const go = z.registry<{
  name?: string;
  /** It has an `UnmarshalJSON` of its own: errors inside it are told as of what is around it. */
  own?: boolean;
  /** What is said of a value that it cannot read, where those are words of its own. */
  refuses?: (value: unknown) => string | undefined;
}>();

/** The first JSON value of a text; what follows it, Go does not look at. Nothing at all gives undefined. */
export function firstValue(text: string): unknown {
  const end = new Scanner(text).value(0);
  return end === undefined ? undefined : JSON.parse(text.slice(0, end));
}

/** Go's scanner, for its complaints. Each method takes where something begins, and gives where it ends. */
class Scanner {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }

  value(from: number): number | undefined {
    const at = this.#space(from);
    if (at === this.#text.length && from === 0) return undefined;
    return this.#value(at);
  }

  #value(at: number): number {
    const first = this.#text.charAt(at);
    if (first === '{') return this.#members(at, '}', 'object key:value pair');
    if (first === '[') return this.#members(at, ']', 'array element');
    if (first === '"') return this.#string(at);
    const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
    number.lastIndex = at;
    if (number.test(this.#text)) return number.lastIndex;
    const word = ['true', 'false', 'null'].find((one) => one.startsWith(first || '?'));
    if (!word) throw this.#bad(at, 'looking for beginning of value');
    for (let step = 1; step < word.length; step++) {
      const wanted = word.charAt(step);
      if (this.#text[at + step] !== wanted)
        throw this.#bad(at + step, `in literal ${word} (expecting '${wanted}')`);
    }
    return at + word.length;
  }

  #members(from: number, end: string, what: string): number {
    const object = end === '}';
    let at = this.#space(from + 1);
    if (this.#text[at] === end) return at + 1;
    for (;;) {
      if (object) {
        if (this.#text[at] !== '"') throw this.#bad(at, 'looking for beginning of object key string');
        at = this.#space(this.#string(at));
        if (this.#text[at] !== ':') throw this.#bad(at, 'after object key');
        at = this.#space(at + 1);
      }
      at = this.#space(this.#value(at));
      if (this.#text[at] === end) return at + 1;
      if (this.#text[at] !== ',') throw this.#bad(at, `after ${what}`);
      at = this.#space(at + 1);
    }
  }

  #string(from: number): number {
    for (let at = from + 1; ; at++) {
      const letter = this.#text[at];
      if (letter === '"') return at + 1;
      if (letter === undefined || letter < ' ') throw this.#bad(at, 'in string literal');
      if (letter === '\\') at += 1;
    }
  }

  #space(at: number): number {
    const rest = /[ \t\r\n]*/y;
    rest.lastIndex = at;
    rest.test(this.#text);
    return rest.lastIndex;
  }

  #bad(at: number, where: string): Unreadable {
    const letter = this.#text[at];
    if (letter === undefined) return new Unreadable('unexpected EOF');
    const shown = letter === "'" ? "\\'" : letter === '"' ? '"' : JSON.stringify(letter).slice(1, -1);
    return new Unreadable(`invalid character '${shown}' ${where}`);
  }
}

/** A value as Go would read it into a type: unknown keys are passed over, `null` leaves what was there. */
export function decoded<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value === null ? {} : plain(schema, value));
  if (parsed.success) return parsed.data;
  throw new Unreadable(complaint(schema, value, parsed.error.issues[0]?.path ?? []));
}

/** The type itself: what may be left out, has a default, or is changed once it is read. */
function bare(schema: unknown): unknown {
  if (known(schema)) return schema;
  if (schema instanceof z.ZodPipe) return bare(schema.in);
  const wraps =
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodLazy;
  return wraps ? bare(schema.unwrap()) : schema;
}

/** Without its nulls, and with the keys as the type spells them: Go takes them in any case. */
function plain(schema: unknown, value: unknown): unknown {
  const type = bare(schema);
  if (type instanceof z.ZodArray && Array.isArray(value)) {
    return value.map((one) => plain(type.element, one ?? zero(type.element)));
  }
  if (type instanceof z.ZodRecord && isObject(value)) {
    const { valueType } = type;
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [key, plain(valueType, one ?? zero(valueType))]),
    );
  }
  if (!(type instanceof z.ZodObject) || !isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(type.shape).flatMap(([name, field]) => {
      const given = member(value, name);
      return given === undefined || given === null ? [] : [[name, plain(field, given)]];
    }),
  );
}

function zero(schema: unknown): unknown {
  const type = bare(schema);
  if (type instanceof z.ZodObject || type instanceof z.ZodRecord) return {};
  if (type instanceof z.ZodArray) return [];
  return type instanceof z.ZodString ? '' : null;
}

const known = (type: unknown) => (type instanceof z.ZodType ? go.get(type) : undefined);

/** A type's name in Go. */
function named(schema: unknown): string {
  const type = bare(schema);
  const name = known(type)?.name;
  if (name) return type instanceof z.ZodObject ? `api.${name}` : name;
  if (type instanceof z.ZodArray) return `[]${named(type.element)}`;
  if (type instanceof z.ZodRecord) return 'map[string]interface {}';
  if (type instanceof z.ZodBoolean) return 'bool';
  if (type instanceof z.ZodNumber) return 'int';
  return type instanceof z.ZodString ? 'string' : 'interface {}';
}

function complaint(schema: unknown, value: unknown, path: PropertyKey[]): string {
  let type = bare(schema);
  let at = value;
  let struct = '';
  let own = false;
  const fields: PropertyKey[] = [];
  for (const step of path) {
    const about = known(type);
    own ||= about?.own === true;
    if (type instanceof z.ZodObject) {
      if (!own) struct = about?.name ?? '';
      fields.push(step);
      at = isObject(at) ? member(at, String(step)) : undefined;
      type = bare(Reflect.get(type.shape, step));
    } else {
      at = isObject(at) || Array.isArray(at) ? Reflect.get(at, step) : undefined;
      type = bare(type instanceof z.ZodArray ? type.element : type instanceof z.ZodRecord && type.valueType);
    }
  }
  const said = known(type)?.refuses?.(at);
  if (said) return said;
  const kind = Array.isArray(at) ? 'array' : typeof at === 'boolean' ? 'bool' : typeof at;
  const into = fields.length > 0 ? `Go struct field ${[struct, ...fields].join('.')}` : 'Go value';
  const alias = type instanceof z.ZodObject && known(type)?.own;
  return `json: cannot unmarshal ${kind} into ${into} of type ${alias ? 'api.Alias' : named(type)}`;
}

/** A field's value, whatever the case of its key. */
function member(value: Record<string, unknown>, name: string): unknown {
  const key = Object.keys(value).find((one) => one.toLowerCase() === name.toLowerCase());
  return key === undefined ? undefined : value[key];
}
