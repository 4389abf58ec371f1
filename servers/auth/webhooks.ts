import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { log } from '../../kit/log.ts';
import { ToolError } from '../../kit/tool.ts';

/** A request as a signature covers it. */
export interface Delivery {
  headers: Record<string, string>;
  /** As it was asked for, without the question mark. */
  query: string;
  body: string;
}

/** Who takes deliveries at `/sms/NAME`: the answer's body, or undefined where it is not authentic. */
export type Receiver = (delivery: Delivery) => Promise<{ type: string; body: string } | undefined>;

const MOST_BYTES = 64 * 1024;
const BODY_MS = 5_000;
const MOST_CONNECTIONS = 32;
const ANSWER_MS = 300;

/** The HTTP listener of SMS webhooks: open while somebody waits for a code, on loopback unless configured otherwise. */
export class Webhooks {
  readonly where: string;
  readonly #receivers = new Map<string, Set<Receiver>>();
  #server: Promise<Server> | undefined;

  constructor(where: string) {
    this.where = where;
  }

  async add(name: string, receiver: Receiver): Promise<() => Promise<void>> {
    const known = this.#receivers.get(name) ?? new Set();
    this.#receivers.set(name, known.add(receiver));
    this.#server ??= this.#listen();
    try {
      await this.#server;
    } catch (error) {
      this.#server = undefined;
      known.delete(receiver);
      throw error;
    }
    return async () => {
      known.delete(receiver);
      if (known.size === 0) this.#receivers.delete(name);
      if (this.#receivers.size === 0) await this.close();
    };
  }

  async close(): Promise<void> {
    const open = this.#server;
    this.#server = undefined;
    const server = await open?.catch(() => undefined);
    if (!server) return;
    const closed = new Promise((resolve) => server.close(resolve));
    // The delivery that ended the wait is about to be answered.
    const late = setTimeout(() => server.closeAllConnections(), ANSWER_MS);
    await closed;
    clearTimeout(late);
  }

  #listen(): Promise<Server> {
    const at = this.where.lastIndexOf(':');
    const host = this.where.slice(0, at).replace(/^\[|\]$/g, '');
    const server = createServer(
      { requestTimeout: BODY_MS, headersTimeout: BODY_MS, connectionsCheckingInterval: 1000 },
      (request, response) => void this.#take(request, response),
    );
    server.maxConnections = MOST_CONNECTIONS;
    server.unref();
    return new Promise((resolve, reject) => {
      server.once('error', (error) => {
        const used = 'code' in error && error.code === 'EADDRINUSE';
        const why = used
          ? 'another program, perhaps another client of this server, listens there'
          : error.message;
        reject(
          new ToolError(
            `SMS cannot be received at ${this.where}: ${why}. End it, or set AUTH_LISTEN to another HOST:PORT.`,
          ),
        );
      });
      server.listen(Number(this.where.slice(at + 1)), host, () => resolve(server));
    });
  }

  /** Who is no sender of ours learns nothing: not which names exist, nor why a signature is wrong. */
  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, name = '', query = ''] = /^\/sms\/([\w-]{1,40})(?:\?(.*))?$/.exec(request.url ?? '') ?? [];
    const receivers = [...(this.#receivers.get(name) ?? [])];
    const end = (status: number, type = 'text/plain', body = '') =>
      void response.writeHead(status, { 'content-type': type, connection: 'close' }).end(body);
    if (request.method !== 'POST' || receivers.length === 0) {
      request.resume();
      return end(404);
    }
    try {
      const body = await bodyOf(request);
      if (body === undefined) return end(413);
      const headers = Object.fromEntries(
        Object.entries(request.headers).map(([key, value]) => [key, [value].flat().join(', ')]),
      );
      const answers = await Promise.all(receivers.map((receive) => receive({ headers, query, body })));
      const taken = answers.find((answer) => answer !== undefined);
      if (taken) end(200, taken.type, taken.body);
      else end(403);
    } catch (error) {
      log.debug(`webhook ${name}: ${error instanceof Error ? error.message : 'unreadable'}`);
      end(400);
    }
  }
}

async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > MOST_BYTES) return undefined;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > MOST_BYTES) return undefined;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Compares in a time that tells nothing, not even the length. */
export function sameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

export const hmac = (algorithm: 'sha1' | 'sha256', key: string, text: string) =>
  createHmac(algorithm, key).update(text);

const FRESH_MS = 5 * 60_000;
const MOST_KNOWN = 10_000;

/** Refuses what was signed too long ago, or comes a second time. */
export class Replays {
  readonly #known = new Map<string, number>();

  isNew(id: string, signedAt: number = Date.now()): boolean {
    const now = Date.now();
    if (!(Math.abs(now - signedAt) <= FRESH_MS)) return false;
    for (const [key, until] of this.#known) {
      if (until > now && this.#known.size < MOST_KNOWN) break;
      this.#known.delete(key);
    }
    if (this.#known.has(id)) return false;
    this.#known.set(id, now + 2 * FRESH_MS);
    return true;
  }
}
