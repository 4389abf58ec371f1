import type { IncomingMessage } from 'node:http';
import type { Project, Token, User } from './model.ts';
import type { World } from './world.ts';

/** What a route is given. */
export interface Asked {
  world: World;
  user: User;
  token: Token;
  params: Record<string, string>;
  query: URLSearchParams;
  /** All that the request brings: query, JSON or form. */
  body: Record<string, unknown>;
  headers: IncomingMessage['headers'];
  project: Project;
}

/** Thrown by a route: GitLab's error. */
export class Refused extends Error {
  readonly status: number;
  readonly body: unknown;
  constructor(status: number, body: unknown) {
    super(`${status}`);
    this.status = status;
    this.body = typeof body === 'string' ? { message: body } : body;
  }
}

/** An answer that is no JSON, or has headers. */
export class Raw {
  readonly body: Buffer | string | AsyncIterable<Buffer>;
  readonly headers: Record<string, string>;
  readonly status: number;
  constructor(body: Raw['body'], headers: Record<string, string> = {}, status = 200) {
    this.body = body;
    this.headers = headers;
    this.status = status;
  }
}

/** Where GitLab answers a POST with 200 rather than 201. */
export const ok = (value: unknown) =>
  new Raw(JSON.stringify(value), { 'content-type': 'application/json' }, 200);

/** What GitLab does later. */
export const accepted = new Raw(
  JSON.stringify({ message: '202 Accepted' }),
  { 'content-type': 'application/json' },
  202,
);

export type Route = [method: string, path: string, handle: (asked: Asked) => unknown];

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Numbered paging, as GitLab's headers have it. Items may be functions: only those of the page are called. */
export function paged(
  asked: Pick<Asked, 'query' | 'world'>,
  items: unknown[],
  path: string,
  counted = true,
): Raw {
  const { query, world } = asked;
  const [size, wanted] = [counting(query, 'per_page') ?? 20, counting(query, 'page')];
  const keyset = query.get('pagination') === 'keyset';
  if (keyset && path === '/projects') return byId({ query, world }, items, path, size);
  const by = !keyset ? 'page' : path.endsWith('tree') ? 'page_token' : 'cursor';
  const page = wanted ?? Math.max(1, Number(query.get(by) ?? 1));
  const made = (item: unknown): unknown => (typeof item === 'function' ? item() : item);
  const part = items.slice((page - 1) * size, page * size).map(made);
  const more = page * size < items.length;
  const last = Math.max(1, Math.ceil(items.length / size));
  const link = (rel: string, to: number) => {
    const at = new URLSearchParams(query);
    at.set('per_page', String(size));
    at.set(by, String(to));
    return `<${world.url}/api/v4${path}?${at.toString()}>; rel="${rel}"`;
  };
  // docs.gitlab.com/api/rest/#pagination
  const links = [
    ...(page > 1 && !keyset ? [link('prev', page - 1)] : []),
    ...(more ? [link('next', page + 1)] : []),
    ...(keyset ? [] : [link('first', 1)]),
    ...(keyset || !counted ? [] : [link('last', last)]),
  ];
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (links.length > 0) headers['link'] = links.join(', ');
  if (!keyset)
    Object.assign(headers, {
      'x-page': String(page),
      'x-per-page': String(size),
      'x-prev-page': page > 1 ? String(page - 1) : '',
      'x-next-page': more ? String(page + 1) : '',
      ...(counted && { 'x-total': String(items.length), 'x-total-pages': String(last) }),
    });
  return new Raw(JSON.stringify(part), headers);
}

/** Keyset paging by id, which is how projects have it: in order of ids, and on from one (docs.gitlab.com/api/rest). */
function byId(
  { query, world }: Pick<Asked, 'query' | 'world'>,
  items: unknown[],
  path: string,
  size: number,
): Raw {
  if ((query.get('order_by') ?? 'id') !== 'id')
    throw new Refused(405, { error: 'Keyset pagination is not yet available for this type of request' });
  const up = query.get('sort') === 'asc';
  const by = up ? 'id_after' : 'id_before';
  const from = counting(query, by);
  const idOf = (item: unknown) => Number(isRecord(item) ? item['id'] : 0);
  const rows = items
    .filter((one) => from === undefined || (up ? idOf(one) > from : idOf(one) < from))
    .sort((a, b) => (up ? idOf(a) - idOf(b) : idOf(b) - idOf(a)));
  const part = rows.slice(0, size);
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (rows.length > size) {
    const at = new URLSearchParams(query);
    at.set(by, String(idOf(part.at(-1))));
    headers['link'] = `<${world.url}/api/v4${path}?${at.toString()}>; rel="next"`;
  }
  return new Raw(JSON.stringify(part), headers);
}

/** `page` and `per_page`: whole numbers from 1 on; more than 100 on a page are not given. */
function counting(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  const value = Number(text);
  if (!Number.isInteger(value)) throw new Refused(400, { error: `${name} is invalid` });
  if (name === 'per_page' && value < 1)
    throw new Refused(400, { error: 'per_page does not have a valid value' });
  return name === 'per_page' ? Math.min(100, value) : Math.max(1, value);
}

/** At least this role in the project (30 Developer, 40 Maintainer). */
export function need({ project, user }: Pick<Asked, 'project' | 'user'>, level: number): void {
  if ((project.members.get(user.id) ?? 0) < level) throw new Refused(403, '403 Forbidden');
}

/** A text; a number becomes one, as Grape has it. */
export const str = (value: unknown) =>
  typeof value === 'string' ? value : typeof value === 'number' ? String(value) : undefined;
