import {
  parseJSONRPCMessage,
  SdkErrorCode,
  SdkHttpError,
  StreamableHTTPClientTransport,
  type JSONRPCMessage,
} from '@modelcontextprotocol/client';
import { StringDecoder } from 'node:string_decoder';
import { Pool, type Dispatcher } from 'undici';
import { isObject } from '../../kit/json.ts';

type Id = string | number;
type Sent = JSONRPCMessage | JSONRPCMessage[];
type SendOptions = Parameters<StreamableHTTPClientTransport['send']>[1];

/** An answer past this many characters is given up. */
const MOST_CHARS = 16 * 1024 * 1024;
/** JSON-RPC 2.0, section 5.1: from -32000 on is the implementation's. */
const CONNECTION_ENDED = -32_000;

/** A call whose request is on its way, or whose answer is. */
interface Running {
  controller?: Dispatcher.DispatchController;
  cancelled: boolean;
}

/**
 * The SDK's client over HTTP, with a shorter way for tool calls of 2025 sessions: one request on a connection that is kept,
 * and a parser of the few lines that a stream holds, in place of `fetch` and web streams. That is most of what a gateway
 * adds to a call.
 */
export class CallTransport extends StreamableHTTPClientTransport {
  /** Hands on what a server asks for on the stream of a call, knowing which. */
  during: ((call: Id, hand: () => void) => void) | undefined;
  readonly #path: string;
  readonly #headers: Record<string, string>;
  readonly #pool: Pool;
  readonly #running = new Map<Id, Running>();

  constructor(url: URL, headers: Record<string, string>) {
    super(url, { requestInit: { headers } });
    this.#path = url.pathname + url.search;
    this.#headers = headers;
    // How long a call may take is decided elsewhere.
    this.#pool = new Pool(url.origin, { headersTimeout: 0, bodyTimeout: 0 });
  }

  override async send(message: Sent, options?: SendOptions): Promise<void> {
    const { protocolVersion = '' } = this;
    const known = protocolVersion !== '' && protocolVersion < '2026';
    const call = known && !options?.resumptionToken ? callId(message) : undefined;
    if (call !== undefined) return this.#call(message, call, options);
    await super.send(message, options);
    const cancelled = cancelledId(message);
    // Not every server ends the stream of a call that was cancelled.
    if (cancelled !== undefined) this.#end(cancelled, 'the call was cancelled');
  }

  override async close(): Promise<void> {
    for (const id of this.#running.keys()) this.#end(id, 'the connection was closed');
    await Promise.all([this.#pool.destroy(), super.close()]);
  }

  #end(id: Id, why: string): void {
    const running = this.#running.get(id);
    if (!running) return;
    running.cancelled = true;
    running.controller?.abort(new Error(why));
  }

  /** Settles when the answer has begun; what it says goes to `onmessage`. */
  #call(message: Sent, id: Id, options: SendOptions): Promise<void> {
    const running: Running = { cancelled: false };
    this.#running.set(id, running);
    return new Promise((resolve, reject) => {
      let answer: Answer | undefined;
      this.#pool.dispatch(
        {
          path: this.#path,
          method: 'POST',
          body: JSON.stringify(message),
          headers: {
            ...this.#headers,
            ...options?.headers,
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
            'mcp-protocol-version': this.protocolVersion,
            ...(this.sessionId !== undefined && { 'mcp-session-id': this.sessionId }),
          },
        },
        {
          onRequestStart: (controller) => {
            running.controller = controller;
            if (running.cancelled) controller.abort(new Error('the call was cancelled'));
          },
          onResponseStart: (_controller, status, { 'content-type': type }) => {
            if (status === 200 && String(type).startsWith('text/event-stream')) {
              answer = this.#stream(message, id, options, running);
              resolve();
            } else answer = this.#whole(status, message, options, { resolve, reject });
          },
          onResponseData: (controller, chunk) => {
            try {
              answer?.add(chunk);
            } catch (error) {
              controller.abort(error instanceof Error ? error : new Error(String(error)));
            }
          },
          onResponseEnd: () => {
            this.#running.delete(id);
            answer?.end();
          },
          onResponseError: (_controller, error) => {
            this.#running.delete(id);
            if (answer) answer.broken(error);
            else reject(error);
          },
        },
      );
    });
  }

