import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ToolSearch } from '../servers/sandbox/search.ts';

const search = new ToolSearch();
const tools = [
  {
    name: 'slugify',
    description: 'Turns a title into a URL slug.',
    details: 'title the title; polish, empty',
  },
  { name: 'iban_check', description: 'Validates an IBAN and says which digit is wrong.', details: 'iban' },
  { name: 'csv_to_json', description: 'Parses CSV text into rows of objects.', details: 'text delimiter' },
  { name: 'iso_week', description: 'Gives the ISO week of a calendar date.', details: 'date' },
  { name: 'median', description: 'The middle value of a list of numbers.', details: 'values' },
];
search.load(tools, () => tools.map((tool) => ({ ...tool, weight: 1 })));

for (const [query, name] of [
  ['make a permalink out of headlines', 'slugify'],
  ['is this bank account number correct (IBAN)?', 'iban_check'],
  ['read a spreadsheet export', 'csv_to_json'],
  ['which week of the year is a day in', 'iso_week'],
  ['slugfy titles', 'slugify'],
  ['average-like statistics of numbers', 'median'],
] as const) {
  test(`"${query}" finds ${name}`, async () => {
    assert.equal((await search.find(query, 3))[0]?.name, name);
  });
}

test('nothing is found for what no tool does', async () => {
  assert.deepEqual(await search.find('zzz qqq', 3), []);
});
