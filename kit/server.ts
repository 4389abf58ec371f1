import {
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
  inputRequired,
  inputResponse,
  type CallToolRequest,
  type CallToolResult,
  type InputRequiredResult,
  type ListToolsRequest,
  type McpServerFactory,
  type Server,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Listing } from './listing.ts';
import type { Caller, Mounted } from './mount.ts';
import { promptHandlers, resourceHandlers } from './offers.ts';
import type { JsonObject } from './tool.ts';
import { version } from './version.ts';

/** Tools on one page of `tools/list`; clients of the first SDK read only the first page. */
const PAGE = 100;

/** How an MCP server is made of what is mounted, for every transport and both protocol eras. */
export interface Serving {
  mounted: Mounted[];
  /** Names the server to clients: a single server's own name, else `kuznia`. */
  name: string;
  /** Adds handlers of its own, which may pass on to the kit's; used by the conformance fixture. */
  extend?: (server: Server, own: ReturnType<typeof handlers>) => void;
}

/**
 * A factory of SDK servers over the same mounted definitions: one instance a connection (stdio, 2025 sessions) or a
 * request (2026-07-28 over HTTP). Handlers are ours, since registering 1,000 tools one by one costs 1.5 s.
 */
export function serverFactory(serving: Serving): McpServerFactory {
  const offered = capabilities(serving.mounted);
  return ({ requestInfo }) => {
    const built = new HeaderCheckingServer(
      serving.mounted,
      { name: serving.name, title: 'Kuźnia', version },
      {
        capabilities: offered,
        instructions: serving.mounted.map((one) => one.instructions).join('\n'),
      },
    );
    const { server } = built;
    const own = handlers(server, serving);
    server.setRequestHandler('tools/list', own.listTools);
    server.setRequestHandler('tools/call', own.callTool);
    if (offered.resources) {
      server.setRequestHandler('resources/list', own.listResources);
      server.setRequestHandler('resources/templates/list', own.listTemplates);
      server.setRequestHandler('resources/read', own.readResource);
    }
    if (offered.prompts) {
      server.setRequestHandler('prompts/list', own.listPrompts);
      server.setRequestHandler('prompts/get', own.getPrompt);
    }
    if (offered.completions) server.setRequestHandler('completion/complete', own.complete);
    // An instance for one HTTP request is told by nobody: `subscriptions/listen` is served beside it.
    if (!requestInfo) followChanges(server, serving.mounted);
    serving.extend?.(server, own);
    return built;
  };
}

/**
 * A tool's schema may have arguments repeated in headers (`x-mcp-header`), and then "servers MUST validate" them
 * (MCP 2026-07-28, tools). The SDK does so before the handler, by the schema that it gets here.
 */
class HeaderCheckingServer extends McpServer {
  readonly #mounted: Mounted[];

  constructor(mounted: Mounted[], ...rest: ConstructorParameters<typeof McpServer>) {
    super(...rest);
    this.#mounted = mounted;
  }

  override toolInputSchemaJson(name: string): JsonObject | undefined {
    for (const one of this.#mounted) {
      const listed =
        one.fixed.find((tool) => tool.name === name) ?? one.forged().find((tool) => tool.name === name);
      if (listed) return listed.inputSchema;
    }
    return undefined;
  }
}

const handlers = (server: Server, serving: Serving) => ({
  ...toolHandlers(server, serving),
  ...resourceHandlers(serving.mounted),
  ...promptHandlers(serving.mounted),
});

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

function toolHandlers(server: Server, serving: Serving) {
  const { mounted } = serving;
  return {
    listTools: ({ params }: ListToolsRequest) => {
      const all = [...mounted.flatMap((one) => one.fixed), ...mounted.flatMap((one) => one.forged())];
      const start = pageStart(params?.cursor, all.length);
      const next = start + PAGE < all.length ? { nextCursor: String(start + PAGE) } : {};
      return { tools: all.slice(start, start + PAGE).map(listedTool), ...next };
    },
    callTool: async (
      { params }: CallToolRequest,
      ctx: ServerContext,
    ): Promise<CallToolResult | InputRequiredResult> => {
      const owner = mounted.find((one) => one.has(params.name));
      if (!owner) throw new ProtocolError(ProtocolErrorCode.InvalidParams, unknownTool(params.name, mounted));
      const { told, ...who } = caller(server, ctx);
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
    },
  };
}

const decision = z.object({ approve: z.boolean().describe('approve it') });

function listedTool({ inputSchema, outputSchema, ...tool }: Listing) {
  return {
    ...tool,
    inputSchema: { ...inputSchema, type: 'object' as const },
    outputSchema: { ...outputSchema, type: 'object' as const },
  };
}

function caller(server: Server, ctx: ServerContext): Caller & { told: () => Promise<void> } {
  const token = ctx.mcpReq._meta?.progressToken;
  let last: number | undefined;
  let sending = Promise.resolve();
  const client = clientOf(server, ctx);
  return {
    client: client.name,
    canAsk: client.canAsk,
    answer: answerOf(ctx),
    about: ctx.mcpReq.requestState(),
    signal: ctx.mcpReq.signal,
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
  if (response.kind !== 'elicit' || response.action === 'cancel') return 'dismissed';
  if (response.action !== 'accept') return 'declined';
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

function pageStart(cursor: string | undefined, total: number): number {
  if (cursor === undefined) return 0;
  const start = Number(cursor);
  if (Number.isInteger(start) && start > 0 && start <= total) return start;
  throw new ProtocolError(
    ProtocolErrorCode.InvalidParams,
    'That cursor is not one of ours; list from the start.',
  );
}
