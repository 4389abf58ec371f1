import {
  ProtocolErrorCode,
  type CallToolResult,
  type JSONRPCMessage,
  type JSONRPCRequest,
  type MessageExtraInfo,
  type Transport,
} from '@modelcontextprotocol/server';
import type { CallContext } from './caller.ts';
import { isObject } from './json.ts';

type Id = string | number;
type Call = JSONRPCRequest & { params: { name: string; arguments?: Record<string, unknown> } };

/** How calls are made, and what to do with those that do not end in a result at once. */
export interface ShortWay<Outcome> {
  perform: (params: Call['params'], ctx: CallContext) => Promise<Outcome>;
  /** Undefined where a person has to be asked first. */
  result: (outcome: Outcome) => CallToolResult | undefined;
  /** The SDK goes on with the call from here. */
  goOn: (id: Id, outcome: Outcome) => void;
}

/**
 * Takes the plain tool calls of a 2025 session before the SDK does, which looks at each by half a dozen schemas. All it
 * knows more about is left to it: other requests, calls with more to them, and those that have to ask a person.
 */
export function takeShortWay<Outcome>(transport: Transport, way: ShortWay<Outcome>): void {
  const { onmessage: sdk, onclose } = transport;
  const running = new Map<Id, AbortController>();

  const call = async (message: Call, extra: MessageExtraInfo | undefined) => {
    const { id, params } = message;
    const stop = new AbortController();
    running.set(id, stop);
    const ctx: CallContext = {
      mcpReq: {
        _meta: params._meta,
        signal: stop.signal,
        requestState: () => undefined,
        notify: (told) => transport.send({ jsonrpc: '2.0', ...told }, { relatedRequestId: id }),
      },
      ...(extra?.authInfo && { http: { authInfo: extra.authInfo } }),
    };
    try {
      const outcome = await way.perform(params, ctx);
      if (stop.signal.aborted) return; // "the receiver SHOULD NOT send a response" (MCP, Cancellation)
      const result = way.result(outcome);
      if (result) await transport.send({ jsonrpc: '2.0', id, result: { ...result } });
      else {
        way.goOn(id, outcome);
        sdk?.(message, extra);
      }
    } catch (error) {
      if (!stop.signal.aborted) await transport.send({ jsonrpc: '2.0', id, error: told(error) });
    } finally {
      running.delete(id);
    }
  };

  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK has nothing else
  transport.onmessage = (message: JSONRPCMessage, extra?: MessageExtraInfo) => {
    if (isPlainCall(message) && !running.has(message.id)) {
      call(message, extra).catch((error: unknown) => transport.onerror?.(asError(error)));
      return;
    }
    const stop = cancelled(message, running);
    if (stop) stop.abort(new Error('the client cancelled it'));
    else sdk?.(message, extra);
  };
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- as above
  transport.onclose = () => {
    for (const stop of running.values()) stop.abort(new Error('the session ended'));
    onclose?.();
  };
}

const PLAIN = new Set(['name', 'arguments', '_meta']);

function isPlainCall(message: JSONRPCMessage): message is Call {
  if (!('method' in message) || !('id' in message) || message.method !== 'tools/call') return false;
  const { params } = message;
  if (!params || !Object.keys(params).every((key) => PLAIN.has(key))) return false;
  const { name, arguments: args, _meta: meta } = params;
  const token = isObject(meta) ? meta['progressToken'] : undefined;
  return (
    typeof name === 'string' &&
    (args === undefined || isObject(args)) &&
    (meta === undefined || isObject(meta)) &&
    (token === undefined || typeof token === 'string' || typeof token === 'number')
  );
}

function cancelled(message: JSONRPCMessage, running: Map<Id, AbortController>): AbortController | undefined {
  if (!('method' in message) || message.method !== 'notifications/cancelled') return undefined;
  const id = message.params?.['requestId'];
  return typeof id === 'string' || typeof id === 'number' ? running.get(id) : undefined;
}

function told(error: unknown): { code: number; message: string } {
  const code = isObject(error) && Number.isSafeInteger(error['code']) ? Number(error['code']) : undefined;
  return { code: code ?? ProtocolErrorCode.InternalError, message: asError(error).message };
}

const asError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)));
