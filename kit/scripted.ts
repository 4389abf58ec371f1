import { setTimeout as sleep } from 'node:timers/promises';
import {
  measure,
  ModelError,
  type ChatEvent,
  type ChatRequest,
  type Model,
  type ModelFault,
  type ModelInfo,
  type ToolCall,
} from './model.ts';
import type { JsonObject } from './tool.ts';

/** One recorded answer, and what it is the answer to. Each is given once, unless it says otherwise. */
export interface ScriptedAnswer {
  /** Texts that all occur somewhere in the request: its messages, its tools' names, its format. */
  when?: string[];
  /** Texts that occur in the last message. */
  last?: string[];
  /** Texts that occur nowhere. */
  unless?: string[];
  again?: boolean;
  thinking?: string;
  /** Answered as text; an object as JSON, for a request with `format`. */
  answer?: string | JsonObject;
  calls?: ToolCall[];
  fault?: { reason: ModelFault; message: string };
}

export interface Script {
  models?: ModelInfo[];
  answers: ScriptedAnswer[];
  /** Between two words, as a model has it. */
  paceMs?: number;
}

/**
 * A model whose answers are data: for tests, and for the demonstration where no model is. Asked for anything that the
 * script does not foresee it fails, saying what it was asked.
 */
export function scriptedModel(
  script: Script,
): Model & { asked: ChatRequest[]; left: () => ScriptedAnswer[] } {
  const models = script.models ?? [
    { name: 'scripted', capabilities: ['completion', 'tools'], contextLength: 32_768 },
  ];
  const left = [...script.answers];
  const asked: ChatRequest[] = [];

  async function* chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent> {
    asked.push(structuredClone(request));
    const answer = left.find((candidate) => fits(candidate, request));
    if (!answer) throw unforeseen(request);
    if (!answer.again) left.splice(left.indexOf(answer), 1);
    if (answer.fault) throw new ModelError(answer.fault.reason, answer.fault.message);
    const started = performance.now();
    if (answer.thinking) yield { type: 'thinking', text: answer.thinking };
    const text = typeof answer.answer === 'object' ? JSON.stringify(answer.answer) : (answer.answer ?? '');
    for (const word of text.match(/\s*\S+\s*$|\s*\S+/g) ?? []) {
      await pause(script.paceMs ?? 0, signal);
      yield { type: 'text', text: word };
    }
    for (const [index, call] of (answer.calls ?? []).entries()) {
      await pause(script.paceMs ?? 0, signal);
      yield {
        type: 'tool_call',
        id: call.id ?? `call_${index + 1}`,
        name: call.name,
        arguments: call.arguments,
      };
    }
    const measured = measure(request);
    const ms = performance.now() - started;
    const tokens = {
      promptTokens: measured,
      answerTokens: Math.ceil(text.length / 4),
      measured,
      context: 32_768,
    };
    yield { type: 'done', reason: 'stop', ms, ...tokens };
  }

  return {
    asked,
    left: () => [...left],
    chat,
    list: async () => models.map(({ name, parameters }) => ({ name, parameters, size: 0, digest: '' })),
    async show(name) {
      const found = models.find((model) => model.name === name);
      if (!found) throw new ModelError('no_model', `The script has no model ${name}.`);
      return found;
    },
    async *pull(name) {
      yield { status: `The script has no download of ${name}.` };
    },
    remove: async () => undefined,
    running: async () => [],
    embed: async (_model, texts) => texts.map(() => [0]),
    reachable: async () => ({ ok: true, version: 'scripted' }),
  };
}

function fits(answer: ScriptedAnswer, request: ChatRequest): boolean {
  const whole = told(request);
  const last = request.messages.at(-1)?.content ?? '';
  return (
    (answer.when ?? []).every((text) => whole.includes(text)) &&
    (answer.last ?? []).every((text) => last.includes(text)) &&
    !(answer.unless ?? []).some((text) => whole.includes(text))
  );
}

function told({ messages, tools, format }: ChatRequest): string {
  const calls = messages.flatMap((message) => message.tool_calls ?? []);
  const parts = [...messages.map((message) => message.content), ...(tools ?? []).map((tool) => tool.name)];
  return [...parts, JSON.stringify(calls), format ? JSON.stringify(format) : ''].join('\n');
}

function unforeseen(request: ChatRequest): ModelError {
  const last = request.messages.at(-1);
  const format = request.format ? `, to be answered as ${JSON.stringify(request.format).slice(0, 200)}` : '';
  return new ModelError(
    'bad_answer',
    `The script has no answer to this ${last?.role ?? 'empty'} message${format}: ${last?.content.slice(-600) ?? ''}`,
  );
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    if (ms > 0) await sleep(ms, undefined, { signal });
    signal.throwIfAborted();
  } catch (error) {
    throw new ModelError('cancelled', 'Cancelled.', { cause: error });
  }
}
