import type { ChatMessage, Model, ModelInfo, Think, ToolCall } from '../../kit/model.ts';
import { isObject } from '../../kit/json.ts';
import { carryOut, resultMessage, type CallEvent, type CallRecord, type CallScope } from './calls.ts';
import type { Image } from '../mcp/connections.ts';
import type { Seen } from '../models/images.ts';
import { Outside } from './outside.ts';
import type { ToolIndex } from '../retrieval/index.ts';
import { loadedContext, oneRound, wrapUp, type Scope } from './round.ts';
import { Shown } from './shown.ts';
import { Window } from './window.ts';

export type TurnEvent =
  | { type: 'text'; text: string }
  | { type: 'thinking'; text: string }
  | CallEvent
  /** Something the person should know that no one asked about; with `error` what went wrong. */
  | { type: 'notice'; text: string; error?: boolean }
  /** How full the model's context is after an answer, in tokens. */
  | { type: 'context'; used: number; limit: number }
  | TurnEnd;

/** How a turn ended: with an answer, or stopped (and wrapped up) at a limit, or waiting for a person's decision. */
export interface TurnEnd {
  type: 'end';
  reason: 'answer' | 'repeated' | 'rounds' | 'approval';
  answer: string;
  rounds: number;
  calls: CallRecord[];
}

export interface TurnOptions extends CallScope {
  model: Model;
  info: ModelInfo;
  /** The conversation, its last message the person's. Grows by whole rounds, so that a cancelled one leaves no trace. */
  messages: ChatMessage[];
  maxRounds?: number;
  /** The context of the conversation's model; made for one turn when left out. */
  window?: Window;
  /** Where tools are looked for; by words alone when left out. */
  index?: ToolIndex;
  /** Tools beside the pinned ones. */
  mostTools?: number;
  /** Makes pictures fit for the model: as they are, or what they show in words. */
  see?: (images: Image[], signal: AbortSignal) => Promise<Seen>;
  /** Whether, or how much, a thinking model thinks; its own default when left out. */
  think?: Think;
}

const MAX_ROUNDS = 12;
/** A model that asks for the same thing again has stopped listening. */
const MAX_SAME = 3;

/** One turn of a conversation, as events; nothing in it draws or asks. Throws ModelError. */
export async function* turn(options: TurnOptions): AsyncGenerator<TurnEvent, void> {
  const { messages, connections, info, signal, maxRounds = MAX_ROUNDS } = options;
  const task = messages.findLast((message) => message.role === 'user')?.content ?? '';
  // What tools showed comes in messages of the user's role as well: those are not the person's words.
  const pictured = new Set<ChatMessage>();
  const own = () =>
    messages.flatMap((one) => (one.role === 'user' && !pictured.has(one) ? [one.content] : []));
  const { said = own } = options;
  const shown = new Shown({ connections, task, index: options.index, most: options.mostTools });
  const { outside = new Outside(), window = new Window() } = options;
  if (!window.has(info)) window.use(info, await loadedContext(options.model, info.name, signal));
  // What a model thought in earlier turns is no part of the conversation.
  for (const message of messages) delete message.thinking;
  // Its own copy: what turns out about the model holds for this turn.
  const scope: Scope = { ...options, outside, said, shown, window, pictured };
  const calls: CallRecord[] = [];
  const repeated = new Repeated();
  const end = (reason: TurnEnd['reason'], answer: string, rounds: number): TurnEnd => {
    return { type: 'end', reason, answer, rounds, calls };
  };

  /** Small models end with nothing at times, after a result above all: asked once more, they answer. */
  async function* answered(text: string, round: number): AsyncGenerator<TurnEvent> {
    if (text.trim() !== '') messages.push({ role: 'assistant', content: text });
    const answer = text.trim() === '' ? yield* wrapUp(scope) : text;
    yield end('answer', answer, text === answer ? round : round + 1);
  }

  for (let round = 1; round <= maxRounds; round++) {
    const tools = await shown.tools(signal);
    const notice = shown.notice();
    if (notice) yield { type: 'notice', text: notice };
    const said = yield* oneRound(scope, tools);
    if (said.calls.length === 0) {
      yield* answered(said.text, round);
      return;
    }
    const { text: content, thinking } = said;
    const reply: ChatMessage = { role: 'assistant', content, ...(thinking && { thinking }) };
    const results: ChatMessage[] = [];
    const pictures: Image[] = [];
    let stop: 'repeated' | 'approval' | undefined;
    for (const call of said.calls) {
      if (repeated.add(call) >= MAX_SAME) {
        stop = 'repeated';
        yield {
          type: 'notice',
          text: `${call.name} was asked for a third time with the same arguments: stopped.`,
        };
        break;
      }
      const record = yield* shown.isFind(call.name) ? findTools(call, scope) : carryOut(call, scope);
      calls.push(record);
      if (record.changed) repeated.changed(call);
      results.push(resultMessage(call, record));
      pictures.push(...(record.images ?? []));
      if (record.denied === 'unavailable') {
        stop = 'approval';
        break;
      }
    }
    const made = said.calls.slice(0, results.length);
    const seeing = pictures.length > 0 && !stop ? [await picturesMessage(pictures, scope)] : [];
    if (made.length > 0) messages.push({ ...reply, tool_calls: made }, ...results, ...seeing);
    if (stop === 'approval') {
      yield end('approval', said.text, round);
      return;
    }
    if (stop === 'repeated') {
      yield end('repeated', yield* wrapUp(scope), round + 1);
      return;
    }
  }
  yield { type: 'notice', text: `Stopped after ${maxRounds} rounds.` };
  yield end('rounds', yield* wrapUp(scope), maxRounds + 1);
}

/** The host's own tool: no server is asked. */
async function* findTools(call: ToolCall, { shown, signal }: Scope): AsyncGenerator<TurnEvent, CallRecord> {
  const started = performance.now();
  yield { type: 'call', tool: call.name, arguments: call.arguments };
  const found = await shown.find(call.arguments, signal);
  const record = {
    tool: call.name,
    arguments: call.arguments,
    ...found,
    ms: performance.now() - started,
  };
  yield { type: 'result', ...record };
  return record;
}

/** Pictures as a model that sees gets them; another one gets what they show in words, or is told that they are left out. */
async function picturesMessage(
  pictures: Image[],
  { see, signal, outside, pictured }: Scope,
): Promise<ChatMessage> {
  const { images, text, notice } = (await see?.(pictures, signal)) ?? {};
  const content = text ?? notice ?? (images ? 'The pictures that the tools returned.' : LEFT_OUT);
  outside.add(content);
  const message: ChatMessage = { role: 'user', content, ...(images && { images }) };
  pictured.add(message);
  return message;
}

const LEFT_OUT = '[The pictures that the tools returned are left out: no model here can see them.]';

/** How often each call was asked for, as far as nothing changed since that it could see. */
class Repeated {
  readonly #times = new Map<string, number>();

  add(call: ToolCall): number {
    const key = keyOf(call);
    const times = (this.#times.get(key) ?? 0) + 1;
    this.#times.set(key, times);
    return times;
  }

  /** A call that changed something, for the first time: what was asked before it may be asked again. */
  changed(call: ToolCall): void {
    const key = keyOf(call);
    if (this.#times.get(key) !== 1) return;
    this.#times.clear();
    this.#times.set(key, 1);
  }
}

/** Arguments in another order are the same arguments. */
const keyOf = ({ name, arguments: args }: ToolCall) =>
  `${name} ${JSON.stringify(args, (_key, value: unknown) =>
    isObject(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value,
  )}`;
