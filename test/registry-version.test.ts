import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bumpBetween, byVersion, raised } from '../servers/sandbox/registry/version.ts';

const title = { type: 'string' };
const contract = (input: object, output?: object) => ({
  input_schema: { type: 'object', ...input },
  ...(output && { output_schema: { type: 'object', ...output } }),
});

test('a version raises the number that its change deserves', () => {
  const base = contract({ properties: { title }, required: ['title'] });
  const raisedBy = (input: object, output?: object) => bumpBetween(base, contract(input, output));
  const same = { properties: { title }, required: ['title'] };
  assert.equal(raisedBy(same), 'patch');
  assert.equal(
    raisedBy({ ...same, properties: { title: { ...title, description: 'what it is called' } } }),
    'patch',
  );
  assert.equal(
    raisedBy({ ...same, properties: { title, max: { type: 'number' } } }),
    'minor',
    'a new optional input',
  );
  assert.equal(raisedBy({ properties: { title } }), 'minor', 'an input that is no longer required');
  assert.equal(raisedBy({ ...same, properties: { title: { type: ['string', 'null'] } } }), 'minor');
  assert.equal(
    raisedBy({ properties: { title, max: title }, required: ['title', 'max'] }),
    'major',
    'a new required one',
  );
  assert.equal(raisedBy({ properties: { name: title }, required: ['name'] }), 'major', 'renamed');
  assert.equal(raisedBy({ ...same, properties: { title: { ...title, maxLength: 5 } } }), 'major', 'narrower');
  assert.equal(raisedBy({ ...same, additionalProperties: false }), 'major', 'closed');
  assert.equal(
    raisedBy({ ...same, properties: { title: { ...title, pattern: '^a' } } }),
    'major',
    'cannot tell',
  );
  assert.equal(raisedBy(same, { properties: { slug: title } }), 'major', 'another output');
  const slug = { properties: { slug: title }, required: ['slug'] };
  const was = contract(same, slug);
  const also = { properties: { slug: title, length: { type: 'integer' } }, required: ['slug', 'length'] };
  assert.equal(bumpBetween(was, contract(same, also)), 'patch', 'an output that says more');
  assert.equal(
    bumpBetween(was, contract(same, { properties: { slug: title } })),
    'major',
    'it may be missing now',
  );
  const kinds = (values: string[]) => contract({ properties: { kind: { enum: values } } });
  assert.equal(bumpBetween(kinds(['a']), kinds(['a', 'b'])), 'minor');
  assert.equal(bumpBetween(kinds(['a', 'b']), kinds(['a'])), 'major');
  const items = (type: string) => contract({ properties: { list: { type: 'array', items: { type } } } });
  assert.equal(bumpBetween(items('integer'), items('number')), 'minor');
  assert.equal(bumpBetween(items('number'), items('integer')), 'major');
  assert.deepEqual(['1.10.0', '1.9.1', '1.9.0'].toSorted(byVersion), ['1.9.0', '1.9.1', '1.10.0']);
  assert.deepEqual(
    [raised('1.2.3', 'major'), raised('1.2.3', 'minor'), raised('1.2.3', 'patch')],
    ['2.0.0', '1.3.0', '1.2.4'],
  );
});
