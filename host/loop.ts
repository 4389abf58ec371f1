import {
  ModelError,
  type ChatDone,
  type ChatMessage,
  type Model,
  type ModelInfo,
  type ToolCall,
} from '../kit/model.ts';
import { carryOut, resultMessage, type CallEvent, type CallRecord, type CallScope } from './calls.ts';
import { asText, choose, systemText } from './choose.ts';
import type { HostTool } from './connections.ts';
import { offered, shownTools } from './shown.ts';
import { repeats } from './text.ts';

export type TurnEvent =
  | { type: 'text'; text: string }
  | { type: 'thinking'; text: string }
  | CallEvent
  /** Something the person should know that no one asked about. */
  | { type: 'notice'; text: string }
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
}

const SYSTEM = [
  'You are the assistant of Kuźnia, on the computer of the person who asks.',
  'When a tool gives a surer answer than you can (calculations, dates, checks, exact text work), call it, then answer from its result.',
  'When no tool fits, sandbox_execute_task makes one and runs it.',
  'Never make up a result. Answer briefly, in the language you are asked in.',
].join(' ');

const WRAP_UP = 'Call no more tools. Answer now from the results above, and say what is still missing.';
const MAX_ROUNDS = 12;
/** A small model that begins to repeat itself would never end. */
const MOST_TOKENS = 4096;
/** A model that asks for the same thing again has stopped listening. */
const MAX_SAME = 3;

/** What one round brought: text, and the calls that the model asks for. */
interface Said {
  text: string;
  calls: ToolCall[];
}

/** One turn of a conversation, as events; nothing in it draws or asks. Throws ModelError. */
export async function* turn(options: TurnOptions): AsyncGenerator<TurnEvent, void> {
  const { messages, connections, signal, maxRounds = MAX_ROUNDS } = options;
  // Its own copy: what turns out about the model holds for this turn.
  const scope = { ...options };
  const task = messages.findLast((message) => message.role === 'user')?.content ?? '';
  const calls: CallRecord[] = [];
  const seen = new Map<string, number>();
  const end = (reason: TurnEnd['reason'], answer: string, rounds: number): TurnEnd => {
    return { type: 'end', reason, answer, rounds, calls };
  };

  for (let round = 1; round <= maxRounds; round++) {
    const tools = shownTools(await connections.tools(signal), task);
    const said = yield* oneRound(scope, tools);
    const reply: ChatMessage = { role: 'assistant', content: said.text };
    if (said.calls.length === 0) {
      messages.push(reply);
      yield end('answer', said.text, round);
      return;
    }
    const results: ChatMessage[] = [];
    let stop: 'repeated' | 'approval' | undefined;
    for (const call of said.calls) {
      const key = `${call.name} ${JSON.stringify(call.arguments)}`;
      const times = (seen.get(key) ?? 0) + 1;
      seen.set(key, times);
      if (times >= MAX_SAME) {
        stop = 'repeated';
        yield {
          type: 'notice',
          text: `${call.name} was asked for a third time with the same arguments: stopped.`,
        };
        break;
      }
      const record = yield* carryOut(call, scope);
      calls.push(record);
      results.push(resultMessage(call, record));
      if (record.denied === 'unavailable') {
        stop = 'approval';
        break;
      }
    }
    const answered = said.calls.slice(0, results.length);
    if (answered.length > 0) messages.push({ ...reply, tool_calls: answered }, ...results);
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

/** Asks the model in the way it can be asked; where its own call cannot be read, once more by constrained answers. */
async function* oneRound(scope: TurnOptions, tools: HostTool[]): AsyncGenerator<TurnEvent, Said> {
  if (callsTools(scope)) {
    try {
      return yield* speak(scope, tools);
    } catch (error) {
      if (!(error instanceof ModelError) || !['tool_parse', 'no_tools'].includes(error.reason)) throw error;
      if (error.reason === 'no_tools') scope.info = { ...scope.info, capabilities: ['completion'] };
      else
        yield {
          type: 'notice',
          text: 'The model wrote a call that could not be read: asking it step by step.',
        };
    }
  }
  const { model, info, messages, signal } = scope;
  const call = await choose({ model, modelName: info.name, system: SYSTEM, messages, signal }, tools);
  if (call) return { text: '', calls: [call] };
  return yield* speak(scope, []);
}

const callsTools = ({ info }: TurnOptions) => info.capabilities.includes('tools');

/** A freely spoken answer, with calls where tools are offered. */
async function* speak(
  options: TurnOptions,
  tools: HostTool[],
  more: ChatMessage[] = [],
): AsyncGenerator<TurnEvent, Said> {
  const { model, info, signal } = options;
  const said: Said = { text: '', calls: [] };
  const messages = [...(callsTools(options) ? options.messages : asText(options.messages)), ...more];
  const request = {
    model: info.name,
    messages: [systemText(SYSTEM, []), ...messages],
    ...(tools.length > 0 && { tools: tools.map(offered) }),
    options: { num_predict: info.capabilities.includes('thinking') ? 4 * MOST_TOKENS : MOST_TOKENS },
  };
  for await (const event of model.chat(request, signal)) {
    if (event.type === 'tool_call')
      said.calls.push({ id: event.id, name: event.name, arguments: event.arguments });
    else if (event.type === 'done') yield* warnings(event);
    else {
      yield event;
      if (event.type === 'text') said.text += event.text;
      if (repeats(said.text)) {
        yield { type: 'notice', text: 'The model began to repeat itself: stopped.' };
        break;
      }
    }
  }
  return said;
}

async function* wrapUp(options: TurnOptions): AsyncGenerator<TurnEvent, string> {
  const { text } = yield* speak(options, [], [{ role: 'user', content: WRAP_UP }]);
  options.messages.push({ role: 'assistant', content: text });
  return text;
}

/** Ollama cuts what passes `num_ctx` and says nothing; the figures show it. */
function* warnings(done: ChatDone): Generator<TurnEvent> {
  const full = done.promptTokens >= done.context - 1;
  if (full || (done.measured > done.context && done.promptTokens < done.measured / 2)) {
    const text = `The conversation no longer fits the model's ${done.context} tokens: its oldest part was not read.`;
    yield { type: 'notice', text };
  }
  if (done.reason === 'length') yield { type: 'notice', text: 'The answer was cut at its greatest length.' };
}
