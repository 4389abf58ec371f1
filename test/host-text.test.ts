import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fitArguments } from '../host/turn/arguments.ts';
import { clean, displayWidth, duration, fit, nearest, repeats, wrap } from '../host/terminal/text.ts';
import { cpuClock } from './pace.ts';

test('foreign text cannot steer the terminal, nor hide', () => {
  assert.equal(clean('a\u001b[2Jb\u001b]0;title\u0007c\u0007\u0000d\re\r\nf\tg'), 'abcd\ne\nf\tg');
  assert.equal(clean('if (x\u202e) y\u200b'), String.raw`if (x\u202e) y\u200b`);
  assert.equal(clean('zażółć 日本語 👩‍👧'), 'zażółć 日本語 👩‍👧');
});

test('widths are columns, not characters', () => {
  const widths = {
    abc: 3,
    zażółć: 6,
    'e\u0301': 1,
    日本: 4,
    '👍': 2,
    '👩‍👧': 2,
    '✓': 1,
    '': 0,
    한글: 4,
    ｆ: 2,
  };
  for (const [text, width] of Object.entries(widths)) assert.equal(displayWidth(text), width, text);
});

test('fit puts a text on one line of a width', () => {
  assert.equal(fit('a\n b\t c', 10), 'a b c');
  assert.equal(fit('abcdefghij', 5), 'abcd…');
  assert.equal(fit('日本語日本語', 6), '日本…');
  for (let width = 2; width < 12; width++) assert.ok(displayWidth(fit('zażółć 日本語 👍 x', width)) <= width);
});

test('wrap breaks at words, and words that are too long', () => {
  assert.deepEqual(wrap('one two three four five six', 20), ['one two three four', 'five six']);
  assert.deepEqual(wrap('x'.repeat(45), 20), ['x'.repeat(20), 'x'.repeat(20), 'x'.repeat(5)]);
  assert.deepEqual(wrap('a\n\n  b', 20), ['a', '', '  b']);
  for (const line of wrap('Zażółć gęślą jaźń 日本語日本語日本語 👍👍👍👍 '.repeat(5), 23))
    assert.ok(displayWidth(line) <= 23);
});

test('the nearest names come first', () => {
  const tools = ['sandbox_run_code', 'sandbox_run_tool', 'forged_slugify', 'sandbox_list_tools'];
  assert.equal(nearest('sandbox_runcode', tools)[0], 'sandbox_run_code');
  assert.equal(nearest('slugify', tools)[0], 'forged_slugify');
  assert.equal(nearest('run_code', tools)[0], 'sandbox_run_code');
  assert.deepEqual(nearest('qqq', tools), []);
  assert.deepEqual(nearest('doctr', ['run', 'doctor', 'log']), ['doctor']);
});

test('a text that goes in circles is known as such', () => {
  assert.ok(repeats(`So: ${'I call the tool again.\n'.repeat(30)}`));
  assert.ok(repeats('0'.repeat(400)));
  assert.ok(!repeats('I call the tool again.\n'.repeat(10)));
  assert.ok(!repeats(Array.from({ length: 200 }, (_, n) => `row ${n}: ${n * n}`).join('\n')));
});

test('durations read well', () => {
  assert.deepEqual([0.42, 42.4, 4242, 83_000].map(duration), ['0.4 ms', '42 ms', '4.2 s', '1 min 23 s']);
});

const schema = {
  type: 'object',
  properties: {
    code: { type: 'string' },
    n: { type: 'integer', minimum: 1 },
    on: { type: 'boolean' },
    list: { type: 'array', items: { type: 'number' } },
    deep: { type: 'object', properties: { a: { type: 'number' } }, required: ['a'] },
    kind: { enum: ['x', 'y'] },
    maybe: { type: ['string', 'null'] },
    slow: { type: 'string', pattern: '^(a+)+$' },
  },
  required: ['code'],
  additionalProperties: false,
};

test('arguments that leave no doubt are mended', () => {
  const raw = { code: 7, n: ' 12 ', on: 'True', list: '3', deep: '{"a":"4"}', kind: null, maybe: null };
  assert.deepEqual(fitArguments(schema, raw), {
    ok: true,
    value: { code: '7', n: 12, on: true, list: [3], deep: { a: 4 }, maybe: null },
  });
  assert.deepEqual(fitArguments(schema, { code: '', list: '[1, "2"]' }), {
    ok: true,
    value: { code: '', list: [1, 2] },
  });
});

test('what stays wrong is told in the schema’s words, with the arguments there are', () => {
  const faults: [Record<string, unknown>, RegExp][] = [
    [{}, /required property "code".*Arguments: code, n, on/],
    [{ code: '', n: 'many' }, /`n`: Instance type "string" is invalid. Expected "integer"/],
    [{ code: '', n: 0 }, /`n`: 0 is less than 1/],
    [{ code: '', n: '99999999999999999999' }, /`n`/],
    [{ code: '', kind: 'z' }, /`kind`: .*\["x","y"\]/],
    [{ code: '', deep: {} }, /`deep`: .*"a"/],
    [{ code: '', cdoe: 1 }, /`cdoe`: no such argument/],
  ];
  for (const [raw, words] of faults) {
    const fitted = fitArguments(schema, raw);
    assert.ok(!fitted.ok, JSON.stringify(raw));
    assert.match(fitted.fault, words);
  }
});

test('names that a pattern allows are left to the server', () => {
  const headers = {
    type: 'object',
    properties: { n: { type: 'integer' } },
    patternProperties: { '^x-': { type: 'string' } },
  };
  const tight = { ...headers, additionalProperties: false };
  const outer = { type: 'object', allOf: [headers], unevaluatedProperties: false };
  const inner = { type: 'object', properties: { headers: tight }, additionalProperties: false };
  assert.ok(fitArguments(tight, { 'x-a': 'b' }).ok);
  assert.ok(fitArguments({ ...headers, unevaluatedProperties: false }, { 'x-a': 'b' }).ok);
  assert.ok(fitArguments(outer, { 'x-a': 'b' }).ok);
  assert.ok(fitArguments(inner, { headers: { 'x-a': 'b' } }).ok);
  assert.ok(!fitArguments(inner, { 'x-a': 'b' }).ok);
  assert.ok(!fitArguments(tight, { n: 'many' }).ok);
});

test('a regular expression in a schema is not run here', () => {
  const started = cpuClock();
  assert.ok(fitArguments(schema, { code: '', slow: `${'a'.repeat(40)}!` }).ok);
  assert.ok(started() < 500);
});
