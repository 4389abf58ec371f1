import {
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  type CompleteRequest,
  type GetPromptRequest,
  type GetPromptResult,
  type ReadResourceRequest,
  type ReadResourceResult,
} from '@modelcontextprotocol/server';
import { internalError } from './log.ts';
import type { BoundResource, Mounted } from './mount.ts';
import { redact } from './secrets.ts';
import { matchTemplate } from './template.ts';
import { ToolError } from './tool.ts';

/** Handlers of resources and of the completion of their variables. */
export function resourceHandlers(mounted: Pick<Mounted, 'resources'>[]) {
  const all = mounted.flatMap((one) => one.resources);
  const fixed = all.filter((one) => !one.template.includes('{'));
  const templates = all.filter((one) => one.template.includes('{'));
  return {
    listResources: () => ({ resources: fixed.map((one) => ({ uri: one.template, ...described(one) })) }),
    listTemplates: () => ({
      resourceTemplates: templates.map((one) => ({ uriTemplate: one.template, ...described(one) })),
    }),
    readResource: async ({ params: { uri } }: ReadResourceRequest): Promise<ReadResourceResult> => {
      for (const resource of all) {
        const variables = matchTemplate(resource.template, uri);
        if (!variables) continue;
        const { text, mimeType = resource.mimeType } = await explained(() => resource.read(variables));
        return { contents: [{ uri, mimeType, text: redact(text) }] };
      }
      throw new ResourceNotFoundError(uri);
    },
    complete: async ({ params: { ref, argument, context } }: CompleteRequest) => {
      const resource = ref.type === 'ref/resource' && templates.find((one) => one.template === ref.uri);
      const values = resource
        ? await explained(() => resource.complete(argument.name, argument.value, context?.arguments ?? {}))
        : [];
      // "values" holds at most 100 (MCP, Completion).
      const hasMore = values.length > 100;
      return { completion: { values: values.slice(0, 100), total: values.length, hasMore } };
    },
  };
}

const described = ({ name, title, description, mimeType }: BoundResource) => ({
  name,
  title,
  description,
  mimeType,
});

/** Handlers of prompts. */
export function promptHandlers(mounted: Pick<Mounted, 'prompts'>[]) {
  const prompts = mounted.flatMap((one) => one.prompts);
  return {
    listPrompts: () => ({
      prompts: prompts.map(({ name, title, description, arguments: args }) => ({
        name,
        title,
        description,
        arguments: args,
      })),
    }),
    getPrompt: async ({ params }: GetPromptRequest): Promise<GetPromptResult> => {
      const prompt = prompts.find((one) => one.name === params.name);
      const args = params.arguments ?? {};
      const missing = prompt?.arguments.filter((one) => one.required && !args[one.name]) ?? [];
      if (!prompt || missing.length > 0) {
        const why = prompt
          ? `${params.name} needs ${missing.map((one) => one.name).join(', ')}.`
          : `There is no prompt \`${params.name.slice(0, 80)}\`; there are ${prompts.map((one) => one.name).join(', ')}.`;
        throw new ProtocolError(ProtocolErrorCode.InvalidParams, why);
      }
      const text = redact(await explained(() => prompt.render(args)));
      return {
        description: prompt.description,
        messages: [{ role: 'user', content: { type: 'text', text } }],
      };
    },
  };
}

/** Turns our own errors into protocol errors; anything else stays an internal error without its text. */
async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ToolError) {
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, redact(error.message));
    }
    throw new ProtocolError(ProtocolErrorCode.InternalError, `Internal error, id ${internalError(error)}.`);
  }
}
