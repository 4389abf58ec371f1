import type { Journal } from './journal.ts';
import {
  measure,
  type ChatEvent,
  type ChatMessage,
  type ChatRequest,
  type Model,
  type ModelInfo,
} from './model.ts';
import {
  chunk,
  embedded,
  listed,
  loaded,
  modelInfo,
  parsed,
  pulled,
  shown,
  versioned,
} from './ollama-answers.ts';
import { grammarSchema } from './ollama-grammar.ts';
import { Exchange } from './ollama-http.ts';

export { complete, ModelError } from './model.ts';
export type { Answer, ChatEvent, ChatMessage, ChatRequest, Model, ModelInfo, OfferedTool } from './model.ts';

/** Room left for an answer where the request does not say. */
const ANSWER_TOKENS = 2048;
/** Ollama loads a model anew when `num_ctx` changes, so there are few sizes, and a model's never shrinks. */
const CONTEXTS = [8192, 16_384, 32_768, 65_536, 131_072, 262_144];
/** What needs no model loaded answers at once or not at all. */
const SMALL_CALL_MS = 10_000;
/** A download tells of itself all the time, but checking a large file afterwards is silent. */
const PULL_MS = 10 * 60_000;

/**
 * The models of an Ollama server. A call ends when `signal` aborts, also before the first byte, or when no byte came
 * for `deadlineMs`: reading a long prompt may take a slow CPU a quarter of an hour.
 */
export function ollamaModel(options: { host?: string; journal?: Journal; deadlineMs?: number } = {}): Model {
  const { journal, deadlineMs = 30 * 60_000 } = options;
  const exchange = (signal: AbortSignal, ms: number, model?: string) =>
    new Exchange({ host: options.host, signal, deadlineMs: ms, model });
  const known = new Map<string, ModelInfo>();
  const contexts = new Map<string, number>();

  const show = async (name: string, signal: AbortSignal) => {
    const before = known.get(name);
    if (before) return before;
    const raw = await exchange(signal, SMALL_CALL_MS, name).once((client) => client.show({ model: name }));
    const info = modelInfo(name, parsed(shown, raw));
    known.set(name, info);
    return info;
  };

  async function* chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent> {
    const started = performance.now();
    const stream = exchange(signal, deadlineMs, request.model);
    let outcome: 'ok' | 'error' | 'cancelled' = 'cancelled';
    let detail = '';
    try {
      const info = await show(request.model, signal);
      const measured = measure(request);
      const context = steady(request, info, contexts);
      const client = await stream.client();
      let calls = 0;
      for await (const raw of await client.chat({ ...wireRequest(request, info, context), stream: true })) {
        const { message, ...end } = parsed(chunk, raw);
        if (message?.thinking) yield { type: 'thinking', text: message.thinking };
        if (message?.content) yield { type: 'text', text: message.content };
        for (const call of message?.tool_calls ?? []) {
          calls += 1;
          yield { type: 'tool_call', id: call.id ?? `call_${calls}`, ...call.function };
        }
        if (end.done) {
          outcome = 'ok';
          detail = `${end.prompt_eval_count} tokens read, ${end.eval_count} written`;
          yield {
            type: 'done',
            reason: end.done_reason,
            promptTokens: end.prompt_eval_count,
            answerTokens: end.eval_count,
            ms: performance.now() - started,
            context,
            measured,
          };
        }
      }
    } catch (error) {
      const fault = stream.explain(error);
      outcome = fault.reason === 'cancelled' ? 'cancelled' : 'error';
      detail = fault.message;
      throw fault;
    } finally {
      stream.end();
      journal?.record({
        kind: 'model',
        name: request.model,
        ms: performance.now() - started,
        outcome,
        detail,
      });
    }
  }

  return {
    chat,
    show,
    async list(signal) {
      const raw = await exchange(signal, SMALL_CALL_MS).once((client) => client.list());
      return parsed(listed, raw).models.map(({ name, size, digest, modified_at, details }) => ({
        name,
        size,
        digest,
        parameters: details?.parameter_size,
        family: details?.family,
        quantization: details?.quantization_level,
        modified: modified_at,
      }));
    },
    async *pull(name, signal) {
      const stream = exchange(signal, Math.min(deadlineMs, PULL_MS), name);
      try {
        const client = await stream.client();
        for await (const raw of await client.pull({ model: name, stream: true })) {
          const { status, digest, completed: done, total } = parsed(pulled, raw);
          yield { status, digest, done, total };
        }
        known.delete(name);
      } catch (error) {
        throw stream.explain(error);
      } finally {
        stream.end();
      }
    },
    async remove(name, signal) {
      await exchange(signal, SMALL_CALL_MS, name).once((client) => client.delete({ model: name }));
      known.delete(name);
    },
    async running(signal) {
      const raw = await exchange(signal, SMALL_CALL_MS).once((client) => client.ps());
      return parsed(loaded, raw).models.map(({ name, size, size_vram, context_length, expires_at }) => {
        return { name, size, vram: size_vram, context: context_length, until: expires_at };
      });
    },
    async embed(model, texts, signal) {
      const raw = await exchange(signal, deadlineMs, model).once((client) =>
        client.embed({ model, input: texts }),
      );
      return parsed(embedded, raw).embeddings;
    },
    async reachable(signal) {
      try {
        const raw = await exchange(signal, 3000).once((client) => client.version());
        return { ok: true, version: parsed(versioned, raw).version };
      } catch (error) {
        return { ok: false, reason: error instanceof Error ? error.message : String(error) };
      }
    },
  };
}

/**
 * Never left to the server: its default is 4,096 on small machines. A model's never shrinks, whoever asks: chat, forge and
 * summaries share it, and each change would load it anew.
 */
function steady(request: ChatRequest, info: ModelInfo, contexts: Map<string, number>): number {
  const wanted = request.options?.num_ctx ?? contextFor(request);
  const context = Math.min(info.contextLength, Math.max(wanted, contexts.get(request.model) ?? 0));
  contexts.set(request.model, context);
  return context;
}

function contextFor(request: ChatRequest): number {
  const wanted = measure(request) + Math.min(request.options?.num_predict ?? ANSWER_TOKENS, ANSWER_TOKENS);
  return CONTEXTS.find((context) => context >= wanted) ?? wanted;
}

function wireRequest(request: ChatRequest, info: ModelInfo, context: number) {
  return {
    model: request.model,
    messages: request.messages.map(wireMessage),
    options: { ...request.options, num_ctx: context },
    // Refuse a prompt that does not fit, instead of cutting it without a word (Ollama 0.12.6 and later).
    truncate: false,
    ...(request.tools?.length && {
      tools: request.tools.map((tool) => ({ type: 'function', function: { ...tool } })),
    }),
    ...(request.format && { format: grammarSchema(request.format) }),
    // Asking a model that cannot think for thinking is an error 400.
    ...(request.think !== undefined && info.capabilities.includes('thinking') && { think: request.think }),
    ...(request.keep_alive && { keep_alive: request.keep_alive }),
  };
}

function wireMessage({ tool_calls, images, ...message }: ChatMessage) {
  return {
    ...message,
    // As bytes: a text the client would first take for the path of a file, and read that.
    ...(images && { images: images.map((image) => Buffer.from(image, 'base64')) }),
    ...(tool_calls && {
      tool_calls: tool_calls.map(({ id, name, arguments: args }) => {
        return { ...(id && { id }), function: { name, arguments: args } };
      }),
    }),
  };
}
