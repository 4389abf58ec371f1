import { z } from 'zod';
import { jsonOrNothing } from './json.ts';
import { ModelError, type ModelInfo } from './model.ts';

// What Ollama answers (its docs/api.md), as far as it is read here.

const UNKNOWN_CONTEXT = 8192;
const word = z.string().optional();
const details = z.object({ parameter_size: word, family: word, quantization_level: word }).optional();
export const versioned = z.object({ version: z.string() });
export const listed = z.object({
  models: z.array(
    z.object({ name: z.string(), size: z.number(), digest: z.string(), modified_at: word, details }),
  ),
});
export const loaded = z.object({
  models: z.array(
    z.object({
      name: z.string(),
      size: z.number().default(0),
      size_vram: z.number().default(0),
      context_length: z.number().optional(),
      expires_at: word,
    }),
  ),
});
export const pulled = z.object({
  status: z.string().default(''),
  digest: word,
  completed: z.number().optional(),
  total: z.number().optional(),
});
export const embedded = z.object({ embeddings: z.array(z.array(z.number())) });
export const shown = z.object({
  /** Missing before Ollama 0.6.4; the template tells then. */
  capabilities: z.array(z.string()).optional(),
  template: z.string().optional(),
  model_info: z.record(z.string(), z.unknown()).optional(),
  details,
});
const callArguments = z.preprocess(
  // Some servers with Ollama's API send them as a string, as OpenAI does.
  (value) => (typeof value === 'string' ? jsonOrNothing(value) : (value ?? {})),
  // What is no object is none: the tool's schema says what is missing, and the model can mend it.
  z.record(z.string(), z.unknown()).catch({}),
);
export const chunk = z.object({
  message: z
    .object({
      content: z.string().optional(),
      thinking: z.string().optional(),
      tool_calls: z
        .array(
          z.object({
            id: z.string().min(1).optional().catch(undefined),
            function: z.object({ name: z.string(), arguments: callArguments }),
          }),
        )
        .nullish(),
    })
    .optional(),
  done: z.boolean().default(false),
  done_reason: z.string().default('stop'),
  prompt_eval_count: z.number().default(0),
  eval_count: z.number().default(0),
});

/** An answer as its schema has it. Throws ModelError. */
export function parsed<T extends z.ZodType>(schema: T, raw: unknown): z.output<T> {
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  const where = result.error.issues[0]?.path.join('.') || 'its root';
  throw new ModelError(
    'bad_answer',
    `The model server's answer is not Ollama's (at ${where}): check OLLAMA_HOST, or update Ollama.`,
  );
}

/** What `/api/show` tells of a model. */
export function modelInfo(name: string, raw: z.output<typeof shown>): ModelInfo {
  const info = raw.model_info ?? {};
  const length = info[`${String(info['general.architecture'])}.context_length`];
  return {
    name,
    capabilities: raw.capabilities ?? ['completion', ...(raw.template?.includes('.Tools') ? ['tools'] : [])],
    contextLength: typeof length === 'number' && length > 0 ? length : UNKNOWN_CONTEXT,
    parameters: raw.details?.parameter_size,
    bytesPerToken: cacheBytes(info),
  };
}

/** Keys and values of every layer, two bytes each: what llama.cpp's cache takes for a token. */
function cacheBytes(info: Record<string, unknown>): number | undefined {
  const of = (name: string) => {
    const value = info[`${String(info['general.architecture'])}.${name}`];
    return typeof value === 'number' && value > 0 ? value : undefined;
  };
  const heads = of('attention.head_count');
  const width = of('attention.key_length') ?? (heads && (of('embedding_length') ?? 0) / heads);
  const layers = of('block_count');
  const kept = of('attention.head_count_kv') ?? heads;
  return layers && kept && width ? 2 * 2 * layers * kept * width : undefined;
}
