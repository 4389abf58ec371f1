import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkSchema, validate } from '../servers/sandbox/runner/schema.ts';

const object = (properties: unknown, rest: Record<string, unknown> = {}) => ({
  type: 'object',
  properties,
  ...rest,
});

describe('a schema is refused with what to do', () => {
  const deep = (n: number): unknown => (n === 0 ? { type: 'string' } : { type: 'array', items: deep(n - 1) });
  const cases: [string, unknown, RegExp][] = [
    ['no object', 'string', /^in must be a JSON Schema object, such as \{"type": "object"/],
    ['an array', [], /^in must be a JSON Schema object/],
    [
      'a root of another type',
      { type: 'array', items: {} },
      /^in\.type must be "object": tools take and give objects; put other values into a property\.$/,
    ],
    ['a root without a type', { properties: {} }, /^in\.type must be "object"/],
    ['several root types', { type: ['object', 'null'] }, /^in\.type must be "object"/],
    [
      'an external reference',
      object({ a: { $ref: 'https://example.org/a.json' } }),
      /^in\.properties\.a\.\$ref refers to "https:\/\/example\.org\/a\.json", outside this schema; copy it under \$defs/,
    ],
    ['a file reference', object({ a: { $ref: 'other.json#/x' } }), /outside this schema/],
    [
      'a missing reference',
      object({ a: { $ref: '#/$defs/a' } }),
      /\$ref refers to #\/\$defs\/a, which is not there; add it under \$defs/,
    ],
    [
      'a reference into no schema',
      object({ a: { enum: [{ type: 'string' }] }, b: { $ref: '#/properties/a/enum/0' } }),
      /not there/,
    ],
    [
      'a reference to itself',
      object(
        { a: { $ref: '#/$defs/a' } },
        { $defs: { a: { allOf: [{ $ref: '#/$defs/b' }] }, b: { $ref: '#/$defs/a' } } },
      ),
      /leads back to itself for ever/,
    ],
    ['the root in itself', object({}, { anyOf: [{ $ref: '#' }] }), /leads back to itself/],
    ['a dynamic reference', object({ a: { $dynamicRef: '#a' } }), /\$dynamicRef is not supported: use \$ref/],
    ['an identifier', object({}, { $id: 'https://example.org/x' }), /\$id is not supported: leave it out/],
    [
      'another draft',
      object({}, { $schema: 'http://json-schema.org/draft-07/schema#' }),
      /\$schema must be left out, or be https/,
    ],
    [
      'a misspelt keyword',
      object({}, { propertes: {} }),
      /^in\.propertes is no keyword of JSON Schema 2020-12; leave it out, or put a property of that name under properties\.$/,
    ],
    [
      'properties at the root',
      { type: 'object', title: { type: 'string' } },
      /^in\.title must be a string; a property of that name goes under properties\.$/,
    ],
    [
      'an unknown type',
      object({ a: { type: 'text' } }),
      /^in\.properties\.a\.type must be one of string, number, integer/,
    ],
    ['a type twice', object({ a: { type: ['string', 'string'] } }), /names a type twice/],
    ['properties as a list', object(['a']), /^in\.properties must be an object whose values are schemas/],
    [
      'a property that is no schema',
      object({ a: 'string' }),
      /^in\.properties\.a must be a schema: an object, or true or false/,
    ],
    [
      'required on a property',
      object({ a: { type: 'string', required: true } }),
      /required belongs on the object that holds the property: an array of names/,
    ],
    ['required of numbers', object({}, { required: [1] }), /required must be an array of property names/],
    ['required twice', object({ a: {} }, { required: ['a', 'a'] }), /has a name twice/],
    [
      'a required name that is not there',
      object({ title: {} }, { required: ['titel'], additionalProperties: false }),
      /names "titel", which properties does not have and additionalProperties forbids/,
    ],
    [
      'a list of items',
      object({ a: { type: 'array', items: [{ type: 'string' }] } }),
      /^in\.properties\.a\.items must be one schema for all items; for a schema each use prefixItems/,
    ],
    ['an empty enum', object({ a: { enum: [] } }), /enum must be an array of at least one value/],
    ['an enum of text', object({ a: { enum: 'a|b' } }), /enum must be an array/],
    ['no alternatives', object({ a: { anyOf: [] } }), /anyOf must be an array of at least one schema/],
    ['a bound in quotes', object({ a: { minimum: '1' } }), /minimum must be a number/],
    [
      'the bounds of draft 4',
      object({ a: { minimum: 1, exclusiveMinimum: true } }),
      /exclusiveMinimum must be a number/,
    ],
    ['a negative length', object({ a: { minLength: -1 } }), /minLength must be a whole number, 0 or more/],
    ['a fraction of an item', object({ a: { maxItems: 1.5 } }), /maxItems must be a whole number/],
    ['multiples of nothing', object({ a: { multipleOf: 0 } }), /multipleOf must be a number above 0/],
    [
      'bounds the wrong way round',
      object({ a: { minLength: 5, maxLength: 2 } }),
      /minLength is above maxLength: no value can pass/,
    ],
    [
      'OpenAPI words',
      object({ a: { type: 'string', nullable: true } }),
      /nullable is not supported: use a type such as \["string", "null"\]/,
    ],
    [
      'a pattern that does not compile',
      object({ a: { pattern: '[' } }),
      /^in\.properties\.a\.pattern does not compile: /,
    ],
    [
      'a pattern only for loose regular expressions',
      object({ a: { pattern: '[\\w-.]' } }),
      /does not compile: .*escape only what needs it/,
    ],
    [
      'a catastrophic pattern',
      object({ a: { type: 'string', pattern: '^(a+)+$' } }),
      /^in\.properties\.a\.pattern can take exponential time, because a repeat inside a repeat can split the same text in many ways/,
    ],
    [
      'a catastrophic name',
      object({}, { patternProperties: { '^(a|a)*$': {} } }),
      /patternProperties\["\^\(a\|a\)\*\$"\] can take exponential time/,
    ],
    ['nesting', object({ a: deep(40) }), /is nested more than 32 deep; use \$defs and \$ref/],
    ['size', object({ a: { enum: ['x'.repeat(70_000)] } }), /^in is 70\d+ characters; keep it under 65536/],
    [
      'a property of prototypes',
      JSON.parse('{"type":"object","properties":{"__proto__":{}}}'),
      /must not use the name __proto__/,
    ],
  ];
  for (const [name, schema, expected] of cases)
    test(name, () => assert.match(checkSchema(schema, 'in').join(' '), expected));

  test('a cycle, and many faults at once', () => {
    const cyclic: Record<string, unknown> = { type: 'object' };
    cyclic['default'] = cyclic;
    assert.match(checkSchema(cyclic, 'in').join(), /must be JSON, without cycles/);
    const many = object(Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`p${i}`, { type: 'no' }])));
    assert.equal(checkSchema(many, 'in').length, 10);
  });
});

