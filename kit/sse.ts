import type { McpServerFactory, Transport } from '@modelcontextprotocol/server';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { readJson, refuse, type Sessions } from './http.ts';

type Route = (req: IncomingMessage, res: ServerResponse) => Promise<void>;

/**
 * The transport of protocol 2024-11-05 (`GET /sse`, `POST /messages?sessionId=`), by the first SDK's own class, over
 * the same servers. Returns the route for a path, if it is one of these.
 */
export function oldSse(
  factory: McpServerFactory,
  sessions: Sessions,
  maxBody: number,
): (req: IncomingMessage, path: string) => Route | undefined {
  const open: Route = async (_req, res) => {
    if (!sessions.makeRoom()) return refuse(res, 503, 'All sessions are in use. Try again later.');
    const transport = new SSEServerTransport('/messages', res);
    const server = await factory({ era: 'legacy' });
    sessions.add(transport.sessionId, {
      server,
      open: 1, // the stream itself
      usedAt: Date.now(),
      handle: (req, answer, body) => transport.handlePostMessage(req, answer, body),
    });
    res.once('close', () => {
      sessions.remove(transport.sessionId);
      server.close().catch(() => undefined);
    });
    await server.connect(bridge(transport));
  };
  const post: Route = async (req, res) => {
    const id = new URL(req.url ?? '/', 'http://localhost').searchParams.get('sessionId') ?? '';
    const session = sessions.get(id);
    if (!session) return refuse(res, 404, 'That session has ended. Open /sse again.');
    const body = await readJson(req, res, maxBody, 15_000);
    if (body !== 'answered') await sessions.use(session, req, res, body);
  };
  return (req, path) => {
    if (path === '/sse' && req.method === 'GET') return open;
    if (path === '/messages' && req.method === 'POST') return post;
    return undefined;
  };
}

/** The first SDK's transport as the second one's: same shape, but each SDK has its own message type. */
function bridge(old: SSEServerTransport): Transport {
  const transport: Transport = {
    sessionId: old.sessionId,
    start: async () => {
      old.onmessage = (message) => transport.onmessage?.(message);
      old.onclose = () => transport.onclose?.();
      old.onerror = (error) => transport.onerror?.(error);
      await old.start();
    },
    send: (message) => old.send(message),
    close: () => old.close(),
  };
  return transport;
}
