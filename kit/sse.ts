import type { JSONRPCMessage, McpServerFactory, Transport } from '@modelcontextprotocol/server';
import type { ServerResponse } from 'node:http';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { readJson, refuse, type BodyLimits } from './body.ts';
import type { Route } from './http.ts';
import type { Sessions } from './sessions.ts';

/** A client that has not read so many bytes is taken for gone: all its answers come on this one stream. */
const MOST_UNREAD = 32 * 1024 * 1024;

/** Kept apart from the sessions of /mcp, whose requests these transports cannot answer. */
const key = (id: string) => `sse ${id}`;

/**
 * The transport of protocol 2024-11-05 (`GET /sse`, `POST /messages?sessionId=`), by the first SDK's own class, over
 * the same servers.
 */
export function oldSse(
  factory: McpServerFactory,
  sessions: Sessions,
  body: BodyLimits,
): Record<string, Route> {
  return {
    async '/sse'(req, res) {
      if (req.method !== 'GET') return refuse(res, 405, 'Open the stream with GET.', { allow: 'GET' });
      const old = new SSEServerTransport('/messages', res);
      const id = key(old.sessionId);
      const session = sessions.add(id, {
        client: req.auth?.clientId,
        handle: (message, answer, parsed) => old.handlePostMessage(message, answer, parsed),
        close: () => old.close(),
      });
      if (!session) return refuse(res, 503, 'All sessions are in use. Try again later.');
      sessions.hold(session, res);
      res.once('close', () => sessions.end(id));
      await (await factory({ era: 'legacy', authInfo: req.auth })).connect(bridge(old, res));
    },
    async '/messages'(req, res) {
      if (req.method !== 'POST') return refuse(res, 405, 'Send messages with POST.', { allow: 'POST' });
      const id = new URL(req.url ?? '/', 'http://localhost').searchParams.get('sessionId') ?? '';
      const session = sessions.get(key(id), req.auth?.clientId);
      if (!session) return refuse(res, 404, 'That session has ended. Open /sse again.');
      const read = await readJson(req, res, body);
      if (read) await session.handle(req, res, read.json);
    },
  };
}

/** The first SDK's transport as the second one's: same shape, but each SDK has its own message type. */
function bridge(old: SSEServerTransport, res: ServerResponse): Transport {
  const transport: Transport = {
    sessionId: old.sessionId,
    start: async () => {
      Object.assign(old, {
        onmessage: (message: JSONRPCMessage) => transport.onmessage?.(message),
        onclose: () => transport.onclose?.(),
        onerror: (error: Error) => transport.onerror?.(error),
      });
      await old.start();
    },
    async send(message) {
      await old.send(message);
      if (res.writableLength > MOST_UNREAD) res.destroy();
    },
    close: () => old.close(),
  };
  return transport;
}
