import type { IncomingMessage } from 'node:http';
import type { Project, Token, User, World } from './world.ts';

/** What a route is given. */
export interface Asked {
  world: World;
  user: User;
  token: Token;
  params: Record<string, string>;
  query: URLSearchParams;
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
  const size = Math.min(100, Number(query.get('per_page') ?? 20));
  const keyset = query.get('pagination') === 'keyset';
  const page = Math.max(
    1,
    Number(query.get('page') ?? query.get('page_token') ?? query.get('id_after') ?? 1),
  );
  const made = (item: unknown): unknown => (typeof item === 'function' ? item() : item);
  const part = items.slice((page - 1) * size, page * size).map(made);
  const more = page * size < items.length;
  const next = new URLSearchParams(query);
  next.set(keyset ? (path.endsWith('tree') ? 'page_token' : 'id_after') : 'page', String(page + 1));
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (more) headers['link'] = `<${world.url}/api/v4${path}?${next.toString()}>; rel="next"`;
  if (!keyset)
    Object.assign(headers, {
      'x-page': String(page),
      'x-per-page': String(size),
      'x-next-page': more ? String(page + 1) : '',
      ...(counted && { 'x-total': String(items.length) }),
    });
  return new Raw(JSON.stringify(part), headers);
}

/** At least this role in the project (30 Developer, 40 Maintainer). */
export function need({ project, user }: Pick<Asked, 'project' | 'user'>, level: number): void {
  if ((project.members.get(user.id) ?? 0) < level) throw new Refused(403, '403 Forbidden');
}

export const str = (value: unknown) => (typeof value === 'string' ? value : undefined);
