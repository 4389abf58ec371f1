import { isRecord, Refused } from './routing.ts';

type Params = Record<string, unknown>;

/**
 * What a request brings, as GitLab's Grape merges it: the query, and a body of JSON or of a form. Names such as `a[b]`,
 * `a[]` and `a[][b]` nest, as Rack reads them.
 */
export function paramsOf(query: URLSearchParams, type: string, text: string): Params {
  const params: Params = {};
  for (const [name, value] of query) put(params, name, value);
  if (text.trim() === '') return params;
  if (type.startsWith('application/x-www-form-urlencoded')) {
    for (const [name, value] of new URLSearchParams(text)) put(params, name, value);
    return params;
  }
  const boundary = /^multipart\/form-data;.*boundary="?([^";]+)"?/i.exec(type)?.[1];
  if (boundary !== undefined) {
    for (const [name, value] of parts(text, boundary)) put(params, name, value);
    return params;
  }
  if (!/^application\/(\w+\+)?json/.test(type) && type !== '') {
    throw new Refused(415, { error: `The provided content-type '${type}' is not supported.` });
  }
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Refused(400, {
      error: `There was a problem in the JSON you submitted: unexpected token at '${text.slice(0, 20)}'`,
    });
  }
  return isRecord(body) ? { ...params, ...body } : params;
}

/** Fields of a form in parts (RFC 7578). */
function* parts(text: string, boundary: string): Generator<[name: string, value: string]> {
  for (const part of text.split(`--${boundary}`).slice(1, -1)) {
    const end = part.indexOf('\r\n\r\n');
    const name = /^content-disposition:.*\bname="([^"]*)"/im.exec(part.slice(0, end))?.[1];
    if (end < 0 || name === undefined) throw new Refused(400, { error: 'The body is no form in parts.' });
    yield [name, part.slice(end + 4).replace(/\r\n$/, '')];
  }
}

function put(into: Params, name: string, value: string): void {
  const [head = '', ...rest] = name.split(/\]\[|\[|\]$/).filter((part, at) => at === 0 || part !== undefined);
  const keys = /\[/.test(name) ? rest.slice(0, name.endsWith(']') ? -1 : undefined) : [];
  set(into, [head, ...keys], value);
}

function set(into: Params, [key = '', next, ...rest]: string[], value: string): void {
  if (next === undefined) into[key] = value;
  else if (next !== '') {
    const inner = isRecord(into[key]) ? into[key] : {};
    into[key] = inner;
    set(inner, [next, ...rest], value);
  } else {
    const list: unknown[] = Array.isArray(into[key]) ? into[key] : [];
    into[key] = list;
    const [name] = rest;
    if (name === undefined) return void list.push(value);
    // A name that the last one has already begins another.
    const last = list.at(-1);
    const open = isRecord(last) && !(name in last) ? last : {};
    if (open !== last) list.push(open);
    set(open, rest, value);
  }
}

/** A number that a request gives as text or as a number. */
export const num = (value: unknown): number | undefined =>
  value === undefined || value === null || value === '' || Number.isNaN(Number(value))
    ? undefined
    : Number(value);

/** As forms and JSON say yes, and Python: all that Grape takes for it (dry-types, Params::Bool). */
export const yes = (value: unknown): boolean =>
  value === true || (typeof value === 'string' && /^(1|on|t|true|y|yes)$/i.test(value));

/** A list that a request gives as an array, or with commas. */
export function list(value: unknown): string[] | undefined {
  if (Array.isArray(value)) return value.map(String);
  return typeof value === 'string' ? value.split(',').filter(Boolean) : undefined;
}
