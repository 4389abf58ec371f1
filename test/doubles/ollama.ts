import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { find as findIn, json, listed, pull, remove, running, type DoubleModel } from './ollama-library.ts';

export type { DoubleModel } from './ollama-library.ts';

/** What the "model" says to one request; the double wraps it as Ollama would. */
export type Reply =
  | { content?: string; thinking?: string; calls?: { name: string; arguments: unknown }[]; reason?: string }
  /** An error before anything else, in Ollama's shape. */
  | { status: number; error: string }
  /** Some words, then an error line: what Ollama does when it fails after the headers. */
  | { content: string; fails: string }
  /** Some bytes as they are; then the connection is cut, or kept open and silent. */
  | { raw: string; type?: string; status?: number; end: 'end' | 'cut' | 'silent' }
  /** No headers, ever. */
  | { silent: true };

const message = z.object({
  role: z.string(),
  content: z.string(),
  tool_name: z.string().optional(),
  tool_call_id: z.string().optional(),
  images: z.array(z.base64()).optional(),
  tool_calls: z
    .array(
      z.object({
        id: z.string().optional(),
        function: z.object({ name: z.string(), arguments: z.unknown() }),
      }),
    )
    .optional(),
});

const chatBody = z.object({
  model: z.string(),
  messages: z.array(message).default([]),
  tools: z
    .array(
      z.object({
        type: z.literal('function'),
        function: z.object({ name: z.string(), description: z.string(), parameters: z.looseObject({}) }),
      }),
    )
    .optional(),
  format: z.union([z.string(), z.looseObject({})]).optional(),
  stream: z.boolean().default(true),
  think: z.boolean().optional(),
  options: z.looseObject({ num_ctx: z.int().positive().optional() }).default({}),
});

export type ChatBody = z.output<typeof chatBody>;

/** A chat request as the model saw it: `messages` after the server's cut, `n` counted from 1. */
export interface Asked {
  n: number;
  body: ChatBody;
  messages: ChatBody['messages'];
  /** Everything that the model read, as text. */
  text: string;
}

export interface OllamaDouble {
  url: string;
  chats: ChatBody[];
  /** Chats whose client went away before the end. */
  cancelled: number;
  /** How often a model was loaded (also anew, for another `num_ctx`). */
  loads: number;
  close: () => Promise<void>;
}

