import { toNodeHandler } from '@modelcontextprotocol/node';
import {
  classifyInboundRequest,
  createMcpHandler,
  isInitializeRequest,
  type AuthInfo,
  type McpServerFactory,
} from '@modelcontextprotocol/server';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { readJson, refuse } from './body.ts';
import { Gate, type GateOptions } from './clients.ts';
import { hostGuard } from './guard.ts';
import { internalError } from './log.ts';
import { OwnServer } from './server.ts';
import { SessionTransport } from './session-transport.ts';
import { Sessions } from './sessions.ts';
import { takeShortWay } from './short-way.ts';

/** How HTTP is served. Times in ms, sizes in bytes. */
export interface HttpOptions extends GateOptions {
  host: string;
  port: number;
  /** Also offers the transport of 2024-11-05 at `/sse` and `/messages`. */
  sse: boolean;
  /** Host names, beside loopback's and `host`, that clients and pages may use. */
  allowedHosts: string[];
  maxBodyBytes?: number;
  maxSessions?: number;
  maxConnections?: number;
  idleSessionMs?: number;
  /** A body that has not arrived whole after so long is given up. */
  bodyMs?: number;
  /** So is a connection whose request has not begun, or whose headers have not ended. */
  headersMs?: number;
}

interface HttpServer {
  url: string;
  /** Stops listening, and ends what is open once `settled` is. */
  close: (settled?: Promise<void>) => Promise<void>;
  /** For tests and `doctor`. */
  sessions: () => number;
}

/** A request, and the client whose token it carries. */
export type Asked = IncomingMessage & { auth?: AuthInfo };

export type Route = (req: Asked, res: ServerResponse) => Promise<void>;

/** The revisions that have sessions. */
const OLD = new Set(['2025-03-26', '2025-06-18', '2025-11-25']);

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/**
 * A connection is kept for the next request so long, which is longer than most clients and proxies keep theirs: who closes
 * first may meet a request that is on its way.
 */
const KEPT_MS = 65_000;

/** Answers that are written have so long to leave when the server closes. */
const FLUSH_MS = 1_000;

/** Serves `factory` on `/mcp` for both protocol eras, with every guard in front of the SDK. */
export async function serveHttp(
  factory: McpServerFactory,
  onChange: (listener: (what: 'tools' | 'offers') => void) => () => void,
  options: HttpOptions,
): Promise<HttpServer> {
  const body = { maxBytes: options.maxBodyBytes ?? 4 * 1024 * 1024, deadlineMs: options.bodyMs ?? 15_000 };
  const headersMs = options.headersMs ?? 10_000;
  const sessions = new Sessions(options.maxSessions ?? 100, options.idleSessionMs ?? 10 * 60_000);
  const modern = createMcpHandler(factory, { legacy: 'reject', maxRequestBodySize: body.maxBytes });
  const routes: Record<string, Route> = {
    '/mcp': mcpRoute(factory, sessions, toNodeHandler(modern), (req, res) => readJson(req, res, body)),
    ...(options.sse && (await import('./sse.ts')).oldSse(factory, sessions, body)),
  };
  const shown = options.host.includes(':') ? `[${options.host}]` : options.host;
  const outside = options.publicUrl === undefined ? [] : [new URL(options.publicUrl).hostname];
  const names = [...LOOPBACK, shown, ...outside, ...options.allowedHosts];
  const gate = new Gate(options);
  const allowed = hostGuard(names);

  const http = createServer(
    {
      maxHeaderSize: 16 * 1024,
      headersTimeout: headersMs,
      // For bodies that nobody reads, of requests that were refused.
      requestTimeout: body.deadlineMs + 15_000,
      connectionsCheckingInterval: Math.min(5_000, headersMs),
    },
    (req, res) => {
      const path = (req.url ?? '').split('?')[0] ?? '';
      req.socket.setTimeout(0);
      if (!allowed(req, res) || !gate.admits(req, res, path)) return;
      const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
      if (!route) {
        return refuse(res, 404, `Nothing is served at ${path.slice(0, 80)}; MCP is at /mcp.`);
      }
      route(req, res).catch((error: unknown) => {
        const id = internalError(error);
        if (res.headersSent) res.destroy();
        else refuse(res, 500, `Internal error, id ${id}; its cause is in the log of the server.`);
      });
    },
  );
  http.maxConnections = options.maxConnections ?? 256;
  http.keepAliveTimeout = KEPT_MS;
  let connections = 0;
  http.on('connection', (socket) => {
    // Nor may a connection that asks for nothing keep its place.
    socket.setTimeout(headersMs);
    connections++;
    socket.once('close', () => connections--);
    if (connections > http.maxConnections / 2) http.closeIdleConnections();
  });
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(options.port, options.host, resolve);
  });
  // One connection's fault (too many open files, say) is no reason to end the others.
  http.on('error', (error) => void internalError(error));
  const stopFollowing = onChange((what) => {
    if (what === 'tools') modern.notify.toolsChanged();
    else {
      modern.notify.resourcesChanged();
      modern.notify.promptsChanged();
    }
  });
  const address = http.address();
  const port = typeof address === 'object' && address ? address.port : options.port;
  return {
    url: `http://${shown}:${port}/mcp`,
    sessions: () => sessions.size,
    async close(settled) {
      stopFollowing();
      const closed = new Promise<void>((resolve) => http.close(() => resolve()));
      await settled;
      await Promise.allSettled([sessions.close(), modern.close()]);
      const idle = setInterval(() => http.closeIdleConnections(), 20);
      const rest = setTimeout(() => http.closeAllConnections(), FLUSH_MS);
      await closed;
      clearInterval(idle);
      clearTimeout(rest);
    },
  };
}

