import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flatten } from '../host/turn/flatten.ts';
import { chatBody, read } from './doubles/ollama-bodies.ts';
import { cpuClock } from './pace.ts';

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
  const started = cpuClock();
  flatten({
    ...bomb,
    $defs: {
      x: { type: 'object', properties: Object.fromEntries(names.map((name) => [name, { $ref: '#' }])) },
    },
  });
  assert.ok(started() < 500);
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

test('bounds and defaults are said in words, since templates never see them', () => {
  assert.deepEqual(one({ type: 'integer', minimum: 1, maximum: 100, default: 20, description: 'a page' }), {
    a: { type: 'integer', description: 'a page (at least 1, at most 100, default 20)' },
  });
  assert.deepEqual(one({ type: 'boolean', default: false }), {
    a: { type: 'boolean', description: 'default false' },
  });
  assert.deepEqual(one({ type: 'array', default: [] }), { a: { type: 'array' } });
});

test('what is hidden in a description is not for the model alone', () => {
  assert.deepEqual(one({ type: 'string', description: 'a city\u200b\u{e0041}\u202e here' }), {
    a: { type: 'string', description: 'a city here' },
  });
});

// One property that Go cannot read makes Ollama refuse the whole request, with all the other tools in it.
const junk: Record<string, object> = {
  'boolean schemas': { properties: { a: true, b: false } },
  'types that are none': {
    properties: { a: { type: 5 }, b: { type: [1, 'string'] }, c: { type: ['null'] }, d: { type: null } },
  },
  'required that is no list': {
    required: true,
    properties: { a: { type: 'object', required: 'b', properties: 3 } },
  },
  'descriptions and enums that are none': {
    properties: { a: { description: { en: 'x' }, enum: { one: 1 } }, b: { description: null, enum: 'x' } },
  },
  'a root that may be null': { type: ['object', 'null'], properties: [] },
  'references to what is not there': {
    properties: { a: { $ref: 5 }, b: { $ref: 'https://x.example/s' }, c: { $ref: '#/$defs/n' } },
  },
  'junk in branches': { anyOf: [true, null, { type: 7 }], properties: { a: { anyOf: 'x', oneOf: [false] } } },
  'tuples and patterns': {
    properties: {
      a: { items: [{ type: 'string' }], prefixItems: [{}] },
      b: { patternProperties: { '^x': {} } },
    },
  },
  'lists of lists, a thousand deep': { properties: { a: nested('items', 1000) } },
  'objects, a thousand deep': { properties: { a: nested('x', 1000) } },
  'all of all of all': { allOf: [nested('allOf', 300)] },
};

function nested(kind: string, depth: number): object {
  let schema: object = { type: 'string' };
  for (let n = 0; n < depth; n++) {
    if (kind === 'items') schema = { type: 'array', items: schema };
    else if (kind === 'allOf') schema = { allOf: [schema] };
    else schema = { type: 'object', properties: { [kind]: schema } };
  }
  return schema;
}

for (const [what, schema] of Object.entries(junk)) {
  test(`Ollama can read what becomes of ${what}`, () => {
    const parameters = flatten({ ...schema });
    const body = { tools: [{ type: 'function', function: { name: 'f', description: '', parameters } }] };
    assert.doesNotThrow(() => read(chatBody, JSON.stringify(body)), JSON.stringify(parameters).slice(0, 600));
    assert.equal(parameters['type'], 'object');
    assert.ok(JSON.stringify(parameters).length < 2_000);
  });
}
