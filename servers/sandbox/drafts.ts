import { z } from 'zod';
import { toolFor, ToolError, type JsonObject } from '../../kit/tool.ts';
import { compile, guessLanguage, type Language } from './gates/compile.ts';
import { gateNames, judge, LIMITS, type Candidate, type Judgement } from './gates/gates.ts';
import { testCase, toolName, type TestCase } from './registry/records.ts';
import type { Registry, StoredVersion } from './registry/registry.ts';
import { checkSchema } from './runner/schema.ts';
import { bareName, type Sandbox } from './sandbox.ts';

const tool = toolFor<Sandbox>();

const schemaArgument = z.record(z.string(), z.unknown());

/** A name that the registry takes; `forged_` in front is forgiven. */
const name = z
  .string()
  .transform(bareName)
  .refine((value) => toolName.safeParse(value).success, {
    error:
      'lower-case ASCII letters, digits and _, beginning with a letter, 48 at most: for example `csv_to_json`',
  });

export const drafts = [
  tool({
    name: 'sandbox_save_tool',
    title: 'Save a tool',
    description: 'Save a new tool, or a new version of one, as a draft. Then sandbox_test_tool.',
    examples: ['save this function as a tool', 'keep this code so that it can be used again'],
    effect: 'write',
    idempotent: true,
    input: z.object({
      name: name.describe('snake_case'),
      description: z.string().min(1).max(LIMITS.description).describe('when to use it, one sentence'),
      input_schema: schemaArgument.describe('JSON Schema of an object'),
      output_schema: schemaArgument.optional(),
      code: z
        .string()
        .min(1)
        .max(LIMITS.code, `longer than ${LIMITS.code} characters; a tool is one small module`)
        .describe('module: `export default (input) => output`'),
      tests: z
        .array(testCase.refine(said, 'a name and an error must say something'))
        .min(1, 'empty; give at least two tests with different outputs')
        .max(LIMITS.tests)
        .describe('[{name, input, output} or {name, input, error}]'),
      language: z.enum(['javascript', 'typescript']).optional(),
      grants: z.array(z.string().max(200)).max(20).optional(),
    }),
    output: z.object({ name: z.string(), version: z.string(), status: z.string() }),
    async run(input, { registry }, { signal }) {
      const { input_schema, output_schema } = input;
      const faults = [
        ...checkSchema(input_schema, 'input_schema'),
        ...(output_schema ? checkSchema(output_schema, 'output_schema') : []),
      ];
      if (faults.length > 0) throw new ToolError(`Nothing was saved. ${faults.join(' ')}`);
      const language = input.language ?? guessLanguage(input.code);
      const { code, tests, description, grants = [] } = input;
      const draft = {
        name: input.name,
        description,
        language,
        input_schema,
        output_schema,
        grants,
        code,
        tests,
      };
      const saved = await saveDraft(registry, draft, signal);
      return { name: saved.name, version: saved.version, status: saved.status };
    },
  }),
  tool({
    name: 'sandbox_test_tool',
    title: 'Test a tool',
    description: 'Run every gate on a version (newest by default); says what failed and how to mend it.',
    examples: ['does the draft pass its tests', 'check the tool that I just saved'],
    effect: 'write',
    idempotent: true,
    input: z.object({ name, version: z.string().optional() }),
    output: z.object({
      name: z.string(),
      version: z.string(),
      passed: z.boolean(),
      status: z.string(),
      gates: z.array(
        z.object({ gate: z.string(), outcome: z.string(), problems: z.array(z.string()).optional() }),
      ),
      next: z.string(),
    }),
    async run(input, sandbox, ctx) {
      const stored = await sandbox.registry.read(input.name, input.version);
      const candidate = candidateOf(stored);
      const judgement = await judge(candidate, {
        ...gateScope(sandbox),
        signal: ctx.signal,
        onGate: (gate) => ctx.progress(gateNames.indexOf(gate) + 1, gateNames.length, gate),
      });
      await keepVerdict(sandbox.registry, stored.name, stored.version, stored.digest, judgement);
      const after = await sandbox.registry.read(stored.name, stored.version);
      return {
        name: stored.name,
        version: stored.version,
        passed: judgement.passed,
        status: after.status,
        gates: judgement.gates.map(({ gate, outcome, problems }) => ({
          gate,
          outcome,
          ...(problems.length > 0 && { problems: problems.slice(0, 6) }),
        })),
        next: after.decision ? decided(after) : nextStep(stored.name, stored.version, judgement),
      };
    },
  }),
];

/** What a client does about a version that a person has decided on. */
function decided({ name: toolName, version, decision, status }: StoredVersion): string {
  if (decision?.approved === false) {
    return `A person refused it; only they can change that: kuznia approve ${toolName} ${version}`;
  }
  return status === 'approved'
    ? `A person approved it: sandbox_publish_tool ${toolName}`
    : 'Mend what failed and save it again with sandbox_save_tool.';
}

function said(test: TestCase): boolean {
  return test.name.trim() !== '' && (!('error' in test) || test.error.trim() !== '');
}

/** What a client does after a judgement, in one sentence. */
export function nextStep(toolName: string, version: string, judgement: Judgement): string {
  if (judgement.waiting) return `A person decides: kuznia approve ${toolName} ${version}`;
  if (judgement.passed) return `sandbox_publish_tool ${toolName} makes it live as forged_${toolName}.`;
  return 'Mend what failed and save it again with sandbox_save_tool.';
}

/** What the gates need of this server. */
export function gateScope({ runner, config, registry }: Sandbox) {
  return { runner, ask: config.ask, published: registry.live().map((one) => one.name) };
}

/** Writes a draft to the registry, with the JavaScript made of it where it is TypeScript. */
export async function saveDraft(registry: Registry, draft: Candidate, signal: AbortSignal) {
  const { code, tests, language, compiled: _, ...rest } = draft;
  const compiled = language === 'typescript' ? (await compile(draft, signal)).javascript : undefined;
  return registry.save({
    manifest: { ...rest, language, lane: 'quickjs', engine: 'quickjs-wasi 3' },
    code,
    compiled,
    tests,
  });
}

/** Keeps what the gates said with the version that they judged. */
export async function keepVerdict(
  registry: Registry,
  toolName: string,
  version: string,
  digest: string,
  judgement: Judgement,
): Promise<void> {
  await registry.putVerdict(toolName, version, {
    digest,
    passed: judgement.passed,
    approval: judgement.waiting ? 'person' : 'policy',
    gates: judgement.gates.map(({ gate, outcome, problems, ms }) => ({
      gate,
      passed: outcome === 'passed' || outcome === 'waiting',
      ms,
      message: problems.length > 0 ? problems.join('\n').slice(0, 4000) : outcome,
    })),
    at: new Date().toISOString(),
  });
}

/** A stored version as the gates want it. */
export function candidateOf(stored: StoredVersion): Candidate {
  const { manifest, code, compiled, tests } = stored;
  const language: Language = manifest.language;
  const output: { output_schema?: JsonObject } = manifest.output_schema
    ? { output_schema: manifest.output_schema }
    : {};
  return {
    name: manifest.name,
    description: manifest.description,
    language,
    input_schema: manifest.input_schema,
    ...output,
    grants: manifest.grants,
    code,
    ...(compiled !== undefined && { compiled }),
    tests,
  };
}
