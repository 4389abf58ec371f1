import { CallError, callFor, type Caller, type CallRequest } from '../../kit/call.ts';
import { isObject } from '../../kit/json.ts';
import { ToolError, type ToolContext } from '../../kit/tool.ts';
import { explain, GitLabError, webPage } from './errors.ts';
import { library, type Library } from './library.ts';

/** One GitLab with its token, ready for calls. */
export interface Instance {
  name: string;
  /** Web address without a slash at its end. */
  url: string;
  tokenSetting: string;
  /** `group/project` or `group/*`; empty: all. */
  allowed: string[];
  call: Caller;
  /** Certificates (PEM) trusted beside the system's. */
  ca: string | undefined;
  /** Where the proxy variables are read. */
  env: Record<string, string | undefined>;
  token: () => Promise<string>;
  /** Paths of projects that were asked for by number. */
  paths: Map<string, string>;
}

export type Query = NonNullable<CallRequest['query']>;

interface Page {
  items: unknown[];
  next: string | undefined;
}

/** GitLab's API within one tool call: its signal and journal go with every request. */
export class Api {
  readonly instance: Instance;
  readonly #ctx: Pick<ToolContext, 'signal' | 'journal'>;
  #library: Promise<Library> | undefined;

  constructor(instance: Instance, ctx: Pick<ToolContext, 'signal' | 'journal'>) {
    this.instance = instance;
    this.#ctx = ctx;
  }

  /** gitbeaker's resources, on this call's requests. */
  get rest(): Promise<Library> {
    return (this.#library ??= library((path, options) => this.exchange(path, options)));
  }

  /** The same with a time of its own: for taking back what a cancelled call had begun. */
  get afterwards(): Api {
    return new Api(this.instance, { ...this.#ctx, signal: AbortSignal.timeout(10_000) });
  }

  async get(path: string, query: Query = {}): Promise<unknown> {
    return (await this.exchange(path, { query })).body;
  }

  /** Undefined where GitLab has none (404), or the token may not see it (403): for what is nice to have. */
  async maybe(path: string, query: Query = {}): Promise<unknown> {
    try {
      return await this.get(path, query);
    } catch (error) {
      if (error instanceof GitLabError && [403, 404].includes(error.status ?? 0)) return undefined;
      throw error;
    }
  }

  async send(method: 'POST' | 'PUT' | 'DELETE', path: string, json?: unknown): Promise<unknown> {
    return (await this.exchange(path, { method, json })).body;
  }

  /** One page, and where the next one begins: a number, or what keyset paging gives. */
  async page(path: string, query: Query = {}, cursor?: string): Promise<Page> {
    const size = typeof query['per_page'] === 'number' ? query['per_page'] : 20;
    const { body, headers } = await this.exchange(path, {
      query: { ...query, per_page: size, ...fromCursor(cursor) },
    });
    if (!Array.isArray(body)) throw new ToolError(`GitLab answered ${path} with something else than a list.`);
    return { items: body, next: toCursor(headers) };
  }

  /**
   * A file as it is. Large ones may lie in object storage: GitLab redirects there, and the token stays here. Only
   * artifacts may be web pages, and are sent as attachments (GitLab's workhorse/internal/artifacts/entry.go): what is none
   * is a login page.
   */
  async bytes(path: string, { query = {}, maxBytes, pages = false, range }: Reading = {}) {
    const headers = range === undefined ? undefined : { range };
    const options = { ...this.#own(), headers, maxBytes, expect: 'bytes', acceptStatus: moved } as const;
    return this.#told('GET', path, async () => {
      let found = await this.instance.call.request(`api/v4/${path}`, { ...options, query });
      for (let hops = 0; hops < 3; hops++) {
        const target = this.#movedTo(found);
        if (target === undefined) break;
        if (target.origin !== new URL(this.instance.url).origin)
          return this.#stored(target, maxBytes, headers);
        found = await this.instance.call.request(target.href, options);
      }
      if (found.status >= 300 || (isPage(found) && !(pages && isAttachment(found)))) throw this.#page(path);
      return found;
    });
  }

  async #stored(target: URL, maxBytes: number | undefined, headers: Record<string, string> | undefined) {
    const { ca, env } = this.instance;
    const storage = callFor({ name: "GitLab's object storage", baseUrl: target.origin, ca, env });
    try {
      return await storage.request(target.href, { ...this.#own(), headers, maxBytes, expect: 'bytes' });
    } finally {
      await storage.close();
    }
  }

  /** From a byte on (negative: so many before the end). GitLab may send all: `status` is 200 then, else 206 or 416. */
  async stream(path: string, from: number) {
    const headers: Record<string, string> =
      from === 0 ? {} : { range: from < 0 ? `bytes=${from}` : `bytes=${from}-` };
    const maxBytes = Number.MAX_SAFE_INTEGER;
    return this.#told('GET', path, async () => {
      const found = await this.instance.call.request(`api/v4/${path}`, {
        ...this.#own(),
        headers,
        maxBytes,
        expect: 'stream',
        acceptStatus: [416],
      });
      if (!isPage(found)) return found;
      for await (const _part of found.body) break;
      throw this.#page(path);
    });
  }

  /** A GraphQL query; its errors are thrown. Documents with a mutation are refused. */
  async graphql(query: string, variables: Record<string, unknown>): Promise<unknown> {
    if (/\b(mutation|subscription)\b/.test(query)) throw new Error('only queries are sent by graphql()');
    const { body } = await this.#told('POST', 'graphql', () =>
      this.instance.call.request('api/graphql', {
        ...this.#own(),
        method: 'POST',
        json: { query, variables },
        reads: true,
      }),
    );
    const errors = isObject(body) ? body['errors'] : undefined;
    if (Array.isArray(errors) && errors.length > 0) {
      const first: unknown = errors[0];
      const said = isObject(first) ? String(first['message']) : 'no reason given';
      throw new ToolError(
        `GitLab's GraphQL refused the query: ${said.slice(0, 300)}. This GitLab may be too old for it.`,
      );
    }
    return isObject(body) ? body['data'] : undefined;
  }