/** A server that keeps the rules of Ollama 0.24's HTTP API (`server/routes.go`, `server/prompt.go`) without a model. */
export async function ollamaDouble(options: {
  models?: DoubleModel[];
  /** What can be pulled. */
  library?: DoubleModel[];
  reply: (asked: Asked) => Reply | Promise<Reply>;
  /** Time that the first request to a model waits for its headers. */
  loadMs?: number;
  /** Bytes a write: small ones cut lines and letters anywhere. */
  chunk?: number;
  /** Time between two words. */
  paceMs?: number;
}): Promise<OllamaDouble> {
  const models = [...(options.models ?? [{ name: 'double:4b' }])];
  const loaded = new Map<string, number>();
  const double: OllamaDouble = { url: '', chats: [], cancelled: 0, loads: 0, close: async () => {} };

  const server = createServer((req, res) => {
    answer(req, res).catch((error: unknown) => {
      if (!res.headersSent) json(res, 500, { error: String(error) });
      else res.destroy();
    });
  });

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = (req.url ?? '').split('?')[0];
    const body = await readBody(req);
    if (path === '/api/version') return json(res, 200, { version: '0.24.0' });
    if (path === '/api/tags') return json(res, 200, { models: models.map(listed) });
    if (path === '/api/show') return show(res, body);
    if (path === '/api/embed') return embed(res, body);
    if (path === '/api/chat') return chat(res, body);
    if (path === '/api/ps')
      return json(res, 200, { models: [...loaded].flatMap((one) => running(one, models)) });
    if (path === '/api/pull')
      return pull(res, body, { ...options, models, send, gone: () => (double.cancelled += 1) });
    if (path === '/api/delete' && req.method === 'DELETE') return remove(res, body, { models, loaded });
    return json(res, 404, { error: `path "${path}" not found` });
  }

  const find = (name: string) => findIn(models, name);

  function show(res: ServerResponse, body: unknown): void {
    const { model: name } = z.object({ model: z.string() }).parse(body);
    const model = find(name);
    if (!model) return json(res, 404, { error: `model '${name}' not found` });
    return json(res, 200, {
      capabilities: capabilities(model),
      details: listed(model).details,
      template: '{{ .Prompt }}',
      model_info: {
        'general.architecture': 'double',
        'double.context_length': model.contextLength ?? 32_768,
      },
    });
  }

  function embed(res: ServerResponse, body: unknown): void {
    const { model: name, input } = z.object({ model: z.string(), input: z.array(z.string()) }).parse(body);
    const model = find(name);
    if (!model) return json(res, 404, { error: `model "${name}" not found, try pulling it first` });
    if (!capabilities(model).includes('embedding')) {
      return json(res, 400, { error: 'this model does not support embeddings' });
    }
    return json(res, 200, {
      model: name,
      embeddings: input.map((text) => [text.length, text.split(' ').length, 1]),
    });
  }

  async function chat(res: ServerResponse, raw: unknown): Promise<void> {
    const body = chatBody.parse(raw);
    double.chats.push(body);
    const n = double.chats.length;
    const model = find(body.model);
    if (!model) return json(res, 404, { error: `model '${body.model}' not found` });
    const long = `registry.ollama.ai/library/${body.model}`;
    if (body.tools?.length && !capabilities(model).includes('tools')) {
      return json(res, 400, { error: `${long} does not support tools` });
    }
    if (body.think && !capabilities(model).includes('thinking')) {
      return json(res, 400, { error: `"${body.model}" does not support thinking` });
    }
    if (/"(?:min|max)(?:Length|Items)":(?:2\d{3}|[3-9]\d{3}|\d{5})/.test(JSON.stringify(body.format ?? ''))) {
      // llama.cpp: "number of repetitions exceeds sane defaults".
      return json(res, 500, { error: 'failed to load model vocabulary required for format' });
    }
    let gone = false;
    res.on('close', () => {
      gone = !res.writableFinished;
      if (gone) double.cancelled += 1;
    });
    const context = Math.min(body.options.num_ctx ?? 4096, model.contextLength ?? 32_768);
    if (loaded.get(body.model) !== context) {
      loaded.set(body.model, context);
      double.loads += 1;
      await sleep(options.loadMs ?? 0, undefined, { ref: false });
    }
    if (gone) return;
    const messages = truncated(body, context);
    const text = messages.map((part) => part.content).join('\n');
    const reply = await options.reply({ n, body, messages, text });
    const base = { model: body.model, created_at: new Date().toISOString() };
    const end = {
      ...base,
      message: { role: 'assistant', content: '' },
      done: true,
      done_reason: 'reason' in reply && reply.reason ? reply.reason : 'stop',
      total_duration: 2e6,
      prompt_eval_count: Math.min(context, tokens(messages, body)),
      eval_count: 7,
    };
    if ('silent' in reply) return;
    if ('status' in reply && 'error' in reply) return json(res, reply.status, { error: reply.error });
    if ('raw' in reply) {
      res.writeHead(reply.status ?? 200, { 'content-type': reply.type ?? 'application/x-ndjson' });
      res.write(reply.raw);
      if (reply.end === 'end') res.end();
      if (reply.end === 'cut') setTimeout(() => res.destroy(), 20);
      return;
    }
    if (!body.stream)
      return json(res, 200, { ...end, message: { role: 'assistant', ...spoken(reply, body) } });
    res.writeHead(200, { 'content-type': 'application/x-ndjson' });
    for (const part of parts(reply, body)) {
      const line = { ...base, message: { role: 'assistant', content: '', ...part }, done: false };
      if (!(await send(res, `${JSON.stringify(line)}\n`, options.chunk))) return;
      if (options.paceMs) await sleep(options.paceMs);
    }
    const last = 'fails' in reply ? { error: reply.fails } : end;
    await send(res, `${JSON.stringify(last)}\n`, options.chunk);
    res.end();
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  double.url = `http://127.0.0.1:${portOf(server.address())}`;
  double.close = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return double;
}

const portOf = (address: AddressInfo | string | null) =>
  typeof address === 'object' && address ? address.port : 0;

const capabilities = (model: DoubleModel) => model.capabilities ?? ['completion', 'tools'];

function tokens(messages: ChatBody['messages'], { tools, format }: ChatBody): number {
  return Math.ceil((JSON.stringify(messages).length + JSON.stringify([tools, format]).length) / 4);
}

/** What Ollama does with a prompt past `num_ctx`: the oldest messages go, the system's and the last one stay. */
function truncated(body: ChatBody, context: number): ChatBody['messages'] {
  const kept = [...body.messages];
  while (tokens(kept, body) > context) {
    const oldest = kept.findIndex((part, index) => part.role !== 'system' && index < kept.length - 1);
    if (oldest === -1) break;
    kept.splice(oldest, 1);
  }
  return kept;
}

type Spoken = { content?: string; thinking?: string; calls?: { name: string; arguments: unknown }[] };

/** `format` binds the answer to a schema, so that no tool call comes of it. */
function spoken({ content = '', thinking, calls = [] }: Spoken, { format }: ChatBody) {
  const tool_calls = calls.map((call, index) => ({ id: `call_${index}x`, function: { index, ...call } }));
  return { content, ...(thinking && { thinking }), ...(calls.length > 0 && !format && { tool_calls }) };
}

function* parts(reply: Spoken, body: ChatBody) {
  const { content, thinking, tool_calls } = spoken(reply, body);
  if (thinking) yield { thinking };
  for (const word of content.match(/\s*\S+\s*/g) ?? []) yield { content: word };
  if (tool_calls) yield { tool_calls };
}

/** False when the client has gone. */
async function send(res: ServerResponse, text: string, chunk = 1 << 20): Promise<boolean> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += chunk) {
    if (res.destroyed) return false;
    res.write(bytes.subarray(at, at + chunk));
    // A turn of the loop, so that the pieces arrive as pieces.
    if (bytes.length > chunk) await setImmediate();
  }
  return !res.destroyed;
}

async function readBody(req: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const part of req) text += String(part);
  return text ? JSON.parse(text) : {};
}
