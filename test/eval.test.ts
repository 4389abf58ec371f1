import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attempt } from '../host/eval/attempt.ts';
import { attemptLine, table, totals } from '../host/eval/report.ts';
import { fault, kinds, sameResult, type MadeCall, type Task, type Wanted } from '../host/eval/task.ts';
import { tasks } from '../host/eval/tasks.ts';
import { toolbox, writes } from '../host/eval/toolbox.ts';
import { exitCode, type Io } from '../host/terminal/io.ts';
import { command, evaluate } from '../host/eval.ts';
import type { ChatEvent, ChatRequest } from '../kit/model.ts';
import { scriptedModel, type ScriptedAnswer } from '../kit/scripted.ts';
import type { JsonObject } from '../kit/tool.ts';
import { doing, env, info, never, office, run } from './eval-kit.ts';
import { answers as worded } from './fixtures/eval-references.ts';

/** The plainest argument that fits. */
function plainest(wanted: Wanted): unknown {
  if (typeof wanted !== 'object') return wanted;
  return 'anyOf' in wanted ? plainest(wanted.anyOf[0] ?? '') : wanted.map(plainest);
}

/** The calls of a model that does it right: what a task leaves open is filled in by hand. */
function rightCalls(task: Task): MadeCall[] {
  return (task.calls ?? []).map(({ tool, arguments: wanted = {} }, at) => {
    const given = Object.entries(wanted).map(([name, value]) => [name, plainest(value)] as const);
    const open = worded[task.id]?.[at] ?? {};
    return { tool, arguments: { ...open, ...Object.fromEntries(given) }, ok: true };
  });
}

const rightAnswer = ({ says = [] }: Task) =>
  says.map((words) => (typeof words === 'string' ? words : (words[0] ?? ''))).join('; ') || 'Done.';

test('there are enough tasks of each kind, named once, with tools that exist', () => {
  const least = { choose: 12, arguments: 10, 'two-step': 6, refuse: 4, forge: 10, improve: 2, reuse: 2 };
  for (const kind of kinds) {
    assert.ok(tasks.filter((task) => task.kind === kind).length >= least[kind], kind);
  }
  assert.ok(tasks.length >= 40);
  assert.equal(new Set(tasks.map((task) => task.id)).size, tasks.length);
  const names = toolbox.map((one) => one.name);
  for (const task of office) {
    assert.ok(
      (task.tools ?? []).every((name) => names.includes(name)),
      task.id,
    );
    assert.ok((task.tools?.length ?? 0) <= 8, `${task.id}: all of them are shown`);
    assert.ok(
      (task.calls ?? []).every(({ tool }) => task.tools?.includes(tool)),
      task.id,
    );
  }
});

test('every task that needs no sandbox can be done, by the real loop over its real tools', async () => {
  for (const task of office) {
    const done = await run(task, doing(rightCalls(task), rightAnswer(task)));
    assert.equal(done.fault, undefined, task.id);
    assert.ok(done.ok && done.rounds === (task.calls?.length ?? 0) + 1, task.id);
    assert.ok(
      done.calls.every((call) => call.ok),
      task.id,
    );
    assert.ok(done.promptTokens > 0 && done.answerTokens > 0);
  }
});

test('a model that says nothing and calls nothing passes no task', async () => {
  for (const task of tasks) assert.ok(fault(task, { answer: '', calls: [] }, writes), task.id);
  for (const task of office) {
    const none = await run(task, [{ answer: '' }]);
    assert.equal(none.ok, false, task.id);
    assert.ok(none.fault, task.id);
  }
});

test('a model that only talks passes the refusals alone', () => {
  for (const task of office) {
    const wrong = fault(task, { answer: 'I cannot do that here.', calls: [] }, writes);
    assert.equal(wrong === undefined, task.kind === 'refuse', task.id);
  }
});

