import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { CLIENTS, approves, connect, declines, type Driver, type Way } from './clients.ts';
import { MODERN, missing, real, until } from './support.ts';

interface Call {
  tool: string;
  input: Record<string, unknown>;
}

/** What a server has that every client is tried on, by name. Values are JSON: the Python clients get them too. */
export interface Things {
  /** Called before all else, in order. */
  before?: Call[];
  value: Call & { is: Record<string, unknown> };
  error: Call & { says: RegExp };
  /** Sends at least two steps; when `steps` is given, these. */
  progress?: Call & { steps?: number[] };
  /** Runs for long; ended by the client. Then `seen` tells that the server noticed. */
  cancel: Call & { seen?: Call & { is: Record<string, unknown> } };
  accept?: Call & { asks: RegExp; is: Record<string, unknown> };
  decline?: Call & { says: RegExp };
  /** Makes `adds` appear in the list, and the client be told. */
  change?: Call & { adds: string };
  resource?: { template: string; uri: string; says: string };
  prompt?: { name: string; args: Record<string, string>; says: string };
  completion?: {
    template: string;
    argument: { name: string; value: string };
    known: Record<string, string>;
    values: string[];
  };
}

/** How the server is reached; each is a fresh server, so that clients do not see each other's changes. */
export interface Ways {
  stdio: (t: TestContext) => Promise<Way>;
  http: (t: TestContext) => Promise<Way>;
  sse?: (t: TestContext) => Promise<Way>;
}

const Called = z.object({ isError: z.boolean(), value: z.unknown().optional(), text: z.string() });

/** What a client saw, in the shape that the Python driver prints too. */
const Observed = z.object({
  /** Empty where the client does not tell. */
  version: z.string(),
  tools: z.array(z.string()),
  value: Called,
  error: Called,
  /** The message of the protocol error. */
  unknown: z.string(),
  progress: z.array(z.number()).optional(),
  cancelled: z.boolean(),
  seen: Called.optional(),
  accept: Called.extend({ asked: z.array(z.string()) }).optional(),
  decline: Called.optional(),
  changed: z.object({ told: z.boolean(), tools: z.array(z.string()) }).optional(),
  templates: z.array(z.string()).optional(),
  resource: z.string().optional(),
  prompt: z.string().optional(),
  completion: z.array(z.string()).optional(),
});
type Observed = z.infer<typeof Observed>;

const python = fileURLToPath(new URL('fixtures/interop.py', import.meta.url));
const PYTHONS = [
  { variable: 'KUZNIA_PYTHON', mode: 'legacy', label: 'Python 2.x legacy' },
  { variable: 'KUZNIA_PYTHON', mode: 'auto', label: 'Python 2.x auto' },
  { variable: 'KUZNIA_PYTHON', mode: MODERN, label: 'Python 2.x pinned' },
  { variable: 'KUZNIA_PYTHON1', mode: 'v1', label: 'Python 1.x' },
];

const GO = [
  { mode: '2025-11-25', label: 'Go legacy' },
  { mode: MODERN, label: 'Go pinned' },
];

/** Declares one test for every client and way; without REQUIRE_REAL=1 only for those in `quick`, when it is given. */
export function interop(title: string, ways: Ways, things: Things, quick?: string[]): void {
  const left = (name: string) =>
    process.env['REQUIRE_REAL'] === '1' || (quick?.includes(name) ?? true)
      ? false
      : 'only with REQUIRE_REAL=1';
  for (const kind of CLIENTS) {
    const modern = kind === 'v2 auto' || kind === 'v2 pinned';
    for (const [where, way] of waysOf(ways, modern)) {
      const name = `${kind} client over ${where}`;
      test(`${title}: ${name}`, { timeout: 60_000, skip: left(name) }, async (t) => {
        let answers = approves;
        const driver = await connect(t, kind, await way(t), { person: () => answers() });
        const observed = await observe(driver, things, (next) => (answers = next));
        check(observed, things);
        if (kind !== 'v1') assert.equal(observed.version === MODERN, modern, observed.version);
      });
    }
  }
  for (const { variable, mode, label } of PYTHONS) {
    const modern = mode === 'auto' || mode === MODERN;
    for (const [where, way] of waysOf(ways, modern)) {
      const name = `${label} client over ${where}`;
      test(`${title}: ${name}`, { timeout: 60_000, skip: missing(variable) || left(name) }, async (t) => {
        const observed = await observeProgram([real(variable), python], mode, await way(t), things);
        check(observed, things);
        if (mode !== 'v1') assert.equal(observed.version === MODERN, modern, observed.version);
      });
    }
  }
  for (const { mode, label } of GO) {
    const modern = mode === MODERN;
    for (const [where, way] of waysOf(ways, modern)) {
      const name = `${label} client over ${where}`;
      test(`${title}: ${name}`, { timeout: 60_000, skip: missing('KUZNIA_GO') || left(name) }, async (t) => {
        const observed = await observeProgram([real('KUZNIA_GO')], mode, await way(t), things);
        check(observed, things);
        assert.equal(observed.version === MODERN, modern, observed.version);
      });
    }
  }
}

