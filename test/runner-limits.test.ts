import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { quickjsRunner } from '../servers/sandbox/runner/runner.ts';
import { linux, run, status, told, until } from './runner-kit.ts';

const runner = quickjsRunner();
before(async () => {
  await run(runner, '1');
});
after(() => runner.close());

describe('a deadline is a kill', () => {
  const spins: [string, string][] = [
    ['a loop', 'while (true) {}'],
    ['microtasks', 'const again = () => Promise.resolve().then(again); await again()'],
    ['an awaiting loop', 'for (;;) await null'],
    ['a regular expression', '/^(a+)+$/.test("a".repeat(40) + "b")'],
    [
      'indexOf over a megabyte, ten thousand times',
      'const hay = "ab".repeat(5e5); let n = 0; for (let i = 0; i < 1e4; i++) n += hay.indexOf("ba" + "ab".repeat(200) + "c"); n',
    ],
    ['a getter of the result', '({ get a() { for (;;); } })'],
    ['a trap of what was thrown', 'throw new Proxy({}, { get() { for (;;); } })'],
    ['an interval', 'setInterval(() => {}, 0); await new Promise(() => {})'],
    ['caught memory errors', 'for (;;) try { const a = []; for (;;) a.push(new ArrayBuffer(1e6)) } catch {}'],
  ];
  for (const [name, code] of spins) {
    test(name, async () => {
      const started = performance.now();
      const done = await run(runner, `console.log("begun");${code}`, { timeoutMs: 400 });
      assert.match(
        told(done),
        /^timeout: not done after 400 ms: it was ended; make it do less, or give it more time$/,
      );
      assert.deepEqual(done.console, ['begun'], 'what it printed is kept');
      assert.ok(performance.now() - started < 10_000, `it took ${performance.now() - started} ms`);
    });
  }

  test('a slow pattern is named with its schema', async () => {
    const slow = { type: 'object', properties: { s: { type: 'string', pattern: '^(a+)+$' } } };
    const s = `${'a'.repeat(40)}b`;
    assert.match(
      told(await run(runner, '1', { input: { s }, inputSchema: slow, timeoutMs: 150 })),
      /^timeout: .*the input schema, whose patterns are too slow/,
    );
    assert.match(
      told(await run(runner, `({ s: "${s}" })`, { outputSchema: slow, timeoutMs: 150 })),
      /^timeout: .*the output schema/,
    );
  });
});

test('values that break their schema are refused with paths', async () => {
  const inputSchema = {
    type: 'object',
    properties: { title: { type: 'string' }, n: { type: 'integer', minimum: 1 } },
    required: ['title'],
    additionalProperties: false,
  };
  const outputSchema = {
    type: 'object',
    properties: { list: { type: 'array', items: { type: 'number' } } },
    required: ['list'],
  };
  const at = (input: unknown) =>
    run(runner, '({ list: input.n ? ["no"] : [1] })', { input, inputSchema, outputSchema });
  assert.match(
    told(await at({ title: 1, n: 0 })),
    /^bad_input: input\.title: must be a string; input\.n: must be at least 1$/,
  );
  assert.match(told(await at({ title: 'x', extra: 1 })), /^bad_input: input\.extra: is not allowed here$/);
  assert.match(told(await at(undefined)), /^bad_input: input: needs the property "title"$/);
  assert.match(told(await at({ title: 'x', n: 1 })), /^bad_output: output\.list\[0\]: must be a number$/);
  assert.equal(told(await at({ title: 'x' })), 'ok: {"list":[1]}');
  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = cyclic;
  assert.match(
    told(await run(runner, '1', { input: cyclic })),
    /^bad_input: input is no JSON value: .*circular/,
  );
  assert.match(told(await run(runner, '1', { input: 5n })), /^bad_input: input is no JSON value/);
  assert.match(
    told(await run(runner, '1', { input: 'x'.repeat(5e6) })),
    /^bad_input: input is 4\.8 MiB; the limit is 4 MiB$/,
  );
  assert.match(
    told(await run(runner, '1', { input: JSON.parse('['.repeat(1000) + ']'.repeat(1000)) })),
    /^bad_input: input is nested more than 256 deep/,
  );
  assert.match(
    told(await run(runner, `1;${' '.repeat(2e6)}`)),
    /^error: the code is 1\.9 MiB; the limit is 1 MiB$/,
  );
});

