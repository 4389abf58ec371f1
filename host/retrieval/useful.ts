import type { HostTool } from '../mcp/link-types.ts';
import { sentences, visible } from './document.ts';
import { ToolIndex } from './index.ts';
import { roots, words } from './words.ts';

/** Of a request that a model wrote. */
export const LONGEST = 160;
/** A request that so many other tools fit better says something else. */
const BEFORE_IT = 20;
const never = new AbortController().signal;

/**
 * Of the requests that a model wrote for a tool, those that help to find it: sentences that a person would type, none
 * twice, none that only says again what the tool says of itself, none that leads to other tools.
 */
export class Useful {
  /** By words alone: it costs nothing, and does not keep the embedding model from the person's own request. */
  readonly #index = new ToolIndex({ home: '' });

  constructor(tools: HostTool[]) {
    this.#index.update(tools);
  }

  async of(requests: string[], tool: HostTool): Promise<string[]> {
    const told = [tool.name, tool.title, ...sentences(tool.description)].map((text) => new Set(roots(text)));
    const known = new Set<string>();
    const kept: string[] = [];
    for (const request of requests) {
      const one = visible(request).replace(LIST_MARK, '').slice(0, LONGEST);
      const said = roots(one);
      const key = said.join(' ');
      const isEcho = told.some((text) => said.every((word) => text.has(word)));
      if (known.has(key) || isEcho || !isSentence(one) || namesParts(one, tool)) continue;
      if (!(await this.#leadsTo(one, tool))) continue;
      known.add(key);
      kept.push(one);
    }
    return kept;
  }

  async #leadsTo(request: string, { server, name }: HostTool): Promise<boolean> {
    const ranked = await this.#index.rank(request, never);
    const own = ranked.find(({ tool }) => tool.server === server && tool.name === name)?.score ?? 0;
    return ranked.filter(({ score }) => score > own).length < BEFORE_IT;
  }
}

/** Before an item of a list. */
const LIST_MARK = /^(?:\d{1,2}[.)]|[-*•])\s+/u;

/** Small models write numbers, identifiers, and the same word over and over. */
function isSentence(text: string): boolean {
  const parts = text.split(' ');
  const plain = parts.filter((part) => /^["'(]?\p{L}[\p{L}'’-]{0,23}[)"'.,?!:;]*$/u.test(part));
  const different = new Set(plain.map((part) => part.toLowerCase()));
  return plain.length >= 3 && plain.length * 2 > parts.length && different.size * 2 > plain.length;
}

/** Whether it has the tool's own name, or an argument's, as no person writes them: `get_user`, `userId`. */
function namesParts(text: string, { name, inputSchema: { properties } }: HostTool): boolean {
  const names = [name, ...Object.keys(properties ?? {})];
  return names.some((one) => words(one).length > 1 && text.includes(one));
}
