import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flatten } from '../host/turn/flatten.ts';

const one = (schema: object) => flatten({ type: 'object', properties: { a: schema } })['properties'];

test('references are put in place, also nested ones', () => {
  const flat = flatten({
    type: 'object',
    properties: { who: { $ref: '#/$defs/person', description: 'the author' } },
    $defs: {
      person: { type: 'object', properties: { name: { $ref: '#/$defs/name' } } },
      name: { type: 'string' },
    },
  });
  assert.deepEqual(flat, {
    type: 'object',
    properties: {
      who: { type: 'object', properties: { name: { type: 'string' } }, description: 'the author' },
    },
  });
});

test('null is dropped: the argument may be left out', () => {
  assert.deepEqual(one({ anyOf: [{ type: 'string' }, { type: 'null' }], default: null, description: 'd' }), {
    a: { type: 'string', description: 'd' },
  });
  assert.deepEqual(one({ type: ['integer', 'null'] }), { a: { type: 'integer' } });
  assert.deepEqual(one({ type: 'string', enum: ['x', null] }), { a: { type: 'string', enum: ['x'] } });
});

test('constants become one enum, objects one with the fields of all', () => {
  assert.deepEqual(
    one({
      oneOf: [
        { const: 'up', type: 'string' },
        { const: 'down', type: 'string' },
      ],
    }),
    {
      a: { type: 'string', enum: ['up', 'down'] },
    },
  );
  const kinds = {
    anyOf: [
      { type: 'object', properties: { x: { type: 'number' } }, required: ['x'] },
      { type: 'object', properties: { y: { type: 'string' } } },
    ],
  };
  assert.deepEqual(one(kinds), {
    a: { type: 'object', properties: { x: { type: 'number' }, y: { type: 'string' } } },
  });
  assert.deepEqual(one({ anyOf: [{ type: 'string' }, { type: 'number' }] }), {
    a: { type: ['string', 'number'] },
  });
});

test('allOf is joined, with what each part requires', () => {
  const flat = flatten({
    allOf: [
      { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] },
      { properties: { b: { type: 'number' } }, required: ['b'] },
    ],
  });
  assert.deepEqual(flat['required'], ['a', 'b']);
  assert.deepEqual(Object.keys(Object(flat['properties'])), ['a', 'b']);
});

test('a schema that refers to itself, a bad reference and a bomb end', () => {
  const tree = { type: 'object', properties: { child: { $ref: '#' } } };
  assert.ok(JSON.stringify(flatten(tree)).length < 2_000);
  assert.deepEqual(one({ $ref: '#/$defs/%zz' }), { a: { type: 'object' } });
  const names = Array.from({ length: 12 }, (_one, at) => `p${at}`);
  const bomb = {
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, { $ref: '#/$defs/x' }])),
  };
  const started = performance.now();
  flatten({
    ...bomb,
    $defs: {
      x: { type: 'object', properties: Object.fromEntries(names.map((name) => [name, { $ref: '#' }])) },
    },
  });
  assert.ok(performance.now() - started < 500);
});

test('what templates do not keep is not sent', () => {
  const flat = flatten({
    $schema: 'x',
    type: 'object',
    additionalProperties: false,
    title: 't',
    properties: { a: { type: 'string', format: 'uri', pattern: '^x', title: 'A' } },
  });
  assert.deepEqual(flat, { type: 'object', properties: { a: { type: 'string' } } });
});
