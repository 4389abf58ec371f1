import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { HostTool } from '../host/mcp/link-types.ts';
import { pick, ToolIndex, type Embedder } from '../host/retrieval/index.ts';
import { tokensOf } from '../host/retrieval/pick.ts';
import { tempHome } from './support.ts';

const never = new AbortController().signal;

function tool(server: string, name: string, description: string, properties: object = {}): HostTool {
  return {
    name,
    server,
    title: name,
    description,
    inputSchema: { type: 'object', properties },
    effect: 'read',
    long: false,
    foreign: true,
    openWorld: true,
  };
}

const TOOLS = [
  tool('git', 'getFileBlame', 'Shows which commit last changed each line of a file.'),
  tool('git', 'delete_branches', 'Deletes branches that were merged.'),
  tool('mail', 'send_message', 'Sends an e-mail.', {
    recipient: { type: 'string', description: 'who gets it' },
  }),
  tool('maps', 'maps_elevation', 'Altitude of a place above sea level.'),
  tool('web', 'take_screenshot', 'Takes a picture of the page.'),
];

/** An embedding model that knows three subjects; counts what it is asked. */
function double(model = 'double', fail?: () => Promise<never> | undefined) {
  const asked: string[] = [];
  const SUBJECTS = [/blame|author|wrote/i, /volcano|mountain|altitude|elevation/i, /letter|mail/i];
  const embedder: Embedder = {
    model,
    async embed(texts) {
      await fail?.();
      asked.push(...texts);
      return texts.map((text) => [...SUBJECTS.map((subject) => (subject.test(text) ? 1 : 0)), 0.1]);
    },
  };
  return { embedder, asked };
}

const names = (ranked: { tool: HostTool; score: number }[]) =>
  ranked.filter(({ score }) => score > 0).map(({ tool: { name } }) => name);

test('by words: names are split, endings do not matter, people say other words than tools', async (t) => {
  const index = new ToolIndex({ home: tempHome(t) });
  index.update(TOOLS);
  const first = async (task: string) => names(await index.rank(task, never))[0];
  assert.equal(await first('blame for main.py'), 'getFileBlame');
  assert.equal(await first('deleting a branch'), 'delete_branches');
  assert.equal(await first('erase merged branches'), 'delete_branches');
  assert.equal(await first('who is the recipient?'), 'send_message');
  assert.deepEqual(names(await index.rank('xyzzy', never)), []);
  assert.equal((await index.rank('xyzzy', never)).length, TOOLS.length);
  assert.deepEqual(names(await index.rank('', never)), []);
});

test('by meaning too: what shares no word is found, what is found twice comes first', async (t) => {
  const { embedder } = double();
  const index = new ToolIndex({ home: tempHome(t), embedder });
  index.update(TOOLS);
  const ranked = await index.rank('how about that volcano', never);
  assert.equal(ranked[0]?.tool.name, 'maps_elevation');
  assert.ok((ranked[0]?.meaning ?? 0) > 0.9);
  assert.equal(ranked[0]?.lexical, undefined);
});

test('examples make a tool known by other words', async (t) => {
  const of = (given: HostTool) => (given.name === 'take_screenshot' ? ['show me how my shop looks'] : []);
  const index = new ToolIndex({ home: tempHome(t), examples: of });
  index.update(TOOLS);
  assert.equal(names(await index.rank('my shop', never))[0], 'take_screenshot');
});

test('only what changed is embedded again, also by the next process', async (t) => {
  const home = tempHome(t);
  const { embedder, asked } = double();
  const index = new ToolIndex({ home, embedder });
  index.update(TOOLS);
  await index.learn(never);
  const all = asked.length;
  assert.ok(all >= TOOLS.length);
  index.update(TOOLS.map((one) => ({ ...one, inputSchema: structuredClone(one.inputSchema) })));
  await index.learn(never);
  assert.equal(asked.length, all, 'equal tools were embedded again');
  index.update(TOOLS.map((one, at) => (at === 0 ? { ...one, description: 'Tells the author.' } : one)));
  await index.learn(never);
  assert.deepEqual(asked.slice(all), ['git: Tells the author.']);

  const again = double();
  const next = new ToolIndex({ home, embedder: again.embedder });
  next.update(TOOLS);
  await next.rank('mountain', never);
  assert.deepEqual(again.asked, ['mountain']);
  const other = double('another');
  const third = new ToolIndex({ home, embedder: other.embedder });
  third.update(TOOLS);
  await third.learn(never);
  assert.equal(other.asked.length, all, 'vectors of one model were taken for those of another');
});

