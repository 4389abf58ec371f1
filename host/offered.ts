import type { OfferedTool } from '../kit/model.ts';
import type { JsonObject } from '../kit/tool.ts';
import { flatten } from './flatten.ts';
import type { HostTool } from './link-types.ts';

const flat = new WeakMap<JsonObject, JsonObject>();

/** A tool as a model is told of it; the host waits for long ones by itself. */
export function offered({ name, description, inputSchema }: HostTool): OfferedTool {
  const parameters = flat.get(inputSchema) ?? flatten(withoutWaiting(inputSchema));
  flat.set(inputSchema, parameters);
  return { name, description, parameters };
}

function withoutWaiting(schema: JsonObject): JsonObject {
  const { properties } = schema;
  if (typeof properties !== 'object' || properties === null || !('wait_s' in properties)) return schema;
  const kept = Object.entries(properties).filter(([name]) => name !== 'wait_s' && name !== 'job');
  return { ...schema, properties: Object.fromEntries(kept) };
}
