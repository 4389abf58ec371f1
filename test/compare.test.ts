import assert from 'node:assert/strict';
import { test } from 'node:test';
import { difference, passingStub } from '../servers/sandbox/gates/compare.ts';

test('differences name the place and both values', () => {
  assert.equal(difference({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }), undefined);
  assert.equal(difference({ b: 1, a: 2 }, { a: 2, b: 1 }), undefined, 'the order of keys does not count');
  assert.equal(difference({ a: [1, { b: 2 }] }, { a: [1, { b: 3 }] }), 'output.a[1].b is 3, expected 2');
  assert.equal(difference({ a: 1 }, {}), 'output.a is missing; expected 1');
  assert.equal(difference({}, { a: 1 }), 'output.a is 1, but is not expected at all');
  assert.match(difference([1, 2], [1]) ?? '', /has 1 elements, expected 2/);
  assert.match(difference(null, undefined) ?? '', /is nothing, expected null/);
  assert.equal(difference(0, -0), undefined);
  assert.match(difference('1', 1) ?? '', /is 1, expected "1"/);
  assert.match(difference({ __proto__: null, a: 1 }, JSON.parse('{"__proto__":{"a":1}}')) ?? '', /missing/);
});

const returns = (name: string, input: unknown, output: unknown) => ({ name, input, output });

test('tests that a stub passes are found', () => {
  assert.match(passingStub([returns('a', { x: 1 }, { y: 1 })]) ?? '', /always returns \{"y":1\}/);
  assert.match(passingStub([returns('a', { x: 1 }, 5), returns('b', { x: 2 }, 5)]) ?? '', /always returns 5/);
  assert.match(
    passingStub([returns('a', { x: 1 }, { x: 1 }), returns('b', { x: 2 }, { x: 2 })]) ?? '',
    /its input unchanged/,
  );
  assert.match(passingStub([{ name: 'a', input: {}, error: 'no' }]) ?? '', /always throws/);
});

test('varied tests are not', () => {
  assert.equal(passingStub([returns('a', 1, 1), returns('b', 2, 4)]), undefined);
  assert.equal(passingStub([returns('a', 1, true), { name: 'b', input: 2, error: 'no' }]), undefined);
});