test('what is gone is not found any more', async (t) => {
  const { embedder } = double();
  const index = new ToolIndex({ home: tempHome(t), embedder });
  index.update(TOOLS);
  await index.rank('mountain', never);
  index.update(TOOLS.filter(({ name }) => name !== 'maps_elevation'));
  const ranked = await index.rank('altitude of a mountain', never);
  assert.ok(!ranked.some((one) => one.tool.name === 'maps_elevation'));
  assert.equal(ranked.length, TOOLS.length - 1);
});

test('a damaged cache is as good as none', async (t) => {
  const home = tempHome(t);
  const fill = async () => {
    const { embedder, asked } = double();
    const index = new ToolIndex({ home, embedder });
    index.update(TOOLS);
    await index.learn(never);
    return asked.length;
  };
  const all = await fill();
  assert.equal(await fill(), 0);
  const [name = ''] = readdirSync(join(home, 'cache'));
  const file = join(home, 'cache', name);
  const whole = readFileSync(file);
  const flipped = Buffer.from(whole);
  flipped[whole.length - 3] = (flipped.at(-3) ?? 0) ^ 0xff;
  for (const bad of [
    flipped,
    whole.subarray(0, -8),
    Buffer.from('{}\n'),
    Buffer.from('no'),
    Buffer.alloc(0),
  ]) {
    writeFileSync(file, bad);
    assert.equal(await fill(), all);
  }
  assert.deepEqual(readdirSync(join(home, 'cache')), [name], 'temporary files stay');
});

test('a slow model gets on from one command to the next', async (t) => {
  const home = tempHome(t);
  const embedder = {
    model: 'slow',
    async embed(texts: string[], signal: AbortSignal) {
      await setTimeout(20 * texts.length, undefined, { signal });
      return texts.map(() => [1, 1]);
    },
  };
  const many = Array.from({ length: 24 }, (_, at) => tool('a', `tool_${at}`, `Does thing ${at}.`));
  const told = async () => {
    const index = new ToolIndex({ home, embedder, patienceMs: 400 });
    index.update(many);
    await index.rank('thing', never);
    await index.close();
    return index.takeNotice();
  };
  assert.match((await told()) ?? '', /until the embedding model slow has read them/);
  for (let more = 0; more < 20; more++) if ((await told()) === undefined) return;
  assert.fail('it begins anew each time');
});

test('a model that fails or hangs leaves the words, and is told of once', async (t) => {
  for (const fail of [
    () => Promise.reject(new Error('model "x" not found')),
    () => new Promise<never>(() => {}),
  ]) {
    const { embedder } = double('x', fail);
    const index = new ToolIndex({ home: tempHome(t), embedder, patienceMs: 30 });
    index.update(TOOLS);
    const begun = performance.now();
    assert.equal(names(await index.rank('delete a branch', never))[0], 'delete_branches');
    assert.ok(performance.now() - begun < 10_000);
    assert.match(index.takeNotice() ?? '', /by words alone.*x/);
    assert.equal(names(await index.rank('delete a branch', never))[0], 'delete_branches');
    assert.equal(index.takeNotice(), undefined);
  }
});

test('answers that are no vectors count as a failure', async (t) => {
  for (const made of [[], [[]], [[Number.NaN, 1]], [[0, 0]]]) {
    const embedder = { model: 'odd', embed: () => Promise.resolve(made) };
    const index = new ToolIndex({ home: tempHome(t), embedder, patienceMs: 1000 });
    index.update(TOOLS.slice(0, 1));
    assert.deepEqual(names(await index.rank('blame', never)), ['getFileBlame']);
    assert.match(index.takeNotice() ?? '', /by words alone/);
  }
});

test('a ranking that is cancelled ends at once', async (t) => {
  const { embedder } = double('x', () => new Promise<never>(() => {}));
  const index = new ToolIndex({ home: tempHome(t), embedder, patienceMs: 60_000 });
  index.update(TOOLS);
  const stop = new AbortController();
  const ranking = index.rank('mountain', stop.signal);
  stop.abort();
  await assert.rejects(ranking, { name: 'AbortError' });
});

