import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { chatBody, generateBody, read, type ChatBody } from './ollama-bodies.ts';
import {
  capabilities,
  CHAT,
  embed,
  embedding,
  GENERATE,
  known,
  listed,
  pull,
  remove,
  running,
  show,
  type DoubleModel,
  type Load,
  type Loaded,
} from './ollama-library.ts';
import { checkFormat, modelOptions } from './ollama-options.ts';
import { fitted } from './ollama-prompt.ts';
import { bounded, parts, spoken, written, type Reply, type Spoken } from './ollama-reply.ts';
import { bodyOf, json, Refused, send, whole } from './ollama-wire.ts';

export type { DoubleModel } from './ollama-library.ts';
export type { Reply } from './ollama-reply.ts';

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
  const loaded = new Map<string, Loaded>();
  const double: OllamaDouble = { url: '', chats: [], cancelled: 0, loads: 0, close: async () => {} };

  const server = createServer((req, res) => {
    answer(req, res).catch((error: unknown) => {
      if (res.headersSent) res.destroy();
      else if (error instanceof Refused) json(res, error.status, { error: error.message }, error.type);
      else json(res, 500, { error: String(error) });
    });
  });

  /** The one that stays longest comes first. */
  const inMemory = () => [...loaded.values()].toSorted((a, b) => b.until - a.until);
  type Route = (res: ServerResponse, body: string) => Promise<void> | void;
  const gone = () => (double.cancelled += 1);
  /** The routes of `server/routes.go` that the double knows, with their methods. */
  const routes = new Map<string, [method: string, run: Route]>([
    ['/', ['GET,HEAD', (res) => whole(res, 200, 'text/plain; charset=utf-8', 'Ollama is running')]],
    ['/api/version', ['GET,HEAD', (res) => json(res, 200, { version: options.old ? '0.12.5' : '0.24.0' })]],
    ['/api/tags', ['GET,HEAD', (res) => json(res, 200, { models: models.map(listed) })]],
    ['/api/ps', ['GET', (res) => json(res, 200, { models: inMemory().map(running) })]],
    ['/api/show', ['POST', (res, body) => show(res, body, models)]],
    ['/api/embed', ['POST', (res, body) => embed(res, body, models, load)]],
    ['/api/embeddings', ['POST', (res, body) => embedding(res, body, models, load)]],
    ['/api/chat', ['POST', (res, body) => chat(res, read(chatBody, body))]],
    ['/api/generate', ['POST', (res, body) => generate(res, body)]],
    ['/api/pull', ['POST', (res, body) => pull(res, body, { ...options, models, send, gone })]],
    ['/api/delete', ['DELETE', (res, body) => remove(res, body, models)]],
  ]);

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = (req.url ?? '').split('?')[0] ?? '';
    const body = await bodyOf(req);
    const [methods, run] = routes.get(path) ?? [];
    if (!methods || !run) return away(req, res, path);
    if (!methods.split(',').includes(req.method ?? '')) {
      const allow = { allow: methods.replace(',', ', ') };
      return whole(res, 405, 'text/plain', '405 method not allowed', allow);
    }
    await run(res, body);
  }

  /** What gin does of a path that is almost one. */
  function away(req: IncomingMessage, res: ServerResponse, path: string): void {
    const near = path.replaceAll(/\/{2,}/g, '/').replace(/(.)\/$/, '$1');
    if (!routes.has(near) || near === path) return whole(res, 404, 'text/plain', '404 page not found');
    const moved = req.method === 'GET' && near.length === path.length - 1 && path.endsWith('/');
    const words = `<a href="${near}">${moved ? 'Moved Permanently' : 'Temporary Redirect'}</a>.\n\n`;
    const shown = req.method === 'GET';
    const type = shown ? 'text/html; charset=utf-8' : '';
    whole(res, moved ? 301 : 307, type, shown ? words : '', { location: near });
  }

  /** The same, of one text. */
  async function generate(res: ServerResponse, raw: string): Promise<void> {
    const { prompt, system, images, suffix, raw: bare, context, ...rest } = read(generateBody, raw);
    const messages = [
      ...(system ? [{ role: 'system', content: system }] : []),
      { role: 'user', content: prompt, images },
    ];
    const words = { prompt, suffix, bare, mixed: bare && (system !== '' || context.length > 0) };
    return chat(res, { ...rest, messages }, words);
  }

  async function chat(res: ServerResponse, body: ChatBody, text?: Generating): Promise<void> {
    checkLogprobs(body);
    const model = known(models, body.model, text ? GENERATE : CHAT);
    const base = () => ({ model: body.model, created_at: new Date().toISOString() });
    const said = (part: Spoken) =>
      text
        ? { response: part.content ?? '', ...(part.thinking && { thinking: part.thinking }) }
        : { message: { role: 'assistant', content: '', ...part } };
    const empty = text ? text.prompt === '' : body.messages.length === 0;
    const idle = (done_reason: string) => json(res, 200, { ...base(), ...said({}), done: true, done_reason });
    if (empty && body.keep_alive === 0) {
      loaded.delete(model.name);
      return idle('unload');
    }
    refuse(model, body, text);
    const used = modelOptions(body.options);
    if (empty) {
      load(model, body);
      return idle('load');
    }
    double.chats.push(body);
    const n = double.chats.length;
    let left = false;
    res.on('close', () => {
      left = !res.writableFinished;
      if (left) gone();
      if (body.keep_alive === 0) loaded.delete(model.name);
    });
    const { context, fresh } = load(model, body);
    if (fresh) await sleep(options.loadMs ?? 0, undefined, { ref: false });
    if (left) return;
    const { messages, tokens } = late(body.stream, () => {
      const prompt = fitted(body, context, options.old ?? false);
      checkFormat(body.format);
      return prompt;
    });
    const seen = messages.map((part) => part.content).join('\n');
    const reply = bounded(await options.reply({ n, body, messages, text: seen }), used);
    const counted = options.counts ? options.counts(tokens) : tokens;
    const end = {
      done: true,
      done_reason: 'reason' in reply && reply.reason ? reply.reason : 'stop',
      total_duration: 2e6,
      load_duration: 1e6,
      // Go's `omitempty`.
      ...(counted > 0 && { prompt_eval_count: counted }),
      prompt_eval_duration: 1e6,
      eval_count: written(reply),
      eval_duration: 1e6,
    };
    // What a client may send back as `context`.
    const last = { ...base(), ...(text && !text.bare && { context: [1, 2, 3] }), ...end };
    if ('silent' in reply) return;
    if ('error' in reply) {
      return json(res, reply.status, { error: reply.error }, body.stream ? STREAM_ERROR : undefined);
    }
    if ('raw' in reply) {
      res.writeHead(reply.status ?? 200, { 'content-type': reply.type ?? 'application/x-ndjson' });
      res.write(reply.raw);
      if (reply.end === 'end') res.end();
      if (reply.end === 'cut') setTimeout(() => res.destroy(), 20);
      return;
    }
    if (!body.stream) {
      if ('fails' in reply) return json(res, 500, { error: reply.fails });
      return json(res, 200, { ...last, ...said(spoken(reply, body)) });
    }
    res.writeHead(200, { 'content-type': 'application/x-ndjson' });
    for (const part of parts(reply, body)) {
      const line = { ...base(), ...said(part), done: false };
      if (!(await send(res, `${JSON.stringify(line)}\n`, options.chunk))) return;
      if (options.paceMs) await sleep(options.paceMs);
    }
    const ending = 'fails' in reply ? { error: reply.fails } : { ...last, ...said({}) };
    await send(res, `${JSON.stringify(ending)}\n`, options.chunk);
    res.end();
  }

  /** Loads a model, or loads it anew for another context. */
  function load(model: DoubleModel, { options: given, keep_alive: keep = 300 }: Parameters<Load>[1]) {
    const most = Math.min(model.contextLength ?? 32_768, options.serves ?? Number.POSITIVE_INFINITY);
    const context = Math.min(Math.max(modelOptions(given).num_ctx ?? 4096, 4), most);
    const fresh = loaded.get(model.name)?.context !== context;
    // For ever is 292 years: the longest that Go can say in nanoseconds.
    const until = Date.now() + Math.min(keep, 292 * 365 * 86_400) * 1000;
    loaded.set(model.name, { model, context, until });
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

/** What `/api/generate` takes and `/api/chat` does not. */
interface Generating {
  prompt: string;
  suffix: string;
  bare: boolean;
  mixed: boolean;
}

function checkLogprobs({ top_logprobs: asked }: ChatBody): void {
  if (asked < 0 || asked > 20) throw new Refused(400, 'top_logprobs must be between 0 and 20');
}

/** The type of an error that a stream begins with. */
const STREAM_ERROR = 'application/json';

/** What is found out when the stream is open already. */
function late<T>(stream: boolean, find: () => T): T {
  try {
    return find();
  } catch (error) {
    const told = stream && error instanceof Refused;
    throw told ? new Refused(error.status, error.message, STREAM_ERROR) : error;
  }
}

/** What the model cannot do. */
function refuse(model: DoubleModel, { model: name, tools, think }: ChatBody, text?: Generating): void {
  const can = capabilities(model);
  if (text?.mixed) throw new Refused(400, 'raw mode does not support template, system, or context');
  if (think && !can.includes('thinking')) throw new Refused(400, `"${name}" does not support thinking`);
  if (!can.includes('completion')) {
    throw new Refused(400, `"${name}" does not support ${text ? 'generate' : 'chat'}`);
  }
  const wanted = tools?.length ? 'tools' : text?.suffix ? 'insert' : undefined;
  if (wanted && !can.includes(wanted)) {
    const { name: full } = listed(model);
    throw new Refused(400, `registry.ollama.ai/library/${full} does not support ${wanted}`);
  }
}
