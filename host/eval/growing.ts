import type { Prepared, Task } from './task.ts';

const text = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] };
const only = (name: string, type: string) => {
  return { type: 'object', properties: { [name]: { type } }, required: [name], additionalProperties: false };
};

const slug: Prepared = {
  name: 'slugify',
  description: 'Makes a URL slug of a title: lower case words with dashes between them.',
  input_schema: text,
  output_schema: only('slug', 'string'),
  code: `export default ({ text }) => {
  return { slug: text.toLowerCase().split(/[^a-z0-9]+/).filter((word) => word !== '').join('-') };
};`,
  tests: [
    { name: 'two words', input: { text: 'Hello World' }, output: { slug: 'hello-world' } },
    { name: 'signs', input: { text: '  Go -- now! ' }, output: { slug: 'go-now' } },
  ],
};

const wordCount: Prepared = {
  name: 'word_count',
  description: 'Counts the words of a text.',
  input_schema: text,
  output_schema: only('words', 'integer'),
  code: `export default ({ text }) => {
  return { words: text.split(' ').filter((word) => word !== '').length };
};`,
  tests: [
    { name: 'three', input: { text: 'one two three' }, output: { words: 3 } },
    { name: 'none', input: { text: '' }, output: { words: 0 } },
  ],
};

const checksum: Prepared = {
  name: 'pallet_code',
  description: 'Makes the code of a pallet from its number: the house checksum letter is put behind it.',
  input_schema: { type: 'object', properties: { number: { type: 'integer' } }, required: ['number'] },
  output_schema: only('code', 'string'),
  code: `export default ({ number }) => {
  let sum = 7;
  for (const digit of String(Math.abs(number))) sum = (sum * 31 + Number(digit)) % 23;
  return { code: number + '-' + 'TRWAGMYFPDXBNJZSQVHLCKE'[sum] };
};`,
  tests: [
    { name: 'one digit', input: { number: 5 }, output: { code: '5-S' } },
    { name: 'four digits', input: { number: 4821 }, output: { code: '4821-S' } },
  ],
};

const postage: Prepared = {
  name: 'postage_cents',
  description: 'The postage of a parcel in cents, by the tariff of the house, from its weight in grams.',
  input_schema: { type: 'object', properties: { grams: { type: 'integer' } }, required: ['grams'] },
  output_schema: only('cents', 'integer'),
  code: `export default ({ grams }) => {
  return { cents: 389 + Math.ceil(grams / 250) * 47 };
};`,
  tests: [
    { name: 'light', input: { grams: 100 }, output: { cents: 436 } },
    { name: 'heavy', input: { grams: 1100 }, output: { cents: 624 } },
  ],
};

/** A published tool is changed: what it did before must still hold. */
export const improveTasks: Task[] = [
  {
    id: 'improve-slug',
    kind: 'improve',
    request:
      'Improve the tool slugify: accented letters should lose their accents (é becomes e) instead of splitting the word. Then make the new version live.',
    prepared: slug,
    hidden: [
      { input: { text: 'Café Society' }, output: { slug: 'cafe-society' } },
      { input: { text: 'Hello World' }, output: { slug: 'hello-world' } },
      { input: { text: 'Über uns' }, output: { slug: 'uber-uns' } },
    ],
  },
  {
    id: 'improve-words',
    kind: 'improve',
    request:
      'The tool word_count is wrong when words stand on lines of their own or have tabs between them. Mend it and publish it.',
    prepared: wordCount,
    hidden: [
      { input: { text: 'one\ntwo\tthree' }, output: { words: 3 } },
      { input: { text: 'a b  c' }, output: { words: 3 } },
      { input: { text: '' }, output: { words: 0 } },
    ],
  },
];

/** A published tool does it already: it is used, and none is forged. */
export const reuseTasks: Task[] = [
  {
    id: 'reuse-pallet',
    kind: 'reuse',
    request: 'Which code does the pallet with the number 90177 get?',
    prepared: checksum,
    calls: [{ tool: 'forged_pallet_code' }],
    says: ['90177-g'],
  },
  {
    id: 'reuse-postage',
    kind: 'reuse',
    request: 'How many cents of postage does a parcel of 1830 grams cost with us?',
    prepared: postage,
    calls: [{ tool: 'forged_postage_cents' }],
    says: [['765', '7.65']],
  },
];
