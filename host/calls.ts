import type { ChatMessage, ToolCall } from '../kit/model.ts';
import type { JsonObject } from '../kit/tool.ts';
import { mustAsk, type Approve } from './approval.ts';
import { fitArguments } from './arguments.ts';
import { unknownTool, type CallResult, type Toolbox, type Progress } from './connections.ts';

/** One call of a turn, as it came out. */
export interface CallRecord {
  tool: string;
  arguments: JsonObject;
  ok: boolean;
  ms: number;
  /** What the model was told. */
  text: string;
  /** A person declined it, or none was there to decide. */
  denied?: 'declined' | 'unavailable';
}

export type CallEvent =
  | { type: 'call'; tool: string; arguments: JsonObject }
  | ({ type: 'progress'; tool: string } & Progress)
  | ({ type: 'result'; value?: JsonObject } & CallRecord);

export interface CallScope {
  connections: Toolbox;
  approve: Approve;
  /** Tools whose calls need not be asked about; a question of their server's still goes to the person. */
  allowed: readonly string[];
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
  yield { type: 'call', tool: call.name, arguments: args };

  let denied: CallRecord['denied'];
  const decide = async (question?: string) => {
    const answer = await scope.approve({ tool: call.name, arguments: args, question });
    if (answer !== 'yes') denied = answer === 'no' ? 'declined' : 'unavailable';
    return answer;
  };
  const done = (result: CallResult): CallRecord & { value?: JsonObject } => {
    const text = result.text.length > MOST_CHARS ? cut(result.text) : result.text;
    return { tool: call.name, arguments: args, ...result, text, ms: performance.now() - started, denied };
  };

  let result: CallResult;
  if (!tool) result = { ok: false, text: unknownTool(call.name, all) };
  else if (fitted && !fitted.ok) {
    result = {
      ok: false,
      text: `${call.name} was not called: ${fitted.fault} Correct them and call it again.`,
    };
  } else if (mustAsk(tool, scope.allowed) && (await decide()) !== 'yes') {
    result = { ok: false, text: 'A person did not allow this call. Do not repeat it: go on without it.' };
  } else {
    const updates = new Channel<Progress>();
    const running = scope.connections
      .call(call.name, args, {
        signal: scope.signal,
        onProgress: (progress) => updates.push(progress),
        ask: decide,
      })
      .finally(() => updates.end());
    running.catch(() => undefined); // awaited below, after the last update
    for await (const progress of updates) yield { type: 'progress', tool: call.name, ...progress };
    result = await running;
  }
  const record = done(result);
  yield { type: 'result', ...record };
  return record;
}

/** A result as the model reads it. */
export function resultMessage(call: ToolCall, record: CallRecord): ChatMessage {
  const content = record.ok ? record.text : `Error: ${record.text}`;
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
