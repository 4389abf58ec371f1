import {
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  type CompleteRequest,
  type ContentBlock,
  type GetPromptRequest,
  type GetPromptResult,
  type ListPromptsResult,
  type PromptMessage,
  type ReadResourceRequest,
  type ReadResourceResult,
  type ServerContext,
} from '@modelcontextprotocol/server';
import type { Caller, Mounted, Outcome } from './mount.ts';
import { redact } from './secrets.ts';
import type { JsonObject } from './tool.ts';

/** What another server answered: passed on as it is. */
export interface Passed {
  kind: 'passed';
  content: ContentBlock[];
  value?: JsonObject;
  /** Others wrote in it, and it does not say so itself. */
  untrusted?: boolean;
}

/** What another server wants filled in before it goes on; `about` comes back with the answer. */
export interface Form {
  kind: 'form';
  message: string;
  schema: FormSchema;
  about: string;
}

/** The schemas that a client can show as a form (MCP, Elicitation): flat, of plain values. */
export interface FormSchema {
  type: 'object';
  properties: Record<
    string,
    { title: string; description?: string } & (
      | { type: 'boolean'; default?: boolean }
      | { type: 'number' | 'integer'; default?: number }
      | { type: 'string'; enum?: string[]; default?: string }
      | { type: 'string'; oneOf: Choice[]; default?: string }
      | { type: 'array'; items: { type: 'string'; enum: string[] }; default?: string[] }
      | { type: 'array'; items: { anyOf: Choice[] }; default?: string[] }
    )
  >;
  required: string[];
}

interface Choice {
  const: string;
  title: string;
}

/** Who calls, as a server that passes calls on needs to know them. */
export interface PassingCaller extends Caller {
  /** The client whose token the request carried. */
  identity?: string;
  /** One connection's calls have the same: one person sits at its other end. */
  session?: object;
  /** What the person filled in. */
  form?: JsonObject;
}

/** Who asks for what is passed on. */
export type Asker = Pick<PassingCaller, 'client' | 'identity' | 'signal'>;

/** A server of ours, or one that stands for others. */
export interface Served extends Omit<Mounted, 'call'> {
  call: (tool: string, input: unknown, caller: PassingCaller) => Promise<Outcome | Passed | Form>;
  passed?: PassedOn;
  /** Before this has settled, what it lists may lack what is there soon. */
  settled?: Promise<unknown>;
}

interface Described {
  name: string;
  title?: string;
  description?: string;
  mimeType?: string;
}

const described = ({ name, title, description, mimeType }: Described) => ({
  name,
  title,
  description,
  mimeType,
});

/** Resources and prompts of other servers: asked for each time, since servers come and go. */
export interface PassedOn {
  resources: (asker: Asker) => Promise<(Described & { uri: string; template: boolean })[]>;
  /** Undefined where no server has it. */
  read: (uri: string, asker: Asker) => Promise<ReadResourceResult['contents'] | undefined>;
  complete: (
    template: string,
    argument: { name: string; value: string },
    known: Record<string, string>,
    asker: Asker,
  ) => Promise<string[]>;
  prompts: (
    asker: Asker,
  ) => Promise<(Described & { arguments: { name: string; description?: string; required: boolean }[] })[]>;
  /** Undefined where no server has it. */
  prompt: (name: string, args: Record<string, string>, asker: Asker) => Promise<PromptMessage[] | undefined>;
  /** Servers came or went: so may their resources and prompts have. */
  onChange: (listener: () => void) => () => void;
}

/** Handlers that pass resources, prompts and completions on, for whoever asks. */
export function passedHandlers(passed: PassedOn, askerOf: (ctx: ServerContext) => Asker) {
  return {
    listResources: async (_request: unknown, ctx: ServerContext) => {
      const all = await explained(() => passed.resources(askerOf(ctx)));
      const fixed = all.filter((one) => !one.template);
      return { resources: fixed.map((one) => ({ uri: one.uri, ...described(one) })) };
    },
    listTemplates: async (_request: unknown, ctx: ServerContext) => {
      const all = await explained(() => passed.resources(askerOf(ctx)));
      const templates = all.filter((one) => one.template);
      return { resourceTemplates: templates.map((one) => ({ uriTemplate: one.uri, ...described(one) })) };
    },
    readResource: async (
      { params: { uri } }: ReadResourceRequest,
      ctx: ServerContext,
    ): Promise<ReadResourceResult> => {
      const found = await explained(() => passed.read(uri, askerOf(ctx)));
      if (!found) throw new ResourceNotFoundError(uri);
      return {
        contents: found.map((part) => ('text' in part ? { ...part, text: redact(part.text) } : part)),
      };
    },
    complete: async ({ params: { ref, argument, context } }: CompleteRequest, ctx: ServerContext) => {
      const known = context?.arguments ?? {};
      const values =
        ref.type === 'ref/resource'
          ? await explained(() => passed.complete(ref.uri, argument, known, askerOf(ctx)))
          : [];
      // "values" holds at most 100 (MCP, Completion).
      const hasMore = values.length > 100;
      return { completion: { values: values.slice(0, 100), total: values.length, hasMore } };
    },
    listPrompts: async (_request: unknown, ctx: ServerContext) => {
      const prompts = await explained(() => passed.prompts(askerOf(ctx)));
      return { prompts } satisfies ListPromptsResult;
    },
    getPrompt: async ({ params }: GetPromptRequest, ctx: ServerContext): Promise<GetPromptResult> => {
      const messages = await explained(() =>
        passed.prompt(params.name, params.arguments ?? {}, askerOf(ctx)),
      );
      if (messages === undefined) {
        const why = `There is no prompt \`${params.name.slice(0, 80)}\`. List the prompts to see what exists.`;
        throw new ProtocolError(ProtocolErrorCode.InvalidParams, why);
      }
      return {
        messages: messages.map(({ role, content }) => ({
          role,
          content: content.type === 'text' ? { ...content, text: redact(content.text) } : content,
        })),
      };
    },
  };
}

/** What another server says of a failure is worth telling, without what is secret in it. */
async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new ProtocolError(ProtocolErrorCode.InternalError, redact(message).slice(0, 500));
  }
}
