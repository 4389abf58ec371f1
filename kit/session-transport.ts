import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node';
import {
  isJSONRPCNotification,
  isJSONRPCRequest,
  type JSONRPCMessage,
  type TransportSendOptions,
} from '@modelcontextprotocol/server';
import type { ServerResponse } from 'node:http';
import type { Asked } from './http.ts';

type Id = string | number;

/** A call whose answer does not come so soon becomes a stream: clients give up a response without headers. */
const STREAM_AFTER_MS = 5_000;
const KEEP_ALIVE_MS = 15_000;
const MOST_LEFT = 100;
/** A client that has not read so many bytes is taken for gone. */
const MOST_UNREAD = 8 * 1024 * 1024;

/** A request that is answered here; a stream as soon as something else is to be told before its answer. */
interface Open {
  res: ServerResponse;
  timer: NodeJS.Timeout;
  stream: boolean;
}

/**
 * The SDK's transport of a 2025 session, with a shorter way for single tool calls: "the server MUST either return
 * Content-Type: text/event-stream, to initiate an SSE stream, or Content-Type: application/json" (MCP 2025-11-25,
 * Transports). The SDK makes that choice once for all; here a call that has nothing to tell but its answer gets it in
 * one write, without the web streams between.
 */
export class SessionTransport extends NodeStreamableHTTPServerTransport {
  readonly #open = new Map<Id, Open>();
  /** Calls whose client hung up, and that may still be answered. */
  readonly #left = new Set<Id>();
  #versions: string[] = [];

  override setSupportedProtocolVersions(versions: string[]): void {
    this.#versions = versions;
    super.setSupportedProtocolVersions(versions);
  }

  override async handleRequest(req: Asked, res: ServerResponse, body?: unknown): Promise<void> {
    // One who comes again lost the connection of before, whether or not that was heard of here.
    if (this.#asksForStream(req)) this.closeStandaloneSSEStream();
    if (!this.#isPlainCall(req, body)) {
      await super.handleRequest(req, res, body);
      return this.#cancelled(body);
    }
    const id = body.id;
    const timer = setTimeout(() => this.#stream(id), STREAM_AFTER_MS);
    this.#open.set(id, { res, timer, stream: false });
    res.once('close', () => this.#hungUp(id, res));
    this.onmessage?.(body, { authInfo: req.auth });
  }

  override async send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    const answer = !('method' in message);
    const id = answer ? message.id : options?.relatedRequestId;
    const open = id === undefined ? undefined : this.#open.get(id);
    if (id !== undefined && this.#left.has(id)) {
      if (answer) this.#left.delete(id);
      return;
    }
    if (id === undefined || !open) return super.send(message, options);
    if (!answer) {
      this.#stream(id);
      open.res.write(event(message));
      if (open.res.writableLength > MOST_UNREAD) open.res.destroy();
      return;
    }
    this.#forget(id, open.res);
    if (open.stream) {
      open.res.end(event(message));
      return;
    }
    const text = JSON.stringify(message);
    open.res.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      ...this.#sessionHeader(),
    });
    open.res.end(text);
  }

  override async close(): Promise<void> {
    // As the SDK ends its own: a stream that says nothing more, not a broken connection.
    for (const [id, { res }] of this.#open) {
      this.#stream(id);
      this.#forget(id, res);
      res.end();
    }
    await super.close();
  }

  #asksForStream({ method, headers }: Asked): boolean {
    const listens = headers.accept?.includes('text/event-stream') ?? false;
    return method === 'GET' && listens && headers['mcp-session-id'] === this.sessionId;
  }

  /** A call that was cancelled is never answered: its response would stay open, and with it the session. */
  #cancelled(body: unknown): void {
    if (!isJSONRPCNotification(body) || body.method !== 'notifications/cancelled') return;
    const id = body.params?.['requestId'];
    if (typeof id !== 'string' && typeof id !== 'number') return;
    const res = this.#open.get(id)?.res;
    if (!res) return;
    this.#stream(id);
    this.#leave(id, res);
    res.end();
  }

  /** All that the SDK would refuse, or knows more about, is left to it. */
  #isPlainCall(req: Asked, body: unknown): body is JSONRPCMessage & { id: Id } {
    const { accept = '', 'mcp-protocol-version': version, 'mcp-session-id': session } = req.headers;
    return (
      req.method === 'POST' &&
      accept.includes('application/json') &&
      accept.includes('text/event-stream') &&
      session !== undefined &&
      session === this.sessionId &&
      (version === undefined || this.#versions.includes(String(version))) &&
      isJSONRPCRequest(body) &&
      body.method === 'tools/call' &&
      !this.#open.has(body.id) &&
      !this.#left.has(body.id)
    );
  }

  #stream(id: Id): void {
    const open = this.#open.get(id);
    if (!open || open.stream) return;
    clearTimeout(open.timer);
    open.stream = true;
    open.res.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      ...this.#sessionHeader(),
    });
    open.res.flushHeaders();
    open.timer = setInterval(() => open.res.write(': alive\n\n'), KEEP_ALIVE_MS);
  }

  /** That is no cancel (MCP 2025-11-25, Transports): only the answer has nowhere to go. */
  #hungUp(id: Id, res: ServerResponse): void {
    if (this.#open.get(id)?.res === res) this.#leave(id, res);
  }

  #leave(id: Id, res: ServerResponse): void {
    this.#forget(id, res);
    this.#left.add(id);
    for (const oldest of this.#left) {
      if (this.#left.size <= MOST_LEFT) break;
      this.#left.delete(oldest); // cancelled ones are never answered
    }
  }

  #forget(id: Id, res: ServerResponse): void {
    const open = this.#open.get(id);
    if (open?.res !== res) return;
    clearTimeout(open.timer);
    this.#open.delete(id);
  }

  #sessionHeader(): Record<string, string> {
    return this.sessionId === undefined ? {} : { 'mcp-session-id': this.sessionId };
  }
}

const event = (message: JSONRPCMessage) => `event: message\ndata: ${JSON.stringify(message)}\n\n`;
