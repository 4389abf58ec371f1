import type { JsonObject } from '../kit/tool.ts';
import type { OfferedTool } from '../kit/model.ts';
import type { HostTool } from './connections.ts';

/** Always shown: with these a model reaches every other one. */
const PINNED = [
  'sandbox_run_code',
  'sandbox_execute_task',
  'sandbox_find_tools',
  'sandbox_forge_tool',
  'sandbox_improve_tool',
];
const MOST = 12;

/** The tools that a model sees for a task: few, since each costs it attention. `kuznia call` reaches all. */
export function shownTools(all: HostTool[], task: string): HostTool[] {
  const pinned = all.filter((tool) => PINNED.includes(tool.name));
  const wanted = words(task);
  const forged = all
    .filter((tool) => tool.name.startsWith('forged_'))
    .map((tool) => ({
      tool,
      hits: words(`${tool.name} ${tool.description}`).filter((word) => wanted.includes(word)),
    }))
    .sort((a, b) => b.hits.length - a.hits.length)
    .map(({ tool }) => tool);
  return [...pinned, ...forged.slice(0, MOST - pinned.length)];
}

const words = (text: string) => [...new Set(text.toLowerCase().match(/\p{L}{3,}|\d+/gu) ?? [])];

/** A tool as a model is told of it; the host waits for long ones by itself. */
export function offered({ name, description, inputSchema }: HostTool): OfferedTool {
  return { name, description, parameters: withoutWaiting(inputSchema) };
}

function withoutWaiting(schema: JsonObject): JsonObject {
  const { properties } = schema;
  if (typeof properties !== 'object' || properties === null || !('wait_s' in properties)) return schema;
  const kept = Object.entries(properties).filter(([name]) => name !== 'wait_s' && name !== 'job');
  return { ...schema, properties: Object.fromEntries(kept) };
}
