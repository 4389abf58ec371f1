import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

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
  const { name } = z.object({ name: z.string() }).parse(body);
  const { library = [], models, chunk, paceMs, send, gone } = options;
  const found = library.find((model) => model.name === name);
  res.on('close', () => {
    if (!res.writableFinished) gone();
  });
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
  const { name } = z.object({ name: z.string() }).parse(body);
  const at = models.findIndex((model) => model === find(models, name));
  if (at === -1) return json(res, 404, { error: `model '${name}' not found` });
  models.splice(at, 1);
  loaded.delete(name);
  res.writeHead(200).end();
}

/** An answer that is one JSON value. */
export function json(res: ServerResponse, status: number, value: unknown): void {
  res.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  res.end(JSON.stringify(value));
}
