import type { Model } from '../../kit/model.ts';
import type { HostTool } from '../mcp/link-types.ts';
import { pickRole, survey } from '../models/roles.ts';
import type { HostSettings } from '../settings.ts';
import { knownExamples } from './examples.ts';
import { ToolIndex } from './index.ts';
import { restater } from './restate.ts';

/**
 * The index as the host uses it: with the embedding model that is configured or installed, the requests that were
 * written for foreign tools so far, and `own` for ours. `modelName` restates what is not English. Without a model server
 * tools are found by words.
 */
export async function openIndex(options: {
  home: string;
  model: Model;
  settings: HostSettings;
  modelName?: string;
  own?: (tool: HostTool) => string[];
  /** How long a ranking waits for the embedding model. */
  patienceMs?: number;
  signal: AbortSignal;
}): Promise<ToolIndex> {
  const { home, model, settings, modelName, own, patienceMs, signal } = options;
  const name = await embeddingModel(model, settings, signal);
  const written = knownExamples(home);
  return new ToolIndex({
    home,
    patienceMs,
    examples: (tool) => [...(own?.(tool) ?? []), ...written(tool)],
    ...(name !== undefined && {
      embedder: { model: name, embed: (texts, stop) => model.embed(name, texts, stop) },
    }),
    ...(modelName !== undefined && { restate: restater(model, modelName) }),
  });
}

async function embeddingModel(
  model: Model,
  settings: HostSettings,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (settings.models.embed !== undefined) return settings.models.embed;
  try {
    const { installed, infos } = await survey(model, signal);
    return pickRole('embed', { installed, infos })?.name;
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}
