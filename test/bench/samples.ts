import { slugify as plain } from '../fixtures/slugify.ts';

/** What the published tools of the bench do. */

const SLUG = `({ title }) => {
  if (!title.trim()) throw new Error('title is empty');
  return { slug: title.toLowerCase().normalize('NFKD').replace(/[\\u0300-\\u036f]/g, '').replace(/ł/g, 'l').replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '') };
}`;

/** The same function, as an expression for other engines to run. */
export const slugFunction = SLUG;

/** The tests' own tool, with code that does a little more and can run elsewhere too. */
export const slugify = { ...plain, code: `export default ${SLUG};` };

const counted = {
  input_schema: {
    type: 'object',
    properties: { n: { type: 'number', description: 'how often' } },
    required: ['n'],
  },
  output_schema: { type: 'object', properties: { done: { type: 'number' } }, required: ['done'] },
  tests: [
    { name: 'few', input: { n: 3 }, output: { done: 3 } },
    { name: 'more', input: { n: 8 }, output: { done: 8 } },
    { name: 'none', input: { n: 0 }, output: { done: 0 } },
  ],
};

/** Called with a large number it never ends by itself. */
export const spin = {
  ...counted,
  name: 'spin',
  description: 'Counts up to a number.',
  code: 'export default ({ n }) => { let done = 0; while (done < n) done++; return { done }; };',
};

/** Called with a large number it prints, hoards and throws away until it is ended. */
export const flood = {
  ...counted,
  name: 'flood',
  description: 'Prints a line as often as asked.',
  code: `export default ({ n }) => {
  let done = 0;
  let kept = [];
  for (; done < n; done++) {
    console.log('line', done, 'x'.repeat(500));
    kept.push('y'.repeat(1000) + done);
    if (kept.length > 500) kept = [];
  }
  return { done };
};`,
};
