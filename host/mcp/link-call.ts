import {
  ProtocolError,
  SdkError,
  SdkErrorCode,
  type CallToolResult,
  type Client,
  type ContentBlock,
  type JSONRPCMessage,
  type Progress,
  type Transport,
} from '@modelcontextprotocol/client';
import { isObject } from '../../kit/json.ts';
import type { JsonObject } from '../../kit/tool.ts';

/** The SDK's client counts its own requests from 0; some servers take 32 bits at most. */
const FIRST_ID = 1_000_000_000;

interface Params {
  name: string;
  arguments: JsonObject;
  _meta?: JsonObject;
}

/** Times in ms: `timeout` without progress, `maxTotalTimeout` with. */
interface Limits {
  signal: AbortSignal;
  timeout: number;
  maxTotalTimeout: number;
  onprogress: (step: Progress) => void;
}

interface Way {
  transport: Transport;
  /** Tells, where the way knows it, in the course of which call a server asks for something. */
  during?: (hear: (call: string | number, hand: () => void) => void) => void;
}

interface Waiting<Caller> {
  caller: Caller;
  answered: (message: JSONRPCMessage) => void;
  progressed: (step: Progress) => void;
  failed: (error: unknown) => void;
}

/**
 * Calls the tools of one connected server. In 2025's protocol a call is one request and its answer, which are sent and
 * taken here: the SDK's client, which does the rest, checks every message against several schemas first, and that takes
 * longer than all else on the way.
 */
export class ToolCalls<Caller> {
  readonly #client: Client;
  readonly #transport: Transport;
  readonly #waiting = new Map<number, Waiting<Caller>>();
  #next = FIRST_ID;

  /** After `connect`, which puts the client behind the transport. `within` hands on what is asked during a call. */
  constructor(
    client: Client,
    { transport, during }: Way,
    within: (caller: Caller, hand: () => void) => void,
  ) {
    this.#client = client;
    this.#transport = transport;
    during?.((id, hand) => {
      const waiting = typeof id === 'number' ? this.#waiting.get(id) : undefined;
      if (waiting) within(waiting.caller, hand);
      else hand();
    });
    const { onmessage, onclose } = transport;
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK has nothing else
    transport.onmessage = (message, extra) => {
      if (!this.#take(message)) onmessage?.(message, extra);
    };
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- as above
    transport.onclose = () => {
      const error = new SdkError(SdkErrorCode.ConnectionClosed, 'Connection closed');
      for (const one of this.#waiting.values()) one.failed(error);
      onclose?.();
    };
  }

  async call(params: Params, limits: Limits, caller: Caller): Promise<CallToolResult> {
    limits.signal.throwIfAborted();
    // Newer revisions repeat arguments in headers, and ask in the result: the SDK sees to that.
    if (this.#client.getProtocolEra() === 'modern') {
      return this.#client.callTool(params, { ...limits, resetTimeoutOnProgress: true });
    }
    return asCalled(await this.#request(params, limits, caller));
  }

  #request(params: Params, limits: Limits, caller: Caller): Promise<unknown> {
    const { signal, timeout, maxTotalTimeout, onprogress } = limits;
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        clearTimeout(last);
        signal.removeEventListener('abort', cancel);
        this.#waiting.delete(id);
      };
      const failed = (error: unknown) => {
        end();
        reject(error instanceof Error ? error : new Error(String(error)));
      };
      const giveUp = (why: unknown) => {
        failed(why);
        const told = { requestId: id, reason: why instanceof Error ? why.message : String(why) };
        this.#transport
          .send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: told })
          .catch(() => undefined); // it may be gone, and then nothing runs there
      };
      const cancel = () => giveUp(signal.reason);
      const late = () => giveUp(new SdkError(SdkErrorCode.RequestTimeout, 'Request timed out', { timeout }));
      const timer = setTimeout(late, timeout);
      const last = setTimeout(late, maxTotalTimeout);
      signal.addEventListener('abort', cancel);
      this.#waiting.set(id, {
        caller,
        failed,
        answered(message) {
          end();
          if ('result' in message) resolve(message.result);
          else if ('error' in message) {
            const { code, message: text, data } = message.error;
            reject(ProtocolError.fromError(code, text, data));
          }
        },
        progressed(step) {
          timer.refresh();
          onprogress(step);
        },
      });
      const asked = { ...params, _meta: { ...params._meta, progressToken: id } };
      this.#transport.send({ jsonrpc: '2.0', id, method: 'tools/call', params: asked }).catch(failed);
    });
  }

  /** Whether the message belongs to a call that was made here. */
  #take(message: JSONRPCMessage): boolean {
    if (!('method' in message)) {
      const waiting = typeof message.id === 'number' ? this.#waiting.get(message.id) : undefined;
      waiting?.answered(message);
      // An answer to what was given up is nobody's.
      return waiting !== undefined || this.#ours(message.id);
    }
    if (message.method !== 'notifications/progress') return false;
    const { progressToken, progress, total, message: note } = message.params ?? {};
    if (!this.#ours(progressToken)) return false;
    const waiting = typeof progressToken === 'number' ? this.#waiting.get(progressToken) : undefined;
    if (waiting && typeof progress === 'number') {
      waiting.progressed({
        progress,
        ...(typeof total === 'number' && { total }),
        ...(typeof note === 'string' && { message: note }),
      });
    }
    return true;
  }

  #ours(id: unknown): boolean {
    return typeof id === 'number' && id >= FIRST_ID && id < this.#next;
  }
}

/** Parts of the answer that are none are left out: the SDK's own schema would refuse the whole. */
function asCalled(result: unknown): CallToolResult {
  const { content = [], structuredContent, isError } = isObject(result) ? result : { content: undefined };
  if (!isObject(result) || !Array.isArray(content)) {
    throw new SdkError(SdkErrorCode.InvalidResult, 'The server answered with what is no result of a tool.');
  }
  return {
    content: content.filter(isBlock),
    ...(isObject(structuredContent) && { structuredContent: { ...structuredContent } }),
    ...(isError === true && { isError }),
  };
}

/** A part of a result, in one of the forms that there are (MCP 2025-11-25, Tools). */
function isBlock(part: unknown): part is ContentBlock {
  if (!isObject(part)) return false;
  const has = (...names: string[]) => names.every((name) => typeof part[name] === 'string');
  switch (part['type']) {
    case 'text':
      return has('text');
    case 'image':
    case 'audio':
      return has('data', 'mimeType');
    case 'resource_link':
      return has('uri', 'name');
    case 'resource': {
      const { resource } = part;
      return (
        isObject(resource) &&
        typeof resource['uri'] === 'string' &&
        (typeof resource['text'] === 'string' || typeof resource['blob'] === 'string')
      );
    }
    default:
      return false;
  }
}
