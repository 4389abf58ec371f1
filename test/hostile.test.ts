import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { connect } from './clients.ts';
import { every } from './fixtures/every.ts';
import { assertProtocolOnly, hello, rssMb, serveHere, start, startSession, until } from './support.ts';

const timeout = 120_000;
const path = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const json = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const initialize = { jsonrpc: '2.0', id: 0, method: 'initialize', params: hello() };
const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };

function socket(t: TestContext, url: string): Socket & { said: () => string } {
  const one = connectTcp(Number(new URL(url).port), '127.0.0.1').on('error', () => {});
  let said = '';
  one.on('data', (data) => (said += data.toString()));
  t.after(() => one.destroy());
  return Object.assign(one, { said: () => said });
}

/** What comes back for bytes as they are, until the server closes, or says no more for a while. */
async function raw(t: TestContext, url: string, bytes: string | Buffer): Promise<string> {
  const one = socket(t, url);
  const closed = new Promise((resolve) => one.once('close', resolve));
  one.write(bytes);
  await Promise.race([closed, until('an answer', () => one.said() !== '').then(() => sleep(50))]);
  one.destroy();
  return one.said();
}

const get = (headers: string, target = '/mcp', version = '1.1') =>
  `GET ${target} HTTP/${version}\r\n${headers}Connection: close\r\n\r\n`;
const post = (headers: string, body: string | Buffer = '', host = 'localhost') =>
  Buffer.concat([
    Buffer.from(
      `POST /mcp HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nAccept: application/json, text/event-stream\r\n${headers}\r\n`,
    ),
    Buffer.from(body),
  ]);
const typed = (body: string | Buffer, more = '') =>
  post(`Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${more}`, body);
const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
const inCall = (text: string) =>
  `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"every_say","arguments":{"text":${text}}}}`;

/** What is sent, and how the answer begins. Without a session a request that is let in is told so with 400. */
const CASES: [what: string, bytes: string | Buffer, answer: RegExp][] = [
  ['a foreign Host', get('Host: evil.test\r\n'), / 403 [^]*Invalid Host: evil\.test/],
  ['a dot at its end', get('Host: localhost.\r\n'), / 403 /],
  ['a name before @', get('Host: evil.test@localhost\r\n'), / 403 [^]*Invalid Host/],
  ['a path in it', get('Host: localhost/evil.test\r\n'), / 403 [^]*Invalid Host/],
  ['a fragment in it', get('Host: localhost#.evil.test\r\n'), / 403 [^]*Invalid Host/],
  ['a port that is none', get('Host: localhost:99999\r\n'), / 403 /],
  ['a mapped IPv6 address', get('Host: [::ffff:127.0.0.1]\r\n'), / 403 /],
  ['IPv6 loopback', get('Host: [::1]:8808\r\n'), / 400 [^]*No session/],
  ['capitals', get('Host: LocalHost\r\n'), / 400 [^]*No session/],
  ['two of them', get('Host: localhost\r\nHost: evil.test\r\n'), / 400 [^]*More than one Host/],
  [
    'two of them, the other way round',
    get('HOST: evil.test\r\nhost: localhost\r\n'),
    / 400 [^]*More than one/,
  ],
  ['none', get(''), / 400 /],
  ['none, as HTTP/1.0 may', get('', '/mcp', '1.0'), / 403 [^]*Missing Host/],
  ['the whole address as target', get('Host: localhost\r\n', 'http://evil.test/mcp'), / 404 /],
  ['a foreign Origin', get('Host: localhost\r\nOrigin: https://evil.test\r\n'), / 403 [^]*Invalid Origin/],
  ['a hidden Origin', get('Host: localhost\r\nOrigin: null\r\n'), / 403 [^]*Invalid Origin/],
  [
    'an Origin with a name',
    get('Host: localhost\r\nOrigin: http://evil@localhost\r\n'),
    / 403 [^]*Invalid Origin/,
  ],
  ['two lengths', post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), / 400 /],
  ['TLS', Buffer.from([0x16, 3, 1, 0, 200, 1, 0, 0]), / 400 /],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', / 400 /],
  [
    'a packed body',
    typed(gzipSync('{}'), 'Content-Encoding: gzip\r\n'),
    / 415 [^]*gzip is not unpacked here/,
  ],
  ['another type', post('Content-Type: text/plain\r\nContent-Length: 2\r\n', '{}'), / 415 /],
  ['no type', post('Content-Length: 2\r\n', '{}'), / 415 /],
  ['deep JSON', typed(nested(100_000)), / 400 [^]*nested over 1000 levels/],
  ['deep JSON in a call', typed(inCall(nested(100_000))), / 400 [^]*nested over 1000 levels/],
  [
    'deep JSON as id',
    typed(`{"jsonrpc":"2.0","id":${nested(50_000)},"method":"ping"}`),
    / 400 [^]*nested over/,
  ],
  ['an unknown session', typed(JSON.stringify(ping), 'Mcp-Session-Id: nope\r\n'), / 404 [^]*has ended/],
  [
    '10,000 messages in one',
    typed(JSON.stringify(Array.from({ length: 10_000 }, () => ping))),
    / 400 [^]*No session/,
  ],
  ['a body of junk', typed(randomBytes(10_000)), / 400 [^]*no JSON/],
];

