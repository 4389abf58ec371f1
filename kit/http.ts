import {
  NodeStreamableHTTPServerTransport,
  hostHeaderValidation,
  originValidation,
  toNodeHandler,
  toWebRequest,
} from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  isInitializeRequest,
  isLegacyRequest,
  type McpServer,
  type McpServerFactory,
  type Server,
} from '@modelcontextprotocol/server';
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { internalError } from './log.ts';

/** How HTTP is served. Times in ms, sizes in bytes. */
export interface HttpOptions {
  host: string;
  port: number;
  /** Required for any address but loopback; asked of every request when set. */
  token?: string;
  /** Also offers the transport of 2024-11-05 at `/sse` and `/messages`. */
  sse: boolean;
  /** Host names beside loopback's that clients and pages may use. */
  allowedHosts: string[];
  maxBodyBytes?: number;
  maxSessions?: number;
  maxConnections?: number;
  idleSessionMs?: number;
  /** A body that has not arrived whole after so long is given up. */
  bodyMs?: number;
}

export interface HttpServer {
  url: string;
  /** Stops listening, then ends what is open after `graceMs`. */
  close: (graceMs: number) => Promise<void>;
  /** For tests and `doctor`. */
  sessions: () => number;
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

export const isLoopback = (host: string) => ['127.0.0.1', '::1', 'localhost'].includes(host);

interface Session {
  server: Server | McpServer;
  handle: (req: IncomingMessage, res: ServerResponse, body: unknown) => Promise<void>;
  /** Responses that are still open: a stream keeps its session. */
  open: number;
  usedAt: number;
}

/** Serves `factory` on `/mcp` for both protocol eras, with every guard in front of the SDK. */
export async function serveHttp(
  factory: McpServerFactory,
  onChange: (listener: () => void) => () => void,
  options: HttpOptions,
): Promise<HttpServer> {
  const maxBody = options.maxBodyBytes ?? 4 * 1024 * 1024;
  const sessions = new Sessions(options.maxSessions ?? 100, options.idleSessionMs ?? 10 * 60_000);
  const modern = createMcpHandler(factory, { legacy: 'reject', maxRequestBodySize: maxBody });
  const modernNode = toNodeHandler(modern);
  const stopFollowing = onChange(() => modern.notify.toolsChanged());
  const names = [...LOOPBACK, ...options.allowedHosts];
  const hostAllowed = hostHeaderValidation(names);
  const originAllowed = originValidation(names);
  const allowed = (req: IncomingMessage, res: ServerResponse) =>
    hostAllowed(req, res) && originAllowed(req, res) && tokenAllowed(options.token, req, res);

  async function mcp(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (!['GET', 'POST', 'DELETE'].includes(req.method ?? '')) {
      return refuse(res, 405, 'Only GET, POST and DELETE are served here.', { allow: 'GET, POST, DELETE' });
    }
    const body =
      req.method === 'POST' ? await readJson(req, res, maxBody, options.bodyMs ?? 15_000) : undefined;
    if (body === 'answered') return;
    if (!(await isLegacyRequest(await toWebRequest(req, body), body))) return modernNode(req, res, body);
    const id = req.headers['mcp-session-id'];
    if (typeof id === 'string') {
      const session = sessions.get(id);
      if (session) return sessions.use(session, req, res, body);
      return refuse(res, 404, 'That session has ended. Initialize a new one.');
    }
    if (!isInitializeRequest(body)) {
      return refuse(
        res,
        400,
        'No session: send `initialize` first, then its Mcp-Session-Id with every request.',
      );
    }
    if (!sessions.makeRoom()) {
      return refuse(res, 503, 'All sessions are in use. End one, or try again later.', {
        'retry-after': '30',
      });
    }
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (sessionId) => sessions.add(sessionId, session),
      onsessionclosed: (sessionId) => sessions.remove(sessionId),
    });
    const server = await factory({ era: 'legacy' });
    await server.connect(transport);
    const session: Session = {
      server,
      open: 0,
      usedAt: Date.now(),
      handle: (one, answer, parsed) => transport.handleRequest(one, answer, parsed),
    };
    return sessions.use(session, req, res, body);
  }

  const old = options.sse ? (await import('./sse.ts')).oldSse(factory, sessions, maxBody) : undefined;

  const http = createServer(
    { maxHeaderSize: 16 * 1024, requestTimeout: 0, headersTimeout: 10_000 },
    (req, res) => {
      const path = new URL(req.url ?? '/', 'http://localhost').pathname;
      const route = path === '/mcp' ? mcp : old?.(req, path);
      if (!allowed(req, res)) return;
      if (!route) return refuse(res, 404, `Nothing is served at ${path}; MCP is at /mcp.`);
      route(req, res).catch((error: unknown) => {
        const id = internalError(error);
        if (res.headersSent) res.destroy();
        else refuse(res, 500, `Internal error, id ${id}; its cause is in the log of the server.`);
      });
    },
  );
  http.maxConnections = options.maxConnections ?? 256;
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(options.port, options.host, resolve);
  });
  const address = http.address();
  const port = typeof address === 'object' && address ? address.port : options.port;
  const shown = options.host.includes(':') ? `[${options.host}]` : options.host;
  return {
    url: `http://${shown}:${port}/mcp`,
    sessions: () => sessions.size,
    async close(graceMs) {
      stopFollowing();
      const closed = new Promise<void>((resolve) => http.close(() => resolve()));
      http.closeIdleConnections();
      const hurry = setTimeout(() => http.closeAllConnections(), graceMs);
      await Promise.all([sessions.close(), modern.close()]);
      http.closeIdleConnections();
      await closed;
      clearTimeout(hurry);
    },
  };
}