/** `/mcp`: requests that carry the 2026-07-28 envelope are served one by one, all others belong to a session. */
function mcpRoute(
  factory: McpServerFactory,
  sessions: Sessions,
  modern: ReturnType<typeof toNodeHandler>,
  read: (req: IncomingMessage, res: ServerResponse) => ReturnType<typeof readJson>,
): Route {
  return async (req, res) => {
    if (!['GET', 'POST', 'DELETE'].includes(req.method ?? '')) {
      return refuse(res, 405, 'Only GET, POST and DELETE are served here.', { allow: 'GET, POST, DELETE' });
    }
    const body = req.method === 'POST' ? await read(req, res) : { json: undefined };
    if (!body) return;
    if (isModern(req, body.json)) return modern(req, res, body.json);
    const known = req.headers['mcp-session-id'];
    if (typeof known === 'string') {
      const session = sessions.get(known, req.auth?.clientId);
      if (!session) return refuse(res, 404, 'That session has ended. Initialize a new one.');
      sessions.hold(session, res);
      return session.handle(req, res, body.json);
    }
    if (!isInitializeRequest(body.json)) {
      return refuse(
        res,
        400,
        'No session: send `initialize` first, then its Mcp-Session-Id with every request.',
      );
    }
    const id = randomUUID();
    const transport = new SessionTransport({
      sessionIdGenerator: () => id,
      onsessionclosed: () => sessions.end(id),
    });
    // Counted before anything is awaited, so that no burst of clients passes the bound.
    const session = sessions.add(id, {
      client: req.auth?.clientId,
      handle: (one, answer, parsed) => transport.handleRequest(one, answer, parsed),
      close: () => transport.close(),
    });
    if (!session) {
      return refuse(res, 503, 'All sessions are in use. End one, or try again later.', {
        'retry-after': '30',
      });
    }
    sessions.hold(session, res);
    try {
      const built = await factory({ era: 'legacy', authInfo: req.auth });
      await built.connect(transport);
      if (built instanceof OwnServer && built.shortWay) takeShortWay(transport, built.shortWay);
      await session.handle(req, res, body.json);
    } finally {
      // It was refused (a wrong Accept header, say): nobody knows its id.
      if (transport.sessionId === undefined) sessions.end(id);
    }
  };
}

function isModern(req: IncomingMessage, body: unknown): boolean {
  const header = (name: string) => [req.headers[name]].flat()[0];
  // A session's client that has said which revision it speaks need not be looked at again.
  if (header('mcp-session-id') !== undefined && OLD.has(header('mcp-protocol-version') ?? '')) return false;
  const { kind } = classifyInboundRequest({
    httpMethod: req.method ?? 'GET',
    protocolVersionHeader: header('mcp-protocol-version'),
    mcpMethodHeader: header('mcp-method'),
    mcpNameHeader: header('mcp-name'),
    body,
  });
  return kind !== 'legacy';
}
