import type { Ollama } from 'ollama';
import type { Agent } from 'undici';
import { ModelError } from './model.ts';

const MAX_LINE = 16 * 1024 * 1024;
const MAX_ERROR = 4096;
const METHODS = ['POST', 'DELETE'] as const;

let agent: Agent | undefined;

/**
 * One exchange with an Ollama server. The `ollama` client cannot be cancelled before the response headers, gives up
 * after the 300 s that undici waits for them, and writes to the console about answers it cannot read (which would spoil
 * a stdio server's output); so it gets a `fetch` of ours, bound to this exchange's signal.
 */
export class Exchange {
  readonly #host: string;
  readonly #model: string;
  readonly #signal: AbortSignal;
  readonly #deadlineMs: number;
  readonly #stop = new AbortController();
  #answered = false;

  constructor(options: { host?: string; signal: AbortSignal; deadlineMs: number; model?: string }) {
    this.#host = ollamaHost(options.host);
    this.#model = options.model ?? 'a model';
    this.#signal = options.signal;
    this.#deadlineMs = options.deadlineMs;
  }

  async client(): Promise<Ollama> {
    this.#signal.throwIfAborted();
    const { Ollama: Client } = await import('ollama');
    return new Client({ host: this.#host, fetch: (input, init) => this.#fetch(input, init) });
  }

  /** A call with one answer. */
  async once<T>(call: (client: Ollama) => Promise<T>): Promise<T> {
    try {
      return await call(await this.client());
    } catch (error) {
      throw this.explain(error);
    } finally {
      this.end();
    }
  }

  /** Ends what is still going on: an answer that nobody reads to its end would keep the model busy. */
  end(): void {
    this.#stop.abort(new ModelError('cancelled', 'The answer was not read to its end.'));
  }

  explain(error: unknown): ModelError {
    if (error instanceof ModelError) return error;
    if (this.#signal.aborted) return new ModelError('cancelled', 'Cancelled.', { cause: error });
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof Error && ('code' in error || error.name === 'AggregateError')) {
      return this.#answered ? this.#cut(error) : unreachable(this.#host, error);
    }
    // What the client says when the stream ends before `done`.
    if (message.startsWith('Did not receive done')) return this.#cut(error);
    return refusal(500, message, this.#host, this.#model);
  }

  #cut(cause: unknown): ModelError {
    return new ModelError('cut', 'Ollama stopped in the middle of an answer: ask again, or see its log.', {
      cause,
    });
  }

  async #fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    const undici = await import('undici');
    agent ??= new undici.Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 10_000 } });
    const url = input instanceof Request ? input.url : String(input);
    const answer = await this.#before(
      undici.request(url, {
        method: METHODS.find((method) => method === init?.method) ?? 'GET',
        headers: Object.fromEntries(new Headers(init?.headers)),
        body: typeof init?.body === 'string' ? init.body : null,
        signal: AbortSignal.any([this.#signal, this.#stop.signal]),
        dispatcher: agent,
      }),
    );
    this.#answered = true;
    const type = String(answer.headers['content-type'] ?? '');
    const body = answer.body[Symbol.asyncIterator]();
    if (answer.statusCode >= 300) {
      throw refusal(answer.statusCode, await this.#start(body), this.#host, this.#model);
    }
    // A removal is answered with nothing at all.
    if (init?.method === 'DELETE') return new Response(await this.#start(body));
    if (!type.includes('json')) throw noOllama(this.#host, type);
    const bytes = type.includes('ndjson') ? this.#lines(body) : this.#chunks(body);
    return new Response(streamOf(bytes), { headers: { 'content-type': type } });
  }

  /** Waits for bytes, but not for ever. The clock stands still while the reader is busy with the last ones. */
  async #before<T>(bytes: Promise<T>): Promise<T> {
    const timer = setTimeout(() => {
      const s = Math.round(this.#deadlineMs / 1000);
      const why = `Ollama sent nothing for ${s} s, so the call was given up. See its log, or use a smaller model.`;
      this.#stop.abort(new ModelError('timeout', why));
    }, this.#deadlineMs);
    try {
      return await bytes;
    } finally {
      clearTimeout(timer);
    }
  }

  async *#chunks(body: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
    for (;;) {
      const { done, value } = await this.#before(body.next());
      if (done) return;
      yield value;
    }
  }

  /** Whole lines, each of them JSON: the client drops others with a warning on the console. */
  async *#lines(body: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
    let rest: Buffer[] = [];
    let size = 0;
    for await (const bytes of this.#chunks(body)) {
      let from = 0;
      for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, from)) {
        const line = Buffer.concat([...rest, bytes.subarray(from, at + 1)]);
        rest = [];
        size = 0;
        from = at + 1;
        if (line.length > 1) yield checkedLine(line);
      }
      rest.push(bytes.subarray(from));
      size += bytes.length - from;
      if (size > MAX_LINE)
        throw new ModelError('bad_answer', 'Ollama sent a line of over 16 MB: ask for less.');
    }
    // A line without its end is kept when it is whole: the last one may have none.
    const last = Buffer.concat(rest);
    if (last.length > 0 && isJson(last)) yield last;
  }

  async #start(body: AsyncIterator<Buffer>): Promise<string> {
    let text = '';
    for await (const bytes of this.#chunks(body)) {
      text += bytes.toString();
      if (text.length > MAX_ERROR) break;
    }
    return text.slice(0, MAX_ERROR);
  }
}

