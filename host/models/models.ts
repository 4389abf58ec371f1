import { z } from 'zod';
import { readConfigFile } from '../../kit/config.ts';
import { ModelError, type Model, type ModelInfo } from '../../kit/model.ts';
import { ollamaHost } from '../../kit/ollama-http.ts';
import type { Runtime } from '../../kit/tool.ts';
import { pickRole, survey } from './roles.ts';

const text = z.string().optional().catch(undefined);
const settings = z.object({
  OLLAMA_HOST: text,
  models: z.object({ default: text }).catch({}),
  servers: z.object({ sandbox: z.object({ ollama: text, model: text }).catch({}) }).catch({ sandbox: {} }),
});

/** The model that a person asked for: by flag, KUZNIA_MODEL, or `models.default` or the sandbox's in kuznia.json. */
export function wantedModel(flag: string | undefined, { env, home }: Runtime): string | undefined {
  const { models, servers } = settings.parse(readConfigFile(home));
  return flag ?? (env['KUZNIA_MODEL'] || models.default || servers.sandbox.model);
}

/** Where Ollama answers: by OLLAMA_HOST in the environment or kuznia.json, or by the sandbox's setting there. */
export function wantedHost({ env, home }: Runtime): string | undefined {
  const { OLLAMA_HOST, servers } = settings.parse(readConfigFile(home));
  return env['OLLAMA_HOST'] || OLLAMA_HOST || servers.sandbox.ollama;
}

/** Whether the model server is on this machine, so that its memory is ours. */
export function isLocal(runtime: Runtime): boolean {
  return /^https?:\/\/(?:127\.|localhost[:/]|\[::1\])/.test(ollamaHost(wantedHost(runtime)));
}

/** The wanted model, else the one that fits the `default` role best of those that are installed. */
export async function pickModel(
  model: Model,
  wanted: string | undefined,
  signal: AbortSignal,
  machine: { local?: boolean; memoryMb?: number } = {},
): Promise<ModelInfo> {
  if (wanted) return model.show(wanted, signal);
  const found = await survey(model, signal, machine);
  const pick = pickRole('default', found);
  if (pick) return model.show(pick.name, signal);
  throw new ModelError(
    'no_model',
    'Ollama has no model that can talk: get one, for example `ollama pull qwen3:4b`.',
  );
}

/** A model in a few words. */
export function described({ name, parameters, capabilities }: ModelInfo): string {
  const ways = ['tools', 'completion', 'embedding'] as const;
  const way = ways.find((one) => capabilities.includes(one)) ?? 'embedding';
  return `${name} (${[parameters, SAYS[way]].filter(Boolean).join(', ')})`;
}

const SAYS = {
  tools: 'calls tools',
  completion: 'driven by constrained answers',
  embedding: 'embeddings only',
};
