import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import { ToolError, type ToolContext } from '../../kit/tool.ts';
import type { Api } from './client.ts';

const REBASE_TRIES = 20;
const REBASE_WAIT = 500;
const rebasing = z.object({ rebase_in_progress: z.boolean().nullish(), merge_error: z.string().nullish() });

/** Waits a while for a rebase, which GitLab makes in the background: merging needs the sha that it ends with. */
export async function rebased(
  api: Api,
  path: string,
  { signal }: Pick<ToolContext, 'signal'>,
): Promise<{ shown?: unknown; rebase?: string }> {
  let shown: unknown;
  for (let tries = 0; tries < REBASE_TRIES; tries++) {
    await setTimeout(tries === 0 ? 100 : REBASE_WAIT, undefined, { signal });
    shown = await api.get(path, { include_rebase_in_progress: true });
    const { rebase_in_progress: running, merge_error: error } = rebasing.parse(shown);
    if (!running && error)
      throw new ToolError(`${error} Nothing was changed. Rebase it locally: git_clone, git_pull.`);
    if (!running) return { shown, rebase: 'done' };
  }
  return { shown, rebase: 'still running: show it before you merge, its sha changes' };
}
