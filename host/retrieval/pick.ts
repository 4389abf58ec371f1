import { flatten } from '../turn/flatten.ts';
import type { HostTool } from '../mcp/link-types.ts';
import type { Ranked } from './index.ts';
import { shorter } from './shorter.ts';

/** In the JSON of tools, as test/bench/recall.ts measures with o200k. */
const BYTES_PER_TOKEN = 4;
const MOST = 8;
const TOKENS = 1500;

/** Tokens that a tool takes of a prompt, about. */
export function tokensOf({ name, description, inputSchema }: HostTool): number {
  const offered = JSON.stringify({ name, description, parameters: flatten(inputSchema) });
  return Math.ceil(Buffer.byteLength(offered) / BYTES_PER_TOKEN);
}

/**
 * The pinned tools, then at most `most` of the best others, within `tokens` for the others. Where they take more, the
 * longest are shortened before one is left out: a tool that is not shown cannot be chosen. The tools given are to be
 * shown; what a call is checked against is the server's own.
 */
export function pick(
  ranked: Ranked[],
  options: { most?: number; tokens?: number; pinned: string[] },
): HostTool[] {
  const { most = MOST, tokens = TOKENS, pinned } = options;
  const always = pinned.flatMap((name) => ranked.find(({ tool }) => tool.name === name)?.tool ?? []);
  const shown = ranked
    .filter(({ tool, score }) => score > 0 && !pinned.includes(tool.name))
    .slice(0, most)
    .map(({ tool }) => ({ tool, full: tool, level: 0, size: tokensOf(tool) }));
  while (shown.reduce((sum, one) => sum + one.size, 0) > tokens) {
    const long = shown.filter((one) => one.level < shorter.length).sort((a, b) => b.size - a.size)[0];
    const shorten = long && shorter[long.level];
    if (!shorten) {
      shown.pop();
      continue;
    }
    const tool = shorten(long.full);
    Object.assign(long, { tool, level: long.level + 1, size: tokensOf(tool) });
  }
  return [...always, ...shown.map(({ tool }) => tool)];
}
