import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { z } from 'zod';
import type { Io } from '../host/terminal/io.ts';
import { command } from '../host/models-command.ts';
import { pickModel } from '../host/models/models.ts';
import { bytes, PullDisplay } from '../host/models/pulling.ts';
import { pickRole, pickRoles, survey } from '../host/models/roles.ts';
import type { Role } from '../host/settings.ts';
import { displayWidth } from '../host/terminal/text.ts';
import { ollamaModel, type ModelInfo } from '../kit/ollama.ts';
import { ollamaDouble, type DoubleModel } from './doubles/ollama.ts';

const never = new AbortController().signal;
let home = '';

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'kuznia-models-'));
});
after(() => rm(home, { recursive: true, force: true }));

const GB = 1e9;
const TALKS = ['completion'];
const CALLS = ['completion', 'tools'];

/** Name, billions, capabilities; four bits a parameter. */
type Kept = [name: string, billions: number, capabilities: string[]];
const KEPT: Kept[] = [
  ['llama3.2:1b', 1.2, CALLS],
  ['qwen3:8b', 8.2, CALLS],
  ['qwen3:32b', 32.8, CALLS],
  ['llama3.3:70b', 70.6, CALLS],
  ['gemma2:9b', 9.2, TALKS],
  ['qwen2.5-coder:7b', 7.6, [...CALLS, 'insert']],
  ['qwen2.5vl:7b', 8.3, ['completion', 'vision']],
  ['moondream', 1.8, ['completion', 'vision']],
  ['all-minilm', 0.023, ['embedding']],
  ['nomic-embed-text', 0.137, ['embedding']],
  ['bge-huge', 9, ['embedding']],
];

function known(kept: Kept[], free: number | undefined, settings: Partial<Record<Role, string>> = {}) {
  const installed = kept.map(([name, billions]) => ({ name, size: billions * 0.6 * GB, digest: '' }));
  const infos = kept.map(([name, billions, capabilities]): ModelInfo => ({
    name,
    capabilities,
    contextLength: 8192,
    parameters: billions < 1 ? `${billions * 1000}M` : `${billions}B`,
  }));
  return { installed, infos, loaded: [], freeMemory: free, settings };
}

const names = (kept: Kept[], free: number | undefined, settings?: Partial<Record<Role, string>>) =>
  Object.fromEntries([...pickRoles(known(kept, free, settings))].map(([role, { name }]) => [role, name]));

test('each role gets the model that fits the task, the size and the memory', () => {
  const vectors = { embed: 'nomic-embed-text' };
  assert.deepEqual(names(KEPT, 16 * GB), {
    default: 'qwen3:8b',
    code: 'qwen2.5-coder:7b',
    vision: 'qwen2.5vl:7b',
    small: 'llama3.2:1b',
    ...vectors,
  });
  assert.equal(names(KEPT, 64 * GB)['default'], 'qwen3:32b', '70B is more than the usual');
  assert.equal(names(KEPT, 200 * GB)['default'], 'qwen3:32b');
  assert.equal(names(KEPT, undefined)['default'], 'qwen3:32b', 'memory of another machine is not known');
  const little = names(KEPT, 3 * GB);
  assert.deepEqual(little, {
    default: 'llama3.2:1b',
    code: 'llama3.2:1b',
    vision: 'moondream',
    small: 'llama3.2:1b',
    ...vectors,
  });
  const settings = { default: 'gemma2:9b', vision: 'moondream', embed: 'gone' };
  const chosen = pickRoles(known(KEPT, 16 * GB, settings));
  assert.deepEqual(chosen.get('default'), { name: 'gemma2:9b', why: 'configured (models.default)' });
  assert.match(chosen.get('embed')?.why ?? '', /configured.*not installed: ollama pull gone/);
  assert.deepEqual(names([], 16 * GB), {});
  assert.deepEqual(names([['all-minilm', 0.023, ['embedding']]], 16 * GB), { embed: 'all-minilm' });
});

test('why it is this one is told in words', () => {
  const why = (role: Role, kept: Kept[], free?: number) => pickRole(role, known(kept, free))?.why ?? '';
  assert.match(
    why('default', KEPT, 16 * GB),
    /^8\.2B; fits in the 16\.0 GB that are free; calls tools; between 3B and 34B; made for all tasks$/,
  );
  assert.match(why('default', [['gemma2:9b', 9.2, TALKS]]), /constrained answers drive it.*the only one/);
  assert.match(why('default', [['llama3.3:70b', 70, CALLS]], GB), /none fits in the 1\.0 GB/);
  assert.match(why('code', [['qwen3:8b', 8.2, CALLS]]), /none is made for code/);
  assert.match(why('vision', KEPT), /^8\.3B; sees images; between 3B and 34B$/);
});

