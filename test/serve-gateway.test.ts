import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'node:http';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connect } from './clients.ts';
import { assertProtocolOnly, hello, start, startSession, tempHome, told, until } from './support.ts';

const timeout = 60_000;
const main = fileURLToPath(new URL('../host/main.ts', import.meta.url));
const foreign = fileURLToPath(new URL('fixtures/foreign.mjs', import.meta.url));

/** A home with somebody else's server in it, and no model server. */
function home(t: TestContext, how = 'good'): Record<string, string> {
  const folder = tempHome(t);
  const notes = { command: process.execPath, args: [foreign, how] };
  writeFileSync(join(folder, 'kuznia.json'), JSON.stringify({ mcpServers: { notes } }));
  return { KUZNIA_HOME: folder, OLLAMA_HOST: 'http://127.0.0.1:9' };
}

test(
  'kuznia serve on stdio: all servers as one, and nothing but protocol on stdout',
  { timeout },
  async (t) => {
    const server = await startSession(t, main, { args: ['serve'], env: home(t) });
    await server.send({ id: 1, method: 'tools/list' });
    const { result } = await server.answer(1);
    const names = JSON.stringify(result);
    for (const name of ['say', 'sandbox_run_code', 'auth_status', 'model_list']) {
      assert.ok(names.includes(`"name":"${name}"`), name);
    }
    await server.send({ id: 2, method: 'tools/call', params: { name: 'say', arguments: { text: 'hej' } } });
    assert.match(told(await server.answer(2)).text, /^said hej/);
    await server.send({ id: 3, method: 'tools/call', params: { name: 'model_list', arguments: {} } });
    const away = told(await server.answer(3));
    assert.ok(away.isError);
    assert.match(away.text, /Ollama/);
    server.endInput();
    assert.equal(await server.exited, 0);
    assertProtocolOnly(server);
  },
);

test('resources and prompts wait as tools do for a server that starts slowly', { timeout }, async (t) => {
  const server = await startSession(t, main, { args: ['serve'], env: home(t, 'late') });
  await server.send({ id: 1, method: 'resources/list' });
  await server.send({ id: 2, method: 'prompts/list' });
  assert.match(JSON.stringify((await server.answer(1)).result), /"uri":"note:\/\/one"/);
  assert.match(JSON.stringify((await server.answer(2)).result), /"name":"sum_up"/);
  server.endInput();
  assert.equal(await server.exited, 0);
});

test(
  'the first call of find_tools or call_tool waits for a server that starts slowly',
  { timeout },
  async (t) => {
    const calls = {
      find_tools: { task: 'say something' },
      call_tool: { name: 'say', arguments: { text: 'hej' } },
    };
    const answers = Object.entries(calls).map(async ([name, args]) => {
      const server = await startSession(t, main, { args: ['serve', '--search'], env: home(t, 'late') });
      await server.send({ id: 1, method: 'tools/call', params: { name, arguments: args } });
      const { text } = told(await server.next('the answer', ({ id }) => id === 1, 20_000));
      server.endInput();
      assert.equal(await server.exited, 0);
      return text;
    });
    const [found, said] = await Promise.all(answers);
    assert.match(found ?? '', /"name":"say"/);
    assert.match(said ?? '', /^said hej/);
  },
);

test(
  'kuznia serve over HTTP: --search, --pin, --sse, --allow-host, and it ends when told',
  { timeout },
  async (t) => {
    const args = '--http 127.0.0.1:0 --sse --search --pin say --allow-host tools.example --rate 600'.split(
      ' ',
    );
    const server = start(t, main, { args: ['serve', ...args], env: home(t) });
    const url = await until('an address', () => /MCP at (\S+)/.exec(server.stderr())?.[1], 20_000);
    for (const way of [{ http: url }, { sse: url.replace(/mcp$/, 'sse') }]) {
      const client = await connect(t, 'v1', way);
      assert.deepEqual(await client.tools(), ['find_tools', 'call_tool', 'say']);
      const found = await client.call('find_tools', { task: 'run a few lines of JavaScript' });
      assert.match(found.text, /"name":"sandbox_run_code"/);
      await client.close();
    }
    const status = (host: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const headers = {
          host,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
        };
        const asked = request(url, { method: 'POST', headers }, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        });
        asked.on('error', reject);
        asked.end(JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params: hello() }));
      });
    assert.deepEqual([await status('tools.example'), await status('other.example')], [200, 403]);
    server.kill('SIGTERM');
    assert.equal(await server.exited, 0);
    assert.deepEqual(server.lines, []);
  },
);

test('kuznia serve: what cannot be is refused before anything starts', { timeout }, async (t) => {
  const env = home(t);
  const cases: [string, RegExp][] = [
    ['--pin say', /--pin goes with --search/],
    ['--search sandbox', /--search is for the gateway/],
    ['--rate 0', /--rate 0: expected a whole number above 0/],
    ['--at-once many', /--at-once many: expected a whole number/],
    ['sandbx', /no server `sandbx`\. Did you mean sandbox\?/],
    ['--sse', /--http/],
    ['--allow-host x', /--http/],
    ['--http 99999999', /port/i],
    ['--http 0.0.0.0:0', /KUZNIA_TOKEN|kuznia token/],
    ['--public-url nowhere --http 0', /--public-url/],
    ['--htp 1', /--http/],
  ];
  await Promise.all(
    cases.map(async ([args, says]) => {
      const server = start(t, main, { args: ['serve', ...args.split(' ')], env });
      assert.equal(await server.exited, 2, args);
      assert.match(server.stderr(), says, args);
      assert.deepEqual(server.lines, []);
    }),
  );
});
