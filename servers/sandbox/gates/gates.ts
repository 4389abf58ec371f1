import { compile, type Language } from './compile.ts';
import { difference, passingStub, short } from './compare.ts';
import { lint } from './lint.ts';
import type { TestCase } from '../registry/records.ts';
import type { Runner, Verdict } from '../runner/runner.ts';
import { checkSchema } from '../runner/schema.ts';
import type { JsonObject } from '../../../kit/tool.ts';

export const gateNames = ['manifest', 'types', 'tests', 'stubs', 'determinism', 'lint', 'policy'] as const;
type GateName = (typeof gateNames)[number];

/** What one gate found. `skipped`: an earlier gate failed, so that this one had nothing to judge. */
interface GateResult {
  gate: GateName;
  outcome: 'passed' | 'failed' | 'waiting' | 'skipped';
  /** Each says what is wrong and how to mend it. */
  problems: string[];
  ms: number;
}

/** All that is judged of a version. */
export interface Candidate {
  name: string;
  description: string;
  language: Language;
  input_schema: JsonObject;
  output_schema?: JsonObject;
  grants: string[];
  code: string;
  /** The JavaScript that was saved with TypeScript code: this is what will run. */
  compiled?: string;
  tests: TestCase[];
}

export interface Judgement {
  gates: GateResult[];
  passed: boolean;
  /** Passed, but policy wants a person to approve it. */
  waiting: boolean;
}

/** Limits of a tool; sizes in characters. */
export const LIMITS = { code: 200_000, description: 1_000, schema: 20_000, tests: 100, test: 100_000 };

/** Deadline of one test run, ms. */
const TEST_MS = 5_000;

/** Tests that run at a time: half of the runner's places, so that other calls find one. */
const AT_ONCE = 4;

/** What the gates need from their server. */
export interface GateScope {
  runner: Runner;
  ask: 'grants' | 'all' | 'none';
  /** Names of published tools. */
  published: string[];
  signal: AbortSignal;
  /** Told as each gate begins. */
  onGate?: (gate: GateName) => void;
}

/** Runs every gate in order. A gate whose ground is missing (code that does not parse) is skipped, and told so. */
export async function judge(tool: Candidate, scope: GateScope): Promise<Judgement> {
  const gates: GateResult[] = [];
  const failed = (gate: GateName) => gates.some((one) => one.gate === gate && one.outcome === 'failed');
  const run = async (gate: GateName, needs: GateName[], check: () => Promise<string[]> | string[]) => {
    if (needs.some((need) => gates.some((one) => one.gate === need && one.outcome !== 'passed'))) {
      gates.push({ gate, outcome: 'skipped', problems: [], ms: 0 });
      return;
    }
    scope.onGate?.(gate);
    scope.signal.throwIfAborted();
    const started = performance.now();
    const problems = await check();
    const outcome = problems.length > 0 ? 'failed' : 'passed';
    gates.push({ gate, outcome, problems, ms: Math.round(performance.now() - started) });
  };

  let javascript = tool.code;
  let broken = false;
  await run('manifest', [], () => manifestFaults(tool));
  await run('types', ['manifest'], async () => {
    const compiled = await compile(tool, scope.signal);
    ({ javascript, broken } = compiled);
    if (tool.compiled === undefined || tool.compiled === javascript) return compiled.faults;
    return [...compiled.faults, 'The compiled JavaScript is not what the source gives: save the tool again.'];
  });
  // Wrong types do not keep the tests from running: a model mends both at once.
  let verdicts: Verdict[] = [];
  await run('tests', broken ? ['manifest', 'types'] : ['manifest'], async () => {
    verdicts = await runTests(tool, javascript, scope);
    return tool.tests.flatMap((test, i) => testFault(test, verdicts[i]) ?? []);
  });
  // An error that the schema raises says nothing about the code.
  const ofCode = tool.tests.filter((test, i) => !('error' in test && verdicts[i]?.outcome === 'bad_input'));
  await run('stubs', ['manifest'], () => stubFaults(ofCode));
  await run('determinism', ['manifest', 'tests'], async () =>
    determinismFaults(tool.tests, verdicts, await runTests(tool, javascript, scope)),
  );
  await run('lint', ['manifest'], () => lint(tool, scope.published));
  const passed = gates.every((one) => one.outcome === 'passed') && !failed('manifest');
  const waiting = passed && needsPerson(tool.grants, scope.ask);
  gates.push(policyGate(passed, waiting, tool.grants));
  return { gates, passed, waiting };
}

