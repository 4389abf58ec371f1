import { isObject } from './json.ts';
import type { JsonObject, ListedTool, Tool } from './tool.ts';

/** A tool as it is listed to clients. */
export interface Listing {
  name: string;
  title: string;
  description: string;
  inputSchema: JsonObject;
  outputSchema: JsonObject;
  annotations: JsonObject;
  /** `kuznia/examples`: for hosts that search tools; clients show no model this. */
  _meta?: JsonObject;
}

/** Calls that change what others see, or say what they would do, can be tried first: the kit gives them `dry_run`. */
export const hasDryRun = <Deps>({
  effect,
  openWorld,
  preview,
}: Pick<Tool<Deps>, 'effect' | 'openWorld' | 'preview'>) =>
  effect !== 'read' && (openWorld || preview !== undefined);

/** What `tools/list` says of a tool, with the arguments that the kit itself answers to. */
export function listing<Deps>(tool: Tool<Deps>): Listing {
  const schema = tool.inputSchema();
  const { required, ...output } = tool.outputSchema();
  return {
    name: tool.name,
    title: tool.title,
    description: tool.description,
    inputSchema: {
      ...schema,
      properties: {
        ...objectOf(schema['properties']),
        ...(tool.long && {
          wait_s: { type: 'number', description: 'answer after so many seconds (50)' },
          job: {
            type: 'string',
            description: 'of an earlier answer of this tool, to go on waiting; other arguments as before',
          },
        }),
        ...(hasDryRun(tool) && { dry_run: { type: 'boolean', description: 'only say what would be sent' } }),
      },
    },
    // A dry run answers with `would_send` instead, and clients check what they get.
    outputSchema: hasDryRun(tool) || required === undefined ? output : { ...output, required },
    annotations: annotations(tool),
  };
}

/** A published tool's listing. */
export function forgedListing({ effect, examples = [], ...tool }: ListedTool): Listing {
  return {
    ...tool,
    annotations: annotations({ effect, idempotent: effect === 'read', openWorld: false }),
    ...(examples.length > 0 && { _meta: { 'kuznia/examples': examples } }),
  };
}

/** All four hints, since clients disagree about the defaults. */
function annotations(tool: Pick<Tool<unknown>, 'effect' | 'idempotent' | 'openWorld'>): JsonObject {
  return {
    readOnlyHint: tool.effect === 'read',
    destructiveHint: tool.effect === 'destroy',
    idempotentHint: tool.idempotent,
    openWorldHint: tool.openWorld,
  };
}

const objectOf = (value: unknown): JsonObject => (isObject(value) ? { ...value } : {});