test('schemas that models write pass', () => {
  const good: unknown[] = [
    { type: 'object' },
    object(
      { title: { type: 'string', description: 'the title', minLength: 1, format: 'email' } },
      { required: ['title'], additionalProperties: false },
    ),
    object({
      id: {},
      type: { const: null },
      properties: { type: 'boolean' },
      required: true,
      $ref: { type: 'string' },
    }),
    object(
      { tree: { $ref: '#/$defs/node' } },
      {
        $defs: {
          node: object({ next: { $ref: '#/$defs/node' }, all: { type: 'array', items: { $ref: '#' } } }),
        },
      },
    ),
    object(
      { a: { $ref: '#point' } },
      {
        $defs: {
          p: {
            $anchor: 'point',
            type: 'array',
            prefixItems: [{ type: 'number' }, { type: 'number' }],
            items: false,
          },
        },
      },
    ),
    object(
      { a: { oneOf: [{ type: 'string' }, { type: 'null' }], default: null, examples: ['x'] } },
      { $schema: 'https://json-schema.org/draft/2020-12/schema', dependentRequired: { a: ['b'] } },
    ),
    object(
      { a: { type: ['integer', 'null'], minimum: 0, exclusiveMaximum: 10, multipleOf: 0.5, 'x-order': 1 } },
      { patternProperties: { '^x-': true }, propertyNames: { maxLength: 10 } },
    ),
    JSON.parse(
      '{"type":"object","if":{"minProperties":1},"then":{"maxProperties":2},"else":{"not":{"required":["a"]}}}',
    ),
  ];
  for (const schema of good) {
    assert.deepEqual(checkSchema(schema, 'in'), [], JSON.stringify(schema));
    assert.doesNotThrow(() => validate(Object.freeze(schema), { a: 1 }));
  }
});

