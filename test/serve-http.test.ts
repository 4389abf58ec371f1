import assert from 'node:assert/strict';
import { connect as connectTcp } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from './clients.ts';
import { every } from './fixtures/every.ts';
import { MODERN, Message, envelope, hello, parsed, serveHere, until } from './support.ts';

const timeout = 60_000;
const json = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const initialize = { jsonrpc: '2.0', id: 0, method: 'initialize', params: hello() };

function post(url: string, body: unknown, headers: Record<string, string> = {}, signal?: AbortSignal) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return fetch(url, { method: 'POST', body: text, headers: { ...json, ...headers }, signal });
}

/** Sends bytes as they are, and gives all that comes back until the server closes or `ms` are over. */
async function raw(url: string, parts: (string | Buffer)[], ms = 3_000): Promise<string> {
  const { port } = new URL(url);
  const socket = connectTcp(Number(port), '127.0.0.1');
  let answer = '';
  socket.on('data', (data) => (answer += data.toString())).on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  for (const part of parts) socket.write(part);
  await Promise.race([closed, sleep(ms)]);
  socket.destroy();
  return answer;
}

const request = (headers: string, body = '') => `POST /mcp HTTP/1.1\r\n${headers}\r\n\r\n${body}`;

/** A session of 2025, by hand. */
async function session(url: string, headers: Record<string, string> = {}): Promise<string> {
  const answer = await post(url, initialize, headers);
  assert.equal(answer.status, 200, await answer.clone().text());
  await answer.text();
  return answer.headers.get('mcp-session-id') ?? '';
}

async function refused(answer: Response, status: number, says: RegExp): Promise<void> {
  const text = await answer.text();
  assert.equal(answer.status, status, text);
  assert.match(Message.parse(parsed(text)).error?.message ?? '', says);
}

test('HTTP: foreign hosts and origins, wrong methods, paths, types and bodies', { timeout }, async (t) => {
  const { url, sessions } = await serveHere(t, every, { maxBodyBytes: 10_000, allowedHosts: ['forge.test'] });
  const get = (host: string, more = '') =>
    raw(url, [`GET /mcp HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`]);
  assert.match(await get('evil.test'), /^HTTP\/1\.1 403 [^]*Invalid Host: evil\.test/);
  assert.match(await get('evil.test:80@127.0.0.1'), /^HTTP\/1\.1 (400|403) /);
  assert.match(
    await get('127.0.0.1', 'Origin: https://evil.test\r\n'),
    /^HTTP\/1\.1 403 [^]*Invalid Origin: evil\.test/,
  );
  assert.match(await get('127.0.0.1', 'Origin: null\r\n'), /^HTTP\/1\.1 403 /);
  for (const host of ['127.0.0.1:1', 'localhost', '[::1]:99', 'forge.test']) {
    assert.match(
      await get(host, 'Origin: http://localhost:6274\r\n'),
      /^HTTP\/1\.1 400 [^]*No session/,
      host,
    );
  }
  assert.match(
    await raw(url, ['GET // HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n']),
    /^HTTP\/1\.1 404 /,
  );
  assert.match(
    await raw(url, ['GET http://evil.test/mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n']),
    /^HTTP\/1\.1 404 /,
  );
  await refused(await fetch(new URL('/', url)), 404, /^Nothing is served at \/; MCP is at \/mcp\.$/);
  await refused(await fetch(new URL('/sse', url)), 404, /MCP is at \/mcp/);
  await refused(await fetch(new URL('/__proto__', url)), 404, /MCP is at \/mcp/);
  await refused(await fetch(url, { method: 'PUT' }), 405, /^Only GET, POST and DELETE/);
  await refused(await post(url, initialize, { 'content-type': 'text/plain' }), 415, /application\/json/);
  await refused(await post(url, '{"jsonrpc":'), 400, /^The body is no JSON\.$/);
  await refused(await post(url, '"answered"'), 400, /not a valid JSON-RPC message/);
  await refused(await post(url, 'null'), 400, /not a valid JSON-RPC message/);
  await refused(
    await post(url, 'x'.repeat(10_001)),
    413,
    /^A body over 10000 bytes was refused\. Send less in one call\.$/,
  );
  const chunks = new ReadableStream({
    start(controller) {
      for (let i = 0; i < 200; i++) controller.enqueue(new Uint8Array(10_000));
      controller.close();
    },
  });
  const long = await fetch(url, { method: 'POST', body: chunks, headers: json, duplex: 'half' });
  await refused(long, 413, /^A body over 10000 bytes/);
  const huge = await raw(
    url,
    [request('Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999'), 'x'],
    300,
  );
  assert.match(huge, /^HTTP\/1\.1 413 /);
  await refused(await post(url, initialize, { accept: 'text/html' }), 406, /must accept/);
  assert.equal(sessions(), 0, 'a refused initialize leaves no session');
});

