import { jsonOrNothing } from '../../../kit/json.ts';
import { z } from 'zod';
import { complete, ModelError, type ChatRequest, type Model } from '../../../kit/model.ts';
import { ToolError, type JsonObject } from '../../../kit/tool.ts';

import * as prompts from './prompts.ts';
import type { Example, Plan } from './prompts.ts';
import type { TestCase } from '../registry/records.ts';

/** A model that is asked for tools: which one, and how. */
export interface Author {
  model: Model;
  name: string;
  signal: AbortSignal;
}

const TYPES = {
  string: { type: 'string' },
  number: { type: 'number' },
  integer: { type: 'integer' },
  boolean: { type: 'boolean' },
  object: { type: 'object' },
  'string[]': { type: 'array', items: { type: 'string' } },
  'number[]': { type: 'array', items: { type: 'number' } },
  'object[]': { type: 'array', items: { type: 'object' } },
  any: {},
} as const;

const typeName = z.enum([
  'string',
  'number',
  'integer',
  'boolean',
  'object',
  'string[]',
  'number[]',
  'object[]',
  'any',
]);

const field = z.object({
  name: z.string(),
  type: typeName,
  description: z.string(),
  optional: z.boolean().optional(),
});

const planAnswer = z.object({
  name: z.string(),
  description: z.string(),
  input: z.array(field),
  output: z.array(field),
});

const testsAnswer = z.object({
  tests: z.array(z.object({ name: z.string(), input: z.unknown(), output: z.unknown() })),
  refused: z.array(z.object({ name: z.string(), input: z.unknown(), error: z.string() })).default([]),
});

const blameAnswer = z.object({ wrong: z.enum(['code', 'tests']) });

/** What the tool is to be called, take and give. A list of fields is easier for a small model than a JSON Schema. */
export async function plan(author: Author, task: string, examples: Example[]): Promise<Plan> {
  const said = await ask(author, prompts.planPrompt(task, examples), planAnswer);
  return planOf(said);
}

/** The plan after a change; the name stays. */
export async function changedPlan(author: Author, before: Plan, change: string): Promise<Plan> {
  const said = await ask(author, prompts.changePlanPrompt(before, change), planAnswer);
  const after = planOf(said);
  return {
    ...after,
    name: before.name,
    input_schema: kept(before.input_schema, after.input_schema),
    output_schema: kept(before.output_schema, after.output_schema),
  };
}

export async function code(author: Author, prompt: string): Promise<string> {
  return codeIn(await answer(author, request(author, prompt)));
}

/** Tests whose inputs and outputs follow the plan's schemas, since the answer is constrained by them. */
export async function tests(author: Author, prompt: string, of: Plan): Promise<TestCase[]> {
  const format = {
    type: 'object',
    properties: {
      tests: {
        type: 'array',
        minItems: 2,
        maxItems: 6,
        items: {
          type: 'object',
          properties: { name: { type: 'string' }, input: of.input_schema, output: of.output_schema },
          required: ['name', 'input', 'output'],
        },
      },
      refused: {
        type: 'array',
        maxItems: 2,
        items: {
          type: 'object',
          properties: { name: { type: 'string' }, input: of.input_schema, error: { type: 'string' } },
          required: ['name', 'input', 'error'],
        },
      },
    },
    required: ['tests', 'refused'],
  };
  const said = await ask(author, prompt, testsAnswer, format);
  const all: TestCase[] = [...said.tests, ...said.refused.filter((test) => test.error.trim() !== '')];
  return all.map((test, i) => ({ ...test, name: `${i + 1} ${test.name}`.slice(0, 80) }));
}

export async function blame(
  author: Author,
  of: Plan,
  source: string,
  problems: string[],
): Promise<'code' | 'tests'> {
  return (await ask(author, prompts.blamePrompt(of, source, problems), blameAnswer)).wrong;
}

/** Which of the named tools does the task, if any does. */
export async function choose(
  author: Author,
  task: string,
  tools: { name: string; description: string }[],
): Promise<string | undefined> {
  const names = [...tools.map((tool) => tool.name), 'none'];
  const format = {
    type: 'object',
    properties: { tool: { type: 'string', enum: names } },
    required: ['tool'],
  };
  const said = await ask(author, prompts.choosePrompt(task, tools), z.object({ tool: z.string() }), format);
  return tools.some((tool) => tool.name === said.tool) ? said.tool : undefined;
}

