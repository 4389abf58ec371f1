import { z } from 'zod';
import type { JsonObject } from '../../kit/tool.ts';
import type { HostTool } from '../mcp/link-types.ts';
import { words } from './words.ts';

/** What is indexed of a tool: its texts, from the one that tells most to the one that tells least. */
export interface Document {
  id: string;
  name: string;
  title: string;
  /** The first sentence of the description says what a tool does; the rest is mostly manners. */
  summary: string;
  rest: string;
  details: string;
  examples: string;
  server: string;
}

/** What other people wrote is read as far as it may be useful, and no hidden character of it. */
const LONGEST = 4000;

export function documentOf(tool: HostTool, examples: string[]): Document {
  const [summary = '', ...rest] = sentences(tool.description);
  return {
    id: keyOf(tool),
    name: visible(tool.name),
    title: tool.title === tool.name ? '' : visible(tool.title),
    summary,
    rest: rest.join(' '),
    details: details(tool.inputSchema).slice(0, LONGEST),
    examples: examples.map(visible).join('\n').slice(0, LONGEST),
    server: visible(tool.server),
  };
}

/**
 * The texts of a tool that each get a vector: its name, the first sentences of what it does, each request that it
 * answers. Shorter texts are nearer to short requests than one long one is, as test/bench/recall.ts measures.
 */
export function meanings(tool: HostTool, examples: string[]): string[] {
  const server = visible(tool.server);
  const told = sentences(tool.description).slice(0, MOST_SENTENCES);
  return [
    `${server} ${words(tool.name).join(' ')}`,
    ...told.map((sentence) => `${server}: ${sentence}`),
    ...examples.slice(0, MOST_EXAMPLES).map(visible),
  ].map((text) => text.slice(0, 400));
}

const MOST_SENTENCES = 4;
const MOST_EXAMPLES = 12;

/** Names may be the same on two servers. */
export const keyOf = ({ server, name }: Pick<HostTool, 'server' | 'name'>): string => `${server}/${name}`;

/** The text without controls, directions and tags (Unicode's hidden letters), in which orders to a model can hide. */
export function visible(text: string): string {
  return text
    .slice(0, LONGEST)
    .replace(/[\p{Cc}\p{Z}]+/gu, ' ')
    .replace(/[\p{Cf}\p{Co}\p{Cn}\u{fe00}-\u{fe0f}\u{e0000}-\u{e0fff}]/gu, '')
    .trim();
}

/** A description's sentences; an abbreviation may end one early, which does no harm here. */
export function sentences(text: string): string[] {
  return visible(text.replace(/\n\s*\n/g, '. ')).split(/(?<=[.!?])\s+(?=[\p{Lu}`"'[(])/u);
}

const property = z.object({
  description: z.string().catch(''),
  enum: z.array(z.unknown()).catch([]),
});
const fields = z.object({ properties: z.record(z.string(), z.unknown()) });

function details(schema: JsonObject): string {
  const { data } = fields.safeParse(schema);
  return Object.entries(data?.properties ?? {})
    .map(([name, value]) => {
      const about = property.safeParse(value).data;
      const choices = about?.enum.filter((one) => typeof one === 'string').join(' ') ?? '';
      return `${visible(name)} ${visible(about?.description ?? '')} ${visible(choices)}`.trim();
    })
    .join('\n');
}
