import type { CallToolResult, Client } from '@modelcontextprotocol/client';
import { z } from 'zod';
import type { CallResult, HostTool } from './link-types.ts';
import { isObject } from '../../kit/json.ts';
import { redactValue } from '../../kit/secrets.ts';
import type { Effect, JsonObject } from '../../kit/tool.ts';
import { matches } from '../approvals/pattern.ts';
import { visible } from '../terminal/text.ts';

/** Of one server; past this nobody finds anything. */
const MOST_TOOLS = 2_000;
const MOST_PAGES = 200;
/** A schema past this would be most of any context. */
const MOST_SCHEMA = 200_000;
/** A foreign description may be long; no model reads more. */
const MOST_DESCRIPTION = 4_000;

const hints = z
  .object({ readOnlyHint: z.boolean(), destructiveHint: z.boolean(), openWorldHint: z.boolean() })
  .partial();
const fields = z.object({ properties: z.record(z.string(), z.unknown()) }).partial();
const listed = z.object({
  // A rule or a person would take one name for another.
  name: z
    .string()
    .min(1)
    .max(200)
    .refine((name) => visible(name) === name && !/\s/.test(name)),
  title: z.string().optional().catch(undefined),
  description: z.string().catch(''),
  inputSchema: z.record(z.string(), z.unknown()).refine(isSchema).catch({ type: 'object' }),
  annotations: hints.catch({}).optional(),
  execution: z.object({ taskSupport: z.string() }).partial().optional().catch(undefined),
  _meta: z
    .object({ 'kuznia/examples': z.array(z.string()) })
    .optional()
    .catch(undefined),
});
const page = z.object({ tools: z.array(z.unknown()), nextCursor: z.string().optional() });

/** As far as this can be told without reading it: of a size, and not nested until the stack ends. */
function isSchema(value: JsonObject): boolean {
  try {
    return JSON.stringify(value).length <= MOST_SCHEMA;
  } catch {
    return false;
  }
}

interface Wanted {
  name: string;
  foreign: boolean;
  tools?: string[];
  effects?: Record<string, Effect>;
}

/**
 * A server's tools. A tool that cannot be read is left out, and does not take the others with it; hidden characters in
 * what a server says of itself are taken out, since a person would approve what only the model sees.
 */
export async function listTools(client: Client, server: Wanted, signal: AbortSignal): Promise<HostTool[]> {
  const found: HostTool[] = [];
  const seen = new Set<string>();
  let cursor: string | undefined;
  const cursors = new Set<string>();
  do {
    const params = cursor === undefined ? {} : { cursor };
    // Our own schema: the SDK's would refuse the whole list for one bad tool, and compile every output schema.
    const answer = await client.request({ method: 'tools/list', params }, page, { signal });
    for (const raw of redactValue(answer.tools)) {
      const one = listed.safeParse(raw).data;
      if (!one || seen.has(one.name)) continue;
      if (server.tools && !matches(server.tools, one.name)) continue;
      // It answers only clients that have tasks (MCP 2025-11-25, experimental): any call of it would fail.
      if (one.execution?.taskSupport === 'required') continue;
      seen.add(one.name);
      const { readOnlyHint, destructiveHint, openWorldHint } = one.annotations ?? {};
      const { properties = {} } = fields.safeParse(one.inputSchema).data ?? {};
      const said = Object.entries(server.effects ?? {}).find(([pattern]) =>
        matches([pattern], one.name),
      )?.[1];
      found.push({
        name: one.name,
        server: server.name,
        title: visible(one.title ?? one.name),
        description: visible(one.description).slice(0, MOST_DESCRIPTION),
        inputSchema: one.inputSchema,
        // What says nothing is taken for the worst, as the protocol does; the person knows better.
        effect: said ?? (readOnlyHint ? 'read' : destructiveHint === false ? 'write' : 'destroy'),
        long: !server.foreign && 'wait_s' in properties && 'job' in properties,
        foreign: server.foreign,
        openWorld: openWorldHint ?? true,
        ...(!server.foreign && one._meta && { examples: one._meta['kuznia/examples'].map(visible) }),
      });
    }
    cursor = answer.nextCursor;
    // Pages that lead back to one that was read, or on and on, end here; what they told so far counts.
    if (cursor === undefined || cursors.has(cursor) || cursors.size >= MOST_PAGES) break;
    cursors.add(cursor);
  } while (found.length < MOST_TOOLS);
  return found;
}

/**
 * A call's result as the host knows it: text, pictures apart, and whether others wrote in it. A server may repeat what it
 * was started with: nothing that is secret here is left in it.
 */
export function asResult(result: CallToolResult, foreign: boolean): CallResult {
  const { content, structuredContent, isError } = redactValue(result);
  const images = content.flatMap((part) =>
    part.type === 'image' ? [{ data: part.data, mimeType: part.mimeType }] : [],
  );
  let pictures = 0;
  const text = content
    .map((part) => {
      if (part.type === 'text') return part.text;
      if (part.type === 'image') return `[picture ${++pictures}: ${part.mimeType}]`;
      if (part.type === 'resource' && 'text' in part.resource) return part.resource.text;
      if (part.type === 'resource') return `[resource ${part.resource.uri}]`;
      return part.type === 'resource_link' ? `[resource ${part.uri}: ${part.name}]` : `[${part.type}]`;
    })
    .join('\n');
  const value = isObject(structuredContent) ? structuredContent : undefined;
  return {
    ok: isError !== true,
    text,
    content,
    value,
    ...(images.length > 0 && { images }),
    ...((foreign || typeof value?.['untrusted'] === 'string') && { untrusted: true }),
  };
}
