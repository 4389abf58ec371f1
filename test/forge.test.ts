import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scriptedModel, type ScriptedAnswer } from '../kit/scripted.ts';
import { openSandboxServer } from './sandbox-kit.ts';

const fence = (code: string) => `\`\`\`js\n${code}\n\`\`\``;
const TASK = 'Count the vowels of a text.';
const GOOD = `export default ({ text }) => {
  if (text === '') throw new Error('text is empty');
  return { vowels: [...text.toLowerCase()].filter((letter) => 'aeiou'.includes(letter)).length };
};`;
const BAD = GOOD.replace('aeiou', 'aei');
const field = (name: string, type: string) => ({ name, type, description: `the ${name}` });
const PLAN = {
  name: 'Count Vowels',
  description: 'Counts the vowels of a text.',
  input: [field('text', 'string')],
  output: [field('vowels', 'integer')],
};
const TESTS = {
  tests: [
    { name: 'one', input: { text: 'bag' }, output: { vowels: 1 } },
    { name: 'four', input: { text: 'Good mOod' }, output: { vowels: 4 } },
  ],
  refused: [{ name: 'empty', input: { text: '' }, error: 'empty' }],
};
const planned: ScriptedAnswer = { last: ['Plan one tool', TASK], answer: PLAN };
const tested: ScriptedAnswer = { last: ['Write tests for the tool `count_vowels`'], answer: TESTS };
const written = (code: string): ScriptedAnswer => ({
  last: ['Write the tool `count_vowels`'],
  answer: fence(code),
});
const mended = (code: string): ScriptedAnswer => ({
  last: ['Mend the tool `count_vowels`', 'Problems:'],
  answer: fence(code),
});
const blamed = (wrong: 'code' | 'tests'): ScriptedAnswer => ({
  last: ['What is wrong: the code'],
  answer: { wrong },
});

test('forged at the first try: approved by policy, saved, told step by step', async () => {
  const model = scriptedModel({ answers: [planned, written(GOOD), tested] });
  const { call, value } = await openSandboxServer({ model });
  const outcome = await call('sandbox_forge_tool', { task: TASK });
  assert.equal(outcome.kind, 'value');
  const forged = outcome.kind === 'value' ? outcome.value : {};
  assert.deepEqual(
    [forged['status'], forged['name'], forged['version'], forged['rounds']],
    ['approved', 'count_vowels', '1.0.0', 1],
  );
  assert.ok(outcome.notes.includes('planning the tool') && outcome.notes.includes('round 1: tests'));
  await value('sandbox_publish_tool', { name: 'count_vowels' });
  assert.deepEqual(await value('forged_count_vowels', { text: 'aloe' }), { vowels: 3 });
});

test('a failing test goes back to the model, with input, output and what was expected', async () => {
  const model = scriptedModel({ answers: [planned, written(BAD), tested, blamed('code'), mended(GOOD)] });
  const { value } = await openSandboxServer({ model });
  const forged = await value('sandbox_forge_tool', { task: TASK });
  assert.deepEqual([forged['status'], forged['rounds']], ['approved', 2]);
  const asked = model.asked.at(-1)?.messages.at(-1)?.content ?? '';
  assert.match(asked, /test "2 four", input \{"text":"Good mOod"\}: output\.vowels is 0, expected 4/);
});

test('wrong tests are written anew, the code stays', async () => {
  const wrong = {
    ...TESTS,
    tests: [{ name: 'wrong', input: { text: 'bag' }, output: { vowels: 2 } }, ...TESTS.tests],
  };
  const model = scriptedModel({
    answers: [planned, written(GOOD), { ...tested, answer: wrong }, blamed('tests'), tested],
  });
  const { value } = await openSandboxServer({ model });
  assert.equal((await value('sandbox_forge_tool', { task: TASK }))['status'], 'approved');
});

test('examples of a person are tests that no repair may change', async () => {
  const examples = [{ input: { text: 'queue' }, output: { vowels: 4 } }];
  const model = scriptedModel({ answers: [planned, written(BAD), tested, mended(GOOD)] });
  const { value } = await openSandboxServer({ model });
  assert.equal((await value('sandbox_forge_tool', { task: TASK, examples }))['status'], 'approved');
  const shown = await value('sandbox_show_tool', { name: 'count_vowels' });
  assert.match(JSON.stringify(shown['tests']), /"name":"example 1","input":\{"text":"queue"\}/);
});