test(
  'hostile: what comes over HTTP is answered by its fault, and the next is served',
  { timeout },
  async (t) => {
    const { url, sessions } = await serveHere(t, every);
    for (const [what, bytes, answer] of CASES) {
      assert.match(await raw(t, url, bytes), new RegExp(`^HTTP/1\\.1${answer.source}`), what);
    }
    assert.equal(sessions(), 0);
    const client = await connect(t, 'v1', { http: url });
    assert.equal((await client.call('every_say', { text: 'a' })).isError, false);
  },
);

test(
  'hostile: connections that ask for nothing, or never to the end, lose their place',
  { timeout },
  async (t) => {
    const { url } = await serveHere(t, every, { headersMs: 300, bodyMs: 300, maxConnections: 20 });
    const client = await connect(t, 'v1', { http: url });
    const [idle, half, slow] = [0, 1, 2].map(() => Array.from({ length: 6 }, () => socket(t, url)));
    for (const one of half ?? []) one.write('POST /mcp HTTP/1.1\r\nHost: localhost\r\n');
    const drip = setInterval(() => {
      for (const one of slow ?? [])
        if (one.writable) one.write(one.bytesWritten === 0 ? 'GET /mcp HTTP/1.1\r\n' : 'X: y\r\n');
    }, 50);
    t.after(() => clearInterval(drip));
    await sleep(100);
    await until('all are closed', () => [idle, half, slow].flat().every((one) => one?.closed), 10_000);
    assert.equal((await client.call('every_say', { text: 'a' })).isError, false);
  },
);

test(
  'hostile: 200 clients at once; sessions stay bounded, and the newest are served',
  { timeout },
  async (t) => {
    const { url, sessions } = await serveHere(t, every);
    const open = async () => {
      const answer = await fetch(url, { method: 'POST', headers: json, body: JSON.stringify(initialize) });
      await answer.text();
      return { status: answer.status, id: answer.headers.get('mcp-session-id') ?? '' };
    };
    const opened = await Promise.all(Array.from({ length: 200 }, open));
    assert.ok(opened.every(({ status }) => status === 200 || status === 503));
    assert.ok(sessions() <= 100, `${sessions()} sessions`);
    const last = await open();
    const headers = { ...json, 'mcp-session-id': last.id };
    const asked = await fetch(url, { method: 'POST', headers, body: JSON.stringify(ping) });
    assert.equal(asked.status, 200);
  },
);

test('hostile: one client with many sessions ends its own, not those of others', { timeout }, async (t) => {
  const ids = new Map(['a', 'b'].map((name) => [createHash('sha256').update(name).digest('hex'), name]));
  const clients = { find: (digest: Buffer) => ids.get(digest.toString('hex')), any: () => true };
  const { url, sessions } = await serveHere(t, every, { clients, maxSessions: 5 });
  const ask = async (token: string, body: object, more = {}) => {
    const headers = { ...json, authorization: `Bearer ${token}`, ...more };
    const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
    await answer.text();
    return answer;
  };
  const quiet = (await ask('a', initialize)).headers.get('mcp-session-id') ?? '';
  for (let i = 0; i < 20; i++) assert.equal((await ask('b', initialize)).status, 200);
  assert.equal(sessions(), 5);
  assert.equal((await ask('a', ping, { 'mcp-session-id': quiet })).status, 200);
});

test('hostile: a stream that is opened again takes the place of the lost one', { timeout }, async (t) => {
  const { url, opened } = await serveHere(t, every);
  const first = await fetch(url, { method: 'POST', headers: json, body: JSON.stringify(initialize) });
  await first.text();
  const session = { 'mcp-session-id': first.headers.get('mcp-session-id') ?? '' };
  const listen = (more = {}) => fetch(url, { headers: { accept: 'text/event-stream', ...session, ...more } });
  const lost = await listen();
  const again = await listen({ 'last-event-id': 'seen' });
  assert.deepEqual([lost.status, again.status], [200, 200]);
  assert.equal(await lost.text(), '', 'the one of before ends');
  const caller = {
    client: 'x',
    signal: AbortSignal.timeout(5_000),
    progress: () => {},
    answer: 'none',
    canAsk: false,
  } as const;
  await opened.mounted[0]?.call('every_publish', { name: 'new' }, caller);
  const read = await again.body?.getReader().read();
  assert.match(Buffer.from(read?.value ?? []).toString(), /notifications\/tools\/list_changed/);
});

/** A server over HTTP in a process of its own, whose memory can be watched. */
async function serve(t: TestContext, server: string, args: string[]) {
  const process = start(t, server, { args: [...args, '--http', '0', '--sse'] });
  const url = await until('an address', () => /MCP at (\S+)/.exec(process.stderr())?.[1], 20_000);
  return { url, process };
}

