import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { HostTool } from '../host/mcp/link-types.ts';
import { ToolIndex } from '../host/retrieval/index.ts';
import { seemsEnglish } from '../host/retrieval/english.ts';
import { restater } from '../host/retrieval/restate.ts';
import { scriptedModel } from '../kit/scripted.ts';
import { cleanEnv, runnable, tempHome } from './support.ts';

const never = new AbortController().signal;

const tool = (name: string, description: string): HostTool => ({
  name,
  server: 'shop',
  title: name,
  description,
  inputSchema: { type: 'object', properties: { id: { type: 'string' } } },
  effect: 'read',
  long: false,
  foreign: true,
  openWorld: true,
});

const TOOLS = [tool('get_order', 'Reads an order.'), tool('list_goods', 'Lists goods.')];

test('what is not English is put into English for an embedding model that knows no other', async (t) => {
  const model = scriptedModel({ answers: [{ answer: { english: 'read the order' } }] });
  const restate = restater(model, 'scripted');
  const asked: string[] = [];
  const embedder = (name: string) => ({
    model: name,
    embed(texts: string[]) {
      asked.push(...texts);
      return Promise.resolve(texts.map((text) => (/order/.test(text) ? [1, 0] : [0, 1])));
    },
  });
  const index = new ToolIndex({ home: tempHome(t), embedder: embedder('all-minilm'), restate });
  index.update(TOOLS);
  const task = 'przeczytaj moje zamówienie';
  assert.equal((await index.rank(task, never))[0]?.tool.name, 'get_order');
  assert.equal(asked.at(-1), 'read the order');
  await index.rank(task, never);
  await index.rank('show the goods', never);
  assert.equal(model.asked.length, 1, 'asked once, and not for English');
  const knows = new ToolIndex({ home: tempHome(t), embedder: embedder('bge-m3'), restate });
  knows.update(TOOLS);
  await knows.rank('inne zamówienie', never);
  assert.equal(asked.at(-1), 'inne zamówienie');
  const fails = new ToolIndex({ home: tempHome(t), restate: () => Promise.reject(new Error('gone')) });
  fails.update(TOOLS);
  assert.equal((await fails.rank('zamówienie: order', never))[0]?.tool.name, 'get_order');
});

test('English is told from other languages', () => {
  for (const text of [
    'is anything blocking this?',
    'open onet.pl',
    'who is Ola Wiśniewska?',
    'résumé of the page',
    '',
  ]) {
    assert.ok(seemsEnglish(text), text);
  }
  for (const text of [
    'co jest w moim folderze',
    'usuń gałąź',
    'kliknij przycisk Kup teraz',
    'zeige mir alle Dateien',
  ]) {
    assert.ok(!seemsEnglish(text), text);
  }
});

test('kuznia tools says which servers are not there, and waits for a slow one', async (t) => {
  const home = tempHome(t);
  const foreign = fileURLToPath(new URL('fixtures/foreign.mjs', import.meta.url));
  const slow = `setTimeout(() => import(${JSON.stringify(foreign)}), 2500)`;
  const mcpServers = {
    slow: { command: process.execPath, args: ['-e', slow] },
    gone: { command: 'no-such-program' },
  };
  writeFileSync(join(home, 'kuznia.json'), JSON.stringify({ mcpServers }));
  const main = fileURLToPath(new URL('../host/main.ts', import.meta.url));
  const child = spawn(process.execPath, [...runnable(main), 'tools', '--json'], { env: cleanEnv(home) });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (err += data.toString()));
  await once(child, 'close');
  const told = z
    .object({
      tools: z.array(z.looseObject({ server: z.string() })),
      missing: z.array(z.object({ server: z.string(), reason: z.string() })),
    })
    .parse(JSON.parse(out));
  assert.ok(told.tools.some(({ server }) => server === 'slow'));
  assert.deepEqual(
    told.missing.map(({ server }) => server),
    ['gone'],
  );
  assert.match(err, /^Without the tools of gone: .*no-such-program/m);
});

test('kuznia tools --for: what a model would see, with scores and tokens', async (t) => {
  const home = tempHome(t);
  const run = async (...args: string[]) => {
    const main = fileURLToPath(new URL('../host/main.ts', import.meta.url));
    const child = spawn(process.execPath, [...runnable(main), 'tools', ...args], {
      env: cleanEnv(home, { OLLAMA_HOST: 'http://127.0.0.1:9' }),
    });
    const ran = { out: '', err: '' };
    child.stdout.on('data', (data: Buffer) => (ran.out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (ran.err += data.toString()));
    const [code] = await once(child, 'close');
    return { code: Number(code), ...ran };
  };
  const [json, text, empty] = await Promise.all([
    run('--for', 'run some code', '--json'),
    run('--for', 'run some code'),
    run('--for', ' '),
  ]);
  assert.equal(json.code, 0, json.err);
  const told = z
    .object({
      tokens: z.number().positive(),
      tools: z.array(
        z.looseObject({ name: z.string(), score: z.number(), lexical: z.number(), tokens: z.number() }),
      ),
    })
    .parse(JSON.parse(json.out));
  assert.ok(told.tools.length > 0 && told.tools.length <= 8);
  assert.equal(told.tools[0]?.name, 'sandbox_run_code');
  assert.ok(told.tokens <= 1500);
  assert.match(text.out, /^sandbox_run_code +score 0\.\d+, words [\d.]+, \d+ tokens$/m);
  assert.match(text.out, /\d of \d+ tools, about \d+ tokens\./);
  assert.equal(empty.code, 2);
  assert.match(empty.err, /--for needs a task/);
});
