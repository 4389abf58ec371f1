import { z } from 'zod';
import type { JsonObject } from '../../kit/tool.ts';
import type { CallOptions, FormField } from './link-types.ts';

const field = z.object({
  type: z.enum(['string', 'number', 'integer', 'boolean']),
  title: z.string().optional(),
  description: z.string().optional(),
  enum: z.array(z.string()).optional(),
  oneOf: z.array(z.object({ const: z.string() })).optional(),
});
const asked = z.object({
  message: z.string(),
  requestedSchema: z
    .object({ properties: z.record(z.string(), field), required: z.array(z.string()).optional() })
    .optional(),
});

type Elicited =
  | { action: 'accept'; content: Record<string, string | number | boolean> }
  | { action: 'decline' }
  | { action: 'cancel' };

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
      type: one.type,
      required: requestedSchema.required?.includes(name) ?? false,
      options: one.enum ?? one.oneOf?.map((option) => option.const),
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

const value = z.union([z.string(), z.number(), z.boolean()]);

function plain(filled: JsonObject): Record<string, string | number | boolean> {
  const content: Record<string, string | number | boolean> = {};
  for (const [name, given] of Object.entries(filled)) {
    const known = value.safeParse(given).data;
    if (known !== undefined) content[name] = known;
  }
  return content;
}
