import type { ToolContext } from '../../../kit/tool.ts';
import * as author from './author.ts';
import type { Author } from './author.ts';
import { equal } from '../gates/compare.ts';
import { judge, type Candidate, type GateScope, type Judgement } from '../gates/gates.ts';
import * as prompts from './prompts.ts';
import type { Example, Plan } from './prompts.ts';
import type { TestCase } from '../registry/records.ts';

/** A tool that a model wrote, and how its gates judged it. */
export interface Forged {
  candidate: Candidate;
  judgement: Judgement;
  rounds: number;
  /** Why the forge gave up, when it did. */
  gaveUp?: string;
}

export interface ForgeScope {
  author: Author;
  gates: Omit<GateScope, 'signal' | 'onGate'>;
  maxRounds: number;
  /** A name like the wanted one that no tool has. */
  freeName: (wanted: string) => Promise<string>;
  ctx: ToolContext;
}

/** Has the model write a tool for `task`, and mend it until its gates pass or the rounds are used up. */
export async function forge(task: string, examples: Example[], scope: ForgeScope): Promise<Forged> {
  const step = steps(scope);
  step('planning the tool');
  const planned = await author.plan(scope.author, task, examples);
  const plan = { ...planned, name: await scope.freeName(planned.name) };
  step(`writing ${plan.name}`);
  const code = await author.code(scope.author, prompts.codePrompt(plan, task, examples));
  step('writing its tests');
  const fixed = examples.map((one, i): TestCase => ({ name: `example ${i + 1}`, ...one }));
  const written = await author.tests(scope.author, prompts.testsPrompt(plan, code, ''), plan);
  return mend({ plan, code, fixed, tests: without(written, fixed) }, scope, step);
}

/** What a tool is before it is changed. */
export interface Before {
  plan: Plan;
  code: string;
  tests: TestCase[];
}

/** Has the model change a tool. Its tests stay and must pass, but for those whose names the change quotes. */
export async function improve(before: Before, change: string, scope: ForgeScope): Promise<Forged> {
  const step = steps(scope);
  step(`planning the change of ${before.plan.name}`);
  const plan = await author.changedPlan(scope.author, before.plan, change);
  const fixed = before.tests.filter((test) => !quotes(change, test.name));
  step('changing the code');
  const code = await author.code(scope.author, prompts.changeCodePrompt(plan, before.code, change, fixed));
  step('writing tests of the change');
  const written = await author.tests(scope.author, prompts.changeTestsPrompt(plan, code, change), plan);
  return mend({ plan, code, fixed, tests: without(written, fixed) }, scope, step);
}

/** A test is named by its quoted name only: as bare words, "one" or "empty" stand in any sentence. */
const quotes = (change: string, name: string) =>
  ['"', "'", '`'].some((mark) => change.includes(`${mark}${name}${mark}`));

interface Work {
  plan: Plan;
  code: string;
  /** Tests that the model may not touch: a person's examples, or the ones of the version before. */
  fixed: TestCase[];
  tests: TestCase[];
}

async function mend(work: Work, scope: ForgeScope, step: (note: string) => void): Promise<Forged> {
  const { ctx } = scope;
  for (let round = 1; ; round++) {
    const candidate = candidateOf(work);
    const judgement = await judge(candidate, {
      ...scope.gates,
      signal: ctx.signal,
      onGate: (gate) => step(`round ${round}: ${gate}`),
    });
    if (judgement.passed) return { candidate, judgement, rounds: round };
    const problems = judgement.gates.flatMap((one) => one.problems);
    step(`round ${round}: ${problems[0] ?? 'a gate failed'}`);
    if (round >= scope.maxRounds) {
      return {
        candidate,
        judgement,
        rounds: round,
        gaveUp: `still failing after ${round} rounds: ${problems[0]}`,
      };
    }
    await mendOnce(work, judgement, scope, step);
  }
}

/** One repair: of the tests or of the code, whichever is at fault. */
async function mendOnce(work: Work, judgement: Judgement, scope: ForgeScope, step: (note: string) => void) {
  const failed = judgement.gates.filter((one) => one.outcome === 'failed');
  const problems = failed.flatMap((one) => one.problems);
  const only = (...names: string[]) => failed.every((one) => names.includes(one.gate));
  if (only('stubs') || (only('tests', 'stubs') && (await testsAreWrong(work, problems, scope)))) {
    step('writing better tests');
    const fault = `The tests so far will not do:\n${problems.map((one) => `- ${one}`).join('\n')}\n`;
    const written = await author.tests(
      scope.author,
      prompts.testsPrompt(work.plan, work.code, fault),
      work.plan,
    );
    work.tests = without(written, work.fixed);
    return;
  }
  step('mending the code');
  work.code = await author.code(scope.author, prompts.repairPrompt(work.plan, work.code, problems));
}

/** A fixed test that fails is the code's fault; of its own tests the model says it itself. */
async function testsAreWrong(work: Work, problems: string[], scope: ForgeScope): Promise<boolean> {
  const own = work.fixed.every(
    (test) => !problems.some((problem) => problem.includes(`test "${test.name}"`)),
  );
  return own && (await author.blame(scope.author, work.plan, work.code, problems)) === 'tests';
}

function candidateOf({ plan, code, fixed, tests }: Work): Candidate {
  return {
    name: plan.name,
    description: plan.description,
    input_schema: plan.input_schema,
    output_schema: plan.output_schema,
    language: 'javascript',
    grants: [],
    code,
    tests: [...fixed, ...tests],
  };
}

/** New tests that say nothing about an input that a fixed one settles already. */
function without(tests: TestCase[], fixed: TestCase[]): TestCase[] {
  const names = new Set(fixed.map((test) => test.name));
  return tests
    .filter((test) => !fixed.some((one) => equal(one.input, test.input)))
    .map((test) => (names.has(test.name) ? { ...test, name: `new ${test.name}` } : test));
}

function steps({ ctx }: ForgeScope): (note: string) => void {
  let done = 0;
  return (note) => ctx.progress(++done, undefined, note);
}
