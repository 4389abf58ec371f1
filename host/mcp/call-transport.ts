import {
  parseJSONRPCMessage,
  SdkErrorCode,
  SdkHttpError,
  StreamableHTTPClientTransport,
  type JSONRPCMessage,
} from '@modelcontextprotocol/client';
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { urlToHttpOptions } from 'node:url';
import { isObject } from '../../kit/json.ts';

type Id = string | number;
type SendOptions = Parameters<StreamableHTTPClientTransport['send']>[1];

/** An answer past this many characters is given up. */
const MOST_CHARS = 16 * 1024 * 1024;
/** JSON-RPC 2.0, section 5.1: from -32000 on is the implementation's. */
const CONNECTION_ENDED = -32_000;

/**
 * The SDK's client over HTTP, with a shorter way for tool calls of 2025 sessions: Node's own `http` and a parser of the
 * few lines that a stream holds, in place of `fetch` and web streams. That is most of what a gateway adds to a call.
 */
export class CallTransport extends StreamableHTTPClientTransport {
  readonly #to: ReturnType<typeof urlToHttpOptions>;
  readonly #headers: Record<string, string>;
  readonly #agent: Agent;
  readonly #running = new Map<Id, ClientRequest>();

  constructor(url: URL, headers: Record<string, string>) {
    super(url, { requestInit: { headers } });
    this.#to = urlToHttpOptions(url);
    this.#headers = headers;
    this.#agent =
      url.protocol === 'https:' ? new TlsAgent({ keepAlive: true }) : new Agent({ keepAlive: true });
  }

  override async send(message: JSONRPCMessage | JSONRPCMessage[], options?: SendOptions): Promise<void> {
    const { protocolVersion = '' } = this;
    const known = protocolVersion !== '' && protocolVersion < '2026';
    const call = known && !options?.resumptionToken ? callId(message) : undefined;
    if (call !== undefined) return this.#call(message, call, options);
    await super.send(message, options);
    const cancelled = cancelledId(message);
    // Not every server ends the stream of a call that was cancelled.
    if (cancelled !== undefined) this.#running.get(cancelled)?.destroy();
  }

  override async close(): Promise<void> {
    for (const one of this.#running.values()) one.destroy();
    this.#agent.destroy();
    await super.close();
  }

  async #call(message: JSONRPCMessage | JSONRPCMessage[], id: Id, options: SendOptions): Promise<void> {
    const body = JSON.stringify(message);
    const send = this.#to.protocol === 'https:' ? tlsRequest : request;
    const asked = send({
      ...this.#to,
      method: 'POST',
      agent: this.#agent,
      headers: {
        ...this.#headers,
        ...options?.headers,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': this.protocolVersion,
        ...(this.sessionId !== undefined && { 'mcp-session-id': this.sessionId }),
      },
    });
    this.#running.set(id, asked);
    asked.once('close', () => this.#running.delete(id));
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      asked.once('response', resolve).once('error', reject);
      asked.end(body);
    });
    answer.setEncoding('utf8');
    const status = answer.statusCode ?? 0;
    if (status >= 300 && status < 400) {
      answer.resume();
      return super.send(message, options); // it follows redirects, as far as it may
    }
    if (status !== 200) {
      const text = await whole(answer);
      throw new SdkHttpError(
        SdkErrorCode.ClientHttpNotImplemented,
        `The server answered ${status}: ${text.slice(0, 300)}`,
        { status, statusText: answer.statusMessage },
      );
    }
    if (String(answer.headers['content-type']).startsWith('text/event-stream')) {
      return this.#follow(answer, message, id, options);
    }
    this.onmessage?.(messageIn(await whole(answer)));
  }

  /** Passes on what the stream says, until it ends; one that ends early is gone on with where that can be. */
  #follow(
    answer: IncomingMessage,
    message: JSONRPCMessage | JSONRPCMessage[],
    id: Id,
    options: SendOptions,
  ): void {
    let answered = false;
    // One after the other: the protocol hands notifications on a microtask later than answers, which end a call.
    const waiting: JSONRPCMessage[] = [];
    const deliver = () => {
      const next = waiting[0];
      if (!next) return;
      this.onmessage?.(next);
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
    answer.on('data', (chunk: string) => {
      try {
        events.add(chunk);
      } catch (error) {
        this.onerror?.(error instanceof Error ? error : new Error(String(error)));
        answer.destroy();
      }
    });
    answer.on('error', () => undefined); // told by `close`
    answer.once('close', () => {
      if (answered) return;
      const { lastId } = events;
      if (lastId === undefined) return this.#failed(id);
      super.send(message, { ...options, resumptionToken: lastId }).catch(() => this.#failed(id));
    });
  }

  #failed(id: Id): void {
    const error = { code: CONNECTION_ENDED, message: 'The connection ended before the answer came.' };
    this.onmessage?.({ jsonrpc: '2.0', id, error });
  }
}

/** The events of a stream (WHATWG HTML, server-sent events), as far as MCP uses them. */
class Events {
  lastId: string | undefined;
  readonly #tell: (data: string) => void;
  #text = '';
  #data: string[] = [];

  constructor(tell: (data: string) => void) {
    this.#tell = tell;
  }

  add(chunk: string): void {
    this.#text += chunk;
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

/** An iterator over the chunks would take longer than the whole of a short answer. */
function whole(answer: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    answer.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > MOST_CHARS) answer.destroy(new Error('the answer is too long'));
    });
    answer.once('end', () => resolve(text));
    answer.once('error', reject);
    answer.once('close', () => reject(new Error('The connection ended in the middle of the answer.')));
  });
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

function callId(message: JSONRPCMessage | JSONRPCMessage[]): Id | undefined {
  if (Array.isArray(message) || !('method' in message) || !('id' in message)) return undefined;
  return message.method === 'tools/call' ? message.id : undefined;
}

function cancelledId(message: JSONRPCMessage | JSONRPCMessage[]): Id | undefined {
  if (Array.isArray(message) || !('method' in message)) return undefined;
  const id = message.method === 'notifications/cancelled' ? message.params?.['requestId'] : undefined;
  return typeof id === 'string' || typeof id === 'number' ? id : undefined;
}
