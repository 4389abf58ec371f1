import { isObject } from '../../kit/json.ts';
import type { JsonObject } from '../../kit/tool.ts';
import { flatten } from '../turn/flatten.ts';
import type { HostTool } from '../mcp/link-types.ts';
import { sentences } from './document.ts';

/** How much of a tool's text is kept. */
interface Measure {
  /** Characters of the description, by whole sentences while there is one. */
  description: number;
  /** Characters of each argument's description. */
  argument: number;
  /** Whether arguments that may be left out are told of. */
  optional: boolean;
  /** How deep its schema is told. */
  depth: number;
}

const LEVELS: Measure[] = [
  { description: 400, argument: 160, optional: true, depth: 6 },
  { description: 250, argument: 80, optional: true, depth: 6 },
  { description: 160, argument: 40, optional: true, depth: 6 },
  { description: 160, argument: 0, optional: true, depth: 4 },
  { description: 120, argument: 40, optional: false, depth: 3 },
  { description: 100, argument: 0, optional: false, depth: 1 },
];

/** Ways to tell of a tool in fewer words, each shorter than the one before. */
export const shorter: ((tool: HostTool) => HostTool)[] = LEVELS.map((measure) => (tool) => ({
  ...tool,
  description: cut(tool.description, measure.description),
  inputSchema: brief(flatten(tool.inputSchema), measure, 0),
}));

/** Whole sentences while they fit, but always something. */
function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  if (most === 0) return '';
  let kept = '';
  for (const sentence of sentences(text)) {
    if (kept.length + sentence.length + 1 > most) break;
    kept = `${kept} ${sentence}`.trim();
  }
  return kept === '' ? `${text.slice(0, most - 1).trimEnd()}…` : kept;
}

/** A flat schema with less said; what a call needs stays. */
function brief(schema: JsonObject, measure: Measure, depth: number): JsonObject {
  const { description, properties, items, required, default: _, ...kept } = schema;
  if (typeof description === 'string') {
    const text = cut(description, measure.argument);
    if (text !== '') kept['description'] = text;
  }
  if (depth >= measure.depth) return kept;
  if (isObject(items)) kept['items'] = brief(items, measure, depth + 1);
  if (!isObject(properties)) return kept;
  const needed = Array.isArray(required) ? required : [];
  if (needed.length > 0) kept['required'] = needed;
  const told = Object.entries(properties).filter(([name]) => measure.optional || needed.includes(name));
  kept['properties'] = Object.fromEntries(
    told.map(([name, one]) => [name, isObject(one) ? brief(one, measure, depth + 1) : one]),
  );
  return kept;
}
