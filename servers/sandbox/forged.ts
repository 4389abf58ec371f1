import { ToolError, type Catalogue, type ListedTool } from '../../kit/tool.ts';
import type { LiveTool } from './registry/registry.ts';
import { bareName, forgedName, resultSchema, runPublished, type Sandbox } from './sandbox.ts';

/** The published tools as MCP tools of their own, kept up with the catalogue of the registry. */
export function forgedTools(sandbox: Sandbox): Catalogue {
  const { registry } = sandbox;
  let of: LiveTool[] | undefined;
  let listed: ListedTool[] = [];
  let names = new Set<string>();
  // The registry hands out one array until the catalogue changes.
  const current = () => {
    const live = registry.live();
    if (live !== of) {
      of = live;
      listed = live.map(listing);
      names = new Set(listed.map((tool) => tool.name));
    }
    return { listed, names };
  };
  return {
    list: () => {
      sandbox.warm();
      return current().listed;
    },
    has: (name) => current().names.has(name),
    onChange: (listener) => registry.onChange(listener),
    call: (name, input, ctx) => {
      if (!name.startsWith('forged_'))
        throw new ToolError(`${name} is no forged tool. List the tools again.`);
      return runPublished(sandbox, bareName(name), input, ctx);
    },
  };
}

function listing(tool: LiveTool): ListedTool {
  return {
    name: forgedName(tool.name),
    title: tool.title ?? tool.name.replaceAll('_', ' '),
    description: tool.description,
    inputSchema: tool.input_schema,
    outputSchema: resultSchema(tool),
    effect: 'read',
    examples: tool.tests,
  };
}
