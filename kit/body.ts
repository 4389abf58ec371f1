import { isJsonContentType } from '@modelcontextprotocol/server';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isTooDeep, MOST_DEPTH, TOO_DEEP } from './depth.ts';

/** Of one request body: size in bytes, time in ms until it has arrived whole. */
export interface BodyLimits {
  maxBytes: number;
  deadlineMs: number;
}

/** The parsed body, or undefined when the request was answered here: wrong type, too big, too slow, no JSON. */
export async function readJson(
  req: IncomingMessage,
  res: ServerResponse,
  { maxBytes, deadlineMs }: BodyLimits,
): Promise<{ json: unknown } | undefined> {
  const answer = (status: number, message: string, headers?: Record<string, string>): undefined => {
    refuse(res, status, message, headers);
  };
  const tooBig = () => answer(413, `A body over ${maxBytes} bytes was refused. Send less in one call.`);
  if (!isJsonContentType(req.headers['content-type'])) {
    return answer(415, 'Send the message as application/json.');
  }
  const encoding = req.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') {
    return answer(415, `Send the body as it is: ${encoding.slice(0, 40)} is not unpacked here.`);
  }
  const announced = Number(req.headers['content-length'] ?? Number.NaN);
  if (announced > maxBytes) return tooBig();
  const chunks: Buffer[] = [];
  let size = 0;
  let late = false;
  // What is too much is read to its end and dropped: a client that is still sending would miss an answer given now.
  const whole = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(!(late = true)), deadlineMs);
    const done = (came: boolean) => () => {
      clearTimeout(timer);
      resolve(came);
    };
    const came = done(true);
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) chunks.length = 0;
      else chunks.push(chunk);
      if (size === announced) came(); // `end` comes later, and says nothing more
    });
    req.once('end', came).once('close', done(false)).once('error', done(false));
  });
  if (late) {
    return answer(408, `The body did not arrive within ${deadlineMs / 1000} s.`, { connection: 'close' });
  }
  if (!whole) return undefined; // the client hung up
  if (size > maxBytes) return tooBig();
  let json: unknown;
  try {
    json = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return answer(400, 'The body is no JSON.');
  }
  return size > MOST_DEPTH && isTooDeep(json) ? answer(400, TOO_DEEP) : { json };
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