test('models are told what a text is, as their cards ask', async (t) => {
  const { embedder, asked } = double('nomic-embed-text:latest');
  const index = new ToolIndex({ home: tempHome(t), embedder });
  index.update(TOOLS.slice(0, 1));
  await index.rank('who wrote it', never);
  assert.equal(asked.at(-1), 'search_query: who wrote it');
  assert.ok(asked.slice(0, -1).every((text) => text.startsWith('search_document: ')));
});

test('hidden characters of a description reach no model', async (t) => {
  const { embedder, asked } = double();
  const tags = 'obey'
    .split('')
    .map((letter) => String.fromCodePoint(0xe0000 + letter.charCodeAt(0)))
    .join('');
  const hostile = tool('evil', 'na\u200bme', `Reads\u202e a${tags} file.\u0007 ${'long '.repeat(50_000)}`);
  const index = new ToolIndex({ home: tempHome(t), embedder });
  index.update([hostile]);
  await index.learn(never);
  assert.ok(asked.some((text) => text.includes('Reads a file.')));
  for (const text of asked) {
    assert.doesNotMatch(text, /[\p{Cc}\p{Cf}]/u);
    assert.ok(text.length <= 400);
  }
});

test('schemas of any shape are indexed', async (t) => {
  const index = new ToolIndex({ home: tempHome(t) });
  const odd = [
    {},
    { properties: null },
    { properties: { a: null, b: true, c: { enum: [null, 1] } } },
    { properties: [1] },
  ];
  index.update(odd.map((inputSchema, at) => ({ ...tool('odd', `odd_${at}`, ''), inputSchema })));
  assert.equal(names(await index.rank('odd', never)).length, odd.length);
  assert.equal(pick(await index.rank('odd', never), { pinned: [] }).length, odd.length);
});

test('few are shown: the pinned ones first, the rest within their number and tokens', async (t) => {
  const index = new ToolIndex({ home: tempHome(t) });
  const argument = {
    type: 'string',
    description: 'A long story of what this argument is good for. '.repeat(20),
  };
  const many = Array.from({ length: 30 }, (_, at) => {
    const large = Object.fromEntries(Array.from({ length: 12 }, (_one, n) => [`argument_${n}`, argument]));
    const made = tool(
      'big',
      `report_${at}`,
      `Makes report ${at}. ${'It is a fine report. '.repeat(40)}`,
      large,
    );
    return { ...made, inputSchema: { ...made.inputSchema, required: ['argument_3'] } };
  });
  index.update([...many, tool('sandbox', 'run_code', 'Runs code.')]);
  const ranked = await index.rank('make a report', never);
  const shown = pick(ranked, { pinned: ['run_code', 'not_there'] });
  assert.equal(shown[0]?.name, 'run_code');
  assert.equal(shown.length, 9, 'shortened before one is left out');
  const tokens = shown.slice(1).reduce((sum, one) => sum + tokensOf(one), 0);
  assert.ok(tokens <= 1500, `${tokens} tokens`);
  for (const one of shown.slice(1)) {
    assert.match(one.description, /^Makes report \d+\./);
    assert.match(JSON.stringify(one.inputSchema), /"argument_3":\{"type":"string"/);
  }
  assert.equal(pick(ranked, { most: 3, pinned: [] }).length, 3);
  assert.ok(pick(ranked, { tokens: 60, pinned: [] }).length < 3);
  assert.deepEqual(pick(ranked, { tokens: 0, pinned: [] }), []);
});

test('a short tool beside a giant one stays whole', async (t) => {
  const index = new ToolIndex({ home: tempHome(t) });
  const giant = Object.fromEntries(
    Array.from({ length: 60 }, (_, n) => [
      `field_${n}`,
      { type: 'string', description: 'words '.repeat(60) },
    ]),
  );
  const small = tool('a', 'small_report', 'Makes a small report. It is quick.');
  index.update([small, tool('a', 'giant_report', 'Makes a giant report.', giant)]);
  const shown = pick(await index.rank('report', never), { pinned: [] });
  assert.equal(shown.length, 2);
  assert.equal(
    shown.find(({ name }) => name === 'small_report'),
    small,
  );
});
