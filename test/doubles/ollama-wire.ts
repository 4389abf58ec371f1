import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import { isObject } from '../../kit/json.ts';

/** What the server answers instead of doing as it was asked. */
export class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const text = z.string().default('');
/** `api.ToolProperty`: what of a schema Go can read; anything else refuses the whole request. */
const property: z.ZodType = z.lazy(() =>
  z.looseObject({
    anyOf: z.array(property).nullish(),
    type: z.union([z.string(), z.array(z.string())]).nullish(),
    description: z.string().nullish(),
    enum: z.array(z.unknown()).nullish(),
    properties: z.record(z.string(), property).nullish(),
    required: z.array(z.string()).nullish(),
  }),
);
const tool = z.object({
  type: text,
  function: z.object({
    name: text,
    description: text,
    parameters: z
      .looseObject({
        type: text,
        required: z.array(z.string()).nullish(),
        properties: z.record(z.string(), property).nullish(),
      })
      .default({ type: '' }),
  }),
});
const message = z.object({
  role: text,
  content: text,
  thinking: z.string().optional(),
  tool_name: z.string().optional(),
  tool_call_id: z.string().optional(),
  images: z.array(z.base64()).optional(),
  tool_calls: z
    .array(
      z.object({
        id: z.string().optional(),
        function: z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()) }),
      }),
    )
    .optional(),
});
const shared = {
  model: text,
  format: z.unknown().optional(),
  stream: z.boolean().default(true),
  think: z.union([z.boolean(), z.enum(['low', 'medium', 'high', 'max'])]).optional(),
  truncate: z.boolean().default(true),
  keep_alive: z.union([z.string(), z.number()]).optional(),
  options: z.looseObject({ num_ctx: z.int().positive().optional() }).default({}),
};
export const chatBody = z.object({
  ...shared,
  messages: z.array(message).default([]),
  tools: z.array(tool).optional(),
});
export type ChatBody = z.output<typeof chatBody>;
export const generateBody = z.object({
  ...shared,
  prompt: text,
  system: text,
  images: z.array(z.base64()).optional(),
});
/** Older clients say `name`. */
export const named = z
  .object({ model: text, name: text, stream: z.boolean().default(true) })
  .transform(({ model, name, stream }) => ({ name: model || name, stream }));
export const embedBody = z.object({ model: text, input: z.unknown().optional(), prompt: text });

/** A body as Go's `encoding/json` takes it: what is unknown is passed over, a wrong type refuses the whole. */
export function read<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const path = parsed.error.issues[0]?.path ?? [];
  let at = body;
  for (const step of path) at = isObject(at) || Array.isArray(at) ? Reflect.get(at, step) : undefined;
  if (path[0] === 'think' && typeof at === 'string') {
    const wanted = '(must be "high", "medium", "low", "max", true, or false)';
    throw new Refused(400, `invalid think value: ${JSON.stringify(at)} ${wanted}`);
  }
  const kind = Array.isArray(at) ? 'array' : typeof at === 'boolean' ? 'bool' : typeof at;
  throw new Refused(400, `json: cannot unmarshal ${kind} into Go struct field ${path.join('.')}`);
}

export async function bodyOf(req: IncomingMessage): Promise<unknown> {
  let whole = '';
  for await (const part of req) whole += String(part);
  if (req.method === 'GET' || req.method === 'HEAD') return {};
  if (whole === '') throw new Refused(400, 'missing request body');
  try {
    return JSON.parse(whole);
  } catch {
    throw new Refused(
      400,
      `invalid character '${whole.trimStart().slice(0, 1)}' looking for beginning of value`,
    );
  }
}

/** An answer that is one JSON value. */
export function json(res: ServerResponse, status: number, value: unknown): void {
  res.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  res.end(JSON.stringify(value));
}

/** What the router (gin) says by itself. */
export function plain(res: ServerResponse, status: number, words: string): void {
  res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  res.end(words);
}

/** False when the client has gone. */
export async function send(res: ServerResponse, words: string, chunk = 1 << 20): Promise<boolean> {
  const bytes = Buffer.from(words);
  for (let at = 0; at < bytes.length; at += chunk) {
    if (res.destroyed) return false;
    res.write(bytes.subarray(at, at + chunk));
    // A turn of the loop, so that the pieces arrive as pieces.
    if (bytes.length > chunk) await setImmediate();
  }
  return !res.destroyed;
}
