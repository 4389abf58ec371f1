import { Client, InMemoryTransport } from '@modelcontextprotocol/client';
import { z } from 'zod';
import type { Effect, JsonObject, Runtime } from '../kit/tool.ts';
import { version } from '../kit/version.ts';
import { nearest } from './text.ts';

/** A tool as the host knows it. */
export interface HostTool {
  name: string;
  server: string;
  title: string;
  description: string;
  inputSchema: JsonObject;
  effect: Effect;
  /** Answers `{ status: 'running', job }` when it takes long; the host waits on. */
  long: boolean;
}

export interface CallResult {
  ok: boolean;
  text: string;
  value?: JsonObject;
}

export interface Progress {
  done: number;
  total?: number;
  note?: string;
}

export interface CallOptions {
  signal: AbortSignal;
  onProgress?: (progress: Progress) => void;
  /** Asked what the server wants a person to decide on. Without it, nobody can. */
  ask?: (question: string) => Promise<Answer>;
}

/** The servers that a host is connected to, seen as one. */
export interface Connections {
  /** The tools of now: listed anew when a server said that they changed. */
  tools: (signal: AbortSignal) => Promise<HostTool[]>;
  /** A tool's own failure is a result with `ok: false`; throws only when `signal` aborts. */
  call: (name: string, args: JsonObject, options: CallOptions) => Promise<CallResult>;
  close: () => Promise<void>;
}

/** A person's answer; `unavailable` where no person is. */
export type Answer = 'yes' | 'no' | 'unavailable';

/** How a server is started inside this process: it is given its end of an in-memory pair. */
export interface InProcessServer {
  name: string;
  start: (transport: InMemoryTransport, runtime: Runtime) => Promise<{ close: () => Promise<void> }>;
}

/** Sooner than a client's default, so that a tool's own deadline is what a person hears of. */
const CALL_MS = 120_000;
const JOB_WAIT_S = 50;

/** Starts servers inside this process and connects to them. */
export async function connect(servers: InProcessServer[], runtime: Runtime): Promise<Connections> {
  const links = await Promise.all(servers.map((server) => link(server, runtime)));
  const tools = async (signal: AbortSignal) => {
    const lists = await Promise.all(links.map((one) => one.tools(signal)));
    return lists.flat();
  };
  return {
    tools,
    async call(name, args, options) {
      const all = await tools(options.signal);
      const tool = all.find((one) => one.name === name);
      const owner = links.find((one) => one.name === tool?.server);
      if (!tool || !owner) return { ok: false, text: unknownTool(name, all) };
      return owner.call(tool, args, options);
    },
    async close() {
      await Promise.allSettled(links.map((one) => one.close()));
    },
  };
}

/** What a model or a person is told about a tool that is not there. */
export function unknownTool(name: string, tools: Pick<HostTool, 'name'>[]): string {
  const near = nearest(
    name,
    tools.map((tool) => tool.name),
  );
  const hint = near.length > 0 ? `Nearest: ${near.join(', ')}.` : 'Use one of the tools that are listed.';
  return `There is no tool \`${name.slice(0, 80)}\`. ${hint}`;
}

const annotations = z.object({ readOnlyHint: z.boolean(), destructiveHint: z.boolean() }).partial();
const fields = z.object({ properties: z.record(z.string(), z.unknown()) }).partial();

async function link(server: InProcessServer, runtime: Runtime) {
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  const running = await server.start(theirs, runtime);
  const client = new Client({ name: 'kuznia', version }, { capabilities: { elicitation: { form: {} } } });
  let stale = true;
  let listed: HostTool[] = [];
  client.setNotificationHandler('notifications/tools/list_changed', () => {
    stale = true;
  });
  // The host makes one call at a time on a connection, so a question belongs to the one that runs.
  let asking: CallOptions['ask'];
  client.setRequestHandler('elicitation/create', async ({ params }) => {
    const answer = (await asking?.(params.message)) ?? 'unavailable';
    if (answer === 'unavailable') return { action: 'cancel' };
    return answer === 'yes' ? { action: 'accept', content: { approve: true } } : { action: 'decline' };
  });
  try {
    await client.connect(ours);
  } catch (error) {
    await running.close();
    throw error;
  }

  const tools = async (signal: AbortSignal) => {
    if (!stale) return listed;
    stale = false;
    try {
      // Kept out of the client's cache: it would compile every forged output schema, which the server checks already.
      const { tools: found } = await client.listTools(undefined, { signal, cacheMode: 'bypass' });
      listed = found.map((tool) => {
        const hints = annotations.safeParse(tool.annotations).data ?? {};
        const { properties = {} } = fields.safeParse(tool.inputSchema).data ?? {};
        return {
          name: tool.name,
          server: server.name,
          title: tool.title ?? tool.name,
          description: tool.description ?? '',
          inputSchema: { ...tool.inputSchema },
          // What says nothing is taken for the worst, as the protocol does.
          effect: hints.readOnlyHint ? 'read' : hints.destructiveHint === false ? 'write' : 'destroy',
          long: 'wait_s' in properties && 'job' in properties,
        };
      });
      return listed;
    } catch (error) {
      stale = true;
      throw error;
    }
  };

  const once = async (name: string, args: JsonObject, options: CallOptions): Promise<CallResult> => {
    const { signal, onProgress } = options;
    asking = options.ask;
    try {
      const result = await client.callTool(
        { name, arguments: args },
        {
          signal,
          timeout: CALL_MS,
          resetTimeoutOnProgress: true,
          onprogress: ({ progress, total, message }) =>
            onProgress?.({ done: progress, total, note: message }),
        },
      );
      const text = result.content
        .map((part) => (part.type === 'text' ? part.text : `[${part.type}]`))
        .join('\n');
      const value = z.record(z.string(), z.unknown()).safeParse(result.structuredContent).data;
      return { ok: result.isError !== true, text, value };
    } catch (error) {
      signal.throwIfAborted();
      return { ok: false, text: error instanceof Error ? error.message : String(error) };
    }
  };

  return {
    name: server.name,
    tools,
    async call(tool: HostTool, args: JsonObject, options: CallOptions): Promise<CallResult> {
      if (!tool.long) return settled(tool, await once(tool.name, args, options));
      let result = await once(tool.name, { ...args, wait_s: JOB_WAIT_S }, options);
      while (result.ok && result.value?.['status'] === 'running' && typeof result.value['job'] === 'string') {
        result = await once(tool.name, { job: result.value['job'], wait_s: JOB_WAIT_S }, options);
      }
      return settled(tool, result);
    },
    async close() {
      await client.close();
      await running.close();
    },
  };

  /** What wrote may have published: the notification of it can still be on its way. */
  function settled(tool: HostTool, result: CallResult): CallResult {
    if (tool.effect !== 'read') stale = true;
    return result;
  }
}