/** The sessions of 2025-era clients: counted, found by id, collected when idle. */
export class Sessions {
  readonly #open = new Map<string, Session>();
  readonly #max: number;
  readonly #idleMs: number;
  readonly #sweep: NodeJS.Timeout;

  constructor(max: number, idleMs: number) {
    this.#max = max;
    this.#idleMs = idleMs;
    this.#sweep = setInterval(() => this.#collect(), Math.min(30_000, idleMs));
    this.#sweep.unref();
  }

  get size(): number {
    return this.#open.size;
  }

  get(id: string): Session | undefined {
    return this.#open.get(id);
  }

  add(id: string, session: Session): void {
    this.#open.set(id, session);
  }

  remove(id: string): void {
    this.#open.delete(id);
  }

  /** False when every session is in use: an idle one is ended to make room for the new one. */
  makeRoom(): boolean {
    if (this.#open.size < this.#max) return true;
    const idle = [...this.#open]
      .filter(([, one]) => one.open === 0)
      .sort(([, a], [, b]) => a.usedAt - b.usedAt)[0];
    if (!idle) return false;
    this.#end(...idle);
    return true;
  }

  async use(session: Session, req: IncomingMessage, res: ServerResponse, body: unknown): Promise<void> {
    session.open++;
    session.usedAt = Date.now();
    res.once('close', () => {
      session.open--;
      session.usedAt = Date.now();
    });
    await session.handle(req, res, body);
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    await Promise.allSettled([...this.#open.values()].map((one) => one.server.close()));
    this.#open.clear();
  }

  #collect(): void {
    const now = Date.now();
    for (const [id, one] of this.#open) {
      if (one.open === 0 && now - one.usedAt > this.#idleMs) this.#end(id, one);
    }
  }

  #end(id: string, session: Session): void {
    this.#open.delete(id);
    session.server.close().catch(internalError);
  }
}

function tokenAllowed(token: string | undefined, req: IncomingMessage, res: ServerResponse): boolean {
  if (token === undefined) return true;
  const given = /^Bearer (.+)$/i.exec(req.headers.authorization ?? '')?.[1] ?? '';
  // Digests have one length, so that the comparison tells nothing about the token's.
  const digest = (text: string) => createHash('sha256').update(text).digest();
  if (timingSafeEqual(digest(given), digest(token))) return true;
  const why = given === '' ? 'No bearer token. Send' : 'Wrong bearer token. Send';
  refuse(res, 401, `${why} the one in KUZNIA_TOKEN as \`Authorization: Bearer …\`.`, {
    'www-authenticate': 'Bearer realm="kuznia"',
  });
  return false;
}

/** The parsed body, or 'answered' when it was refused: wrong type, too big, too slow, no JSON. */
export async function readJson(
  req: IncomingMessage,
  res: ServerResponse,
  maxBytes: number,
  deadlineMs: number,
): Promise<unknown> {
  const answer = (status: number, message: string): 'answered' => {
    refuse(res, status, message, { connection: 'close' });
    return 'answered';
  };
  if (!/^application\/json\b/i.test(req.headers['content-type'] ?? '')) {
    return answer(415, 'Send the message as application/json.');
  }
  const tooBig = `A body over ${maxBytes} bytes was refused. Send less in one call.`;
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) return answer(413, tooBig);
  const chunks: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(() => req.destroy(new Error('slow body')), deadlineMs);
  const slow = setTimeout(
    () => {
      answer(408, `The body did not arrive within ${deadlineMs / 1000} s.`);
    },
    Math.max(1, deadlineMs - 50),
  );
  try {
    for await (const chunk of req) {
      size += chunk.length;
      if (size > maxBytes) return answer(413, tooBig);
      chunks.push(chunk);
    }
    if (res.headersSent) return 'answered';
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return answer(400, 'The body is no JSON.');
    return 'answered'; // the client hung up, or was too slow and has been told
  } finally {
    clearTimeout(timer);
    clearTimeout(slow);
  }
}

/** A JSON-RPC error over HTTP, for requests that never reach the protocol. */
export function refuse(
  res: ServerResponse,
  status: number,
  message: string,
  headers: Record<string, string> = {},
): void {
  if (res.headersSent) return;
  res.writeHead(status, { 'content-type': 'application/json', ...headers });
  res.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32000, message } }));
}
