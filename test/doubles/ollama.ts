import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  capabilities,
  embed,
  known,
  listed,
  pull,
  remove,
  running,
  show,
  type DoubleModel,
} from './ollama-library.ts';
import { fitted } from './ollama-prompt.ts';
import {
  bodyOf,
  chatBody,
  generateBody,
  json,
  plain,
  read,
  Refused,
  send,
  type ChatBody,
} from './ollama-wire.ts';

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
  /** A server before 0.12.6, which cuts whatever is asked of it. */
  old?: boolean;
  /** A server that gives a model no more context than this, whatever it says of the model. */
  serves?: number;
  /** What is told as read, of what was; 0 tells nothing, as of a prompt that was in the cache of servers before 0.4. */
  counts?: (tokens: number) => number;
}): Promise<OllamaDouble> {
  const models = [...(options.models ?? [{ name: 'double:4b' }])];
  const loaded = new Map<string, number>();
  const double: OllamaDouble = { url: '', chats: [], cancelled: 0, loads: 0, close: async () => {} };

  const server = createServer((req, res) => {
    answer(req, res).catch((error: unknown) => {
      if (res.headersSent) res.destroy();
      else if (error instanceof Refused) json(res, error.status, { error: error.message });
      else json(res, 500, { error: String(error) });
    });
  });

  /** The routes of `server/routes.go` that the double knows, with their methods. */
  const routes = new Map<string, [string, (res: ServerResponse, body: unknown) => Promise<void> | void]>([
    ['/', ['GET', (res) => plain(res, 200, 'Ollama is running')]],
    ['/api/version', ['GET', (res) => json(res, 200, { version: options.old ? '0.12.5' : '0.24.0' })]],
    ['/api/tags', ['GET', (res) => json(res, 200, { models: models.map(listed) })]],
    [
      '/api/ps',
      ['GET', (res) => json(res, 200, { models: [...loaded].flatMap((one) => running(one, models)) })],
    ],
    ['/api/show', ['POST', (res, body) => show(res, body, models)]],
    ['/api/embed', ['POST', (res, body) => embed(res, body, models, false)]],
    ['/api/embeddings', ['POST', (res, body) => embed(res, body, models, true)]],
    ['/api/chat', ['POST', (res, body) => chat(res, read(chatBody, body), 'message')]],
    ['/api/generate', ['POST', (res, body) => generate(res, body)]],
    [
      '/api/pull',
      [
        'POST',
        (res, body) => pull(res, body, { ...options, models, send, gone: () => (double.cancelled += 1) }),
      ],
    ],
    ['/api/delete', ['DELETE', (res, body) => remove(res, body, { models, loaded })]],
  ]);

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const route = routes.get((req.url ?? '').split('?')[0] ?? '');
    if (!route) return plain(res, 404, '404 page not found');
    const [method, run] = route;
    const asks = req.method === 'HEAD' ? 'GET' : req.method;
    if (asks !== method) return plain(res, 405, '405 method not allowed');
    await run(res, await bodyOf(req));
  }

  /** The same, of one text. */
  async function generate(res: ServerResponse, raw: unknown): Promise<void> {
    const { prompt, system, images, ...rest } = read(generateBody, raw);
    const messages = [
      ...(system ? [{ role: 'system', content: system }] : []),
      ...(prompt ? [{ role: 'user', content: prompt, images }] : []),
    ];
    return chat(res, { ...rest, messages }, 'response');
  }

  async function chat(res: ServerResponse, body: ChatBody, as: 'message' | 'response'): Promise<void> {
    const model = known(models, body.model);
    const base = () => ({ model: body.model, created_at: new Date().toISOString() });
    const said = (part: Spoken) =>
      as === 'message'
        ? { message: { role: 'assistant', content: '', ...part } }
        : { response: part.content ?? '', ...(part.thinking && { thinking: part.thinking }) };
    if (body.messages.length === 0) {
      const unloads = body.keep_alive === 0 || body.keep_alive === '0';
      if (unloads) loaded.delete(body.model);
      else load(model, body);
      return json(res, 200, { ...base(), ...said({}), done: true, done_reason: unloads ? 'unload' : 'load' });
    }
    double.chats.push(body);
    const n = double.chats.length;
    refuse(model, body);
    let gone = false;
    res.on('close', () => {
      gone = !res.writableFinished;
      if (gone) double.cancelled += 1;
    });
    const { context, fresh } = load(model, body);
    if (fresh) await sleep(options.loadMs ?? 0, undefined, { ref: false });
    if (gone) return;
    const { messages, tokens } = fitted(body, context, options.old ?? false);
    const text = messages.map((part) => part.content).join('\n');
    const reply = await options.reply({ n, body, messages, text });
    const counted = options.counts ? options.counts(tokens) : tokens;
    const end = {
      done: true,
      done_reason: 'reason' in reply && reply.reason ? reply.reason : 'stop',
      total_duration: 2e6,
      load_duration: 1e6,
      // Go's `omitempty`.
      ...(counted > 0 && { prompt_eval_count: counted }),
      prompt_eval_duration: 1e6,
      eval_count: 7,
      eval_duration: 1e6,
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
    if (!body.stream) {
      if ('fails' in reply) return json(res, 500, { error: reply.fails });
      return json(res, 200, { ...base(), ...said(spoken(reply, body)), ...end });
    }
    res.writeHead(200, { 'content-type': 'application/x-ndjson' });
    for (const part of parts(reply, body)) {
      const line = { ...base(), ...said(part), done: false };
      if (!(await send(res, `${JSON.stringify(line)}\n`, options.chunk))) return;
      if (options.paceMs) await sleep(options.paceMs);
    }
    const last = 'fails' in reply ? { error: reply.fails } : { ...base(), ...said({}), ...end };
    await send(res, `${JSON.stringify(last)}\n`, options.chunk);
    res.end();
  }

  /** Loads a model, or loads it anew for another context. */
  function load(model: DoubleModel, body: ChatBody) {
    const most = Math.min(model.contextLength ?? 32_768, options.serves ?? Number.POSITIVE_INFINITY);
    const context = Math.min(body.options.num_ctx ?? 4096, most);
    const fresh = loaded.get(body.model) !== context;
    loaded.set(body.model, context);
    if (fresh) double.loads += 1;
    return { context, fresh };
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

/** What the model cannot do, or the grammar cannot hold. */
function refuse(model: DoubleModel, { model: name, tools, think, format }: ChatBody): void {
  const can = capabilities(model);
  if (!can.includes('completion')) throw new Refused(400, `"${name}" does not support chat`);
  if (think && !can.includes('thinking')) throw new Refused(400, `"${name}" does not support thinking`);
  if (tools?.length && !can.includes('tools')) {
    throw new Refused(
      400,
      `registry.ollama.ai/library/${name.includes(':') ? name : `${name}:latest`} does not support tools`,
    );
  }
  const schema = typeof format === 'object' && format !== null && !Array.isArray(format);
  if (format !== undefined && format !== null && format !== '' && format !== 'json' && !schema) {
    const wanted = 'expected "json" or a valid JSON Schema object';
    throw new Refused(500, `invalid format: ${JSON.stringify(JSON.stringify(format))}; ${wanted}`);
  }
  if (/"(?:min|max)(?:Length|Items)":(?:2\d{3}|[3-9]\d{3}|\d{5})/.test(JSON.stringify(format ?? ''))) {
    // llama.cpp: "number of repetitions exceeds sane defaults".
    throw new Refused(500, 'failed to load model vocabulary required for format');
  }
}

interface Spoken {
  content?: string;
  thinking?: string;
  calls?: { name: string; arguments: unknown }[];
  tool_calls?: unknown[];
}

/** `format` binds the answer to a schema, so that no tool call comes of it. */
function spoken({ content = '', thinking, calls = [] }: Spoken, { format }: ChatBody): Spoken {
  const tool_calls = calls.map((call, index) => ({ id: `call_${index}x`, function: { index, ...call } }));
  return { content, ...(thinking && { thinking }), ...(calls.length > 0 && !format && { tool_calls }) };
}

function* parts(reply: Spoken, body: ChatBody): Generator<Spoken> {
  const { content = '', thinking, tool_calls } = spoken(reply, body);
  if (thinking) yield { thinking };
  for (const word of content.match(/\s*\S+\s*/g) ?? []) yield { content: word };
  if (tool_calls) yield { tool_calls };
}
