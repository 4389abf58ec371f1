import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject, Runtime } from '../../kit/tool.ts';
import { Link, type Door } from './link.ts';
import { endOrphans } from './orphans.ts';
import type {
  CallOptions,
  CallResult,
  Change,
  HostPrompt,
  HostResource,
  HostTool,
  PromptText,
  ResourceText,
  ServerState,
} from './link-types.ts';
import { ownerOf } from '../servers.ts';
import { nearest } from '../terminal/text.ts';

export type {
  Answer,
  CallOptions,
  CallResult,
  FormField,
  HostPrompt,
  HostResource,
  HostTool,
  Image,
  Progress,
  ServerState,
} from './link-types.ts';

/** The servers that a host is connected to, seen as one. */
export interface Connections {
  /** The tools of now, each name once: listed anew when a server said that they changed. */
  tools: (signal: AbortSignal) => Promise<HostTool[]>;
  /** A tool's own failure is a result with `ok: false`; throws only when `signal` aborts. */
  call: (name: string, args: JsonObject, options: CallOptions) => Promise<CallResult>;
  states: () => ServerState[];
  /** Waits until each server has started or failed to, at most `ms`, or until `signal` aborts. */
  started: (ms: number, signal?: AbortSignal) => Promise<void>;
  resources: (signal: AbortSignal) => Promise<HostResource[]>;
  readResource: (server: string, uri: string, signal: AbortSignal) => Promise<ResourceText>;
  completeResource: (
    server: string,
    template: string,
    argument: { name: string; value: string },
    known: Record<string, string>,
    signal: AbortSignal,
  ) => Promise<string[]>;
  prompts: (signal: AbortSignal) => Promise<HostPrompt[]>;
  prompt: (
    server: string,
    name: string,
    args: Record<string, string>,
    signal: AbortSignal,
  ) => Promise<PromptText>;
  /** Something of some server changed; returns how to stop listening. */
  onChange: (listener: (what: Change) => void) => () => void;
  close: () => Promise<void>;
}

/** As much of them as a turn of a conversation needs. */
export type Toolbox = Pick<Connections, 'tools' | 'call'>;

/** A server that hangs does not keep the others waiting for longer. */
const FIRST_MS = 1_500;
/** Ours cannot hang on somebody else; a slow or busy machine takes its time to load them. */
const OWN_MS = 20_000;

/** A tool under the name that it has here, with the one its server knows. */
interface Named {
  tool: HostTool;
  own: string;
  link: Link;
}

/**
 * Starts all servers at once; returns when each answered or failed, or after a second and a half without those of
 * others that hang: they come later by themselves.
 */
export async function connect(doors: Door[], runtime: Runtime): Promise<Connections> {
  // Nobody waits for it: what is left behind is in nobody's way.
  void endOrphans(runtime.home).catch(() => undefined);
  const listeners = new Set<(what: Change) => void>();
  const changed = (what: Change) => listeners.forEach((listener) => listener(what));
  const links = doors.map((door) => new Link(door, runtime, changed));
  const own = links.filter((_, at) => doors[at]?.foreign === false);
  await Promise.all([startedWithin(links, FIRST_MS), startedWithin(own, OWN_MS)]);

  let lists: HostTool[][] = [];
  let named = new Map<string, Named>();
  const current = () =>
    lists.length === links.length && links.every((link, at) => link.known === lists[at]) ? named : undefined;
  const all = async (signal: AbortSignal) => {
    const now = await Promise.all(
      links.map((one) => one.tools(signal).catch(() => cancelled<HostTool>(signal))),
    );
    // The lists are the same objects until something changed: most calls name nothing anew.
    if (now.length === lists.length && now.every((list, at) => list === lists[at])) return named;
    lists = now;
    named = unique(links, now);
    return named;
  };
  const tools = async (signal: AbortSignal) => [...(await all(signal)).values()].map(({ tool }) => tool);
  const linkOf = (server: string) => {
    const link = links.find((one) => one.name === server);
    if (link) return link;
    throw new Error(`There is no server ${server}. There are: ${links.map((one) => one.name).join(', ')}.`);
  };
  const gathered = async <T>(signal: AbortSignal, ask: (link: Link) => Promise<T[]>): Promise<T[]> =>
    (await Promise.all(links.map((link) => ask(link).catch(() => cancelled<T>(signal))))).flat();

  return {
    tools,
    async call(name, args, options) {
      const known = current() ?? (await all(options.signal));
      const found = known.get(name);
      if (!found) return { ok: false, text: unknownTool(name, await tools(options.signal)) };
      return found.link.call(found.tool, found.own, args, options);
    },
    states: () => links.map((one) => one.state()),
    started: (ms, signal) => startedWithin(links, ms, signal),
    resources: (signal) => gathered(signal, async (link) => link.offers().resources(signal)),
    readResource: async (server, uri, signal) => linkOf(server).offers().read(uri, signal),
    completeResource: async (server, template, argument, known, signal) =>
      linkOf(server).offers().complete(template, argument, known, signal),
    prompts: (signal) => gathered(signal, async (link) => link.offers().prompts(signal)),
    prompt: async (server, name, args, signal) => linkOf(server).offers().prompt(name, args, signal),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      await Promise.allSettled(links.map((one) => one.close()));
    },
  };
}

async function startedWithin(links: Link[], ms: number, signal?: AbortSignal): Promise<void> {
  const timer = new AbortController();
  const stop = signal ? AbortSignal.any([signal, timer.signal]) : timer.signal;
  await Promise.race([
    Promise.allSettled(links.map((one) => one.started)),
    sleep(ms, undefined, { signal: stop }).catch(() => undefined),
  ]);
  timer.abort();
}

/** A server that fails to list has no tools for now; the person's cancel ends the whole. */
function cancelled<T>(signal: AbortSignal): T[] {
  signal.throwIfAborted();
  return [];
}

/** A rule for `gitlab_*` is not for what another server calls so. */
const isOurs = (tool: string) =>
  ownerOf(tool) !== undefined || /^model_|^(?:find_tools|call_tool)$/.test(tool);

/** The first server keeps a name that two have; the other's is `server_name`, and so is a foreign one that sounds like ours. */
function unique(links: Link[], lists: HostTool[][]): Map<string, Named> {
  const named = new Map<string, Named>();
  links.forEach((link, at) => {
    for (const tool of lists[at] ?? []) {
      const qualified = `${link.name}_${tool.name}`;
      let name = tool.foreign && isOurs(tool.name) ? qualified : tool.name;
      for (let n = 1; named.has(name); n++) name = `${qualified}${n > 1 ? `_${n}` : ''}`;
      named.set(name, { tool: name === tool.name ? tool : { ...tool, name }, own: tool.name, link });
    }
  });
  return named;
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