test('HTTP: a slow body is given up, an endless header too', { timeout }, async (t) => {
  const { url } = await serveHere(t, every, { bodyMs: 150 });
  const since = performance.now();
  const head = 'Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 100';
  assert.match(
    await raw(url, [request(head, '{"jsonrpc"')]),
    /^HTTP\/1\.1 408 [^]*did not arrive within 0\.15 s/,
  );
  assert.ok(performance.now() - since < 10_000);
  assert.match(await raw(url, [request(`Host: localhost\r\nX: ${'y'.repeat(20_000)}`)]), /^HTTP\/1\.1 431 /);
  assert.ok(await session(url), 'others are served');
});

test('HTTP: the bearer token', { timeout }, async (t) => {
  const { url } = await serveHere(t, every, { token: 'correct horse', sse: true });
  await refused(
    await post(url, initialize),
    401,
    /^No bearer token\. Send the one in KUZNIA_TOKEN as `Authorization: Bearer/,
  );
  for (const wrong of ['Bearer correct hors', 'Bearer correct horse2', 'Basic correct horse', 'Bearer ']) {
    const answer = await post(url, initialize, { authorization: wrong });
    assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer/);
    await refused(answer, 401, /bearer token\. Send the one in KUZNIA_TOKEN/);
  }
  await refused(await fetch(new URL('/sse', url)), 401, /bearer/);
  assert.ok(await session(url, { authorization: 'bearer correct horse' }));
  for (const way of [
    { http: url, token: 'correct horse' },
    { sse: url.replace(/mcp$/, 'sse'), token: 'correct horse' },
  ]) {
    const client = await connect(t, 'v1', way);
    assert.equal((await client.call('every_say', { text: 'a' })).text, '{"text":"a"}');
  }
});

test('HTTP: sessions of 2025 are bound, ended, collected', { timeout }, async (t) => {
  const { url, sessions } = await serveHere(t, every, { maxSessions: 2, idleSessionMs: 800 });
  const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
  await refused(await post(url, ping), 400, /^No session: send `initialize` first/);
  await refused(await post(url, [ping]), 400, /^No session/);
  await refused(
    await post(url, ping, { 'mcp-session-id': 'nope' }),
    404,
    /^That session has ended\. Initialize a new one\.$/,
  );
  const [first, second] = [await session(url), await session(url)];
  await sleep(5);
  assert.equal((await post(url, ping, { 'mcp-session-id': first })).status, 200);
  const third = await session(url);
  await refused(await post(url, ping, { 'mcp-session-id': second }), 404, /has ended/);
  assert.equal(sessions(), 2, 'the one that was idle longest made room');

  // Streams keep their sessions, and then there is no room.
  const listening = new AbortController();
  t.after(() => listening.abort());
  for (const id of [first, third]) {
    const headers = { accept: 'text/event-stream', 'mcp-session-id': id };
    assert.equal((await fetch(url, { headers, signal: listening.signal })).status, 200);
  }
  const full = await post(url, initialize);
  assert.equal(full.headers.get('retry-after'), '30');
  await refused(full, 503, /^All sessions are in use\. End one, or try again later\.$/);
  const gone = await fetch(url, { method: 'DELETE', headers: { 'mcp-session-id': first } });
  assert.equal(gone.status, 200);
  assert.equal(sessions(), 1);
  await refused(await post(url, ping, { 'mcp-session-id': first }), 404, /has ended/);
  await sleep(1_200);
  assert.equal(sessions(), 1, 'a stream is no idleness');
  listening.abort();
  await until('idle sessions collected', () => sessions() === 0);

  // A burst does not pass the bound either.
  const burst = await Promise.all(Array.from({ length: 6 }, () => post(url, initialize)));
  await Promise.all(burst.map((one) => one.text()));
  assert.ok(sessions() <= 2, `${sessions()} sessions`);
});

test('HTTP: a call that is cancelled in 2025 leaves no open response behind', { timeout }, async (t) => {
  const { url } = await serveHere(t, every);
  const headers = { 'mcp-session-id': await session(url), 'mcp-protocol-version': '2025-11-25' };
  const params = { name: 'every_count', arguments: { to: 1000, ms: 20 } };
  const call = post(url, { jsonrpc: '2.0', id: 7, method: 'tools/call', params }, headers);
  await sleep(100);
  const cancelled = { method: 'notifications/cancelled', params: { requestId: 7 } };
  assert.equal((await post(url, { jsonrpc: '2.0', ...cancelled }, headers)).status, 202);
  const answer = await Promise.race([call.then((one) => one.text()), sleep(2_000, 'still open')]);
  assert.equal(answer, '');
});

test('HTTP: connections are bound', { timeout }, async (t) => {
  const { url } = await serveHere(t, every, { maxConnections: 3 });
  const open = Array.from({ length: 6 }, () => connectTcp(Number(new URL(url).port), '127.0.0.1'));
  t.after(() => open.forEach((socket) => socket.destroy()));
  const dropped = new Set<unknown>();
  for (const socket of open) socket.on('error', () => {}).on('close', () => dropped.add(socket));
  await until('three dropped', () => dropped.size === 3);
  open.forEach((socket) => socket.destroy());
  await until('room again', async () => (await session(url).catch(() => '')) !== '');

  // Those that have been answered and ask for nothing more make room, though they may come again for a minute.
  for (let i = 0; i < 6; i++) {
    const one = connectTcp(Number(new URL(url).port), '127.0.0.1').on('error', () => {});
    t.after(() => one.destroy());
    let said = '';
    one.on('data', (data) => (said += data.toString()));
    one.write('GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await until('an answer', () => /^HTTP\/1\.1 400 [^]*Keep-Alive: timeout=65\r\n/.test(said));
  }
});

/** Requests of 2026-07-28 need no session: each says who it is. */
function modern(url: string, id: string | number, method: string, params: object = {}, signal?: AbortSignal) {
  const headers: Record<string, string> = { 'mcp-protocol-version': MODERN, 'mcp-method': method };
  if ('name' in params) headers['mcp-name'] = String(params.name);
  return post(url, { jsonrpc: '2.0', id, method, params: { ...params, _meta: envelope() } }, headers, signal);
}

test('HTTP: a client that hangs up cancels its call in 2026-07-28', { timeout }, async (t) => {
  const { url, sessions } = await serveHere(t, every);
  const hangUp = new AbortController();
  const count = { name: 'every_count', arguments: { to: 1000, ms: 20 } };
  const call = modern(url, 1, 'tools/call', count, hangUp.signal).then((one) => one.text());
  await sleep(100);
  hangUp.abort();
  await assert.rejects(call);
  const seen = async () => (await modern(url, 2, 'tools/call', { name: 'every_seen', arguments: {} })).text();
  await until('the handler ended', async () => /"aborted":1/.test(await seen()));
  assert.equal(sessions(), 0);
});

test(
  'HTTP: both eras on one path are told of changes, and nothing is left behind',
  { timeout },
  async (t) => {
    const { url } = await serveHere(t, every, { sse: true });
    const clients = [
      await connect(t, 'v1', { http: url }),
      await connect(t, 'v2 pinned', { http: url }),
      await connect(t, 'v1', { sse: url.replace(/mcp$/, 'sse') }),
    ];
    await sleep(100); // the first SDK opens its stream after it says that it is connected
    const [one, two] = clients;
    await one?.call('every_publish', { name: 'new' });
    for (const client of clients) {
      await until('list_changed', () => client.changes() >= 1);
      assert.ok((await client.tools()).includes('forged_new'));
      assert.equal(
        (await client.call('forged_new', { text: 'x' })).text,
        '{"text":"forged_new {\\"text\\":\\"x\\"}"}',
      );
    }
    await two?.call('every_retire', { name: 'new' });
    for (const client of clients) await until('list_changed', () => client.changes() >= 2);
    assert.match(
      (await two?.call('forged_new', { text: 'x' }).then(({ text }) => text, String)) ?? '',
      /There is no tool `forged_new`/,
    );
    for (let i = 0; i < 5; i++) (await connect(t, 'v2 pinned', { http: url })).close().catch(() => {});
    const listeners = async () => (await two?.call('every_retire', { name: 'new' }))?.value;
    // Two sessions, and one for all of 2026-07-28.
    assert.deepEqual(await listeners(), { listeners: 3 });
  },
);

test('HTTP: old sessions and new ones do not mix', { timeout }, async (t) => {
  const { url } = await serveHere(t, every, { sse: true });
  const stream = new AbortController();
  t.after(() => stream.abort());
  const opened = await fetch(new URL('/sse', url), { signal: stream.signal });
  const first = await opened.body?.getReader().read();
  const id = /sessionId=([\w-]+)/.exec(Buffer.from(first?.value ?? []).toString())?.[1] ?? '';
  assert.match(id, /^[\w-]{36}$/);
  await refused(
    await post(url, { jsonrpc: '2.0', id: 1, method: 'ping' }, { 'mcp-session-id': id }),
    404,
    /has ended/,
  );
  const messages = new URL('/messages?sessionId=', url).href;
  await refused(await post(`${messages}${await session(url)}`, initialize), 404, /Open \/sse again/);
  await refused(await post(new URL('/sse', url).href, initialize), 405, /GET/);
  assert.equal((await post(`${messages}${id}`, initialize)).status, 202);
});