  /** Any request below api/v4; answers with status, headers and JSON. */
  exchange(path: string, options: CallRequest) {
    return this.#told(options.method ?? 'GET', path, () =>
      this.instance.call.request(`api/v4/${path}`, { ...this.#own(), ...options }),
    );
  }

  /** Where GitLab sends a reader on: a project that has moved, a file in object storage. */
  #movedTo({ status, headers: { location = '' } }: Answered): URL | undefined {
    return status < 300 || !URL.canParse(location, this.instance.url)
      ? undefined
      : new URL(location, this.instance.url);
  }

  #page(path: string): ToolError {
    return new GitLabError(webPage(`GET ${plain(path)}`, this.instance.tokenSetting), undefined);
  }

  #own() {
    return { signal: this.#ctx.signal, journal: this.#ctx.journal };
  }

  async #told<T>(method: string, path: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      // Ours, and not an error to be explained: cancel and dry runs.
      if (error instanceof CallError && error.reason === 'cancelled') throw error;
      const writes = !['GET', 'HEAD'].includes(method) && path !== 'graphql';
      const { tokenSetting } = this.instance;
      throw explain(error, { writes, method, path: plain(path), tokenSetting });
    }
  }
}

interface Reading {
  query?: Query;
  maxBytes?: number;
  /** Whether the file may be a web page. */
  pages?: boolean;
  /** A part of it, where parts are served: `bytes=-100` is the end. */
  range?: string;
}

interface Answered {
  status: number;
  headers: Record<string, string>;
}

const isPage = ({ headers }: Answered) => /^text\/html\b/i.test(headers['content-type'] ?? '');

const isAttachment = ({ headers }: Answered) =>
  /^\s*attachment\b/i.test(headers['content-disposition'] ?? '');

const moved = [301, 302, 303, 307, 308];

const plain = (path: string) => path.replace(/\?.*/, '').replaceAll('%2F', '/').slice(0, 200);

/** GitLab names them by column and order: newest first it goes on with `id_before`. */
const keyset = ['cursor', 'id_after', 'id_before', 'page_token'];

function toCursor(headers: Record<string, string>): string | undefined {
  const link = /<([^>]+)>;\s*rel="next"/.exec(headers['link'] ?? '')?.[1];
  if (link !== undefined && URL.canParse(link)) {
    const { searchParams } = new URL(link);
    for (const name of keyset) {
      const value = searchParams.get(name);
      if (value) return `${name}=${value}`;
    }
    const page = searchParams.get('page');
    if (page) return page;
  }
  return headers['x-next-page'] || undefined;
}

function fromCursor(cursor: string | undefined): Query {
  if (cursor === undefined) return {};
  if (/^\d{1,9}$/.test(cursor)) return { page: cursor };
  const at = cursor.indexOf('=');
  const name = cursor.slice(0, at);
  if (!keyset.includes(name))
    throw new ToolError('`next` is not what an earlier answer gave. Leave it out to begin again.');
  return { [name]: cursor.slice(at + 1) };
}
