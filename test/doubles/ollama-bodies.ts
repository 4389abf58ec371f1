import { z } from 'zod';
import { isObject } from '../../kit/json.ts';
import { decoded, firstValue, go, Unreadable } from './go-json.ts';
import { Refused } from './ollama-wire.ts';

// What Ollama 0.24 takes (`api/types.go`), as Go reads it.

const text = z.string().default('');
const orderedMap = {
  own: true,
  refuses: (value: unknown) =>
    isObject(value) ? undefined : "Value looks like object, but can't find closing '}' symbol",
};
/** `api.ToolProperty`: what of a schema Go can read; anything else refuses the whole request. */
const property: z.ZodType = z.lazy(() => toolProperty);
const properties = z.record(z.string(), property).register(go, orderedMap);
const toolProperty = z
  .object({
    anyOf: z.array(property).optional(),
    type: z
      .union([z.string(), z.array(z.string())])
      .register(go, { name: '[]string' })
      .optional(),
    items: z.unknown().optional(),
    description: z.string().optional(),
    enum: z.array(z.unknown()).optional(),
    properties: properties.optional(),
    required: z.array(z.string()).optional(),
  })
  .register(go, { name: 'ToolProperty' });
const parameters = z
  .object({
    type: text,
    $defs: z.unknown().optional(),
    items: z.unknown().optional(),
    required: z.array(z.string()).optional(),
    properties: properties.optional(),
  })
  .register(go, { name: 'ToolFunctionParameters' });
const toolFunction = z
  .object({ name: text, description: text, parameters: parameters.default({ type: '' }) })
  .register(go, { name: 'ToolFunction' });
const tool = z.object({ type: text, function: toolFunction.prefault({}) }).register(go, { name: 'Tool' });
const image = z.base64().register(go, { name: 'api.ImageData', refuses: notBase64 });
const calledFunction = z
  .object({
    name: text,
    arguments: z.record(z.string(), z.unknown()).register(go, orderedMap).default({}),
  })
  .register(go, { name: 'ToolCallFunction' });
const message = z
  .object({
    role: text.transform((role) => role.toLowerCase()),
    content: text,
    thinking: z.string().optional(),
    tool_name: z.string().optional(),
    tool_call_id: z.string().optional(),
    images: z.array(image).optional(),
    tool_calls: z
      .array(
        z
          .object({ id: z.string().optional(), function: calledFunction.prefault({}) })
          .register(go, { name: 'ToolCall' }),
      )
      .optional(),
  })
  .register(go, { name: 'Message', own: true });

const THINK = '"high", "medium", "low", "max", true, or false';
const think = z.union([z.boolean(), z.enum(['low', 'medium', 'high', 'max'])]).register(go, {
  refuses: (value) =>
    typeof value === 'string'
      ? `invalid think value: ${JSON.stringify(value)} (must be ${THINK})`
      : `think must be a boolean or string (${THINK})`,
});
/** In seconds; a negative one is for ever. */
const duration = z
  .union([z.number(), z.string().transform(seconds)])
  .transform((s) => (s < 0 ? Number.POSITIVE_INFINITY : s))
  .register(go, {
    refuses: (value) =>
      typeof value === 'string'
        ? badDuration(value)
        : `Unsupported type: '${Array.isArray(value) ? '[]interface {}' : typeof value === 'boolean' ? 'bool' : 'map[string]interface {}'}'`,
  });
const shared = {
  model: text,
  format: z.unknown().optional(),
  stream: z.boolean().default(true),
  think: think.optional(),
  truncate: z.boolean().default(true),
  shift: z.boolean().default(true),
  logprobs: z.boolean().default(false),
  top_logprobs: z.int().default(0),
  keep_alive: duration.optional(),
  options: z.record(z.string(), z.unknown()).default({}),
};
export const chatBody = z
  .object({
    ...shared,
    messages: z.array(message).default([]),
    tools: z.array(tool).register(go, { name: 'api.Tools' }).optional(),
  })
  .register(go, { name: 'ChatRequest' });
export type ChatBody = z.output<typeof chatBody>;
export const generateBody = z
  .object({
    ...shared,
    prompt: text,
    suffix: text,
    system: text,
    raw: z.boolean().default(false),
    context: z.array(z.int()).default([]),
    images: z.array(image).optional(),
  })
  .register(go, { name: 'GenerateRequest' });
/** Older clients say `name`. */
const named = { model: text, name: text };
export const showBody = z
  .object({ ...named, system: text, options: shared.options })
  .register(go, { name: 'ShowRequest' });
export const deleteBody = z.object(named).register(go, { name: 'DeleteRequest' });
export const pullBody = z
  .object({ ...named, stream: z.boolean().default(true) })
  .register(go, { name: 'PullRequest' });
const embedding = { model: text, keep_alive: duration.optional(), options: shared.options };
export const embedBody = z
  .object({
    ...embedding,
    input: z.unknown().optional(),
    truncate: z.boolean().default(true),
    dimensions: z.int().default(0),
  })
  .register(go, { name: 'EmbedRequest' });
export const embeddingBody = z
  .object({ ...embedding, prompt: text })
  .register(go, { name: 'EmbeddingRequest' });

/** A body as Go's `encoding/json` takes it. */
export function read<S extends z.ZodType>(schema: S, body: string): z.output<S> {
  try {
    const value = firstValue(body);
    if (value === undefined) throw new Unreadable('missing request body');
    return decoded(schema, value);
  } catch (error) {
    throw error instanceof Unreadable ? new Refused(400, error.message) : error;
  }
}

/** Where Go's decoder stops: at what is no letter of base64, else where the last four letters are not whole. */
function notBase64(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const wrong = value.search(/[^A-Za-z0-9+/=]/);
  return `illegal base64 data at input byte ${wrong >= 0 ? wrong : Math.floor(value.length / 4) * 4}`;
}

const UNITS = new Map(Object.entries({ ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 }));

/** `time.ParseDuration`. */
function seconds(value: string, { issues }: { issues: z.core.$ZodRawIssue[] }): number {
  const all = /^([+-]?)((?:[\d.]+[a-z]+)+)$/.exec(value);
  let sum = value === '0' ? 0 : Number.NaN;
  if (all) {
    sum = 0;
    for (const [, number, unit] of (all[2] ?? '').matchAll(/([\d.]+)([a-z]+)/g)) {
      sum += Number(number) * (UNITS.get(unit ?? '') ?? Number.NaN);
    }
  }
  if (Number.isNaN(sum)) issues.push({ code: 'custom', message: 'no duration', input: value });
  return all?.[1] === '-' ? -sum : sum;
}

function badDuration(value: string): string {
  const shown = JSON.stringify(value);
  if (/^[+-]?[\d.]+$/.test(value)) return `time: missing unit in duration ${shown}`;
  const unit = [...value.matchAll(/[\d.]([a-z]+)/g)]
    .map((one) => one[1] ?? '')
    .find((one) => !UNITS.has(one));
  return unit && /^[+-]?\d/.test(value)
    ? `time: unknown unit ${JSON.stringify(unit)} in duration ${shown}`
    : `time: invalid duration ${shown}`;
}