/** Where Ollama listens, from `OLLAMA_HOST` as Ollama itself reads it (its `envconfig.Host`). */
export function ollamaHost(text = ''): string {
  const plain = text.trim().replace(/^["']+|["']+$/g, '');
  const [, scheme, rest = ''] = /^(?:(\w+):\/\/)?(.*)$/s.exec(plain) ?? [];
  if (!scheme && rest === 'ollama.com') return 'https://ollama.com:443';
  const [authority = '', ...path] = rest.split('/');
  const [, host = '', port] = /^(\[.*\]|[^:]*|.*:.*:.*?)(?::(\d+)?)?$/s.exec(authority) ?? [];
  const standard = scheme === 'https' ? '443' : scheme === 'http' ? '80' : '11434';
  const bare = host.replace(/^\[|\]$/g, '');
  // What a server listens on is no address to call.
  const name = ['', '0.0.0.0', '::'].includes(bare) ? '127.0.0.1' : bare.includes(':') ? `[${bare}]` : bare;
  const number = port && Number(port) < 65_536 ? port : standard;
  const tail = path.join('/').replace(/\/+$/, '');
  return `${scheme ?? 'http'}://${name}:${number}${tail && `/${tail}`}`;
}

function unreachable(host: string, cause: unknown): ModelError {
  return new ModelError(
    'unreachable',
    `No Ollama at ${host}: start it with \`ollama serve\`, or set OLLAMA_HOST.`,
    {
      cause,
    },
  );
}

function noOllama(host: string, what: string): ModelError {
  const sent = what ? `answers ${what.split(';')[0]}` : 'does not say what it answers';
  return new ModelError('bad_answer', `What is at ${host} ${sent}, so it is no Ollama: check OLLAMA_HOST.`);
}

/** Ollama's runners up to 0.24, llama.cpp's server in later ones, and Ollama's own check before that. */
const TOO_LONG =
  /input length exceeds the context length|exceeds the available context size|prompt is longer than the context length/i;

/** Ollama's own words (`server/routes.go`), told with what to do. */
function refusal(status: number, body: string, host: string, model: string): ModelError {
  const said = errorIn(body);
  if (/error parsing tool call/i.test(said)) {
    return new ModelError(
      'tool_parse',
      `The model wrote a tool call that Ollama could not read: ask again. (${said})`,
    );
  }
  if (/does not support tools/i.test(said)) {
    return new ModelError('no_tools', `${model} cannot call tools by itself: use constrained answers.`);
  }
  if (TOO_LONG.test(said)) {
    return new ModelError(
      'too_long',
      `This is longer than the context that ${model} was given, and nothing of it was read: shorten it, or use a model with more context.`,
    );
  }
  if (/pull model manifest/i.test(said)) return notPulled(said, model);
  if (status === 404 && /model/i.test(said)) {
    return new ModelError('no_model', `Ollama has no model ${model}: get it with \`ollama pull ${model}\`.`);
  }
  if (/^\s*</.test(body)) return noOllama(host, `HTML with status ${status}`);
  if (status === 503) return new ModelError('server', `Ollama is busy: try again in a moment. (${said})`);
  return new ModelError(
    'server',
    `Ollama failed (${status}): ${said || 'it did not say why'}. See its log; ask again.`,
  );
}

/** What the registry of models said to a download. */
function notPulled(said: string, model: string): ModelError {
  if (/file does not exist|not found/i.test(said)) {
    return new ModelError(
      'no_model',
      `No model ${model} is offered for download: look its name up at https://ollama.com/library.`,
    );
  }
  return new ModelError(
    'server',
    `Ollama could not download ${model} (${said}): check its connection, then try again.`,
  );
}

function errorIn(body: string): string {
  const at = /"error"\s*:\s*("(?:[^"\\]|\\.)*")/.exec(body)?.[1];
  const text: unknown = at ? JSON.parse(at) : body;
  return String(text).replace(/\s+/g, ' ').trim().replace(/\.$/, '').slice(0, 300);
}

function isJson(line: Buffer): boolean {
  try {
    JSON.parse(line.toString());
    return true;
  } catch {
    return false;
  }
}

function checkedLine(line: Buffer): Buffer {
  if (isJson(line)) return line;
  const start = line.toString().slice(0, 60).trim();
  throw new ModelError(
    'bad_answer',
    `Ollama sent a line that is no JSON (${start}): ask again, or see its log.`,
  );
}

function streamOf(bytes: AsyncGenerator<Buffer>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await bytes.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await bytes.return(undefined);
    },
  });
}
