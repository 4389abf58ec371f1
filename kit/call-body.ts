import type { Dispatcher } from 'undici';
import { CallError, excerpt, isWebPage } from './call-error.ts';
import type { Callee } from './call-error.ts';

/** How far a try came. */
export interface Tally {
  received: number;
  status: number | undefined;
  /** The server's turn has begun: from here on, slowness is its own. */
  sent: boolean;
}

/** What is read, for error texts. */
interface Reading {
  callee: Callee;
  method: string;
  template: string;
}

/** The answer's bytes as they come; past `maxBytes` the connection is dropped. */
export async function* bounded(
  { callee, method, template, maxBytes }: Reading & { maxBytes: number },
  body: Dispatcher.ResponseData['body'],
  tally: Tally,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue;
    tally.received += chunk.length;
    if (tally.received > maxBytes) {
      throw new CallError(
        `${callee.name} answered more than ${maxBytes} bytes to ${method} ${template}; it was cut off. Ask for less: a page, a range, fewer fields.`,
        { reason: 'too_big', status: tally.status },
      );
    }
    yield chunk;
  }
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

/** The beginning of an error's text; a broken rest does not matter. */
export async function firstOf(body: AsyncIterable<unknown>, most: number): Promise<string> {
  const all: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      if (!(chunk instanceof Uint8Array)) continue;
      all.push(chunk);
      size += chunk.length;
      if (size >= most) break;
    }
  } catch {
    // What came is enough.
  }
  return Buffer.concat(all).toString('utf8').slice(0, most);
}

/** The answer as it was asked for; `expect` is `bytes`, `text` or else JSON. */
export function decode(
  { callee, method, template }: Reading,
  bytes: Buffer,
  expect: string | undefined,
  status: number,
  type: string,
): unknown {
  if (expect === 'bytes') return bytes;
  const text = bytes.toString('utf8').replace(/^\ufeff/, '');
  if (expect === 'text') return text;
  if (text.trim() === '') return undefined;
  const details = { status, body: excerpt(type, text, 2000) };
  if (isWebPage(type, text)) {
    throw new CallError(
      `${callee.name} answered ${method} ${template} with ${excerpt(type, text, 100)}, probably a login page: check ${callee.setting ?? 'its address'}.`,
      { ...details, reason: 'web_page' },
    );
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new CallError(
      `${callee.name} answered ${method} ${template} with something that is no JSON (${type || 'no content type'}): ${excerpt(type, text, 100)}. Check ${callee.setting ?? 'its address'}.`,
      { ...details, reason: 'not_json' },
    );
  }
}

/** Repeated headers joined by commas (RFC 9110 5.3). */
export function flat(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, [value ?? ''].flat().join(', ')]),
  );
}