/** The input of a tool for a task, constrained by the tool's own schema. */
export async function fill(
  author: Author,
  task: string,
  input: unknown,
  tool: { name: string; description: string; input_schema: JsonObject },
): Promise<JsonObject> {
  const prompt = prompts.argumentsPrompt(task, input, tool);
  return ask(author, prompt, z.record(z.string(), z.unknown()), tool.input_schema);
}

function request(author: Author, prompt: string) {
  return {
    model: author.name,
    messages: [
      { role: 'system' as const, content: prompts.SYSTEM },
      { role: 'user' as const, content: prompt },
    ],
    options: { temperature: 0.2 },
  };
}

async function answer(author: Author, asked: ChatRequest): Promise<string> {
  try {
    return (await complete(author.model, asked, author.signal)).text;
  } catch (error) {
    if (error instanceof ModelError) throw new ToolError(error.message, { cause: error });
    throw error;
  }
}

/** Asks for JSON; an answer that does not fit is asked for once more, with what was wrong. */
async function ask<T>(author: Author, prompt: string, schema: z.ZodType<T>, format?: JsonObject): Promise<T> {
  let wrong = '';
  for (let attempt = 0; attempt < 2; attempt++) {
    const asked = { ...request(author, prompt + wrong), format: format ?? jsonSchema(schema) };
    const parsed = schema.safeParse(jsonOrNothing(await answer(author, asked)));
    if (parsed.success) return parsed.data;
    wrong = `\nYour last answer did not fit: ${parsed.error.issues.map((issue) => issue.message).join('; ')}`;
  }
  throw new ToolError(
    `${author.name} did not answer in the form asked for, twice. Try again, or name a larger model with \`model\`.`,
  );
}

function jsonSchema(schema: z.ZodType): JsonObject {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return rest;
}

function planOf(said: z.output<typeof planAnswer>): Plan {
  return {
    name: snakeCase(said.name),
    description: said.description.trim(),
    input_schema: objectSchema(said.input),
    output_schema: objectSchema(said.output),
  };
}

function objectSchema(fields: z.output<typeof field>[]): JsonObject {
  const properties = Object.fromEntries(
    fields.map(({ name, type, description }) => [name, { ...TYPES[type], description }]),
  );
  const required = fields.filter((one) => !one.optional).map((one) => one.name);
  return {
    type: 'object',
    properties,
    ...(required.length > 0 && { required }),
    additionalProperties: false,
  };
}

/** A schema that a person or another model wrote in more detail is kept, field by field, where the type did not change. */
function kept(before: JsonObject, after: JsonObject): JsonObject {
  const old =
    z.record(z.string(), z.looseObject({ type: z.unknown().optional() })).safeParse(before['properties'])
      .data ?? {};
  const now =
    z.record(z.string(), z.looseObject({ type: z.unknown().optional() })).safeParse(after['properties'])
      .data ?? {};
  const properties = Object.fromEntries(
    Object.entries(now).map(([name, schema]) => [name, old[name]?.type === schema.type ? old[name] : schema]),
  );
  return { ...after, properties };
}

/** A name as the registry takes it, made of whatever the model called its tool. */
export function snakeCase(name: string): string {
  const plain = name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^(forged|sandbox|tool)_/, '')
    .replace(/^[^a-z]+|_+$/g, '')
    .slice(0, 48);
  return plain === '' ? 'tool' : plain;
}

/** The code in an answer: its first fenced block, or all of it; with a default export where a small model forgot it. */
export function codeIn(text: string): string {
  const fenced = /```[a-z]*\s*\n([\s\S]*?)(?:\n```|$)/i.exec(text)?.[1] ?? text;
  const source = fenced.trim();
  if (/\bexport\s+default\b|\bexport\s*\{[^}]*\bas\s+default\b/.test(source)) return source;
  const exported = source.replace(/^\s*module\.exports\s*=\s*/m, 'export default ');
  if (exported !== source) return exported;
  const names = [...source.matchAll(/^(?:export\s+)?(?:async\s+)?(?:function\s+|const\s+|let\s+)(\w+)/gm)];
  const last = names.at(-1)?.[1];
  return last === undefined ? source : `${source}\n\nexport default ${last};`;
}