test('values: at most five short messages, each with its path', () => {
  const schema = object(
    {
      title: { type: 'string', minLength: 2, pattern: '^[A-Z]' },
      n: { type: ['integer', 'null'], minimum: 1 },
      kind: { enum: ['a', 'b'] },
      fixed: { const: { a: 1 } },
      items: {
        type: 'array',
        maxItems: 3,
        uniqueItems: true,
        items: object({ 'the price': { type: 'number', exclusiveMinimum: 0 } }, { required: ['the price'] }),
      },
      choice: { anyOf: [{ type: 'string' }, object({ deep: { type: 'number' } })] },
      one: { oneOf: [{ type: 'number' }, { minimum: 0 }] },
      mail: { format: 'email' },
    },
    { required: ['title'], additionalProperties: false, dependentRequired: { kind: ['n'] } },
  );
  const cases: [unknown, string[]][] = [
    [{ title: 'Ok' }, []],
    [{ title: 1 }, ['input.title: must be a string']],
    [{}, ['input: needs the property "title"']],
    ['text', ['input: must be an object']],
    [{ title: 'Ok', n: 1.5 }, ['input.n: must be an integer or null']],
    [{ title: 'Ok', n: 0 }, ['input.n: must be at least 1']],
    [{ title: 'ok' }, ['input.title: does not match the pattern']],
    [{ title: 'Ok', kind: 'c', n: 1 }, ['input.kind: must be one of "a","b"']],
    [{ title: 'Ok', kind: 'a' }, ['input: with "kind" it also needs "n"']],
    [{ title: 'Ok', fixed: {} }, ['input.fixed: must be {"a":1}']],
    [
      { title: 'Ok', items: [{ 'the price': 1 }, { 'the price': 0 }, {}] },
      ['input.items[1]["the price"]: must be more than 0', 'input.items[2]: needs the property "the price"'],
    ],
    [{ title: 'Ok', choice: { deep: 'x' } }, ['input.choice: matches none of the alternatives']],
    [{ title: 'Ok', one: 3 }, ['input.one: must match exactly one of the alternatives, and matches 2']],
    [{ title: 'Ok', mail: 'no' }, ['input.mail: must be in the format email']],
    [{ title: 'Ok', extra: 1 }, ['input.extra: is not allowed here']],
  ];
  for (const [value, expected] of cases) assert.deepEqual(validate(schema, value), expected);
  assert.equal(
    validate(object({ a: { items: { type: 'string' } } }), { a: [1, 2, 3, 4, 5, 6, 7] }).length,
    5,
  );
  assert.deepEqual(validate(object({ a: { type: 'string' } }), { a: 1 }, 'output'), [
    'output.a: must be a string',
  ]);
  const huge = { a: Array.from({ length: 3e5 }, () => 1) };
  assert.ok(
    validate(object({ a: { items: { type: 'string' } } }), huge)[0]?.startsWith(
      'input.a[0]: must be a string',
    ),
  );
});