test('it gives up after its rounds, says why, and keeps the draft', async () => {
  const model = scriptedModel({ answers: [planned, written(BAD), tested, blamed('code'), mended(BAD)] });
  const { value, fault } = await openSandboxServer({ model, forge_rounds: 2 });
  const forged = await value('sandbox_forge_tool', { task: TASK });
  assert.equal(forged['status'], 'gave_up');
  assert.match(String(forged['note']), /still failing after 2 rounds: test "2 four"/);
  assert.equal((await value('sandbox_show_tool', { name: 'count_vowels' }))['status'], 'draft');
  assert.match(await fault('sandbox_publish_tool', { name: 'count_vowels' }), /gates|approved/);
});

test('where the policy wants a person, it waits for one', async () => {
  const model = scriptedModel({ answers: [planned, written(GOOD), tested] });
  const { value } = await openSandboxServer({ model, ask: 'all' });
  const forged = await value('sandbox_forge_tool', { task: TASK });
  assert.equal(forged['status'], 'waiting');
  assert.match(String(forged['next']), /kuznia approve count_vowels 1\.0\.0/);
});

test('a long forge comes back as a job that is waited on', async () => {
  const model = scriptedModel({ answers: [planned, written(GOOD), tested], paceMs: 20 });
  const { value, fault } = await openSandboxServer({ model });
  const begun = await value('sandbox_forge_tool', { task: TASK, wait_s: 0.05 });
  assert.equal(begun['status'], 'running');
  assert.equal((await value('sandbox_forge_tool', { job: begun['job'], wait_s: 40 }))['status'], 'approved');
  assert.match(await fault('sandbox_improve_tool', { job: 'zzz' }), /no job `zzz`/);
});

test('a tool that exists is never overwritten by a new one of its name', async () => {
  const again = (one: ScriptedAnswer): ScriptedAnswer => ({
    ...one,
    last: one.last?.map((text) => text.replace('`count_vowels`', '`count_vowels_v2`')),
  });
  const once = [planned, written(GOOD), tested];
  const model = scriptedModel({ answers: [...once, ...once.map(again)] });
  const { value } = await openSandboxServer({ model });
  await value('sandbox_forge_tool', { task: TASK });
  assert.equal((await value('sandbox_forge_tool', { task: TASK }))['name'], 'count_vowels_v2');
});

const changedPlan: ScriptedAnswer = {
  last: ['`count_vowels`', 'Say what it is after the change'],
  answer: PLAN,
};
const changedTests: ScriptedAnswer = {
  last: ['`count_vowels` was changed'],
  answer: {
    tests: [
      { name: 'y', input: { text: 'sky' }, output: { vowels: 1 } },
      { name: 'yy', input: { text: 'yay' }, output: { vowels: 3 } },
    ],
    refused: [],
  },
};

test('improved: old tests stay and must pass, the version goes up', async () => {
  const wider = GOOD.replace('aeiou', 'aeiouy');
  const broken = wider.replace('text is empty', 'nothing');
  const model = scriptedModel({
    answers: [
      planned,
      written(GOOD),
      tested,
      changedPlan,
      { last: ['Change the tool `count_vowels`: Count y too.'], answer: fence(broken) },
      changedTests,
      mended(wider),
    ],
  });
  const { value } = await openSandboxServer({ model });
  await value('sandbox_forge_tool', { task: TASK });
  await value('sandbox_publish_tool', { name: 'count_vowels' });
  const improved = await value('sandbox_improve_tool', {
    name: 'forged_count_vowels',
    change: 'Count y too.',
  });
  assert.deepEqual([improved['status'], improved['version'], improved['rounds']], ['approved', '1.0.1', 2]);
  assert.deepEqual(
    await value('forged_count_vowels', { text: 'sky' }),
    { vowels: 0 },
    'the old one is still live',
  );
  await value('sandbox_publish_tool', { name: 'count_vowels' });
  assert.deepEqual(await value('forged_count_vowels', { text: 'sky' }), { vowels: 1 });
});

