import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { quickjsRunner, type RunRequest, type Verdict } from '../servers/sandbox/runner/runner.ts';

const runner = quickjsRunner();
after(() => runner.close());

type Extra = Partial<Omit<RunRequest, 'program'>>;

const run = (
  kind: 'module' | 'snippet',
  code: string,
  extra: Extra = {},
  signal?: AbortSignal,
): Promise<Verdict> =>
  runner.run(
    { program: { kind, code }, input: undefined, timeoutMs: 20_000, clock: 'fixed', ...extra },
    signal,
  );
const snippet = (code: string, extra?: Extra) => run('snippet', code, extra);
const tool = (code: string, input: unknown = {}, extra: Extra = {}) =>
  run('module', code, { input, ...extra });

/** The value of a call that must succeed. */
async function value(verdict: Promise<Verdict>): Promise<unknown> {
  const done = await verdict;
  if (done.outcome !== 'ok') assert.fail(`${done.outcome}: ${done.message}`);
  return done.value;
}

/** Outcome and message of a call that must fail. */
async function fault(verdict: Promise<Verdict>): Promise<string> {
  const done = await verdict;
  if (done.outcome === 'ok') assert.fail(`succeeded with ${JSON.stringify(done.value)}`);
  return `${done.outcome}: ${done.message}`;
}

test('nothing is started before the first call', async () => {
  const idle = quickjsRunner();
  assert.deepEqual(idle.stats(), { pid: undefined, running: 0, queued: 0, started: 0 });
  await idle.close();
  assert.match(
    await fault(idle.run({ program: { kind: 'snippet', code: '1' }, input: 1, timeoutMs: 1, clock: 'real' })),
    /error: the sandbox was closed/,
  );
});

test('a module takes its input and gives its value, with what it used', async () => {
  const code = 'export default async ({ a, b }) => { console.log("adding", { a }); return { sum: a + b }; };';
  const done = await tool(code, { a: 1, b: 2 });
  assert.equal(done.outcome, 'ok');
  assert.deepEqual('value' in done && [done.value, done.bytes], [{ sum: 3 }, 9]);
  assert.deepEqual(done.console, ['adding {"a":1}']);
  assert.ok(done.ms > 0 && done.ms < 10_000);
});

describe('a snippet decides by itself what it is', () => {
  const cases: [string, unknown][] = [
    ['1 + 1', 2],
    ['const x = input.n * 2;\nx', 42],
    ['const x = await Promise.resolve(20);\nx + 1', 21],
    ['Promise.resolve("later")', 'later'],
    ['if (input.n > 1) { "big" } else { "small" }', 'big'],
    ['return input.n', 21],
    ['const n = input.n;\nif (n) { return { n } }\nreturn 0;', { n: 21 }],
    ['{ a: 1, b: [2] }', { a: 1, b: [2] }],
    ['{ const a = 3; a }', 3],
    ['(input) => input.n + 1', 22],
    ['async function main(input) { return input.n + 2 }', 23],
    ['const input = 4; input', 4],
    ['export default ({ n }) => n + 3', 24],
    ['export default { plain: true }', { plain: true }],
    ['// a comment\nexport default async (i) => [i.n]', [21]],
    ['console.log("only told")', null],
  ];
  for (const [code, expected] of cases) {
    test(code.replaceAll('\n', ' '), async () => {
      assert.deepEqual(await value(snippet(code, { input: { n: 21 } })), expected);
    });
  }
});

