import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { complete } from '../host/chat/complete.ts';
import { keptSessions } from '../host/sessions/keeping.ts';
import { cleanEnv, runnable } from './support.ts';
import { ollamaDouble, type Asked, type DoubleModel, type Reply } from './doubles/ollama.ts';

const main = join(import.meta.dirname, '..', 'host', 'main.ts');

function newHome(t: TestContext, file: object = {}): string {
  const home = mkdtempSync(join(tmpdir(), 'kuznia-run-'));
  t.after(() => rmSync(home, { recursive: true, force: true, maxRetries: 5 }));
  // Only the model is of interest here.
  const mcpServers = { sandbox: false, gitlab: false, auth: false };
  writeFileSync(join(home, 'kuznia.json'), JSON.stringify({ mcpServers, ...file }));
  return home;
}

async function ollama(t: TestContext, models: DoubleModel[], reply: (asked: Asked) => Reply) {
  const double = await ollamaDouble({ models, reply });
  t.after(() => double.close());
  return double;
}

function kuznia(home: string, url: string, args: string[], input = '') {
  const child = spawn(process.execPath, [...runnable(main), ...args], {
    env: { ...cleanEnv(home), OLLAMA_HOST: url },
  });
  const ran = { out: '', err: '', code: 0 };
  child.stdout.on('data', (data: Buffer) => (ran.out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (ran.err += data.toString()));
  child.stdin.end(input);
  return new Promise<typeof ran>((done) => {
    child.on('close', (code) => done({ ...ran, code: code ?? -1 }));
  });
}

test('a task is kept as a conversation, and gone on with in the chat with its own model', async (t) => {
  const home = newHome(t);
  const both = [{ name: 'double:4b' }, { name: 'other:7b' }];
  const double = await ollama(t, both, ({ messages }) => ({
    content: `Heard ${messages.filter(({ role }) => role === 'user').length}.`,
  }));
  const run = await kuznia(home, double.url, ['run', 'one', '--model', 'other:7b']);
  assert.deepEqual([run.code, run.out], [0, 'Heard 1.\n'], run.err);
  assert.equal(readdirSync(join(home, 'sessions')).length, 1);
  const chat = await kuznia(home, double.url, ['--continue'], 'two\n');
  assert.match(chat.out, /going on with [0-9a-f]{8}, 1 question so far, the last: one/);
  assert.match(chat.out, /^Heard 2\.$/m);
  assert.deepEqual(
    double.chats.map(({ model }) => model),
    ['other:7b', 'other:7b'],
  );
  // One that names another model gets that one; a model that is gone is no hindrance.
  await kuznia(home, double.url, ['--continue', '--model', 'double:4b'], 'three\n');
  assert.equal(double.chats.at(-1)?.model, 'double:4b');
  const left = await ollama(t, [{ name: 'new:3b' }], () => ({ content: 'ok' }));
  const moved = await kuznia(home, left.url, ['--continue'], 'four\n');
  assert.equal(moved.code, 0, moved.err);
  assert.equal(left.chats[0]?.model, 'new:3b');
});

test('a task that fails is kept with what was asked', async (t) => {
  const home = newHome(t);
  const double = await ollama(t, [{ name: 'double:4b' }], () => ({ status: 500, error: 'no memory' }));
  const run = await kuznia(home, double.url, ['run', 'one']);
  assert.equal(run.code, 1);
  const chat = await kuznia(home, double.url, ['--continue'], '/export -\n/quit\n');
  assert.match(chat.out, /the last: one/);
});

test('thinking goes as the configuration says, also by levels', async (t) => {
  const models = [{ name: 'thinker:20b', capabilities: ['completion', 'thinking'] }];
  const double = await ollama(t, models, () => ({ content: 'ok' }));
  for (const think of [undefined, false, 'high'] as const) {
    const home = newHome(t, think === undefined ? {} : { think });
    const { code, err } = await kuznia(home, double.url, ['run', 'one']);
    assert.equal(code, 0, err);
    assert.equal(double.chats.at(-1)?.think, think);
  }
  const { code, err } = await kuznia(newHome(t, { think: 'hgh' }), double.url, ['run', 'one']);
  assert.equal(code, 2);
  assert.match(err, /think in kuznia\.json/);
});

test('conversations are kept for good, or for as many days as the configuration says', async (t) => {
  const double = await ollama(t, [{ name: 'double:4b' }], () => ({ content: 'ok' }));
  const old = '2020-01-01T00-00-00-0a1b2c3d.jsonl';
  for (const [file, kept] of [
    [{}, 2],
    [{ sessions: { keep_days: 30 } }, 1],
  ] as const) {
    const home = newHome(t, file);
    mkdirSync(join(home, 'sessions'));
    for (const name of [old, 'notes.txt']) {
      writeFileSync(join(home, 'sessions', name), '');
      utimesSync(join(home, 'sessions', name), 0, 0);
    }
    await kuznia(home, double.url, ['run', 'one']);
    const names = readdirSync(join(home, 'sessions'));
    assert.equal(names.includes(old), kept === 2);
    assert.ok(names.includes('notes.txt'), 'only conversations are removed');
    const { count, bytes } = keptSessions(home);
    assert.ok(count === kept && bytes > 100);
  }
});

test('Tab after /image offers folders and pictures', async (t) => {
  const home = newHome(t);
  mkdirSync(join(home, 'photos'));
  for (const name of ['plan.png', 'Photo.JPG', 'plan.txt', '.hidden.png'])
    writeFileSync(join(home, name), '');
  const none = { resources: async () => [], completeResource: async () => [], prompts: async () => [] };
  const offered = async (begun: string) => (await complete(`/image ${begun}`, ['image'], none))[0].sort();
  assert.deepEqual(await offered(`${home}/p`), [`${home}/photos/`, `${home}/plan.png`]);
  assert.deepEqual(await offered(`${home}/P`), [`${home}/Photo.JPG`]);
  assert.deepEqual(await offered(`${home}/.`), [`${home}/.hidden.png`]);
  assert.deepEqual(await offered(`${home}/none/`), []);
});

test('kuznia call waits for a server that starts slowly, and says of one that is away why', async (t) => {
  const script = join(import.meta.dirname, 'fixtures', 'foreign.mjs');
  const server = (how: string) => ({ command: process.execPath, args: [script, how] });
  const own = { sandbox: false, gitlab: false, auth: false };
  const slow = newHome(t, { mcpServers: { ...own, slow: server('slow') } });
  const { code, out, err } = await kuznia(slow, '', ['call', 'say', '{"text":"hi"}']);
  assert.deepEqual([code, out], [0, 'said hi\n'], err);
  const dead = newHome(t, { mcpServers: { ...own, dead: server('dies') } });
  const away = await kuznia(dead, '', ['call', 'say', '{"text":"hi"}']);
  assert.equal(away.code, 2);
  assert.match(away.err, /no tool `say`\..* The server dead is away \(.*cannot find its settings\)\./);
});
