import { z } from 'zod';
import type { JsonObject } from '../../kit/tool.ts';
import type { CallOptions, FormField } from './link-types.ts';

const titled = z.array(z.object({ const: z.string(), title: z.string().optional() }));
const about = { title: z.string().optional(), description: z.string().optional() };
const choices = {
  enum: z.array(z.string()).optional(),
  /** As it was before titles had a form of their own. */
  enumNames: z.array(z.string()).optional(),
  oneOf: titled.optional(),
  anyOf: titled.optional(),
};
/** The schemas of plain values that there are (MCP 2025-11-25, Elicitation). */
const field = z.union([
  z.object({
    ...about,
    ...choices,
    type: z.enum(['string', 'number', 'integer', 'boolean']),
    default: z.union([z.string(), z.number(), z.boolean()]).optional(),
  }),
  z.object({
    ...about,
    type: z.literal('array').transform((): 'list' => 'list'),
    items: z.object(choices),
    default: z.array(z.string()).optional(),
  }),
]);
const asked = z.object({
  message: z.string(),
  requestedSchema: z
    .object({ properties: z.record(z.string(), field), required: z.array(z.string()).optional() })
    .optional(),
});

type Filled = Record<string, string | number | boolean | string[]>;
type Elicited = { action: 'accept'; content: Filled } | { action: 'decline' } | { action: 'cancel' };

/**
 * Answers a server's question (MCP, Elicitation) by whoever sits at the call: yes or no where it wants one boolean, else
 * the fields it names. Without a person, and for what cannot be shown as fields, it is cancelled.
 */
export async function answerForm(params: unknown, call: CallOptions | undefined): Promise<Elicited> {
  const { message = '', requestedSchema } = asked.safeParse(params).data ?? {};
  if (!call || !requestedSchema) return { action: 'cancel' };
  const fields = Object.entries(requestedSchema.properties).map(([name, one]): FormField => {
    return {
      name,
      title: one.title ?? one.description ?? name,
      description: one.title === undefined ? undefined : one.description,
      type: one.type,
      required: requestedSchema.required?.includes(name) ?? false,
      options: optionsOf(one.type === 'list' ? one.items : one),
      preset: one.default,
    };
  });
  const [only, ...others] = fields;
  if (!only || (only.type === 'boolean' && others.length === 0)) {
    const answer = (await call.ask?.(message)) ?? 'unavailable';
    if (answer === 'unavailable') return { action: 'cancel' };
    return answer === 'yes'
      ? { action: 'accept', content: only ? { [only.name]: true } : {} }
      : { action: 'decline' };
  }
  const filled = await call.fill?.(message, fields);
  return filled ? { action: 'accept', content: plain(filled) } : { action: call.fill ? 'decline' : 'cancel' };
}

function optionsOf(one: z.output<z.ZodObject<typeof choices>>): FormField['options'] {
  return (
    one.enum?.map((value, at) => ({ value, label: one.enumNames?.[at] })) ??
    (one.oneOf ?? one.anyOf)?.map((option) => ({ value: option.const, label: option.title }))
  );
}

const value = z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]);

function plain(filled: JsonObject): Filled {
  const content: Filled = {};
  for (const [name, given] of Object.entries(filled)) {
    const known = value.safeParse(given).data;
    if (known !== undefined) content[name] = known;
  }
  return content;
}
