import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { embedBody, json, named, read, Refused } from './ollama-wire.ts';

/** A model that the double has. */
export interface DoubleModel {
  name: string;
  capabilities?: string[];
  contextLength?: number;
  parameters?: string;
  /** In bytes; by default 3 GB. */
  size?: number;
}

/** The model of that name, where the tag may be left out. */
export function find(models: DoubleModel[], name: string): DoubleModel | undefined {
  return models.find((model) => model.name === name || model.name === `${name}:latest`);
}

/** A model as `/api/tags` lists it. */
export function listed({ name, parameters = '4B', size = 3e9 }: DoubleModel) {
  return {
    name,
    model: name,
    size,
    digest: 'a'.repeat(64),
    modified_at: new Date().toISOString(),
    details: { family: 'double', format: 'gguf', parameter_size: parameters, quantization_level: 'Q4_K_M' },
  };
}

/** A loaded model as `/api/ps` lists it. */
export function running([name, context]: [string, number], models: DoubleModel[]) {
  const model = find(models, name);
  if (!model) return [];
  return [
    { ...listed(model), size_vram: 1e9, context_length: context, expires_at: new Date().toISOString() },
  ];
}

/** The model of that name, or Ollama's refusal. */
export function known(models: DoubleModel[], name: string): DoubleModel {
  if (name === '') throw new Refused(400, 'model is required');
  const model = find(models, name);
  if (!model) throw new Refused(404, `model '${name}' not found`);
  return model;
}

export const capabilities = (model: DoubleModel) => model.capabilities ?? ['completion', 'tools'];

export function show(res: ServerResponse, body: unknown, models: DoubleModel[]): void {
  const model = known(models, read(named, body).name);
  json(res, 200, {
    capabilities: capabilities(model),
    details: listed(model).details,
    template: '{{ .Prompt }}',
    modified_at: new Date().toISOString(),
    model_info: {
      'general.architecture': 'double',
      'double.context_length': model.contextLength ?? 32_768,
    },
  });
}

/** `/api/embed`, and the older `/api/embeddings` that takes one text. */
export function embed(res: ServerResponse, raw: unknown, models: DoubleModel[], old: boolean): void {
  const { model: name, input, prompt } = read(embedBody, raw);
  const texts: unknown[] = old ? [prompt] : Array.isArray(input) ? input : [input ?? ''];
  if (!texts.every((text) => typeof text === 'string')) throw new Refused(400, 'invalid input type');
  const model = find(models, name);
  if (!model && old) throw new Refused(404, `model "${name}" not found, try pulling it first`);
  if (!capabilities(known(models, name)).includes('embedding')) {
    throw new Refused(501, 'this model does not support embeddings');
  }
  const vectors = texts.filter((text) => text !== '').map((text) => [text.length, text.split(' ').length, 1]);
  json(
    res,
    200,
    old
      ? { embedding: vectors[0] ?? [] }
      : { model: name, embeddings: vectors, total_duration: 1e6, prompt_eval_count: texts.length },
  );
}

interface Pulling {
  models: DoubleModel[];
  /** What can be pulled. */
  library?: DoubleModel[];
  chunk?: number;
  paceMs?: number;
  /** False when the client has gone. */
  send: (res: ServerResponse, text: string, chunk?: number) => Promise<boolean>;
  gone: () => void;
}

/** A layer of 3 GB in ten steps; what is not in `library` is told of after the first line, as Ollama does. */
export async function pull(res: ServerResponse, body: unknown, options: Pulling): Promise<void> {
  const { name, stream } = read(named, body);
  if (name === '') throw new Refused(400, 'invalid model name');
  const { library = [], models, chunk, paceMs, send, gone } = options;
  const found = library.find((model) => model.name === name);
  res.on('close', () => {
    if (!res.writableFinished) gone();
  });
  if (!stream) {
    if (!found) throw new Refused(500, 'pull model manifest: file does not exist');
    models.push(found);
    return json(res, 200, { status: 'success' });
  }
  res.writeHead(200, { 'content-type': 'application/x-ndjson' });
  const say = (line: object) => send(res, `${JSON.stringify(line)}\n`, chunk);
  await say({ status: 'pulling manifest' });
  if (!found) {
    await say({ error: 'pull model manifest: file does not exist' });
    res.end();
    return;
  }
  const digest = `sha256:${'b'.repeat(64)}`;
  for (let step = 0; step <= 10; step++) {
    const completed = step > 0 ? { completed: step * 3e8 } : {};
    if (!(await say({ status: 'pulling bbbbbbbbbbbb', digest, total: 3e9, ...completed }))) return;
    if (paceMs) await sleep(paceMs);
  }
  for (const status of ['verifying sha256 digest', 'writing manifest', 'success']) await say({ status });
  models.push(found);
  res.end();
}

/** Takes a model away, out of memory too. */
export function remove(
  res: ServerResponse,
  body: unknown,
  { models, loaded }: { models: DoubleModel[]; loaded: Map<string, number> },
): void {
  const { name } = read(named, body);
  const found = find(models, name);
  if (!found) throw new Refused(404, `model '${name}' not found`);
  models.splice(models.indexOf(found), 1);
  loaded.delete(name);
  res.writeHead(200).end();
}
