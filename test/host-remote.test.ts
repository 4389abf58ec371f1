import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { connect } from '../host/mcp/connections.ts';
import { doors } from '../host/mcp/doors.ts';
import { noJournal } from '../kit/journal.ts';
import { keep } from './auth-kit.ts';
import { connect as driver } from './clients.ts';
import { startMcpHttp, type McpHttp } from './doubles/mcp-http.ts';
import { every } from './fixtures/every.ts';
import { serveHere, tempHome, until } from './support.ts';

async function start(t: TestContext, server: McpHttp, more: { bearer?: string; timeoutS?: number } = {}) {
  const home = tempHome(t);
  const setting = {
    kind: 'url' as const,
    name: 'remote',
    url: server.url,
    headers: {},
    transport: 'http' as const,
    ...more,
  };
  const begin = async () => {
    const connections = await connect(doors([setting]), { home, journal: noJournal, env: {} });
    // A machine that has much to do takes longer than a prompt waits.
    await connections.started(20_000);
    t.after(() => connections.close());
    t.after(() => server.stop());
    const { signal } = new AbortController();
    await connections.started(20_000, signal);
    const say = (text: string, options: object = {}) =>
      connections.call('say', { text }, { signal, ...options });
    return { connections, say };
  };
  return { home, begin };
}

test('answers as JSON, and as streams cut at every byte, with progress on the way', async (t) => {
  const server = await startMcpHttp();
  const { say } = await (await start(t, server)).begin();
  assert.match((await say('a')).text, /said \{"text":"a"\}/);
  for (const pieces of [1, 2, 3, 7, 4096]) {
    server.ways.pieces = pieces;
    const notes: unknown[] = [];
    const { ok, text } = await say(`ł${pieces}`, {
      onProgress: (one: { note?: string }) => notes.push(one.note),
    });
    assert.ok(ok, text);
    assert.match(text, new RegExp(`said \\{"text":"ł${pieces}"\\}`));
    assert.deepEqual(notes, ['zażółć']);
  }
});

test('a server that was started anew knows no session: the call is sent again, once', async (t) => {
  const server = await startMcpHttp();
  const { say, connections } = await (await start(t, server)).begin();
  await say('before');
  server.sessions.clear();
  assert.equal((await say('after')).ok, true);
  assert.deepEqual(server.done, [{ text: 'before' }, { text: 'after' }]);
  assert.equal(connections.states()[0]?.state, 'ready');
  server.ways.refuse = [404, 404, 404];
  const refused = await say('never');
  assert.equal(refused.ok, false);
  assert.match(refused.text, /404/);
  assert.equal(server.ways.refuse.length, 1, 'sent twice, not more');
});

test('a server that is gone is degraded, and back by itself', async (t) => {
  const server = await startMcpHttp();
  const { say, connections } = await (await start(t, server)).begin();
  await server.stop();
  assert.equal((await say('a')).ok, false);
  assert.equal(connections.states()[0]?.state, 'degraded');
  assert.match(connections.states()[0]?.reason ?? '', /nobody listens at its address/);
  assert.equal((await say('b')).ok, false);
  await server.again();
  await until('back', async () => connections.states()[0]?.state === 'ready');
  assert.equal((await say('c')).ok, true);
});

test('a token that has changed in the store is used without a restart', async (t) => {
  const server = await startMcpHttp({ tokens: new Set(['kzcanary-one-0123456789']) });
  const { home, begin } = await start(t, server, { bearer: 'secret://remote' });
  process.env['KUZNIA_HOME'] = home;
  t.after(() => delete process.env['KUZNIA_HOME']);
  await keep(home, { remote: { value: 'kzcanary-one-0123456789' } });
  const { say } = await begin();
  assert.equal((await say('a')).ok, true);
  server.ways.tokens = new Set(['kzcanary-two-0123456789']);
  await keep(home, { remote: { value: 'kzcanary-two-0123456789' } });
  assert.equal((await say('b')).ok, true);
});

test('a stream that breaks before its answer, an endless one, a slow one, and a call that is cancelled', async (t) => {
  const server = await startMcpHttp({ pieces: 64, cut: true });
  const { say } = await (await start(t, server, { timeoutS: 1 })).begin();
  const begun = performance.now();
  assert.match((await say('cut')).text, /ended before the answer|timed out|closed|reconnect/i);
  server.ways.cut = false;
  server.ways.long = 17 * 1024 * 1024;
  server.ways.pieces = 1024 * 1024;
  assert.equal((await say('long')).ok, false);
  Object.assign(server.ways, { long: 0, pieces: undefined, delay: 1_500 });
  assert.match((await say('slow')).text, /timed out/i);
  const stop = new AbortController();
  const going = say('cancelled', { signal: stop.signal });
  setTimeout(() => stop.abort(new Error('enough')), 100);
  await assert.rejects(going, /enough/);
  await until('told', async () => server.cancelled.length >= 1);
  server.ways.delay = 0;
  assert.equal((await say('again')).ok, true);
  assert.ok(performance.now() - begun < 30_000);
});

test('a server of the newest revision tells of new tools', async (t) => {
  const { url } = await serveHere(t, every);
  const setting = {
    kind: 'url' as const,
    name: 'modern',
    url,
    headers: {},
    transport: 'http' as const,
    protocol: '2026' as const,
  };
  const home = tempHome(t);
  const connections = await connect(doors([setting]), { home, journal: noJournal, env: {} });
  t.after(() => connections.close());
  const changes: string[] = [];
  connections.onChange((what) => changes.push(what));
  const other = await driver(t, 'v2 legacy', { http: url });
  await until('told', async () => {
    await other.call('every_publish', { name: 'slug' });
    return changes.includes('tools');
  });
  const { signal } = new AbortController();
  assert.ok((await connections.tools(signal)).some(({ name }) => name === 'modern_forged_slug'));
});