/** Whether policy wants a person's decision on a tool with these grants. */
export function needsPerson(grants: string[], ask: GateScope['ask']): boolean {
  return ask === 'all' || (ask === 'grants' && grants.length > 0);
}

function policyGate(passed: boolean, waiting: boolean, grants: string[]): GateResult {
  if (!passed) return { gate: 'policy', outcome: 'skipped', problems: [], ms: 0 };
  if (!waiting) return { gate: 'policy', outcome: 'passed', problems: [], ms: 0 };
  const why = grants.length > 0 ? `it asks for ${grants.join(', ')}` : 'the policy asks for every tool';
  return { gate: 'policy', outcome: 'waiting', problems: [`A person has to approve it: ${why}.`], ms: 0 };
}

function manifestFaults(tool: Candidate): string[] {
  const faults = [...checkSchema(tool.input_schema, 'input_schema')];
  if (tool.output_schema) faults.push(...checkSchema(tool.output_schema, 'output_schema'));
  if (tool.tests.length === 0) faults.push('There are no tests: give at least two with different outputs.');
  const names = tool.tests.map((test) => test.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) faults.push(`Two tests are called "${twice}": give each its own name.`);
  return faults;
}

async function runTests(
  tool: Candidate,
  javascript: string,
  { runner, signal }: GateScope,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  const waiting = [...tool.tests.entries()];
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [at, test] = next;
      verdicts[at] = await runner.run(
        {
          program: { code: javascript, kind: 'module' },
          input: test.input,
          inputSchema: tool.input_schema,
          outputSchema: tool.output_schema,
          timeoutMs: TEST_MS,
          clock: 'fixed',
        },
        signal,
      );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return verdicts;
}

function testFault(test: TestCase, verdict: Verdict | undefined): string | undefined {
  const what = `test "${test.name}", input ${short(test.input)}`;
  if (!verdict) return `${what}: it was not run.`;
  const printed = verdict.console.length > 0 ? ` It printed: ${short(verdict.console.join('\n'))}.` : '';
  if ('error' in test) {
    if (verdict.outcome === 'ok') {
      return `${what}: it returned ${short(verdict.value)}, but must throw an error that says "${test.error}".${printed}`;
    }
    // A refused input is an error of the tool too: the schema speaks instead of the code.
    const threw = verdict.outcome === 'error' || verdict.outcome === 'bad_input';
    if (threw && verdict.message.includes(test.error)) return undefined;
    return `${what}: ${told(verdict)}, expected an error that says "${test.error}".${printed}`;
  }
  if (verdict.outcome !== 'ok') return `${what}: ${told(verdict)}, expected ${short(test.output)}.${printed}`;
  const differs = difference(test.output, verdict.value);
  return differs === undefined ? undefined : `${what}: ${differs}.${printed}`;
}

function told(verdict: Exclude<Verdict, { outcome: 'ok' }>): string {
  return verdict.outcome === 'error'
    ? `it threw "${verdict.message}"`
    : `${verdict.outcome}: ${verdict.message}`;
}

function stubFaults(tests: TestCase[]): string[] {
  const stub = passingStub(tests);
  if (stub === undefined) return [];
  return [
    `A stub that ${stub} passes all ${tests.length} tests of the code, so they prove nothing. Add tests with other inputs and other outputs.`,
  ];
}

function determinismFaults(tests: TestCase[], one: Verdict[], two: Verdict[]): string[] {
  return tests.flatMap((test, i) => {
    const differs = difference(outcome(one[i]), outcome(two[i]), 'result');
    return differs === undefined
      ? []
      : [
          `test "${test.name}" gave two results for one input (${differs}): the result may depend on the input only.`,
        ];
  });
}

function outcome(verdict: Verdict | undefined): unknown {
  if (!verdict) return null;
  return verdict.outcome === 'ok'
    ? { value: verdict.value }
    : { outcome: verdict.outcome, message: verdict.message };
}