describe('what cannot be a result is told apart, with its path', () => {
  const cases: [string, RegExp][] = [
    ['undefined', /^bad_output: output is undefined; return a value, or null$/],
    [
      '{ items: [1, 2, 3, { price: NaN }] }',
      /^bad_output: output\.items\[3\]\.price is NaN; JSON has no such number, return null or a string$/,
    ],
    ['{ "a b": -Infinity }', /output\["a b"\] is -Infinity/],
    ['{ n: 10n }', /output\.n is a BigInt; JSON has none, return Number\(it\) or String\(it\)/],
    ['{ f() {} }', /output\.f is a function; call it, or leave it out/],
    ['Symbol("s")', /output is a symbol/],
    [
      '(() => { const o = { list: [] }; o.list.push(o); return o; })()',
      /output\.list\[0\] refers back to an object that holds it/,
    ],
    ['{ p: Promise.resolve(1) }', /output\.p is a promise; await it/],
    ['{ m: new Map([[1, 2]]) }', /output\.m is a Map/],
    ['{ s: new Set() }', /output\.s is a Set/],
    ['{ e: new TypeError("x") }', /output\.e is an Error/],
    ['{ b: new Uint8Array(3) }', /output\.b is binary data/],
    ['{ d: new Date(NaN) }', /output\.d is an invalid date/],
    [
      '(() => { let top = [], at = top; for (let i = 0; i < 1e5; i++) { at[0] = []; at = at[0]; } return top; })()',
      /^bad_output: output…(\[0\])+ is nested more than 256 deep; return something flatter$/,
    ],
    ['"x".repeat(50e6)', /^output_limit: the result is larger than 256 KiB; return less/],
    ['Array.from({ length: 1e5 }, (_, i) => ({ i }))', /^output_limit/],
    ['"ł".repeat(140e3)', /^output_limit/],
  ];
  for (const [expression, expected] of cases) {
    test(expression.slice(0, 60), async () => {
      assert.match(await fault(tool(`export default () => (${expression});`)), expected);
    });
  }

  test('what JSON would leave out or write its own way stays', async () => {
    const code =
      'export default () => ({ gone: undefined, list: [undefined, -0], at: new Date(0), boxed: new String("s"), text: "\\ud800\\u2028" })';
    assert.deepEqual(await value(tool(code)), {
      list: [null, 0],
      at: '1970-01-01T00:00:00.000Z',
      boxed: 's',
      text: '\ud800\u2028',
    });
  });

  test('a result of exactly the limit passes', async () => {
    assert.equal(
      await value(tool('export default () => "x".repeat(98)', {}, { resultBytes: 100 })),
      'x'.repeat(98),
    );
    assert.match(
      await fault(tool('export default () => "x".repeat(99)', {}, { resultBytes: 100 })),
      /^output_limit/,
    );
  });
});

