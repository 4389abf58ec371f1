import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from './clients.ts';
import { every } from './fixtures/every.ts';
import { assertProtocolOnly, serveHere, start, startSession, told, until } from './support.ts';

const timeout = 60_000;

test('stdio: the server ends with its client', { timeout }, async (t) => {
  const long = {
    id: 2,
    method: 'tools/call',
    params: { name: 'every_count', arguments: { to: 1000, ms: 20 }, _meta: { progressToken: 1 } },
  };
  const [gone, deaf] = await Promise.all([startSession(t, 'every-main'), startSession(t, 'every-main')]);
  for (const server of [gone, deaf]) {
    await server.send(long);
    await server.next('progress', (one) => one.method === 'notifications/progress');
  }
  const since = performance.now();
  gone.endInput();
  deaf.closeOutput(); // EPIPE at the next step
  assert.deepEqual(await Promise.all([gone.exited, deaf.exited]), [0, 0]);
  assert.ok(performance.now() - since < 10_000, `${performance.now() - since} ms`);
  assert.throws(() => process.kill(gone.pid, 0));
  assert.equal(gone.stderr() + deaf.stderr(), '');
});

test('stdio: SIGTERM lets a call finish and its whole answer leave', { timeout }, async (t) => {
  const [one, large] = await Promise.all([startSession(t, 'every-main'), startSession(t, 'every-main')]);
  await one.send({
    id: 1,
    method: 'tools/call',
    params: { name: 'every_count', arguments: { to: 3, ms: 60 }, _meta: { progressToken: 1 } },
  });
  await one.next('progress', (message) => message.method === 'notifications/progress');
  one.kill('SIGTERM');
  assert.deepEqual(told(await one.answer(1)).value, { counted: 3 });
  assert.equal(await one.exited, 0);
  // More answers than the pipe holds, and a reader that comes late.
  const read = large.pauseOutput();
  const say = { name: 'every_say', arguments: { text: 'z', times: 100_000 } };
  for (let id = 1; id <= 15; id++) await large.send({ id, method: 'tools/call', params: say });
  await sleep(50);
  large.kill('SIGTERM');
  await sleep(200);
  read();
  for (let id = 1; id <= 15; id++) assert.equal(told(await large.answer(id)).text.length, 100_011);
  assert.equal(await large.exited, 0);
  assert.equal(large.stderr(), '', 'no warning of too many listeners');
  assertProtocolOnly(large);
});

test('a server that cannot start says why and exits with 2', { timeout }, async (t) => {
  const broken = start(t, 'every-main', { env: { EVERY_BROKEN: 'glpat-abcdefghijklmnopqrst' } });
  const misused = start(t, 'every-main', { args: ['--sse'] });
  assert.deepEqual(await Promise.all([broken.exited, misused.exited]), [2, 2]);
  assert.equal(broken.stderr(), 'kuznia: cannot open: [secret]\n');
  assert.equal(misused.stderr(), 'kuznia: --sse needs --http [HOST:]PORT: the old transport is HTTP too.\n');
  assert.deepEqual([...broken.lines, ...misused.lines], []);
});

test('HTTP: closing lets calls finish, cancels the others, and tells both', { timeout }, async (t) => {
  const { url, opened } = await serveHere(t, every);
  const quick = await connect(t, 'v1', { http: url });
  const slow = await connect(t, 'v2 pinned', { http: url });
  let steps = 0;
  const onprogress = () => void steps++;
  const calls = Promise.all([
    quick.call('every_count', { to: 3, ms: 40 }, { onprogress }),
    slow.call('every_count', { to: 1000, ms: 20 }, { onprogress }),
  ]);
  await until('both run', () => steps >= 4);
  await opened.finish(500);
  const [done, cut] = await calls;
  assert.deepEqual(done.value, { counted: 3 });
  assert.deepEqual([cut.isError, cut.text], [true, 'every_count was cancelled.']);
});

/** A server process on a port of its choice. */
async function startHttp(t: TestContext, args: string[] = [], env: Record<string, string> = {}) {
  const server = start(t, 'every-main', { args: ['--http', '0', ...args], env });
  const url = await until(
    `the address; ${server.stderr()}`,
    () => /^MCP at (\S+)$/m.exec(server.stderr())?.[1],
    15_000,
  );
  return { ...server, url };
}

test('HTTP: SIGTERM with calls in flight and streams open', { timeout }, async (t) => {
  const server = await startHttp(t, ['--sse'], { KUZNIA_TOKEN: 'kzcanary-horse-battery' });
  const token = 'kzcanary-horse-battery';
  const [old, first, second] = [
    await connect(t, 'v1', { sse: server.url.replace(/mcp$/, 'sse'), token }),
    await connect(t, 'v1', { http: server.url, token }),
    await connect(t, 'v2 pinned', { http: server.url, token }),
  ];
  assert.match(
    (await second.call('every_say', { text: `it is ${token}` })).text,
    /it is \[secret:KUZNIA_TOKEN\]/,
  );
  const running = new Set<unknown>();
  const calls = [old, first, second].map((client) =>
    client.call('every_count', { to: 10, ms: 40 }, { onprogress: () => running.add(client) }),
  );
  await until('all run', () => running.size === 3);
  const since = performance.now();
  server.kill('SIGTERM');
  for (const one of await Promise.all(calls)) assert.deepEqual(one.value, { counted: 10 });
  assert.equal(await server.exited, 0);
  assert.ok(performance.now() - since < 10_000, `${performance.now() - since} ms`);
  assert.deepEqual(server.lines, [], 'nothing on stdout');
});

test('HTTP: what cannot be served is said, with exit code 2', { timeout }, async (t) => {
  const { url } = await serveHere(t, every);
  const { port } = new URL(url);
  const cases: [string, RegExp][] = [
    [
      '0.0.0.0:0',
      /^kuznia: KUZNIA_TOKEN is not set\. 0\.0\.0\.0 can be reached from elsewhere, so a bearer token is required: give each client one \(kuznia token add NAME\), set KUZNIA_TOKEN to a long random text, or use --http 127\.0\.0\.1:0\.\n$/,
    ],
    [port, /^kuznia: That port is in use\. Choose another with --http \[HOST:\]PORT\.\n$/],
    ['here', /^kuznia: --http here: expected a port or HOST:PORT, for example --http 8808\.\n$/],
  ];
  await Promise.all(
    cases.map(async ([where, says]) => {
      const server = start(t, 'every-main', { args: ['--http', where] });
      assert.equal(await server.exited, 2, where);
      assert.match(server.stderr(), says);
    }),
  );
});
