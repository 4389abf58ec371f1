import type { JsonObject } from './tool.ts';

/** A call that the model asks for. */
export interface ToolCall {
  id?: string;
  name: string;
  arguments: JsonObject;
}

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string;
  thinking?: string;
  tool_calls?: ToolCall[];
  /** On a `tool` message: whose result it is. */
  tool_name?: string;
  tool_call_id?: string;
  /** Base64. */
  images?: string[];
}

/** A tool as a model is told of it. */
export interface OfferedTool {
  name: string;
  description: string;
  parameters: JsonObject;
}

export type Think = boolean | 'low' | 'medium' | 'high';

export interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  tools?: OfferedTool[];
  /** A JSON Schema that the answer must follow. It suppresses tool calls: use one or the other. */
  format?: JsonObject;
  options?: { num_ctx?: number; temperature?: number; seed?: number; num_predict?: number; stop?: string[] };
  /** Models of OpenAI's gpt-oss know levels only, and think whatever they are told. */
  think?: Think;
  keep_alive?: string;
}

export type ChatEvent =
  | { type: 'text'; text: string }
  | { type: 'thinking'; text: string }
  | { type: 'tool_call'; id: string; name: string; arguments: JsonObject }
  | ChatDone;

/** The end of an answer; `context` is the `num_ctx` it was given, `measured` our estimate of the prompt in tokens. */
export interface ChatDone {
  type: 'done';
  reason: string;
  promptTokens: number;
  answerTokens: number;
  ms: number;
  context: number;
  measured: number;
}

/** A model as it is listed; `parameters` as Ollama says it, e.g. `7.6B`, `modified` in ISO 8601. */
export interface ListedModel {
  name: string;
  size: number;
  digest: string;
  parameters?: string;
  family?: string;
  quantization?: string;
  modified?: string;
}

/** A model that is in memory; `vram` is the part of `size` that a graphics card holds, both in bytes. */
interface RunningModel {
  name: string;
  size: number;
  vram: number;
  context?: number;
  /** When it is unloaded if nobody asks it anything, in ISO 8601. */
  until?: string;
}

/** A step of a download; bytes where it is a file that is being loaded. */
export interface PullProgress {
  status: string;
  /** Which file the bytes belong to. */
  digest?: string;
  done?: number;
  total?: number;
}

export interface ModelInfo {
  name: string;
  /** `completion`, `tools`, `vision`, `thinking`, `embedding`, `insert`. */
  capabilities: string[];
  contextLength: number;
  parameters?: string;
  /** Memory that one token of context takes, in bytes, where the model says its shape. */
  bytesPerToken?: number;
}

/** A model server, as small as the forge and the host need it. */
export interface Model {
  chat: (request: ChatRequest, signal: AbortSignal) => AsyncIterable<ChatEvent>;
  list: (signal: AbortSignal) => Promise<ListedModel[]>;
  show: (name: string, signal: AbortSignal) => Promise<ModelInfo>;
  embed: (model: string, texts: string[], signal: AbortSignal) => Promise<number[][]>;
  /** Downloads a model, and ends when it is there. What was loaded of one that is cancelled is kept for the next try. */
  pull: (name: string, signal: AbortSignal) => AsyncIterable<PullProgress>;
  remove: (name: string, signal: AbortSignal) => Promise<void>;
  /** The models that are in memory now. */
  running: (signal: AbortSignal) => Promise<RunningModel[]>;
  /** Never throws for a server that is not there. */
  reachable: (signal: AbortSignal) => Promise<{ ok: true; version: string } | { ok: false; reason: string }>;
}

export type ModelFault =
  | 'unreachable'
  | 'no_model'
  | 'no_tools'
  /** The prompt does not fit into the context: nothing was read. */
  | 'too_long'
  | 'bad_answer'
  | 'tool_parse'
  | 'cut'
  | 'cancelled'
  | 'timeout'
  | 'server';

/** What went wrong with a model, in a sentence that names the next step. */
export class ModelError extends Error {
  override name = 'ModelError';
  readonly reason: ModelFault;
  constructor(reason: ModelFault, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.reason = reason;
  }
}

/** A whole answer. */
export interface Answer {
  text: string;
  thinking: string;
  toolCalls: { id: string; name: string; arguments: JsonObject }[];
  done: ChatDone;
}

/** Asks and waits for the whole answer. */
export async function complete(model: Model, request: ChatRequest, signal: AbortSignal): Promise<Answer> {
  const answer: Omit<Answer, 'done'> = { text: '', thinking: '', toolCalls: [] };
  for await (const event of model.chat(request, signal)) {
    if (event.type === 'text') answer.text += event.text;
    else if (event.type === 'thinking') answer.thinking += event.text;
    else if (event.type === 'tool_call') {
      answer.toolCalls.push({ id: event.id, name: event.name, arguments: event.arguments });
    } else return { ...answer, done: event };
  }
  throw new ModelError('cut', 'The model stopped in the middle of its answer: ask again.');
}

/** Tokens of a prompt, roughly and rather too many than too few: three bytes each, so Polish counts more than English. */
export function measure(request: Pick<ChatRequest, 'messages' | 'tools' | 'format'>): number {
  const { messages, tools, format } = request;
  const text = [tools, format].map((part) => (part ? JSON.stringify(part) : '')).join('');
  let bytes = Buffer.byteLength(text);
  let images = 0;
  for (const { content, tool_calls, images: pictures } of messages) {
    bytes += Buffer.byteLength(content) + 12 + (tool_calls ? JSON.stringify(tool_calls).length : 0);
    images += pictures?.length ?? 0;
  }
  return Math.ceil(bytes / 3) + images * 1500;
}
