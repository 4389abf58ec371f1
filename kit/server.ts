import {
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
  inputRequired,
  type CallToolRequest,
  type CallToolResult,
  type InputRequiredResult,
  type ListToolsRequest,
  type McpServerFactory,
  type Server,
  type ServerContext,
  type StandardSchemaV1,
} from '@modelcontextprotocol/server';
import { asker, caller, type CallContext } from './caller.ts';
import { decision } from './elicit.ts';
import { isObject } from './json.ts';
import { limited } from './limited.ts';
import type { Listing } from './listing.ts';
import { promptHandlers, resourceHandlers } from './offers.ts';
import { UNTRUSTED } from './mount.ts';
import { passedHandlers, type Passed, type Served } from './passed.ts';
import type { ShortWay } from './short-way.ts';
import type { JsonObject } from './tool.ts';
import { version } from './version.ts';

/** Tools on one page of `tools/list`; clients of the first SDK read only the first page. */
const PAGE = 100;

/** The SDK looks at a call by its own schema before anything else: a second look at the same would find nothing. */
const alreadyChecked: StandardSchemaV1<unknown, CallToolRequest['params']> = {
  '~standard': {
    version: 1,
    vendor: 'kuznia',
    validate: (value: unknown) =>
      isObject(value) && typeof value['name'] === 'string'
        ? {
            value: {
              name: value['name'],
              ...(isObject(value['arguments']) && { arguments: value['arguments'] }),
            },
          }
        : { issues: [{ message: 'no name of a tool' }] },
  },
};

/** How an MCP server is made of what is mounted, for every transport and both protocol eras. */
export interface Serving {
  mounted: Served[];
  /** Names the server to clients: a single server's own name, else `kuznia`. */
  name: string;
  /** Whether the client of a token may see and call a tool; all may, where nothing is said. */
  allows?: (client: string, tool: string) => boolean;
  /** The other end is our own host: what it says of its turns is written down. Anyone else's word is not. */
  hosted?: boolean;
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
    const built = new OwnServer(
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
    server.setRequestHandler('tools/call', { params: alreadyChecked }, (params, ctx) =>
      own.callTool({ method: 'tools/call', params }, ctx),
    );
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
    if (serving.extend) serving.extend(server, own);
    else built.shortWay = own.shortWay;
    return built;
  };
}

/**
 * A tool's schema may have arguments repeated in headers (`x-mcp-header`), and then "servers MUST validate" them
 * (MCP 2026-07-28, tools). The SDK does so before the handler, by the schema that it gets here.
 */
export class OwnServer extends McpServer {
  /** For a transport that has one session of 2025 to itself. */
  shortWay: ShortWay<Result> | undefined;
  readonly #mounted: Served[];

