import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate } from 'node:timers/promises';

/** What the server answers instead of doing as it was asked. */
export class Refused extends Error {
  readonly status: number;
  readonly type: string | undefined;
  constructor(status: number, message: string, type?: string) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

/** The whole body, as text. */
export async function bodyOf(req: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of req.setEncoding('utf8')) text += String(part);
  return text;
}

/** An answer that is one JSON value. */
export function json(res: ServerResponse, status: number, value: unknown, type = JSON_TYPE): void {
  whole(res, status, type, JSON.stringify(value));
}
const JSON_TYPE = 'application/json; charset=utf-8';

/** An answer of one piece, with its length. */
export function whole(
  res: ServerResponse,
  status: number,
  type: string,
  words: string,
  headers: Record<string, string> = {},
): void {
  const length = Buffer.byteLength(words);
  res.writeHead(status, { ...(type && { 'content-type': type }), 'content-length': length, ...headers });
  res.end(words);
}

/** False when the client has gone. */
export async function send(res: ServerResponse, words: string, chunk = 1 << 20): Promise<boolean> {
  const bytes = Buffer.from(words);
  for (let at = 0; at < bytes.length; at += chunk) {
    if (res.destroyed) return false;
    res.write(bytes.subarray(at, at + chunk));
    // A turn of the loop, so that the pieces arrive as pieces.
    if (bytes.length > chunk) await setImmediate();
  }
  return !res.destroyed;
}
