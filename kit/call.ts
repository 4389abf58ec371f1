import type { Dispatcher } from 'undici';
import { attempt, overError } from './call-attempt.ts';
import type { Attempt } from './call-attempt.ts';
import { CallError, inTime } from './call-error.ts';
import type { Callee } from './call-error.ts';
import { dispatcherFor } from './call-dispatcher.ts';
import { hostFor, longestWaitMs, startClock } from './call-limits.ts';
import type { Host, Limits } from './call-limits.ts';
import { holdBack } from './dry-run.ts';
import { noJournal } from './journal.ts';
import type { Journal } from './journal.ts';
import { registerSecret } from './secrets.ts';

export { CallError } from './call-error.ts';
export type { CallReason } from './call-error.ts';

type Headers = Record<string, string>;

export interface CallOptions extends Callee, Limits {
  /** Paths are put behind it, and may not lead out of it: `https://gitlab.example/api/v4`. */
  baseUrl?: string;
  /** Sent with every request; as a function, made anew for each, so that secrets are resolved at the last moment. */
  headers?: Headers | (() => Headers | Promise<Headers>);
  /** Over the whole call, tries and waits included, in ms; default 30,000; Infinity for none. */
  timeoutMs?: number;
  /** Of an answer; default 8 MiB. */
  maxBytes?: number;
  /** Further tries of an idempotent call; default 3. */
  retries?: number;
  /** The first wait between tries, in ms, doubled each time, with jitter; default 250. */
  backoffMs?: number;
  journal?: Journal;
  /** Refuses what could write, before it is sent: all but GET, HEAD and OPTIONS, and requests that say `reads`. */
  readOnly?: boolean;
  /** Certificates (PEM) trusted beside the system's. */
  ca?: string;
  /** Where the proxy variables are read: HTTPS_PROXY, HTTP_PROXY, NO_PROXY (default: this process's). */
  env?: Record<string, string | undefined>;
}

export interface CallRequest {
  /** Default GET. */
  method?: string;
  /** A list becomes a repeated key. */
  query?: Record<string, string | number | boolean | (string | number)[] | undefined>;
  json?: unknown;
  /** Instead of `json`. */
  body?: string | Uint8Array;
  headers?: Headers;
  timeoutMs?: number;
  signal?: AbortSignal;
  /** May be sent twice. GET, HEAD and OPTIONS always may; nothing else is retried unless it says so here. */
  idempotent?: boolean;
  /** It only reads although its method could write: a GraphQL query. May be retried, and is sent in dry runs. */
  reads?: boolean;
  maxBytes?: number;
  /** Default `json`. A `stream` must be read, or left by `break`: it holds its place and deadline until then. */
  expect?: 'json' | 'text' | 'bytes' | 'stream';
  /** Statuses from 300 up that are an answer, not an error. */
  acceptStatus?: number[];
  /** The path for journal and errors, without ids: `/projects/:id`. Made from the path otherwise. */
  template?: string;
  /** Of the tool call that this is part of. */
  journal?: Journal;
}

export interface CallResponse<Body> {
  status: number;
  /** Names in lower case. */
  headers: Headers;
  body: Body;
}

type Expecting<E extends CallRequest['expect']> = CallRequest & { expect: E };
type Bytes = AsyncIterable<Uint8Array>;

/** One upstream service. */
export interface Caller {
  /** `path` is joined to `baseUrl`, or a whole URL of its origin. An empty answer is `undefined`. Throws CallError. */
  request(path: string, options: Expecting<'text'>): Promise<CallResponse<string>>;
  request(path: string, options: Expecting<'bytes'>): Promise<CallResponse<Uint8Array>>;
  request(path: string, options: Expecting<'stream'>): Promise<CallResponse<Bytes>>;
  request(path: string, options?: CallRequest): Promise<CallResponse<unknown>>;
  /** Drops its connections, and the calls on them. */
  close(): Promise<void>;
}

/**
 * The way out to one service: a deadline over each whole call, cancel, bounded answers, retry of what may be sent
 * twice, a rate limit, a concurrency bound and a circuit breaker per host, redaction and a journal entry per try.
 */