test('a worker that runs out of memory on our side of it fails its own call only', async () => {
  // The validator keeps a text for each fault, and in it the pattern, written out again.
  const input = Object.fromEntries(Array.from({ length: 3e4 }, (_, i) => [`${i}`, 1]));
  const inputSchema = { type: 'object', patternProperties: { ['|'.repeat(3000)]: { type: 'string' } } };
  const slow = run(runner, 'await new Promise((done) => setTimeout(done, 500)); "beside"');
  assert.match(
    told(await run(runner, '1', { input, inputSchema, timeoutMs: 120_000 })),
    /^out_of_memory: the values of this call take more memory/,
  );
  assert.equal(told(await slow), 'ok: "beside"');
});

describe('memory is bounded', () => {
  const hoards: [string, string, RegExp][] = [
    [
      'arrays',
      'const a = []; for (;;) a.push([1, 2, 3, 4])',
      /^out_of_memory: the code needs more than the 12 MiB/,
    ],
    ['strings', 'const a = []; for (let i = 0; ; i++) a.push("x".repeat(1e5) + i)', /^out_of_memory/],
    ['buffers', 'const a = []; for (;;) a.push(new ArrayBuffer(1e6))', /^out_of_memory/],
    ['shared buffers', 'const a = []; for (;;) a.push(new SharedArrayBuffer(1e6))', /^out_of_memory/],
    ['one large buffer', 'new Uint8Array(1 << 30)', /^out_of_memory/],
    ['closures', 'let f = () => 1; for (;;) { const g = f; f = () => g(); }', /^out_of_memory/],
    [
      'recursion',
      'const f = (n) => n && 1 + f(n - 1); f(1e5)',
      /^error: RangeError: Maximum call stack size exceeded/,
    ],
    [
      'a deep literal',
      'eval("[".repeat(1e5) + "]".repeat(1e5))',
      /^error: (RangeError|SyntaxError|InternalError)/,
    ],
    [
      'a deep structure turned to text',
      'let o = []; for (let i = 0; i < 1e5; i++) o = [o]; String(o)',
      /^error: RangeError/,
    ],
    [
      'recovering from it',
      'const a = []; try { for (;;) a.push(new ArrayBuffer(1e6)) } catch { a.length = 0 } "recovered"',
      /^ok: "recovered"/,
    ],
  ];
  for (const [name, code, expected] of hoards) {
    test(name, async () => assert.match(told(await run(runner, code, { memoryBytes: 12 << 20 })), expected));
  }

  test('a call may have less or more than the default', async () => {
    const code = 'const a = []; for (let i = 0; i < 24; i++) a.push(new ArrayBuffer(1e6)); a.length';
    assert.equal(told(await run(runner, code)), 'ok: 24');
    assert.match(told(await run(runner, code, { memoryBytes: 8 << 20 })), /^out_of_memory: .* 8 MiB/);
    const much = { memoryBytes: 160 << 20, timeoutMs: 20_000 };
    assert.equal(told(await run(runner, code.replace('24', '120'), much)), 'ok: 120');
  });

  test('eight hoarders at once leave no more behind than they may', linux, async () => {
    const all = await Promise.all(
      Array.from({ length: 8 }, () =>
        run(runner, 'const a = []; for (;;) a.push(new Uint8Array(1e6).fill(1))'),
      ),
    );
    assert.ok(all.every((done) => done.outcome === 'out_of_memory'));
    assert.ok(status(runner.stats().pid, 'VmHWM') < 1.1e6, `peak ${status(runner.stats().pid, 'VmHWM')} kB`);
    assert.ok(
      await until(() => status(runner.stats().pid, 'VmRSS') < 300e3, 15_000),
      'the memory is given back',
    );
  });
});

test('a console flood is cut, and the cut is told', async () => {
  const done = await run(runner, 'for (let i = 0; i < 500; i++) console.log("x".repeat(1e5)); "done"');
  assert.equal(told(done), 'ok: "done"');
  assert.ok(Buffer.byteLength(done.console.join('\n')) < 17e3);
  assert.equal(done.console.at(-1), '(500 more console calls cut or dropped: the limit is 16 KiB)');
  const empty = await run(runner, 'for (let i = 0; i < 1e5; i++) console.log(); 1', { consoleBytes: 800 });
  assert.equal(empty.console.length, 101);
  const odd = await run(
    runner,
    'const o = {}; o.o = o; console.log(o, [1n], Symbol("s"), () => 1, new Error("e"), null, undefined); console.error("ł"); 1',
  );
  assert.deepEqual(odd.console, [
    '[output.o refers back to an object that holds it; JSON has no cycles, return ids or copies] [output[0] is a BigInt; JSON has none, return Number(it) or String(it)] [symbol] [function] Error: e null undefined',
    'ł',
  ]);
});