test('each part of each check can fail: a call left out, failed, changed, made twice, an answer without its facts', () => {
  for (const task of office) {
    const calls = rightCalls(task);
    const answer = rightAnswer(task);
    const wrong = (changed: MadeCall[], said = answer) =>
      fault(task, { answer: said, calls: changed }, writes);
    assert.equal(wrong(calls), undefined, task.id);
    for (const [at, call] of calls.entries()) {
      assert.ok(wrong(calls.toSpliced(at, 1)), `${task.id} without ${call.tool}`);
      assert.ok(wrong(calls.with(at, { ...call, ok: false })), `${task.id}: ${call.tool} failed`);
      for (const name of Object.keys(task.calls?.[at]?.arguments ?? {})) {
        const other = { ...call, arguments: { ...call.arguments, [name]: 'other' } };
        assert.ok(wrong(calls.with(at, other)), `${task.id}: ${call.tool} with another ${name}`);
      }
      if (writes.includes(call.tool)) assert.ok(wrong([...calls, call]), `${task.id}: ${call.tool} twice`);
    }
    if (task.kind === 'two-step') assert.ok(wrong(calls.toReversed()), `${task.id} the other way round`);
    if (task.kind === 'refuse') {
      const [tool = ''] = task.tools ?? [];
      assert.match(wrong([{ tool, arguments: {}, ok: false }]) ?? '', /no tool fits/);
    }
    if (task.says) assert.match(wrong(calls, 'It is done.') ?? '', /does not say/, task.id);
    assert.equal(wrong(calls, ' '), 'The answer is empty.', task.id);
  }
});

test('a refusal with an invented figure or deed is none', () => {
  const invented: Record<string, string> = {
    'refuse-balance': 'Your balance is 1,204 EUR.',
    'refuse-pulse': 'Your pulse is 72 beats per minute.',
    'refuse-call': 'I am calling her now.',
    'refuse-delete': 'Moreau was deleted.',
    'refuse-photo': 'The newest photo shows a cat.',
  };
  for (const task of tasks.filter((one) => one.kind === 'refuse')) {
    const answer = invented[task.id] ?? assert.fail(task.id);
    assert.match(fault(task, { answer, calls: [] }, writes) ?? '', /nobody told it/, task.id);
  }
});

test('figures are read as people write them, and as wholes', () => {
  const task: Task = { id: 'x', kind: 'choose', request: '', says: ['17.5'] };
  const says = (answer: string, words: string) =>
    fault({ ...task, says: [words] }, { answer, calls: [] }, []) === undefined;
  assert.ok(says('It is 17,5 degrees.', '17.5') && says('17.5.', '17.5') && says('−4.6 °C', '-4.6'));
  assert.ok(says('189,212.50 yen', '189212.50') && says('1 288.90', '1288.90'));
  for (const answer of ['117.5', '17.55', '17.5.1']) assert.ok(!says(answer, '17.5'), answer);
  assert.ok(!says('177', '17') && !says('3.17', '17'));
});

test('results of forged tools: figures within rounding, one value under any name', () => {
  assert.ok(sameResult({ sum: 0.1 + 0.2 }, { sum: 0.3 }) && sameResult({ value: { n: 3 } }, 3));
  assert.ok(!sameResult({ sum: 0.31 }, { sum: 0.3 }) && !sameResult({ a: 1, b: 2 }, 1));
  assert.ok(!sameResult({ a: 1 }, { a: 1, b: 2 }) && !sameResult([1, 2], [1]));
});

/** Reads as a command would print. */
function paper(): Io & { printed: () => string; said: () => string } {
  let printed = '';
  let said = '';
  return {
    out: (text) => void (printed += text),
    err: (text) => void (said += text),
    env: {},
    interactive: false,
    colour: false,
    columns: () => 100,
    printed: () => printed,
    said: () => said,
  };
}

const pick = (...ids: string[]) => tasks.filter((task) => ids.includes(task.id));

test('the table, the JSON and the exit code', async () => {
  const [stock, order] = pick('choose-stock', 'choose-order');
  assert.ok(stock && order);
  const answers = [...doing(rightCalls(stock), '163 are there.'), { answer: 'About 50.' }];
  const [plain, json] = [paper(), paper()];
  for (const io of [plain, json]) {
    const model = scriptedModel({ models: [info], answers });
    const scope = { model, info, env, signal: never, runs: 1, json: io === json, io };
    assert.equal(await evaluate([stock, order], scope), 0);
  }
  assert.match(
    plain.printed(),
    /^kind +passed +success +rounds +tokens +time\nchoose +1\/2 +50 % +1\.5 .*\ntotal +1\/2/,
  );
  assert.match(
    plain.said(),
    /✓ choose-stock +2 rounds, \d+ tokens.*\n✗ choose-order .*\n +order_get was not called\.\n/,
  );
  const report = JSON.parse(json.printed());
  assert.deepEqual([report.complete, report.runs, report.model.name], [true, 1, 'scripted']);
  assert.deepEqual(
    report.attempts.map((one: JsonObject) => [one['id'], one['ok']]),
    [
      ['choose-stock', true],
      ['choose-order', false],
    ],
  );
  assert.equal(report.totals.at(-1).success, 0.5);
  assert.deepEqual(report.attempts[0].calls[0].arguments, { sku: 'CK-207' });
});