test('a test is dropped only where the change quotes its name', async () => {
  const answers = () => [planned, written(GOOD), tested, changedPlan, changedTests];
  for (const [change, kept] of [
    ['Change one thing.', true],
    ['Change "1 one".', false],
  ] as const) {
    const model = scriptedModel({
      answers: [
        ...answers(),
        { last: ['Change the tool `count_vowels`'], answer: fence(GOOD.replace('aeiou', 'aeiouy')) },
      ],
    });
    const { value } = await openSandboxServer({ model });
    await value('sandbox_forge_tool', { task: TASK });
    await value('sandbox_improve_tool', { name: 'count_vowels', change });
    const { tests } = await value('sandbox_show_tool', { name: 'count_vowels' });
    assert.equal(JSON.stringify(tests).includes('"1 one"'), kept, change);
  }
});

test('a tool without an output schema can be improved: from then on it says { value } itself', async () => {
  const plan = { ...PLAN, name: 'bare', output: [field('value', 'any')] };
  const model = scriptedModel({
    answers: [
      { last: ['`bare`', 'Say what it is after the change'], answer: plan },
      {
        last: ['Change the tool `bare`', 'Return the result as { value'],
        answer: fence('export default ({ text }) => ({ value: text.length + 1 });'),
      },
      {
        last: ['`bare` was changed'],
        answer: {
          tests: [
            { name: 'x', input: { text: 'abcd' }, output: { value: 5 } },
            { name: 'y', input: { text: 'abc' }, output: { value: 4 } },
          ],
          refused: [],
        },
      },
    ],
  });
  const { value } = await openSandboxServer({ model });
  await value('sandbox_save_tool', {
    name: 'bare',
    description: 'Measures a text.',
    input_schema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
    code: 'export default ({ text }) => text.length + 1',
    tests: [
      { name: 'one', input: { text: 'a' }, output: 2 },
      { name: 'two', input: { text: 'ab' }, output: 3 },
    ],
  });
  assert.equal(
    (await value('sandbox_improve_tool', { name: 'bare', change: 'Nothing but cleaner code.' }))['status'],
    'approved',
  );
});

test('a task: forged, published, run; the next time it is reused, and the decision is told', async () => {
  const fill: ScriptedAnswer = {
    last: ['Fill in the input of the tool `forged_count_vowels`'],
    answer: { text: 'banana' },
  };
  const choose = (tool: string): ScriptedAnswer => ({
    last: ['Which one does exactly this task?'],
    answer: { tool },
  });
  const model = scriptedModel({
    answers: [planned, written(GOOD), tested, fill, choose('count_vowels'), choose('none')],
  });
  const { value, fault } = await openSandboxServer({ model });
  const first = await value('sandbox_execute_task', { task: TASK });
  assert.deepEqual(
    [first['status'], first['tool'], first['result']],
    ['done', 'forged_count_vowels', { vowels: 3 }],
  );
  assert.match(String(first['decision']), /No published tool comes near/);
  const again = await value('sandbox_execute_task', {
    task: 'How many vowels are in this text?',
    input: { text: 'aeio' },
  });
  assert.deepEqual([again['tool'], again['result']], ['forged_count_vowels', { vowels: 4 }]);
  assert.match(String(again['decision']), /forged_count_vowels fits/);
  // The model says that nothing fits, so it forges; the script has nothing more to say.
  assert.match(
    await fault('sandbox_execute_task', { task: 'Count the consonants of a text.' }),
    /script has no answer|Plan one tool|Internal/,
  );
});

test('a model that is away is told in one sentence', async () => {
  const model = scriptedModel({
    answers: [
      {
        fault: {
          reason: 'unreachable',
          message: 'No Ollama at http://127.0.0.1:9: start it with `ollama serve`.',
        },
      },
    ],
  });
  const { fault } = await openSandboxServer({ model });
  assert.match(await fault('sandbox_forge_tool', { task: TASK }), /^No Ollama at http:\/\/127\.0\.0\.1:9/);
});

test('an answer of the wrong form is asked for once more, then told', async () => {
  const model = scriptedModel({
    answers: [{ last: ['Plan one tool'], answer: 'I would rather not.', again: true }],
  });
  const { fault } = await openSandboxServer({ model });
  assert.match(
    await fault('sandbox_forge_tool', { task: TASK }),
    /did not answer in the form asked for, twice\..*larger model/,
  );
  assert.equal(model.asked.length, 2);
});