test('a size in thousands, in experts, or only in bytes is understood', () => {
  const kept = known([], undefined);
  const model = (name: string, parameters: string | undefined, size: number) => {
    kept.installed.push({ name, size, digest: '' });
    kept.infos.push({ name, capabilities: CALLS, contextLength: 1, parameters });
  };
  model('tiny', '494.03M', 0.4 * GB);
  model('mixture', '8x7B', 26 * GB);
  model('unsaid', undefined, 5 * GB);
  assert.equal(pickRole('default', kept)?.name, 'unsaid', 'about 8B; the mixture is 56B');
});

async function ollama(
  t: TestContext,
  models: DoubleModel[],
  more: { library?: DoubleModel[]; paceMs?: number } = {},
) {
  const double = await ollamaDouble({ models, reply: () => ({ content: 'ok' }), ...more });
  t.after(() => double.close());
  return double;
}

test('a survey asks about every model; one that is broken is left out', async (t) => {
  const double = await ollama(t, [
    { name: 'plain', capabilities: ['completion'], parameters: '7B' },
    { name: 'caller', parameters: '4B', size: 2 * GB },
  ]);
  const model = ollamaModel({ host: double.url });
  for await (const event of model.chat({ model: 'plain', messages: [] }, never)) assert.ok(event);
  const broken = {
    ...model,
    show: (name: string, signal: AbortSignal) =>
      name === 'plain:latest' ? Promise.reject(new Error('broken')) : model.show(name, signal),
  };
  const found = await survey(broken, never);
  assert.deepEqual(
    found.infos.map(({ name }) => name),
    ['caller:latest'],
  );
  assert.deepEqual(found.loaded, ['plain:latest']);
  assert.ok((found.freeMemory ?? 0) > 3 * GB, 'what the loaded one holds is free for another');
  assert.equal((await survey(model, never, { local: false })).freeMemory, undefined);
  assert.equal((await survey(model, never, { memoryMb: 1000 })).freeMemory, GB);
  assert.equal((await pickModel(model, undefined, never)).name, 'caller:latest');
  assert.equal((await pickModel(model, 'plain', never)).name, 'plain');
});

async function models(host: string, argv: string[], more: Partial<Io> = {}) {
  process.env['OLLAMA_HOST'] = host;
  process.env['KUZNIA_HOME'] = home;
  const ran = { out: '', err: '', code: 0 };
  const io: Io = {
    out: (text) => void (ran.out += text),
    err: (text) => void (ran.err += text),
    env: process.env,
    interactive: false,
    colour: false,
    columns: () => 80,
    ...more,
  };
  ran.code = (await command.run(argv, io)) ?? -1;
  return ran;
}

