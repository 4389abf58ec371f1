import { parseJSONRPCMessage, type JSONRPCMessage, type Transport } from '@modelcontextprotocol/server';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { isTooDeep, MOST_DEPTH, TOO_DEEP } from './depth.ts';
import { isObject } from './json.ts';

/** A message past this is refused; the SDK's own limit is the same, but ends the connection. */
const MAX_MESSAGE_BYTES = 10 * 1024 * 1024;

/** Answers that are kept for a client which does not read them, before its requests are not read either. */
const MOST_UNREAD_BYTES = 16 * 1024 * 1024;

/** JSON-RPC 2.0, section 5.1. */
const PARSE_ERROR = -32700;
const INVALID_REQUEST = -32600;

/** Enough of a refused line's two ends to find its id: clients write it first or last. */
const KEPT_BYTES = 512;

/**
 * MCP's stdio transport that survives bad input: a line that is no JSON, no JSON-RPC or too long is answered with an
 * error and forgotten while it streams by, and the connection goes on. The SDK's own closes it.
 */
export class LineTransport implements Transport {
  onclose?: Transport['onclose'];
  onerror?: Transport['onerror'];
  onmessage?: Transport['onmessage'];
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #ended: () => void;
  #parts: Buffer[] = [];
  #length = 0;
  #closed = false;
  #draining: Promise<void> | undefined;
  /** Set while a line past the limit streams by: its first bytes, and its last ones so far. */
  #refused: { head: string; tail: string } | undefined;

  /** `ended` is called once, when either side closed. */
  constructor(input: Readable, output: Writable, ended: () => void) {
    this.#input = input;
    this.#output = output;
    this.#ended = ended;
  }

  async start(): Promise<void> {
    this.#input.on('data', this.#onData);
    this.#input.on('end', this.#onEnd);
    this.#input.on('close', this.#onEnd);
    this.#input.on('error', this.#onEnd);
    // A client that went away: EPIPE on the next write, with nobody left to tell.
    this.#output.on('error', this.#onEnd);
  }

  async send(message: JSONRPCMessage): Promise<void> {
    if (this.#closed) return;
    if (this.#output.write(`${JSON.stringify(message)}\n`)) return;
    // Whoever reads no answers is asked for no more questions.
    if (this.#output.writableLength > MOST_UNREAD_BYTES) this.#input.pause();
    this.#draining ??= this.#drained();
    await this.#draining;
  }

  /** When the reader has taken what is written, or is gone. */
  async #drained(): Promise<void> {
    const over = new AbortController();
    const events = ['drain', 'close', 'error'].map((event) =>
      once(this.#output, event, { signal: over.signal }).catch(() => undefined),
    );
    await Promise.race(events);
    over.abort();
    this.#draining = undefined;
    if (!this.#closed) this.#input.resume();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#input.off('data', this.#onData);
    this.#input.pause();
    this.#parts = [];
    this.onclose?.();
    this.#ended();
  }

  readonly #onEnd = (): void => void this.close();

  readonly #onData = (chunk: Buffer): void => {
    let start = 0;
    while (!this.#closed) {
      const end = chunk.indexOf(10, start);
      const piece = chunk.subarray(start, end < 0 ? chunk.length : end);
      this.#take(piece);
      if (end < 0) return;
      this.#lineEnded();
      start = end + 1;
    }
  };

  #take(piece: Buffer): void {
    if (!this.#refused && this.#length + piece.length > MAX_MESSAGE_BYTES) {
      const head = Buffer.concat([...this.#parts, piece], KEPT_BYTES).toString('latin1');
      this.#refused = { head, tail: '' };
      this.#parts = [];
      this.#length = 0;
    }
    if (this.#refused) {
      this.#refused.tail = (this.#refused.tail + piece.subarray(-KEPT_BYTES).toString('latin1')).slice(
        -KEPT_BYTES,
      );
      return;
    }
    if (piece.length > 0) this.#parts.push(piece);
    this.#length += piece.length;
  }

  #lineEnded(): void {
    if (this.#refused) {
      const id = idNear(this.#refused.head, this.#refused.tail);
      this.#refused = undefined;
      const limit = MAX_MESSAGE_BYTES / 1024 / 1024;
      this.#answer(id, INVALID_REQUEST, `A message over ${limit} MiB was refused. Send less in one call.`);
      return;
    }
    const line = Buffer.concat(this.#parts).toString('utf8').trim();
    this.#parts = [];
    this.#length = 0;
    if (line === '') return;
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch {
      this.#answer(null, PARSE_ERROR, 'A line is no JSON. Send one JSON-RPC message a line.');
      return;
    }
    if (line.length > MOST_DEPTH && isTooDeep(json)) {
      const known = isObject(json) ? json['id'] : null;
      return this.#answer(known, INVALID_REQUEST, TOO_DEEP);
    }
    let message: JSONRPCMessage;
    try {
      message = parseJSONRPCMessage(json);
    } catch {
      const id = typeof json === 'object' && json !== null && 'id' in json ? json.id : null;
      const batch = Array.isArray(json) ? ', and batches are not taken: send one message a line' : '';
      this.#answer(
        id,
        INVALID_REQUEST,
        `A message is no JSON-RPC 2.0 request, notification or response${batch}.`,
      );
      return;
    }
    this.onmessage?.(message);
  }

  /** Written by hand, since an error about an unreadable message has the id null, which the SDK's types leave out. */
  #answer(id: unknown, code: number, message: string): void {
    const known = typeof id === 'string' || typeof id === 'number' ? id : null;
    this.onerror?.(new Error(message));
    this.#output.write(`${JSON.stringify({ jsonrpc: '2.0', id: known, error: { code, message } })}\n`);
  }
}

/** The id of a message of which only both ends are known. */
function idNear(head: string, tail: string): string | number | null {
  const first = /^\s*\{(?:\s*"(?:jsonrpc|method)"\s*:\s*"[^"]*"\s*,)*\s*"id"\s*:\s*("[^"\\]*"|\d+)\s*,/.exec(
    head,
  );
  const last = /"id"\s*:\s*("[^"\\]*"|\d+)\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$/.exec(tail);
  const found = first?.[1] ?? last?.[1];
  if (found === undefined) return null;
  return found.startsWith('"') ? found.slice(1, -1) : Number(found);
}
