import {
  Server,
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  inputRequired,
  inputResponse,
  type McpServerFactory,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { internalError } from './log.ts';
import type { Caller, Listing, Mounted } from './mount.ts';
import { redact } from './secrets.ts';
import { matchTemplate } from './template.ts';
import { ToolError } from './tool.ts';
import { version } from './version.ts';

/** Tools on one page of `tools/list`; clients of the first SDK read only the first page. */
const PAGE = 100;

/** How an MCP server is made of what is mounted, for every transport and both protocol eras. */
export interface Serving {
  mounted: Mounted[];
  /** Names the server to clients: a single server's own name, else `kuznia`. */
  name: string;
  /** Aborts every call in flight when the process stops. */
  signal: AbortSignal;
  /** Adds handlers of its own; used by the conformance fixture. */
  extend?: (server: Server) => void;
}

/**
 * A factory of SDK servers over the same mounted definitions: one instance a connection (stdio, 2025 sessions) or a
 * request (2026-07-28 over HTTP). Handlers are ours, since registering 1,000 tools one by one costs 1.5 s.
 */
export function serverFactory(serving: Serving): McpServerFactory {
  return ({ requestInfo }) => {
    const server = new Server(
      { name: serving.name, title: 'Kuźnia', version },
      {
        capabilities: capabilities(serving.mounted),
        instructions: serving.mounted.map((one) => one.instructions).join('\n'),
      },
    );
    handleTools(server, serving);
    handleResources(server, serving.mounted);
    handlePrompts(server, serving.mounted);
    handleCompletion(server, serving.mounted);
    // An instance for one HTTP request is told by nobody: `subscriptions/listen` is served beside it.
    if (!requestInfo) followChanges(server, serving.mounted);
    serving.extend?.(server);
    return server;
  };
}

function capabilities(mounted: Mounted[]) {
  const resources = mounted.some((one) => one.resources.length > 0);
  const prompts = mounted.some((one) => one.prompts.length > 0);
  return {
    tools: { listChanged: true },
    ...(resources && { resources: {} }),
    ...(prompts && { prompts: {} }),
    ...((resources || prompts) && { completions: {} }),
  };
}

function followChanges(server: Server, mounted: Mounted[]): void {
  const tell = () => void server.sendToolListChanged().catch(() => undefined);
  const stops = mounted.map((one) => one.onChange(tell));
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK has nothing else
  server.onclose = () => stops.forEach((stop) => stop());
}

function handleTools(server: Server, serving: Serving): void {
  const { mounted } = serving;
  server.setRequestHandler('tools/list', ({ params }) => {
    const all = [...mounted.flatMap((one) => one.fixed), ...mounted.flatMap((one) => one.forged())];
    const start = pageStart(params?.cursor, all.length);
    const next = start + PAGE < all.length ? { nextCursor: String(start + PAGE) } : {};
    return { tools: all.slice(start, start + PAGE).map(listedTool), ...next };
  });
  server.setRequestHandler('tools/call', async ({ params }, ctx) => {
    const owner = mounted.find((one) => one.has(params.name));
    if (!owner) throw new ProtocolError(ProtocolErrorCode.InvalidParams, unknownTool(params.name, mounted));
    const { told, ...who } = caller(server, ctx, serving);
    const outcome = await owner.call(params.name, params.arguments ?? {}, who);
    await told();
    if (outcome.kind === 'value') {
      return { content: [{ type: 'text', text: outcome.text }], structuredContent: outcome.value };
    }
    if (outcome.kind === 'ask') {
      return inputRequired({
        inputRequests: {
          decision: inputRequired.elicit({ message: outcome.question.message, requestedSchema: decision }),
        },
        requestState: outcome.about,
      });
    }
    return { content: [{ type: 'text', text: outcome.message }], isError: true };
  });
}

const decision = z.object({ approve: z.boolean().describe('approve it') });

function listedTool({ inputSchema, outputSchema, ...tool }: Listing) {
  return {
    ...tool,
    inputSchema: { ...inputSchema, type: 'object' as const },
    outputSchema: { ...outputSchema, type: 'object' as const },
  };
}

function caller(
  server: Server,
  ctx: ServerContext,
  serving: Serving,
): Caller & { told: () => Promise<void> } {
  const token = ctx.mcpReq._meta?.progressToken;
  let last: number | undefined;
  let sending = Promise.resolve();
  const client = clientOf(server, ctx);
  return {
    client: client.name,
    canAsk: client.canAsk,
    answer: answerOf(ctx),
    about: ctx.mcpReq.requestState(),
    signal: AbortSignal.any([ctx.mcpReq.signal, serving.signal]),
    progress(done, total, note) {
      if (token === undefined || ctx.mcpReq.signal.aborted) return;
      // "The progress value MUST increase with each notification" (MCP, Progress).
      last = last === undefined ? done : Math.max(done, last + 0.001);
      const params = { progressToken: token, progress: last, total, message: note };
      sending = sending
        .then(() => ctx.mcpReq.notify({ method: 'notifications/progress', params }))
        .catch(() => undefined);
    },
    // Clients stop listening for progress when the result is there, and handle results first: those that come in one
    // read lose the last steps. A pause only calls with progress pay lets them be read apart.
    told: () => (last === undefined ? sending : sending.then(() => sleep(5))),
  };
}

const elicitation = z.object({ form: z.object({}).optional(), url: z.object({}).optional() });

const envelopeInfo = z.object({
  'io.modelcontextprotocol/clientInfo': z.object({ name: z.string() }).optional(),
  'io.modelcontextprotocol/clientCapabilities': z.object({ elicitation: elicitation.optional() }).optional(),
});

/** Modern requests say who they are themselves; a 2025 connection said it once, at `initialize`. */
function clientOf(server: Server, ctx: ServerContext): { name: string; canAsk: boolean } {
  if (ctx.mcpReq.envelope) {
    const said = envelopeInfo.safeParse(ctx.mcpReq.envelope).data;
    return {
      name: said?.['io.modelcontextprotocol/clientInfo']?.name ?? 'unknown',
      canAsk: canFillForms(said?.['io.modelcontextprotocol/clientCapabilities']?.elicitation),
    };
  }
  return {
    name: server.getClientVersion()?.name ?? 'unknown',
    canAsk: canFillForms(server.getClientCapabilities()?.elicitation),
  };
}

/** "An empty capabilities object is equivalent to declaring support for form mode only" (MCP, Elicitation). */
const canFillForms = (said: { form?: unknown; url?: unknown } | undefined) =>
  said !== undefined && (said.form !== undefined || said.url === undefined);

function answerOf(ctx: ServerContext): Caller['answer'] {
  const response = inputResponse(ctx.mcpReq.inputResponses, 'decision');
  if (response.kind === 'missing') return 'none';
  if (response.kind !== 'elicit' || response.action !== 'accept') return 'declined';
  return decision.safeParse(response.content).data?.approve === true ? 'accepted' : 'declined';
}

function unknownTool(name: string, mounted: Mounted[]): string {
  const words = name
    .toLowerCase()
    .split('_')
    .filter((word) => word.length > 2);
  const names = mounted.flatMap((one) => [...one.fixed, ...one.forged()].map((tool) => tool.name));
  const near = names
    .map((known) => ({ known, hits: words.filter((word) => known.includes(word)).length }))
    .filter(({ hits }) => hits > 0)
    .sort((a, b) => b.hits - a.hits)
    .slice(0, 3)
    .map(({ known }) => known);
  const hint = near.length > 0 ? `Nearest: ${near.join(', ')}.` : 'List the tools to see what exists.';
  return `There is no tool \`${name.slice(0, 80)}\`. ${hint}`;
}

function handleResources(server: Server, mounted: Mounted[]): void {
  const resources = mounted.flatMap((one) => one.resources);
  if (resources.length === 0) return;
  server.setRequestHandler('resources/list', () => ({ resources: [] }));
  server.setRequestHandler('resources/templates/list', () => ({
    resourceTemplates: resources.map(({ template, name, title, description, mimeType }) => ({
      uriTemplate: template,
      name,
      title,
      description,
      mimeType,
    })),
  }));
  server.setRequestHandler('resources/read', async ({ params: { uri } }) => {
    for (const resource of resources) {
      const variables = matchTemplate(resource.template, uri);
      if (!variables) continue;
      const found = await explained(() => resource.read(variables));
      return { contents: [{ uri, mimeType: found.mimeType ?? resource.mimeType, text: redact(found.text) }] };
    }
    throw new ResourceNotFoundError(uri);
  });
}

function handlePrompts(server: Server, mounted: Mounted[]): void {
  const prompts = mounted.flatMap((one) => one.prompts);
  if (prompts.length === 0) return;
  server.setRequestHandler('prompts/list', () => ({
    prompts: prompts.map(({ name, title, description, arguments: args }) => ({
      name,
      title,
      description,
      arguments: args,
    })),
  }));
  server.setRequestHandler('prompts/get', async ({ params }) => {
    const prompt = prompts.find((one) => one.name === params.name);
    const args = params.arguments ?? {};
    const missing = prompt?.arguments.filter((one) => one.required && !args[one.name]) ?? [];
    if (!prompt || missing.length > 0) {
      const why = prompt
        ? `${params.name} needs ${missing.map((one) => one.name).join(', ')}.`
        : `There is no prompt \`${params.name}\`; there are ${prompts.map((one) => one.name).join(', ')}.`;
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, why);
    }
    const text = await explained(() => prompt.render(args));
    return {
      description: prompt.description,
      messages: [{ role: 'user', content: { type: 'text', text: redact(text) } }],
    };
  });
}

function handleCompletion(server: Server, mounted: Mounted[]): void {
  const resources = mounted.flatMap((one) => one.resources);
  if (resources.length === 0 && mounted.every((one) => one.prompts.length === 0)) return;
  server.setRequestHandler('completion/complete', async ({ params: { ref, argument, context } }) => {
    const resource =
      ref.type === 'ref/resource' ? resources.find((one) => one.template === ref.uri) : undefined;
    const found = explained(
      async () => resource?.complete(argument.name, argument.value, context?.arguments ?? {}) ?? [],
    );
    const values = await found;
    // "values" holds at most 100 (MCP, Completion).
    return {
      completion: { values: values.slice(0, 100), total: values.length, hasMore: values.length > 100 },
    };
  });
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

function pageStart(cursor: string | undefined, total: number): number {
  if (cursor === undefined) return 0;
  const start = Number(cursor);
  if (Number.isInteger(start) && start > 0 && start <= total) return start;
  throw new ProtocolError(
    ProtocolErrorCode.InvalidParams,
    'That cursor is not one of ours; list from the start.',
  );
}
