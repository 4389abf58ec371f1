import { isObject } from '../../kit/json.ts';
import { z } from 'zod';
import { toolFor, ToolError, type JsonObject, type ToolContext } from '../../kit/tool.ts';
import * as author from './forge/author.ts';
import { candidateOf, gateScope, keepVerdict, nextStep, saveDraft } from './drafts.ts';
import { forge, improve, type Forged, type ForgeScope } from './forge/forge.ts';
import type { TestCase } from './registry/records.ts';
import type { LiveTool } from './registry/registry.ts';
import { bareName, forgedName, InputMisfit, resultSchema, runPublished, type Sandbox } from './sandbox.ts';
import { policy } from './release.ts';
import { findTools } from './shelf.ts';

const tool = toolFor<Sandbox>();

const example = z.object({ input: z.record(z.string(), z.unknown()), output: z.unknown() });

const forgedOutput = z.object({
  status: z.enum(['running', 'approved', 'waiting', 'gave_up']),
  job: z.string().optional(),
  note: z.string().optional(),
  name: z.string().optional(),
  version: z.string().optional(),
  rounds: z.number().optional(),
  problems: z.array(z.string()).optional(),
  next: z.string().optional(),
});

const model = z.string().optional();

export const forging = [
  tool({
    name: 'sandbox_forge_tool',
    title: 'Forge a tool',
    description: 'Have the local model write, test and mend a new tool for a task. Takes minutes.',
    examples: [
      'make a tool that checks IBAN numbers',
      'write a tool that turns CSV into a table, with tests',
    ],
    effect: 'write',
    long: true,
    input: z.object({
      task: z.string().min(1).max(4000),
      examples: z.array(example).max(20).optional().describe('[{input, output}], kept as tests'),
      model,
    }),
    output: forgedOutput,
    async run({ task, examples = [], model: asked }, sandbox, ctx) {
      const scope = await forgeScope(sandbox, asked, ctx);
      const forged = await forge(task, examples, scope);
      return keep(sandbox, forged, ctx);
    },
  }),
  tool({
    name: 'sandbox_improve_tool',
    title: 'Improve a tool',
    description:
      'Have the local model change a forged tool. Old tests stay, but for those that the change quotes by name.',
    examples: [
      'the slug tool should keep Polish letters, change it',
      'fix our date tool, it fails on leap years',
    ],
    effect: 'write',
    long: true,
    input: z.object({ name: z.string().transform(bareName), change: z.string().min(1).max(4000), model }),
    output: forgedOutput,
    async run({ name, change, model: asked }, sandbox, ctx) {
      const live = sandbox.registry.live().find((one) => one.name === name);
      const stored = candidateOf(await sandbox.registry.read(name, live?.version));
      const scope = await forgeScope(sandbox, asked, ctx);
      const plan = {
        name,
        description: stored.description,
        input_schema: stored.input_schema,
        output_schema: resultSchema(stored),
      };
      // Without an output schema a result is `{ value }`; from here on the tool says so itself.
      const bare = stored.output_schema === undefined;
      const tests = bare ? stored.tests.map(wrapped) : stored.tests;
      const wish = bare ? `${change}\nReturn the result as { value: … }.` : change;
      const improved = await improve({ plan, code: stored.code, tests }, wish, scope);
      return keep(sandbox, improved, ctx);
    },
  }),
  tool({
    name: 'sandbox_execute_task',
    title: 'Do a task with a tool',
    description:
      'Do a task with a published tool that fits, or forge, publish and run one. Says which tool did it.',
    examples: [
      'compute the checksum of this bank account',
      'convert these Roman numerals',
      'do this even if no tool exists for it yet',
    ],
    effect: 'write',
    long: true,
    input: z.object({ task: z.string().min(1).max(4000), input: z.unknown().optional(), model }),
    output: z.object({
      status: z.enum(['running', 'done', 'waiting', 'gave_up']),
      job: z.string().optional(),
      note: z.string().optional(),
      tool: z.string().optional(),
      version: z.string().optional(),
      decision: z.string().optional(),
      result: z.unknown().optional(),
      next: z.string().optional(),
    }),
    async run({ task, input, model: asked }, sandbox, ctx) {
      const scope = await forgeScope(sandbox, asked, ctx);
      const chosen = await chooseTool(sandbox, task, scope, ctx);
      if (chosen.tool) return runChosen(sandbox, chosen.tool, { task, input, ...chosen }, scope, ctx);
      const forged = await forge(inputShown(task, input), [], scope);
      const kept = await keep(sandbox, forged, ctx);
      const { status, name, version, next, note } = kept;
      if (status !== 'approved')
        return { status, tool: name, version, next, note, decision: chosen.decision };
      ctx.progress(90, 100, `publishing ${name}`);
      await sandbox.registry.publish(name, version, policy(sandbox.config));
      const live = sandbox.registry.live().find((one) => one.name === name);
      if (!live) throw new ToolError(`${name} was published and taken back at once by somebody. Try again.`);
      return runChosen(sandbox, live, { task, input, decision: chosen.decision }, scope, ctx);
    },
  }),
];

