import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { compile, guessLanguage } from '../servers/sandbox/gates/compile.ts';
import { typeOf } from '../servers/sandbox/gates/contract.ts';

const input_schema = {
  type: 'object',
  properties: { n: { type: 'number' } },
  required: ['n'],
  additionalProperties: false,
};
const output_schema = { type: 'object', properties: { twice: { type: 'number' } }, required: ['twice'] };
const javascript = (code: string) => compile({ code, language: 'javascript', input_schema, output_schema });
const typescript = (code: string) => compile({ code, language: 'typescript', input_schema, output_schema });

test('JavaScript that fits its schemas has no faults and stays as it is', async () => {
  const code = 'export default ({ n }) => ({ twice: n * 2 });';
  assert.deepEqual(await javascript(code), { javascript: code, faults: [], broken: false });
});

test('TypeScript is checked and emitted as JavaScript', async () => {
  const good = await typescript(
    'export default (input: { n: number }): { twice: number } => ({ twice: input.n * 2 });',
  );
  assert.deepEqual(good.faults, []);
  assert.match(good.javascript, /export default \(input\) => \(\{ twice: input\.n \* 2 \}\)/);
  const bad = await typescript(
    'export default (input: { n: number }) => {\n  const s: string = input.n;\n  return { twice: s.length };\n};',
  );
  assert.match(bad.faults.join(), /line 2: Type 'number' is not assignable to type 'string'/);
  assert.equal(bad.broken, false);
});

test('a default export that breaks the output schema is named', async () => {
  const { faults } = await javascript('export default ({ n }) => ({ double: n * 2 });');
  assert.match(faults.join(), /default export does not fit the schemas: .*twice/);
});

test('no default export, and what to write instead', async () => {
  const found = await javascript('export const run = ({ n }) => ({ twice: n });');
  assert.match(found.faults.join(), /no default export\. End with `export default/);
  assert.equal(found.broken, true);
});

test('code that does not parse is broken, with its line', async () => {
  const found = await javascript('export default ({ n }) => {\n  return { twice: n * };\n};');
  assert.match(found.faults.join(), /line 2: /);
  assert.equal(found.broken, true);
});

test('what a tool does not have is said: modules, network, files', async () => {
  const found = await javascript(
    `import fs from 'node:fs';\nexport default async ({ n }) => ({ twice: (await fetch('http://x')).status + n });`,
  );
  assert.match(found.faults.join('\n'), /line 1: .*no modules to import/);
  assert.match(found.faults.join('\n'), /line 2: Cannot find name 'fetch'.*no network/);
});

test('types that JavaScript only guesses do not count', async () => {
  const code =
    'export default ({ n }) => { const o = {}; o.x = new Date(n) - new Date(0); return { twice: o.x }; };';
  assert.deepEqual((await javascript(code)).faults, []);
});

test('TypeScript that was saved as JavaScript is told so', async () => {
  const found = await javascript('export default (input: { n: number }) => ({ twice: input.n });');
  assert.match(found.faults.join(), /line 1: .*TypeScript files.*language "typescript"/);
  assert.equal(found.broken, true);
});

test('the compiler neither reads nor writes files that a tool names', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'kuznia-foreign-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [ts, js] = [join(folder, 'mod.ts'), join(folder, 'mod.js')];
  await writeFile(ts, 'export const KEY = "ts-private-literal" as const;');
  await writeFile(js, 'mine');
  const rest = '\nexport default () => ({ twice: 1 });';
  for (const code of [
    `import type { KEY } from ${JSON.stringify(ts)};${rest}`,
    `import { KEY } from ${JSON.stringify(ts)}; console.log(KEY);${rest}`,
    `const guess: typeof import(${JSON.stringify(js)})["KEY"] = "guess"; console.log(guess);${rest}`,
    `/// <reference path=${JSON.stringify(ts)} />${rest}`,
  ]) {
    const { faults } = await typescript(code);
    assert.ok(faults.length > 0, code);
    assert.doesNotMatch(faults.join(), /ts-private-literal/);
  }
  const jsdoc = await javascript(
    `/** @type {import(${JSON.stringify(js)}).KEY} */\nlet x = "guess"; console.log(x);${rest}`,
  );
  assert.doesNotMatch(jsdoc.faults.join(), /ts-private-literal/);
  assert.equal(await readFile(js, 'utf8'), 'mine');
  assert.deepEqual((await readdir(folder)).sort(), ['mod.js', 'mod.ts']);
});

test('comments that switch the check off are refused', async () => {
  for (const comment of ['// @ts-nocheck', '// @ts-ignore', '/* @ts-expect-error */']) {
    const { faults } = await typescript(`${comment}\nexport default () => ({ twice: nothing });`);
    assert.match(faults.join(), /line 1: `@ts-[a-z-]+` has no place in a tool/);
  }
});

test('the language of code that came without one', () => {
  assert.equal(guessLanguage('export default ({ a }) => ({ b: a ? 1 : 2, c: { d: 3 } });'), 'javascript');
  assert.equal(guessLanguage('export default (x: { a: number }): number => x.a;'), 'typescript');
  assert.equal(
    guessLanguage('export default ({ a }: { a: string }): { b: string } => ({ b: a });'),
    'typescript',
  );
  assert.equal(guessLanguage('interface A { b: string }\nexport default (a: A) => a.b;'), 'typescript');
  assert.equal(guessLanguage('export default () => "x: string, y: number";'), 'javascript');
});

test('schemas as types', () => {
  assert.equal(typeOf({ type: 'array', items: { type: ['string', 'null'] } }), '(string | null)[]');
  assert.equal(typeOf({ enum: ['a', 1, null] }), '"a" | 1 | null');
  assert.equal(typeOf({ anyOf: [{ type: 'integer' }, { const: 'x' }] }), '(number) | ("x")');
  assert.equal(typeOf({ $ref: '#/$defs/a' }), 'any');
  assert.equal(typeOf(input_schema), '{ "n": number }');
});