test('hostile: bodies without end, and streams that nobody reads, fill no memory', { timeout }, async (t) => {
  const { url, process } = await serve(t, 'every-main', []);
  const client = await connect(t, 'v1', { http: url });
  await client.call('every_say', { text: 'a' });
  const before = rssMb(process.pid);
  const endless = socket(t, url);
  endless.write(post('Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n'));
  const chunk = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(0x100000, 97), Buffer.from('\r\n')]);
  for (let i = 0; i < 100; i++)
    if (!endless.write(chunk)) await new Promise((resolve) => endless.once('drain', resolve));
  endless.write('0\r\n\r\n');
  await until('refused', () => endless.said().startsWith('HTTP/1.1 413 '));

  const deaf = socket(t, url);
  deaf.write(`GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  const id = await until('a session', () => /sessionId=([\w-]+)/.exec(deaf.said())?.[1]);
  deaf.pause();
  const messages = new URL(`/messages?sessionId=${id}`, url);
  const send = (body: object) =>
    fetch(messages, { method: 'POST', headers: json, body: JSON.stringify({ jsonrpc: '2.0', ...body }) });
  await (await send({ id: 0, method: 'initialize', params: hello() })).text();
  let status = 202;
  const params = { name: 'every_say', arguments: { text: 'z', times: 400_000 } };
  for (let n = 1; n <= 200 && status === 202; n++) {
    const answer = await send({ id: n, method: 'tools/call', params });
    await answer.text();
    status = answer.status;
  }
  assert.equal(status, 404, 'the stream was ended, and its session');
  const grown = rssMb(process.pid) - before;
  assert.ok(grown < 150, `${grown.toFixed(0)} MB more`);
  assert.equal((await client.call('every_say', { text: 'a' })).isError, false);
});

test(
  'hostile: a call that tells a million steps tells some of them, and the last',
  { timeout },
  async (t) => {
    const server = await startSession(t, 'every-main');
    const params = {
      name: 'every_count',
      arguments: { to: 1_000_000, ms: 0 },
      _meta: { progressToken: 'p' },
    };
    await server.send({ id: 1, method: 'tools/call', params });
    await until('the answer', () => server.lines.some((line) => line.includes('"counted"')), 30_000);
    const steps = server.lines.filter((line) => line.includes('notifications/progress'));
    assert.ok(steps.length < 2_000, `${steps.length} steps`);
    assert.match(steps.at(-1) ?? '', /"message":"step 1000000"/);
  },
);

test('hostile: killed at a bad time, a server starts again on its port', { timeout }, async (t) => {
  const first = await serve(t, 'every-main', []);
  const { port } = new URL(first.url);
  const busy = socket(t, first.url);
  busy.write('POST /mcp HTTP/1.1\r\nHost: localhost\r\n');
  first.process.kill('SIGKILL');
  await first.process.exited;
  const second = start(t, 'every-main', { args: ['--http', port] });
  await until('the same address', () => second.stderr().includes(first.url), 20_000);
});

const SERVERS: [name: string, script: string, args: string[]][] = [
  ['the gateway', 'host/main.ts', ['serve']],
  ['sandbox', 'servers/sandbox/main.ts', []],
  ['gitlab', 'servers/gitlab/main.ts', []],
  ['auth', 'servers/auth/main.ts', []],
];

for (const [name, script, args] of SERVERS) {
  test(`hostile: ${name} on stdio, with junk, long lines, and pipes that close`, { timeout }, async (t) => {
    const closed = start(t, path(script), { args });
    closed.endInput();
    assert.equal(await closed.exited, 0, 'a client that is gone at once');
    const server = await startSession(t, path(script), { args });
    // Without line ends in it, that is one line.
    await server.send(
      Buffer.concat([Buffer.from(randomBytes(300_000).filter((byte) => byte !== 10)), Buffer.from('\n')]),
    );
    assert.equal((await server.answer(null)).error?.code, -32700);
    await server.send(
      `{"jsonrpc":"2.0","id":7,"method":"ping","params":{"x":"${'y'.repeat(20 * 1024 * 1024)}"}}\n`,
    );
    assert.match((await server.answer(7)).error?.message ?? '', /over 10 MiB/);
    await server.send(`{"jsonrpc":"2.0","id":8,"method":"ping","params":{"x":${nested(100_000)}}}\n`);
    assert.match((await server.answer(8)).error?.message ?? '', /nested over 1000 levels/);
    await server.send({ id: 9, method: 'ping' });
    assert.deepEqual((await server.answer(9)).result, {});
    assertProtocolOnly(server);
    server.endInput();
    assert.equal(await server.exited, 0);
    const deaf = start(t, path(script), { args });
    deaf.closeOutput();
    await deaf.send({ id: 0, method: 'initialize', params: hello() });
    assert.equal(await deaf.exited, 0, 'nobody reads');
  });
}