/** The old transport knows nothing of 2026-07-28. */
function waysOf({ stdio, http, sse }: Ways, modern: boolean): [string, Ways['stdio']][] {
  const both: [string, Ways['stdio']][] = [
    ['stdio', stdio],
    ['HTTP', http],
  ];
  return sse && !modern ? [...both, ['SSE', sse]] : both;
}

/** Drives a client through all of `things`. */
async function observe(
  driver: Driver,
  things: Things,
  answer: (next: typeof approves | typeof declines) => void,
): Promise<Observed> {
  const call = ({ tool, input }: Call) => driver.call(tool, input);
  const { progress, cancel, accept, decline, change, resource, prompt, completion } = things;
  for (const one of things.before ?? []) await call(one);
  const observed: Observed = {
    version: driver.version,
    tools: await driver.tools(),
    value: await call(things.value),
    error: await call(things.error),
    unknown: await driver.call('no_such_tool').then(({ text }) => text, String),
    cancelled: await cancelled(driver, cancel),
  };
  if (cancel.seen) {
    const { seen } = cancel;
    observed.seen = await until('the cancelled call seen', async () => {
      const now = await call(seen);
      return fits(now.value, seen.is) && now;
    });
  }
  if (progress) {
    // A busy machine may read the last step together with the result, and then clients lose it: three tries.
    for (let tries = 0; tries < 3; tries++) {
      const steps: number[] = [];
      await driver.call(progress.tool, progress.input, { onprogress: (step) => steps.push(step.progress) });
      observed.progress = steps;
      if (!progress.steps || steps.length === progress.steps.length) break;
    }
  }
  if (accept) {
    answer(approves);
    observed.accept = { ...(await call(accept)), asked: [...driver.asked] };
  }
  if (decline) {
    answer(declines);
    observed.decline = await call(decline);
  }
  if (resource) {
    observed.templates = await driver.templates();
    observed.resource = await driver.read(resource.uri);
  }
  if (prompt) observed.prompt = await driver.prompt(prompt.name, prompt.args);
  if (completion) {
    observed.completion = await driver.complete(completion.template, completion.argument, completion.known);
  }
  if (change) {
    const before = driver.changes();
    await call(change);
    const told = await until('list_changed', () => driver.changes() > before);
    observed.changed = { told, tools: await driver.tools() };
  }
  return observed;
}

async function cancelled(driver: Driver, { tool, input }: Call): Promise<boolean> {
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 150);
  return driver.call(tool, input, { signal: abort.signal }).then(
    () => false,
    () => true,
  );
}

/** The same by a program in another language, with that one's own SDK. */
async function observeProgram(program: string[], mode: string, way: Way, things: Things): Promise<Observed> {
  const [file = '', ...args] = program;
  const plan = JSON.stringify({ mode, way, things });
  const { stdout } = await promisify(execFile)(file, [...args, plan], { timeout: 50_000 });
  return Observed.parse(JSON.parse(stdout));
}

function check(observed: Observed, things: Things): void {
  const { value, error, progress, cancel, accept, decline, change, resource, prompt, completion } = things;
  for (const { tool } of [value, error, cancel])
    assert.ok(observed.tools.includes(tool), `${tool} is listed`);
  assert.equal(observed.value.isError, false, observed.value.text);
  assert.ok(fits(observed.value.value, value.is), observed.value.text);
  // The gateway's mark of what others wrote is a part of its own, the last.
  const [told = ''] = observed.value.text.split('\n[others wrote');
  assert.deepEqual(JSON.parse(told), observed.value.value, 'the text says what the structure says');
  assert.equal(observed.error.isError, true);
  assert.match(observed.error.text, error.says);
  assert.match(observed.unknown, /There is no tool `no_such_tool`/);
  assert.equal(observed.cancelled, true, 'the client gave up');
  if (cancel.seen) assert.ok(fits(observed.seen?.value, cancel.seen.is), observed.seen?.text);
  if (progress) {
    const steps = observed.progress ?? [];
    assert.ok(steps.length >= 2, `${steps.length} steps`);
    assert.deepEqual(steps, progress.steps ?? steps);
    assert.ok(
      steps.every((step, i) => step > (steps[i - 1] ?? -1)),
      `increasing: ${steps.join(' ')}`,
    );
  }
  if (accept) {
    assert.match(observed.accept?.asked.at(-1) ?? '', accept.asks);
    assert.ok(fits(observed.accept?.value, accept.is), observed.accept?.text);
  }
  if (decline) {
    assert.equal(observed.decline?.isError, true, observed.decline?.text);
    assert.match(observed.decline?.text ?? '', decline.says);
  }
  if (change)
    assert.ok(
      observed.changed?.told && observed.changed.tools.includes(change.adds),
      String(observed.changed?.tools),
    );
  if (resource) {
    assert.ok(observed.templates?.includes(resource.template), String(observed.templates));
    assert.ok(observed.resource?.includes(resource.says), observed.resource);
  }
  if (prompt) assert.ok(observed.prompt?.includes(prompt.says), observed.prompt);
  if (completion) assert.deepEqual(observed.completion, completion.values);
}

/** Whether `value` has all that `part` has, with the same values. */
function fits(value: unknown, part: Record<string, unknown>): boolean {
  const has = z.record(z.string(), z.unknown()).safeParse(value).data ?? {};
  return Object.entries(part).every(([key, wanted]) => JSON.stringify(has[key]) === JSON.stringify(wanted));
}