  /** Passes on what the stream says, until it ends; one that ends early is gone on with where that can be. */
  #stream(message: Sent, id: Id, options: SendOptions, running: Running): Answer {
    let answered = false;
    // One after the other: the protocol hands notifications on a microtask later than answers, which end a call.
    const waiting: JSONRPCMessage[] = [];
    const deliver = () => {
      const next = waiting[0];
      if (!next) return;
      const hand = () => this.onmessage?.(next);
      if (this.during && 'method' in next && 'id' in next) this.during(id, hand);
      else hand();
      queueMicrotask(() => {
        waiting.shift();
        deliver();
      });
    };
    const events = new Events((data) => {
      const told = messageIn(data);
      answered ||= 'id' in told && told.id === id && !('method' in told);
      if (waiting.push(told) === 1) deliver();
    });
    const failed = () => {
      const error = { code: CONNECTION_ENDED, message: 'The connection ended before the answer came.' };
      this.onmessage?.({ jsonrpc: '2.0', id, error });
    };
    const end = () => {
      if (answered) return;
      const { lastId } = events;
      if (lastId === undefined || running.cancelled) return failed();
      super.send(message, { ...options, resumptionToken: lastId }).catch(failed);
    };
    return {
      add: (chunk) => events.add(chunk),
      end,
      broken: (error) => {
        this.onerror?.(error);
        end();
      },
    };
  }

  /** An answer in one piece: the result, or why there is none. */
  #whole(
    status: number,
    message: Sent,
    options: SendOptions,
    { resolve, reject }: { resolve: (done?: Promise<void>) => void; reject: (error: Error) => void },
  ): Answer {
    const decoder = new StringDecoder();
    let text = '';
    return {
      add(chunk) {
        text += decoder.write(chunk);
        if (text.length > MOST_CHARS) throw new Error('the answer is too long');
      },
      end: () => {
        // It follows redirects, as far as it may.
        if (status >= 300 && status < 400) return resolve(super.send(message, options));
        if (status === 200) {
          try {
            this.onmessage?.(messageIn(text));
            return resolve();
          } catch (error) {
            return reject(error instanceof Error ? error : new Error(String(error)));
          }
        }
        const why = `The server answered ${status}: ${text.slice(0, 300)}`;
        return reject(new SdkHttpError(SdkErrorCode.ClientHttpNotImplemented, why, { status }));
      },
      broken: reject,
    };
  }
}

/** What becomes of the body of an answer. */
interface Answer {
  add: (chunk: Buffer) => void;
  end: () => void;
  broken: (error: Error) => void;
}

/** The events of a stream (WHATWG HTML, server-sent events), as far as MCP uses them. */
class Events {
  lastId: string | undefined;
  readonly #tell: (data: string) => void;
  readonly #decoder = new StringDecoder();
  #text = '';
  #data: string[] = [];

  constructor(tell: (data: string) => void) {
    this.#tell = tell;
  }

  add(chunk: Buffer): void {
    this.#text += this.#decoder.write(chunk);
    if (this.#text.length > MOST_CHARS) throw new Error('the answer is too long');
    let start = 0;
    for (let end = this.#text.indexOf('\n'); end >= 0; end = this.#text.indexOf('\n', start)) {
      this.#line(this.#text.slice(start, this.#text[end - 1] === '\r' ? end - 1 : end));
      start = end + 1;
    }
    this.#text = this.#text.slice(start);
  }

  #line(line: string): void {
    if (line === '') {
      const data = this.#data.join('\n');
      this.#data = [];
      if (data !== '') this.#tell(data);
    } else if (line.startsWith('data:')) this.#data.push(line.slice(line[5] === ' ' ? 6 : 5));
    else if (line.startsWith('id:')) this.lastId = line.slice(3).trim();
  }
}

/** Most messages are plain answers; whatever else comes is looked at more closely, which takes its time. */
function messageIn(text: string): JSONRPCMessage {
  const message: unknown = JSON.parse(text);
  return isPlainAnswer(message) ? message : parseJSONRPCMessage(message);
}

const isPlainAnswer = (value: unknown): value is JSONRPCMessage =>
  isObject(value) &&
  value['jsonrpc'] === '2.0' &&
  Number.isSafeInteger(value['id']) &&
  isObject(value['result']) &&
  !('_meta' in value['result']) &&
  Object.keys(value).length === 3;

function callId(message: Sent): Id | undefined {
  if (Array.isArray(message) || !('method' in message) || !('id' in message)) return undefined;
  return message.method === 'tools/call' ? message.id : undefined;
}

function cancelledId(message: Sent): Id | undefined {
  if (Array.isArray(message) || !('method' in message)) return undefined;
  const id = message.method === 'notifications/cancelled' ? message.params?.['requestId'] : undefined;
  return typeof id === 'string' || typeof id === 'number' ? id : undefined;
}