  constructor(mounted: Served[], ...rest: ConstructorParameters<typeof McpServer>) {
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

const handlers = (server: Server, serving: Serving) => {
  const passed = serving.mounted.find((one) => one.passed)?.passed;
  const offers = passed
    ? passedHandlers(passed, (ctx) => asker(server, ctx))
    : { ...resourceHandlers(serving.mounted), ...promptHandlers(serving.mounted) };
  return { ...toolHandlers(server, serving), ...limited(offers, (ctx) => allowed(serving, ctx, '*')) };
};

function capabilities(mounted: Served[]) {
  // Other servers' can come at any time, and be told of then.
  const passed = mounted.some((one) => one.passed);
  const resources = passed || mounted.some((one) => one.resources.length > 0);
  const prompts = passed || mounted.some((one) => one.prompts.length > 0);
  const changes = passed ? { listChanged: true } : {};
  return {
    tools: { listChanged: true },
    ...(resources && { resources: changes }),
    ...(prompts && { prompts: changes }),
    ...((resources || prompts) && { completions: {} }),
  };
}

/** Tells of changes to what servers list: their tools, or what they offer beside them. Returns how to stop. */
export function onChanges(mounted: Served[], tell: (what: 'tools' | 'offers') => void): () => void {
  const stops = mounted.flatMap((one) => [
    one.onChange(() => tell('tools')),
    ...(one.passed ? [one.passed.onChange(() => tell('offers'))] : []),
  ]);
  return () => stops.forEach((stop) => stop());
}

function followChanges(server: Server, mounted: Served[]): void {
  const stop = onChanges(mounted, (what) => {
    const sent =
      what === 'tools'
        ? [server.sendToolListChanged()]
        : [server.sendResourceListChanged(), server.sendPromptListChanged()];
    void Promise.allSettled(sent);
  });
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK has nothing else
  server.onclose = stop;
}

function toolHandlers(server: Server, serving: Serving) {
  const { mounted } = serving;
  const settled = async () => {
    for (const one of mounted) await one.settled;
  };
  /** What calls came to that the SDK goes on with. */
  const begun = new Map<string | number, Result>();
  const perform = async (params: CallToolRequest['params'], ctx: CallContext): Promise<Result> => {
    const may = (name: string) => allowed(serving, ctx, name);
    const find = () => (may(params.name) ? mounted.find((one) => one.has(params.name)) : undefined);
    let owner = find();
    if (!owner) {
      await settled();
      owner = find();
    }
    if (!owner) {
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, unknownTool(params.name, mounted, may));
    }
    const { told, ...who } = caller(server, ctx, serving.hosted ?? false);
    const outcome = await owner.call(params.name, params.arguments ?? {}, who);
    const telling = told();
    if (telling) await telling;
    return outcome;
  };
  return {
    listTools: async ({ params }: ListToolsRequest, ctx: ServerContext) => {
      await settled();
      const every = [...mounted.flatMap((one) => one.fixed), ...mounted.flatMap((one) => one.forged())];
      const all = every.filter((tool) => allowed(serving, ctx, tool.name));
      const start = pageStart(params?.cursor, all.length);
      const next = start + PAGE < all.length ? { nextCursor: String(start + PAGE) } : {};
      return { tools: all.slice(start, start + PAGE).map(listedTool), ...next };
    },
    callTool: async (
      { params }: CallToolRequest,
      ctx: ServerContext,
    ): Promise<CallToolResult | InputRequiredResult> => {
      const { id } = ctx.mcpReq;
      const known = begun.get(id);
      begun.delete(id);
      return answered(known ?? (await perform(params, ctx)));
    },
    shortWay: {
      perform,
      result: (outcome: Result) => (isAsked(outcome) ? undefined : resultOf(outcome)),
      goOn: (id: string | number, outcome: Result) => void begun.set(id, outcome),
    },
  };
}

type Result = Awaited<ReturnType<Served['call']>>;
type Asked = Extract<Result, { kind: 'form' | 'ask' | 'visit' }>;

const isAsked = (outcome: Result): outcome is Asked => ['form', 'ask', 'visit'].includes(outcome.kind);

const answered = (outcome: Result) => (isAsked(outcome) ? question(outcome) : resultOf(outcome));

function resultOf(outcome: Exclude<Result, Asked>): CallToolResult {
  if (outcome.kind === 'value') {
    return { content: [{ type: 'text', text: outcome.text }], structuredContent: outcome.value };
  }
  if (outcome.kind === 'passed') return passedResult(outcome);
  return { content: [{ type: 'text', text: outcome.message }], isError: true };
}

function question(outcome: Asked): InputRequiredResult {
  if (outcome.kind === 'visit') {
    return inputRequired({ inputRequests: { visit: inputRequired.elicitUrl(outcome.visit) } });
  }
  const asked =
    outcome.kind === 'form'
      ? { message: outcome.message, requestedSchema: { ...outcome.schema } }
      : { message: outcome.question.message, requestedSchema: decision };
  return inputRequired({
    inputRequests: { decision: inputRequired.elicit(asked) },
    requestState: outcome.about,
  });
}

/** A tool that the client's token leaves out does not exist for it. */
function allowed({ allows }: Serving, ctx: Pick<CallContext, 'http'>, tool: string): boolean {
  const client = ctx.http?.authInfo?.clientId;
  return client === undefined || allows === undefined || allows(client, tool);
}

/** The mark comes last: many clients take the first part for the answer. */
function passedResult({ content, value, untrusted }: Passed): CallToolResult {
  return {
    content: untrusted ? [...content, { type: 'text', text: `[${UNTRUSTED}]` }] : content,
    ...(value && { structuredContent: value }),
    ...(untrusted && { _meta: { 'kuznia/untrusted': true } }),
  };
}

function listedTool({ inputSchema, outputSchema, ...tool }: Listing) {
  return {
    ...tool,
    inputSchema: { ...inputSchema, type: 'object' as const },
    // One that promises nothing is none: clients refuse an answer without a value where there is a schema.
    ...(Object.keys(outputSchema).length > 0 && {
      outputSchema: { ...outputSchema, type: 'object' as const },
    }),
  };
}

function unknownTool(name: string, mounted: Served[], may: (name: string) => boolean): string {
  const words = name
    .toLowerCase()
    .split('_')
    .filter((word) => word.length > 2);
  const names = mounted.flatMap((one) => [...one.fixed, ...one.forged()].map((tool) => tool.name));
  const near = names
    .filter(may)
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