describe('errors name the line of the code, and the way out', () => {
  const cases: ['module' | 'snippet', string, RegExp][] = [
    [
      'module',
      'const a = 1;\nexport default () => {\n  return a.b.c;\n};',
      /^error: TypeError: cannot read property 'c' of undefined \(line 3\)$/,
    ],
    ['module', 'export default () => {\n  const = 1;\n};', /^error: SyntaxError: .+ \(line 2\)$/],
    [
      'module',
      'export const f = () => 1;',
      /^error: the module has no default export: add `export default \(input\) => \{ … \}`$/,
    ],
    ['module', 'export default 42;', /^error: the default export is number, not a function/],
    [
      'module',
      'import fs from "node:fs";\nexport default () => 1;',
      /^denied: there are no modules to import here; write the code out/,
    ],
    [
      'module',
      'export default async () => (await import("fs")).x;',
      /^denied: there are no modules to import here/,
    ],
    [
      'module',
      'module.exports = (input) => 1;',
      /^error: ReferenceError: module is not defined \(this is an ES module: use export default/,
    ],
    [
      'module',
      'export default () => fetch("https://example.org");',
      /fetch is not defined \(there is no network here\) \(line 1\)$/,
    ],
    ['module', 'export default () => process.env;', /there is no Node\.js here/],
    [
      'module',
      'export default () => { throw new RangeError("too far"); };',
      /^error: RangeError: too far \(line 1\)$/,
    ],
    ['module', 'export default () => { throw { code: 7 }; };', /^error: threw \{"code":7\}$/],
    ['module', 'export default () => { throw null; };', /^error: threw null$/],
    ['module', 'export default () => Promise.reject("no");', /^error: threw no$/],
    [
      'module',
      'export default () => new Promise((_, reject) => setTimeout(() => reject(new Error("late")), 5));',
      /^error: Error: late/,
    ],
    [
      'module',
      'export default () => { setTimeout(() => { throw new Error("in a timer") }, 1); return new Promise(() => {}); };',
      /^error: Error: in a timer/,
    ],
    ['snippet', 'let x = 1;\nlet y = ;\nx', /^error: SyntaxError: .+ \(line 2\)$/],
    [
      'snippet',
      'const f = () => {\n  retrun 1;\n};\nexport default f;',
      /^error: SyntaxError: .+ \(line 2\)$/,
    ],
    ['snippet', 'function f() {\n  return 1;\n', /^error: SyntaxError: /],
    ['snippet', 'const a = 1;\n\na.b.c', /\(line 3\)$/],
    ['snippet', 'JSON.parse("{")', /^error: SyntaxError: Expected property name/],
    ['snippet', 'const x = 1;', /^bad_output: the code gives no value; end it with an expression/],
    ['snippet', 'export const a = 1;', /no default export/],
  ];
  for (const [kind, code, expected] of cases) {
    test(`${kind}: ${code.replaceAll('\n', ' ').slice(0, 60)}`, async () =>
      assert.match(await fault(run(kind, code)), expected));
  }

  test('the stack shows the code of the user only', async () => {
    const done = await tool('function inner() { throw new Error("x"); }\nexport default () => inner();');
    assert.ok(done.outcome !== 'ok' && done.stack);
    assert.match(done.stack, /inner \(tool\.js:1:\d+\)\n.*tool\.js:2/);
    assert.doesNotMatch(done.stack, /kuznia|node:|\/work|file:/);
  });

  test('a promise that never settles is told at once', async () => {
    const started = performance.now();
    assert.match(
      await fault(tool('export default () => new Promise(() => {})')),
      /^error: the promise never settles/,
    );
    assert.match(await fault(snippet('await new Promise(() => {})')), /^error: the promise never settles/);
    assert.ok(performance.now() - started < 10_000, 'it waited for the deadline');
  });
});

test('every call starts from the same state', async () => {
  await value(
    snippet('globalThis.left = 1; Array.prototype.left = 1; Object.prototype.left = 1; JSON.parse = null; 1'),
  );
  const seen = await Promise.all(
    Array.from({ length: 6 }, () => value(snippet('[typeof left, [].left ?? 0, typeof JSON.parse]'))),
  );
  for (const each of seen) assert.deepEqual(each, ['undefined', 0, 'function']);
});

test('under the fixed clock everything repeats; in use nothing does', async () => {
  const code =
    'export default async () => { await new Promise((r) => setTimeout(r, 60000)); return [Date.now(), new Date(2026, 0, 1).toISOString(), performance.now(), Math.random(), Math.random()]; }';
  const [one, other] = await Promise.all([value(tool(code)), value(tool(code))]);
  assert.deepEqual(one, other);
  assert.ok(Array.isArray(one) && one[0] === Date.UTC(2026, 0, 1) && one[1] === '2026-01-01T00:00:00.000Z');
  const real =
    'export default async () => { const from = Date.now(); await new Promise((r) => setTimeout(r, 40)); return { from, waited: Date.now() - from, drawn: Math.random() }; }';
  const used = [
    await value(tool(real, {}, { clock: 'real' })),
    await value(tool(real, {}, { clock: 'real' })),
  ];
  const [first, second] = used.map((each) => Object(each));
  assert.ok(
    Math.abs(first.from - Date.now()) < 5000 && first.waited >= 39 && first.waited < 10_000,
    JSON.stringify(used),
  );
  assert.notEqual(first.drawn, second.drawn);
});

test('timers run in the order of their time, and can be cleared', async () => {
  const code = `const seen = []; let ticks = 0;
    setTimeout(() => seen.push('late'), 20); setTimeout((a) => seen.push(a), 10, 'early'); clearTimeout(setTimeout(() => seen.push('never'), 5));
    await new Promise((done) => { const id = setInterval(() => { if (++ticks === 3) { clearInterval(id); done(); } }, 7); });
    await new Promise((done) => queueMicrotask(done)); seen`;
  assert.deepEqual(await value(snippet(code)), ['early', 'late']);
});

test('the globals are ECMAScript, console, timers and a few that cost nothing', async () => {
  const code = `const bytes = new TextEncoder().encode('zażółć 😀');
    const copy = structuredClone({ d: new Date(5), m: new Map([[1, { a: 1 }]]), list: [1] });
    [bytes.length, new TextDecoder().decode(bytes), new TextDecoder().decode(new Uint8Array([0xe2, 0x82, 0x41, 0xff])),
     copy.d.getTime(), copy.m.get(1).a, copy.list, atob(btoa('x')), Object.groupBy([1, 2], (n) => n % 2 ? 'odd' : 'even').odd,
     ['process', 'require', 'fetch', 'Buffer', 'WebAssembly', 'Deno', 'std', 'os', 'navigator', 'print', 'scriptArgs'].filter((name) => name in globalThis)]`;
  assert.deepEqual(await value(snippet(code)), [15, 'zażółć 😀', '\ufffdA\ufffd', 5, 1, [1], 'x', [1], []]);
});
