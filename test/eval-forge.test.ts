import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sameResult } from '../host/eval/task.ts';
import { doing, run, sandboxed } from './eval-kit.ts';
import { REFERENCES } from './fixtures/eval-references.ts';

const oneOfEach = (['forge', 'improve', 'reuse'] as const).flatMap(
  (kind) => sandboxed.find((task) => task.kind === kind) ?? [],
);

const saved = (name: string, reference: (typeof REFERENCES)[string]) => [
  { tool: 'sandbox_save_tool', arguments: { name, ...reference } },
  { tool: 'sandbox_test_tool', arguments: { name } },
];
const published = (name: string) => ({ tool: 'sandbox_publish_tool', arguments: { name } });

test('a model that says it forged, improved or used a tool passes none of these', async () => {
  const faults = await Promise.all(oneOfEach.map((task) => run(task, [{ answer: 'Done: 90177-G.' }])));
  assert.match(faults[0]?.fault ?? '', /No tool was forged/);
  assert.match(faults[1]?.fault ?? '', /No new version of slugify is live/);
  assert.match(faults[2]?.fault ?? '', /forged_pallet_code was not called/);
});

test('what the forged tools are tried with is right: the reference of each task gives it', async () => {
  for (const { id, hidden = [] } of sandboxed.filter((one) => one.kind !== 'reuse')) {
    const { code } = REFERENCES[id] ?? assert.fail(id);
    const module = await import(`data:text/javascript,${encodeURIComponent(code)}`);
    assert.ok(hidden.length >= 3, id);
    for (const { input, output } of hidden) {
      assert.ok(sameResult(module.default(input), output), `${id}: ${JSON.stringify(input)}`);
    }
  }
});

test('tools that are right pass, saved, tested and published', async () => {
  for (const task of oneOfEach.filter((one) => one.kind !== 'reuse')) {
    const reference = REFERENCES[task.id] ?? assert.fail(task.id);
    const name = task.prepared?.name ?? task.id.replace('-', '_');
    // What was approved need not be published when only a tool was asked for.
    const calls = [...saved(name, reference), ...(task.prepared ? [published(name)] : [])];
    const done = await run(task, doing(calls, 'Made.'));
    assert.equal(done.fault, undefined, task.id);
    assert.equal(done.calls.length, calls.length);
  }
});

test('a forged tool that is wrong on inputs it was not told of fails, as does a draft that passes no gate', async () => {
  const task = sandboxed.find((one) => one.id === 'forge-vowels') ?? assert.fail();
  const right = REFERENCES['forge-vowels'] ?? assert.fail();
  const lower = { ...right, code: right.code.replace('.toLowerCase()', '') };
  const [wrong, draft] = await Promise.all([
    run(task, doing(saved('vowels', lower), 'Made.')),
    run(task, doing(saved('vowels', { ...right, code: 'export default () => ({ vowels: 0 })' }), 'Made.')),
  ]);
  assert.match(wrong.fault ?? '', /forged_vowels gives .* for \{"text":"AEIOU aeiou"\}, expected/);
  assert.match(draft.fault ?? '', /did not pass its gates/);
});

test('improve: without a new live version, or with one that forgets the old, it fails', async () => {
  const task = sandboxed.find((one) => one.id === 'improve-slug') ?? assert.fail();
  const right = REFERENCES['improve-slug'] ?? assert.fail();
  const forgets = {
    ...right,
    code: right.code.replace('.toLowerCase()', '.toLowerCase().replace(/o/g, "0")'),
    tests: [
      { name: 'a', input: { text: 'Café' }, output: { slug: 'cafe' } },
      { name: 'b', input: { text: 'Été' }, output: { slug: 'ete' } },
    ],
  };
  const [unpublished, broken] = await Promise.all([
    run(task, doing(saved('slugify', right), 'Made.')),
    run(task, doing([...saved('slugify', forgets), published('slugify')], 'Made.')),
  ]);
  assert.match(unpublished.fault ?? '', /No new version of slugify is live/);
  assert.match(broken.fault ?? '', /forged_slugify gives/);
});

test('reuse: the tool is called, none is forged, and the answer has its result', async () => {
  const task = sandboxed.find((one) => one.id === 'reuse-postage') ?? assert.fail();
  const use = { tool: 'forged_postage_cents', arguments: { grams: 1830 } };
  const vowels = REFERENCES['forge-vowels'] ?? assert.fail();
  const [right, guessed, forged] = await Promise.all([
    run(task, doing([use], 'It costs 765 cents.')),
    run(task, doing([], 'It costs 765 cents.')),
    run(task, doing([use, ...saved('another', vowels)], 'It costs 765 cents.')),
  ]);
  assert.equal(right.fault, undefined);
  assert.match(guessed.fault ?? '', /forged_postage_cents was not called/);
  assert.match(forged.fault ?? '', /another was forged, though/);
});

test('tokens of the forge count, and a call inside sandbox_execute_task is a use', async () => {
  const task = sandboxed.find((one) => one.id === 'reuse-postage') ?? assert.fail();
  const done = await run(task, [
    {
      last: ['How many cents'],
      calls: [
        {
          name: 'sandbox_execute_task',
          arguments: { task: 'postage of a parcel in cents by weight', input: { grams: 1830 } },
        },
      ],
    },
    { last: ['Which one does exactly this task'], answer: { tool: 'postage_cents' } },
    { answer: 'It is 765 cents.' },
  ]);
  assert.equal(done.fault, undefined, JSON.stringify(done.calls));
  assert.deepEqual(
    done.calls.map((call) => call.tool),
    ['sandbox_execute_task', 'forged_postage_cents'],
  );
});