const wrapped = (test: TestCase): TestCase =>
  'output' in test ? { ...test, output: { value: test.output } } : test;

async function forgeScope(
  sandbox: Sandbox,
  asked: string | undefined,
  ctx: ToolContext,
): Promise<ForgeScope> {
  return {
    author: await sandbox.author(asked, ctx.signal),
    gates: gateScope(sandbox),
    maxRounds: sandbox.config.forge_rounds,
    freeName: (wanted) => freeName(sandbox, wanted),
    ctx,
  };
}

/** Saves what was forged with its verdict, also when the forge gave up: the draft is where a person goes on. */
async function keep(sandbox: Sandbox, { candidate, judgement, rounds, gaveUp }: Forged, ctx: ToolContext) {
  const saved = await saveDraft(sandbox.registry, candidate, ctx.signal);
  const { name, version } = saved;
  const { digest } = await sandbox.registry.read(name, version);
  await keepVerdict(sandbox.registry, name, version, digest, judgement);
  const problems = judgement.gates.flatMap((one) => one.problems).slice(0, 6);
  if (gaveUp !== undefined) {
    const next = `The draft is kept: see sandbox_show_tool ${name}, or forge again with examples or a larger model.`;
    return { status: 'gave_up' as const, name, version, rounds, problems, note: gaveUp, next };
  }
  const status = judgement.waiting ? ('waiting' as const) : ('approved' as const);
  return { status, name, version, rounds, next: nextStep(name, version, judgement), note: undefined };
}

/** A name that no tool has yet: a forged tool is never a new version of somebody else's. */
async function freeName(sandbox: Sandbox, wanted: string): Promise<string> {
  const taken = new Set((await sandbox.registry.list()).map((one) => one.name));
  if (!taken.has(wanted)) return wanted;
  for (let i = 2; ; i++) {
    const name = `${wanted.slice(0, 44)}_v${i}`;
    if (!taken.has(name)) return name;
  }
}

interface Chosen {
  tool?: LiveTool;
  decision: string;
}

/** The nearest few published tools are looked at by the model; its choice is told in the result. */
async function chooseTool(
  sandbox: Sandbox,
  task: string,
  scope: ForgeScope,
  ctx: ToolContext,
): Promise<Chosen> {
  const live = new Map(sandbox.registry.live().map((one) => [one.name, one]));
  const near = (await findTools(sandbox, task, 10)).filter((one) => live.has(one.name)).slice(0, 4);
  if (near.length === 0) return { decision: 'No published tool comes near, so one is forged.' };
  ctx.progress(0, undefined, `looking at ${near.map((one) => one.name).join(', ')}`);
  const name = await author.choose(scope.author, task, near);
  const seen = near.map((one) => forgedName(one.name)).join(', ');
  const found = name === undefined ? undefined : live.get(name);
  return found
    ? { tool: found, decision: `${forgedName(found.name)} fits, of ${seen}.` }
    : { decision: `None of ${seen} fits, so one is forged.` };
}

async function runChosen(
  sandbox: Sandbox,
  chosen: LiveTool,
  given: { task: string; input: unknown; decision: string },
  scope: ForgeScope,
  ctx: ToolContext,
) {
  const name = forgedName(chosen.name);
  const started = performance.now();
  ctx.progress(95, 100, `running ${name}`);
  const result = await runFilled(sandbox, chosen, given, scope, ctx);
  ctx.journal.record({ kind: 'event', name, outcome: 'ok', ms: performance.now() - started });
  return {
    status: 'done' as const,
    tool: name,
    version: chosen.version,
    decision: given.decision,
    result,
  };
}

/** With the input as it was given, where it fits; else with what the model makes of it. */
async function runFilled(
  sandbox: Sandbox,
  chosen: LiveTool,
  { task, input }: { task: string; input: unknown },
  scope: ForgeScope,
  ctx: ToolContext,
): Promise<JsonObject> {
  if (isObject(input)) {
    try {
      return await runPublished(sandbox, chosen.name, input, ctx);
    } catch (error) {
      if (!(error instanceof InputMisfit)) throw error;
    }
  }
  const filled = await author.fill(scope.author, task, input, { ...chosen, name: forgedName(chosen.name) });
  return runPublished(sandbox, chosen.name, filled, ctx);
}

const inputShown = (task: string, input: unknown) =>
  input === undefined ? task : `${task}\nAn input to expect: ${JSON.stringify(input).slice(0, 2000)}`;
