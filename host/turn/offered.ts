import type { OfferedTool } from '../../kit/model.ts';
import type { JsonObject } from '../../kit/tool.ts';
import { flatten } from './flatten.ts';
import type { HostTool } from '../mcp/link-types.ts';

const known = new WeakMap<HostTool, OfferedTool>();

/** A tool as a model is told of it; the host waits for long ones by itself. The same tool is the same object. */
export function offered(tool: HostTool): OfferedTool {
  const before = known.get(tool);
  if (before) return before;
  const { name, description, inputSchema } = tool;
  const told = { name, description, parameters: flatten(withoutWaiting(inputSchema)) };
  known.set(tool, told);
  return told;
}

function withoutWaiting(schema: JsonObject): JsonObject {
  const { properties } = schema;
  if (typeof properties !== 'object' || properties === null || !('wait_s' in properties)) return schema;
  const kept = Object.entries(properties).filter(([name]) => name !== 'wait_s' && name !== 'job');
  return { ...schema, properties: Object.fromEntries(kept) };
}
