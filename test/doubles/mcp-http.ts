import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

const message = z.object({
  id: z.union([z.string(), z.number()]).optional(),
  method: z.string(),
  params: z.looseObject({}).optional(),
});
type Message = z.output<typeof message>;

/** How the server behaves; may be changed while it runs. */
interface Ways {
  /** Bearer tokens it takes; any where undefined. */
  tokens?: Set<string>;
  /** Answers to calls come as a stream, in pieces of so many bytes; as JSON where undefined. */
  pieces?: number;
  /** The stream is cut before the answer. */
  cut?: boolean;
  /** The answer comes after so many ms. */
  delay?: number;
  /** Characters of the answer. */
  long?: number;
  /** Statuses of the next answers to calls. */
  refuse: number[];
  /** What GET answers. */
  get: number;
}

export interface McpHttp {
  url: string;
  ways: Ways;
  /** Calls that were carried out. */
  done: unknown[];
  /** Calls that the client cancelled. */
  cancelled: unknown[];
  sessions: Set<string>;
  stop: () => Promise<void>;
  /** Listens again, on the same port. */
  again: () => Promise<void>;
}

/** A server on Streamable HTTP as it was in 2025, made by hand: sessions, tokens, streams in pieces. */
export async function startMcpHttp(ways: Partial<Ways> = {}): Promise<McpHttp> {
  const all: Ways = { refuse: [], get: 405, ...ways };
  const sessions = new Set<string>();
  const done: unknown[] = [];
  const cancelled: unknown[] = [];

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const token = /^Bearer (.+)$/.exec(req.headers.authorization ?? '')?.[1] ?? '';
    if (all.tokens && !all.tokens.has(token)) return void res.writeHead(401).end('who are you');
    if (req.method === 'GET') return void res.writeHead(all.get).end();
    if (req.method === 'DELETE') return void res.writeHead(200).end();
    let text = '';
    for await (const part of req) text += String(part);
    const asked = message.parse(JSON.parse(text));
    const json = (result: unknown, headers: Record<string, string> = {}) => {
      res.writeHead(200, { 'content-type': 'application/json', ...headers });
      res.end(JSON.stringify({ jsonrpc: '2.0', id: asked.id, result }));
    };
    if (asked.method === 'initialize') {
      const session = randomUUID();
      sessions.add(session);
      const made = {
        protocolVersion: '2025-11-25',
        capabilities: { tools: {} },
        serverInfo: { name: 'd', version: '1' },
      };
      return json(made, { 'mcp-session-id': session });
    }
    if (!sessions.has(String(req.headers['mcp-session-id'])))
      return void res.writeHead(404).end('no session');
    if (asked.method === 'notifications/cancelled') cancelled.push(asked.params?.['requestId']);
    if (asked.id === undefined) return void res.writeHead(202).end();
    if (asked.method === 'tools/list') {
      const inputSchema = { type: 'object', properties: { text: { type: 'string' } } };
      return json({ tools: [{ name: 'say', inputSchema, annotations: { readOnlyHint: true } }] });
    }
    if (asked.method !== 'tools/call') return json({});
    const status = all.refuse.shift();
    if (status !== undefined) return void res.writeHead(status).end(`status ${status}`);
    done.push(asked.params?.['arguments']);
    const said = `said ${JSON.stringify(asked.params?.['arguments'])}${'x'.repeat(all.long ?? 0)}`;
    const result = { content: [{ type: 'text', text: said }] };
    if (all.pieces === undefined) {
      if (all.delay) await sleep(all.delay);
      return json(result);
    }
    await streamed(asked, result, res);
  }

  async function streamed(asked: Message, result: unknown, res: ServerResponse): Promise<void> {
    const { pieces = 1, cut, delay } = all;
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    const progressToken = z.object({ progressToken: z.unknown() }).safeParse(asked.params?.['_meta'])
      .data?.progressToken;
    const events = [
      ': a comment\r\n\r\n',
      ...(progressToken === undefined
        ? []
        : [
            event({
              method: 'notifications/progress',
              params: { progressToken, progress: 1, message: 'zażółć' },
            }),
          ]),
      ...(cut ? [] : [event({ id: asked.id, result })]),
    ];
    const bytes = Buffer.from(events.join(''));
    for (let at = 0; at < bytes.length; at += pieces) {
      res.write(bytes.subarray(at, at + pieces));
      await new Promise(setImmediate);
    }
    if (delay) await sleep(delay);
    res.end();
  }

  let port = 0;
  let server: Server;
  const again = async () => {
    server = createServer((req, res) => void answer(req, res).catch(() => res.destroy()));
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    port = typeof address === 'object' && address ? address.port : 0;
  };
  await again();
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    ways: all,
    done,
    cancelled,
    sessions,
    again,
    async stop() {
      sessions.clear();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** As several `data:` lines, which a reader has to join (WHATWG HTML, server-sent events). */
const event = (body: object) =>
  `id: 1\r\nevent: message\r\n${JSON.stringify({ jsonrpc: '2.0', ...body }, null, 1)
    .split('\n')
    .map((line) => `data: ${line}\r\n`)
    .join('')}\r\n`;