export function callFor(service: CallOptions): Caller {
  const hosts = new Map<string, Host>();
  const agents = new Map<string, Promise<Dispatcher>>();
  const connect = (url: URL) => {
    const agent = agents.get(url.origin) ?? dispatcherFor(url, service);
    agents.set(url.origin, agent);
    return agent;
  };

  async function request(path: string, options: Expecting<'text'>): Promise<CallResponse<string>>;
  async function request(path: string, options: Expecting<'bytes'>): Promise<CallResponse<Uint8Array>>;
  async function request(path: string, options: Expecting<'stream'>): Promise<CallResponse<Bytes>>;
  async function request(path: string, options?: CallRequest): Promise<CallResponse<unknown>>;
  async function request(path: string, options: CallRequest = {}): Promise<CallResponse<unknown>> {
    const url = urlFor(service, path, options.query);
    const host = hosts.get(url.origin) ?? hostFor(service);
    hosts.set(url.origin, host);
    const own = typeof service.headers === 'function' ? await service.headers() : service.headers;
    const headers = { ...own, ...options.headers };
    hideTokens(headers);
    const method = (options.method ?? 'GET').toUpperCase();
    if (!onlyReads(method, options)) {
      if (service.readOnly) {
        const said = `${service.name}: ${method} ${url.pathname} is not sent: read-only mode is on.`;
        throw new CallError(said, { reason: 'refused' });
      }
      holdBack({
        method,
        path: `${url.pathname}${url.search}`,
        body: options.json ?? shownBody(options.body),
      });
    }
    const job: Attempt = {
      callee: service,
      url,
      method,
      template: options.template ?? templateOf(url.pathname),
      options,
      maxBytes: options.maxBytes ?? service.maxBytes ?? 8 * 1024 * 1024,
      headers,
      body: options.json === undefined ? options.body : JSON.stringify(options.json),
      clock: startClock(options.timeoutMs ?? service.timeoutMs ?? 30_000, options.signal),
      host,
      connect,
      journal: options.journal ?? service.journal ?? noJournal,
    };
    try {
      return await persist(job, service);
    } catch (error) {
      job.clock.stop();
      throw error;
    }
  }

  return {
    request,
    async close() {
      const open = [...agents.values()];
      agents.clear();
      await Promise.all(open.map(async (agent) => (await agent).destroy()));
    },
  };
}

/** A server may repeat in an error what it was sent: from here on no text of ours shows it. */
function hideTokens(headers: Headers): void {
  for (const [name, value] of Object.entries(headers)) {
    if (!/auth|token|cookie|key|secret|password|2fa-code/i.test(name)) continue;
    registerSecret(value.replace(/^(Bearer|Basic|token) +/i, ''), { label: name.toLowerCase() });
  }
}

const onlyReads = (method: string, { reads = false }: CallRequest) =>
  reads || ['GET', 'HEAD', 'OPTIONS'].includes(method);

const shownBody = (body: CallRequest['body']) =>
  typeof body === 'string' || body === undefined ? body : `${body.byteLength} bytes`;

/** Tries until it works, may not be tried again, or has no time left. */
async function persist(job: Attempt, service: CallOptions): Promise<CallResponse<unknown>> {
  const { clock, method, options } = job;
  const again = options.idempotent ?? onlyReads(method, options);
  const tries = again ? 1 + (service.retries ?? 3) : 1;
  for (let tried = 1; ; tried++) {
    let failure: CallError;
    try {
      return await attempt(job, tried);
    } catch (error) {
      if (!(error instanceof CallError) || tried >= tries || !passing(error)) throw error;
      failure = error;
    }
    // "Full jitter" halves: clients that failed together do not come back together.
    const backoff =
      Math.min(10_000, (service.backoffMs ?? 250) * 2 ** (tried - 1)) * (0.5 + Math.random() / 2);
    const { retryAfter, reason, status, body } = failure;
    const wait = Math.max(backoff, (retryAfter ?? 0) * 1000);
    if (wait >= Math.min(clock.left(), longestWaitMs)) {
      if (retryAfter === undefined) throw failure;
      throw new CallError(
        `${service.name} asks for a longer pause than this call has (status ${status}). Try again ${inTime(wait)}.`,
        { reason, status, retryAfter, body },
      );
    }
    await clock.pause(wait);
    if (clock.ended()) throw overError(job, failure, false);
  }
}

/** Failures that another try may mend (RFC 9110 15.5.20, 15.6.3 to 15.6.5; RFC 6585 4). */
function passing({ reason, status = 0 }: CallError): boolean {
  if (reason === 'status') return [429, 502, 503, 504].includes(status);
  return reason === 'connect' || reason === 'connection_lost';
}

function urlFor(service: CallOptions, path: string, query: CallRequest['query'] = {}): URL {
  const { baseUrl, name, setting = 'its base URL' } = service;
  const refuse = (text: string) => new CallError(`${name}: ${text}`, { reason: 'refused' });
  const base = baseUrl === undefined ? undefined : parse(baseUrl);
  if (baseUrl !== undefined && !base) {
    throw refuse(
      `${setting} is no web address. It reads like https://host.example, without user or password.`,
    );
  }
  const whole = /^[a-z][a-z0-9+.-]*:/i.test(path);
  if (!whole && !base) throw refuse(`no address is set. Set ${setting}, for example https://host.example.`);
  const folder = base?.pathname.replace(/\/+$/, '') ?? '';
  const url = parse(whole ? path : `${base?.origin}${folder}/${path.replace(/^\/+/, '')}`);
  // The token goes with every request: only there, and not past the API either (`projects/../../admin`).
  if (!url || (base && (url.origin !== base.origin || !`${url.pathname}/`.startsWith(`${folder}/`)))) {
    throw refuse(`a path of this call leads out of ${setting}. Check the ids and names given.`);
  }
  for (const [key, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) url.searchParams.append(key, String(one));
    }
  }
  return url;
}

function parse(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url && /^https?:$/.test(url.protocol) && !url.username && !url.password ? url : undefined;
}

/** Segments that look like ids, or hold anything but a plain word, become `:id`: a journal is counted by name. */
function templateOf(pathname: string): string {
  const id = /^\d+$|[^\w.-]|^[0-9a-f-]{8,}$|^(?=.*\d)\w{12,}$|.{40}/i;
  return pathname
    .split('/')
    .map((segment) => (id.test(segment) ? ':id' : segment))
    .join('/');
}
