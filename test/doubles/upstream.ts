import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { after } from 'node:test';
import { inspect } from 'node:util';
import { CallError, callFor } from '../../kit/call.ts';
import type { CallOptions, Caller } from '../../kit/call.ts';
import type { Journal, JournalEntry } from '../../kit/journal.ts';

/** What every caller here sends, and nothing may show. */
export const token = 'kzcanary-0123456789-secret';
const closers: (() => unknown)[] = [];
after(() => Promise.all(closers.map((close) => close())));

/** A server on a free port of 127.0.0.1, closed after the tests; its address. */
export async function listen(server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  closers.push(() => (sockets.forEach((socket) => socket.destroy()), server.close()));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address);
  return `http://127.0.0.1:${address.port}`;
}

export interface Upstream {
  caller: Caller;
  base: string;
  /** What arrived, as `METHOD url`. */
  seen: string[];
  entries: JournalEntry[];
}

/** A service on loopback whose answers the test gives, and a caller for it with a journal. */
export async function upstream(
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
  options: Partial<CallOptions> = {},
): Promise<Upstream> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    answer(request, response, seen.push(`${request.method} ${request.url}`));
  });
  return { ...callerOf(await listen(server), options), seen };
}

export function callerOf(base: string, options: Partial<CallOptions> = {}) {
  const entries: JournalEntry[] = [];
  const journal: Journal = {
    record: (entry) => entries.push(entry),
    child: () => journal,
    flush: async () => undefined,
  };
  const caller = callFor({
    name: 'GitLab',
    setting: 'GITLAB_URL',
    tokenSetting: 'GITLAB_TOKEN',
    baseUrl: `${base}/api/v4`,
    headers: { 'PRIVATE-TOKEN': token },
    backoffMs: 10,
    journal,
    ...options,
  });
  closers.push(() => caller.close());
  return { caller, base, entries };
}

export const json = (response: ServerResponse, value: unknown, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));

/** The CallError of work that must fail; checked for what hangs on it. */
export async function failure(work: Promise<unknown>): Promise<CallError> {
  const error = await work.then(
    () => assert.fail('it should have failed'),
    (error: unknown) => error,
  );
  assert.ok(error instanceof CallError, inspect(error));
  // Nothing of the request may hang on an error, however deep it is looked into.
  assert.ok(
    !inspect(error, { depth: 10, showHidden: true }).includes('0123456789'),
    inspect(error, { depth: 10 }),
  );
  assert.equal(error.cause, undefined);
  return error;
}