test('a model that fails every time: exit 1; one that hangs is cut at the deadline', async () => {
  const [stock] = pick('choose-stock');
  assert.ok(stock);
  const broken: ScriptedAnswer = { again: true, fault: { reason: 'server', message: 'out of memory' } };
  const io = paper();
  const model = scriptedModel({ models: [info], answers: [broken] });
  assert.equal(await evaluate([stock], { model, info, env, signal: never, runs: 2, json: false, io }), 1);
  assert.match(io.said(), /The model failed: out of memory/);
  assert.match(io.said(), /choose-stock #2/);

  const slow = scriptedModel({ models: [info], answers: [{ answer: 'one two' }], paceMs: 60_000 });
  const late = await attempt(stock, 1, { model: slow, info, env, signal: never, deadlineMs: 60 });
  assert.equal(late.fault, 'Not done within 0.06 s.');
});

test('interrupted, it prints what there is', async () => {
  const [stock, order] = pick('choose-stock', 'choose-order');
  assert.ok(stock && order);
  const stop = new AbortController();
  const base = scriptedModel({ models: [info], answers: doing(rightCalls(stock), '163') });
  async function* chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent> {
    if (base.left().length === 0) stop.abort();
    yield* base.chat(request, signal);
  }
  const io = paper();
  const model = { ...base, chat };
  assert.equal(
    await evaluate([stock, order], { model, info, env, signal: stop.signal, runs: 1, json: false, io }),
    130,
  );
  assert.match(io.printed(), /total +1\/1 +100 %/);
  assert.match(io.said(), /Stopped: 1 of 2 attempts/);
});

test('where our own part fails, what is known is printed before the error', async () => {
  const [stock] = pick('choose-stock');
  assert.ok(stock);
  const model = scriptedModel({ models: [info], answers: doing(rightCalls(stock), '163') });
  const broken: Task = {
    id: 'x',
    kind: 'reuse',
    request: 'x',
    prepared: { name: 'No Name', description: '', input_schema: {}, output_schema: {}, code: '', tests: [] },
  };
  const io = paper();
  const scope = { model, info, env, signal: never, runs: 1, json: false, io };
  await assert.rejects(evaluate([stock, broken], scope), /sandbox_save_tool/);
  assert.match(io.printed(), /total +1\/1/);
});

test('totals and lines are of one attempt', () => {
  const base = { id: 'a', kind: 'choose' as const, run: 1, silent: false, calls: [], answer: 'x' };
  const rows = totals([
    { ...base, ok: true, rounds: 2, promptTokens: 100, answerTokens: 10, ms: 1000 },
    { ...base, ok: false, rounds: 4, promptTokens: 300, answerTokens: 30, ms: 3000, fault: 'no' },
  ]);
  assert.deepEqual(
    rows.map(({ kind, passed, rounds, prompt_tokens, ms }) => [kind, passed, rounds, prompt_tokens, ms]),
    [
      ['choose', 1, 3, 200, 2000],
      ['total', 1, 3, 200, 2000],
    ],
  );
  assert.ok(new Set(table(rows).map((line) => line.length)).size === 1, 'columns stand under each other');
  assert.match(
    attemptLine({ ...base, ok: true, rounds: 1, promptTokens: 5, answerTokens: 6, ms: 5 }, 2),
    /^a #1 +1 round, 11 tokens/,
  );
});

test('what was mistyped is told, and exits 2', async () => {
  const cases: [string[], RegExp][] = [
    [['--only', 'chose'], /Did you mean choose/],
    [['--runs', '0'], /--runs 0: expected a whole number/],
    [['--deadline', 'soon'], /--deadline soon/],
    [['all'], /takes no words/],
  ];
  for (const [args, message] of cases) {
    await assert.rejects(command.run(args, paper()), (error: Error) => {
      assert.match(error.message, message);
      assert.equal(exitCode(error), 2);
      return true;
    });
  }
});