test('models: the table, one model, why, each also as JSON', async (t) => {
  const { url } = await ollama(t, [
    { name: 'double:4b', contextLength: 16_384 },
    { name: 'eyes', capabilities: ['completion', 'vision'], parameters: '494.03M', size: 0.4 * GB },
  ]);
  const table = await models(url, []);
  assert.match(table.out, /^NAME +SIZE +PARAMETERS +CONTEXT +CAPABILITIES +LOADED\n/);
  assert.match(table.out, /^double:4b +3\.0 GB +4B +16384 +tools$/m);
  assert.match(table.out, /^eyes:latest +400 MB +494\.03M +32768 +vision$/m);
  const narrow = await models(url, [], { interactive: true, columns: () => 40 });
  for (const line of narrow.out.split('\n')) assert.ok(displayWidth(line) <= 40, line);
  const json = z.object({ models: z.array(z.looseObject({ name: z.string(), loaded: z.boolean() })) });
  const listed = json.parse(JSON.parse((await models(url, ['--json'])).out)).models;
  assert.deepEqual(
    listed.map(({ name, loaded }) => [name, loaded]),
    [
      ['double:4b', false],
      ['eyes:latest', false],
    ],
  );
  const one = await models(url, ['show', 'eyes']);
  assert.match(one.out, /^context +32768 tokens\ncapabilities +completion, vision$/m);
  assert.match(one.out, /^loaded +no$/m);
  await writeFile(join(home, 'kuznia.json'), JSON.stringify({ models: { small: 'eyes' } }));
  t.after(() => rm(join(home, 'kuznia.json')));
  const why = await models(url, ['--explain']);
  assert.match(why.out, /^default +double:4b: .*calls tools/m);
  assert.match(why.out, /^small +eyes: configured \(models\.small\)$/m);
  assert.match(why.out, /^embed +none: .*kuznia models pull/m);
  assert.match(
    (await models(url, ['--explain', '--json'])).out,
    /"vision":\{"name":"eyes:latest","why":"[\d.]+B; sees images/,
  );
});

test('models pull: lines in a pipe, a bar on a terminal, and what is not there', async (t) => {
  const library = [{ name: 'new:1b' }, { name: 'other:1b' }];
  const { url } = await ollama(t, [], { library });
  const plain = await models(url, ['pull', 'new:1b']);
  assert.equal(plain.code, 0);
  assert.ok(!plain.out.includes('\u001b'));
  assert.deepEqual(plain.out.split('\n').slice(0, 3), [
    'pulling manifest',
    'pulling new:1b: 0 % of 3.0 GB',
    'pulling new:1b: 10 % of 3.0 GB',
  ]);
  assert.match(
    plain.out,
    /100 % of 3\.0 GB\nverifying sha256 digest\nwriting manifest\nsuccess\nnew:1b is there: completion, tools/,
  );
  const drawn = await models(url, ['pull', 'other:1b'], { interactive: true });
  assert.match(drawn.out, /other:1b █*░+ \d+ % of 3\.0 GB/);
  assert.match(drawn.out, /other:1b is there/);
  await assert.rejects(models(url, ['pull', 'nope']), /No model nope is offered/);
  const told = await models(url, ['pull', 'new:1b', '--json']);
  assert.equal(told.out, '{"pulled":"new:1b","capabilities":["completion","tools"]}\n');
});

test('models pull: Ctrl-C stops it at once, and what is kept is said', async (t) => {
  const double = await ollama(t, [], { library: [{ name: 'big' }], paceMs: 200 });
  const heard: string[] = [];
  const running = models(double.url, ['pull', 'big'], { err: (text) => heard.push(text) });
  setTimeout(() => process.emit('SIGINT'), 300);
  await assert.rejects(running, { name: 'ModelError', reason: 'cancelled' });
  assert.match(heard.join(''), /kept: the same command goes on/);
});

test('the bar says how long it still takes, from what was loaded in this try', (t) => {
  t.mock.timers.enable({ apis: ['Date'] });
  let [now, out] = [0, ''];
  t.mock.method(performance, 'now', () => now);
  const io: Io = {
    out: (text) => void (out = text),
    err: () => {},
    env: {},
    interactive: true,
    colour: false,
    columns: () => 120,
  };
  const display = new PullDisplay(io, 'big');
  const step = (done: number) => display.show({ status: 'pulling x', digest: 'x', done, total: 10 * GB });
  step(5 * GB);
  now = 10_000;
  step(6 * GB);
  assert.match(out, /big █{14}░{10} 60 % of 10 GB · 100 MB\/s · 40\.0 s left/);
});

test('models rm asks; without a terminal it needs --yes', async (t) => {
  const { url } = await ollama(t, [{ name: 'old:1b' }]);
  const asked = await models(url, ['rm', 'old:1b']);
  assert.equal(asked.code, 3);
  assert.match(asked.err, /Nothing was removed.*kuznia models rm old:1b --yes/);
  const gone = await models(url, ['rm', 'old:1b', '--yes']);
  assert.deepEqual([gone.code, gone.out], [0, 'old:1b was removed.\n']);
  await assert.rejects(models(url, ['rm', 'old:1b', '--yes']), /no model old:1b/);
  assert.match((await models(url, [])).out, /no models.*kuznia models pull/);
});

test('what is mistyped is told with what was meant', async () => {
  await assert.rejects(
    models('', ['pul', 'x']),
    /no `kuznia models pul`. Did you mean `kuznia models pull`\?/,
  );
  await assert.rejects(models('', ['show']), /One name is needed/);
  assert.deepEqual(
    [bytes(12), bytes(2500), bytes(25e6), bytes(5.2e9)],
    ['12 B', '2.5 kB', '25 MB', '5.2 GB'],
  );
});
