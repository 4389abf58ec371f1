import type { ChatMessage, ToolCall } from '../../kit/model.ts';
import type { JsonObject } from '../../kit/tool.ts';
import { policyFor, type Approve } from '../approvals/approval.ts';
import { fitArguments } from './arguments.ts';
import {
  unknownTool,
  type CallResult,
  type FormField,
  type HostTool,
  type Image,
  type Progress,
  type Toolbox,
} from '../mcp/connections.ts';
import { OTHERS_WROTE } from './context.ts';
import type { Outside } from './outside.ts';
import type { ApproveRule } from '../settings.ts';

/** One call of a turn, as it came out. */
export interface CallRecord {
  tool: string;
  arguments: JsonObject;
  ok: boolean;
  ms: number;
  /** What the model was told. */
  text: string;
  images?: Image[];
  /** It did something that is more than reading. */
  changed?: boolean;
  /** Others wrote text in it. */
  untrusted?: boolean;
  /** A person or the configuration declined it, or none was there to decide. */
  denied?: 'declined' | 'unavailable';
}

export type CallEvent =
  | { type: 'call'; tool: string; arguments: JsonObject; copied?: string[] }
  | ({ type: 'progress'; tool: string } & Progress)
  | ({ type: 'result'; value?: JsonObject } & CallRecord);

export interface CallScope {
  connections: Toolbox;
  approve: Approve;
  /** Tools, or patterns of them, that need not be asked about in this session; a server's own question still goes to the person. */
  allowed: readonly string[];
  /** The configuration's policy. */
  rules?: readonly ApproveRule[];
  /** What is allowed for good, by tool the digest that it had. */
  kept?: ReadonlyMap<string, string>;
  /** What others wrote in this conversation. */
  outside?: Outside;
  /** What the person said in it. */
  said?: () => string[];
  /** Asks the person to fill in what a server wants to know. */
  fill?: (question: string, fields: FormField[]) => Promise<JsonObject | undefined>;
  /** Of the turn: entries of the journal carry it. */
  turn?: string;
  signal: AbortSignal;
}

/** Longer results would fill a local model's context; the tools have arguments to ask for a part. */
const MOST_CHARS = 12_000;

/** Carries out one call that a model asked for. What is wrong with it is a result too: the model can mend it. */
export async function* carryOut(call: ToolCall, scope: CallScope): AsyncGenerator<CallEvent, CallRecord> {
  const started = performance.now();
  const all = await scope.connections.tools(scope.signal);
  const tool = all.find((one) => one.name === call.name);
  const fitted = tool ? fitArguments(tool.inputSchema, call.arguments) : undefined;
  const args = fitted?.ok ? fitted.value : call.arguments;
  const copied = scope.outside?.copied(args, scope.said?.() ?? []) ?? [];
  const policy = tool && policyOf(tool, scope, copied.length > 0);
  // Where a person is asked they are told; what only reads may be asked for in anyone's words.
  const told = copied.length > 0 && policy === 'allow' && tool?.effect !== 'read';
  yield { type: 'call', tool: call.name, arguments: args, ...(told && { copied }) };

  let denied: CallRecord['denied'];
  const decide = async (question?: string) => {
    const about = { tool: call.name, arguments: args, question };
    const answer = await scope.approve(copied.length > 0 ? { ...about, copied } : about);
    if (answer !== 'yes') denied = answer === 'no' ? 'declined' : 'unavailable';
    return answer;
  };
  let result: CallResult;
  if (!tool) result = { ok: false, text: unknownTool(call.name, all) };
  else if (fitted && !fitted.ok) {
    result = {
      ok: false,
      text: `${call.name} was not called: ${fitted.fault} Correct them and call it again.`,
    };
  } else if (policy === 'deny') {
    denied = 'declined';
    result = { ok: false, text: `${call.name} is not allowed by the configuration. Go on without it.` };
  } else if (policy === 'ask' && (await decide()) !== 'yes') {
    const who = denied === 'unavailable' ? 'No person was there to allow' : 'A person did not allow';
    result = { ok: false, text: `${who} this call. Do not repeat it: go on without it.` };
  } else {
    const updates = new Channel<Progress>();
    const running = scope.connections
      .call(call.name, args, {
        signal: scope.signal,
        onProgress: (progress) => updates.push(progress),
        ask: decide,
        fill: scope.fill,
        turn: scope.turn,
      })
      .finally(() => updates.end());
    running.catch(() => undefined); // awaited below, after the last update
    for await (const progress of updates) yield { type: 'progress', tool: call.name, ...progress };
    result = await running;
  }
  const text = result.text.length > MOST_CHARS ? cut(result.text) : result.text;
  if (result.untrusted) scope.outside?.add(text);
  const ms = performance.now() - started;
  const { value, images, untrusted, ok } = result;
  const changed = ok && tool?.effect !== 'read';
  const record = {
    tool: call.name,
    arguments: args,
    ok,
    text,
    value,
    images,
    changed,
    untrusted,
    ms,
    denied,
  };
  yield { type: 'result', ...record };
  return record;
}

function policyOf(tool: HostTool, { allowed, rules = [], kept = NONE }: CallScope, copied: boolean) {
  return policyFor(tool, rules, { session: allowed, kept }, copied);
}

const NONE: ReadonlyMap<string, string> = new Map();

/** A result as the model reads it. */
export function resultMessage(call: ToolCall, record: CallRecord): ChatMessage {
  // Ours mark such text themselves, in the value.
  const marked = record.untrusted && !record.text.startsWith('{"untrusted"');
  const text = marked ? `${OTHERS_WROTE}\n${record.text}` : record.text;
  const content = record.ok ? text : `Error: ${text}`;
  return { role: 'tool', content, tool_name: call.name, ...(call.id && { tool_call_id: call.id }) };
}

function cut(text: string): string {
  return `${text.slice(0, MOST_CHARS)}… [cut: ${MOST_CHARS} of ${text.length} characters; ask for a smaller part]`;
}

/** Values pushed by callbacks, read as an async iterable. */
class Channel<T> {
  readonly #values: T[] = [];
  #ended = false;
  #wake: () => void = () => {};

  push(value: T): void {
    this.#values.push(value);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      for (let value = this.#values.shift(); value !== undefined; value = this.#values.shift()) yield value;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
