import type { Listing } from '../../kit/listing.ts';
import type { Served } from '../../kit/passed.ts';
import { within } from '../../kit/within.ts';
import type { Connections, HostTool } from '../mcp/connections.ts';

/** A tool as the gateway offers it; `own` is the server of ours that answers it, where no connection does. */
export interface Offered {
  tool: HostTool;
  listing: Listing;
  own?: Served;
}

/** A server that hangs keeps its own tools away, and no others'. */
const LIST_MS = 15_000;

/** Between two listings for changes that servers told of. The pause doubles while they bring nothing new. */
const PAUSE_MS = { first: 50, most: 10_000 };

/** What there is to call, kept ready: a call looks its tool up, and lists nothing. */
export class Offers {
  readonly #connections: Connections;
  readonly #own: Map<string, Offered>;
  readonly #listeners = new Set<() => void>();
  readonly #closing = new AbortController();
  readonly #stop: () => void;
  /** Servers that are away, by the names of the tools that they had. */
  #away = new Map<string, string>();
  #all: Map<string, Offered>;
  #listings: Listing[] = [];
  #seen = '';
  #refreshing: Promise<void> | undefined;
  #again = false;
  #listedAt = 0;
  #pause: number = PAUSE_MS.first;
  #due: NodeJS.Timeout | undefined;

  constructor(connections: Connections, own: Served[]) {
    this.#connections = connections;
    const ours = own.flatMap((mounted) => mounted.fixed.map((listing) => ownOffer(mounted, listing)));
    this.#own = new Map(ours.map((one) => [one.listing.name, one]));
    this.#all = this.#own;
    this.#stop = connections.onChange((what) => {
      if (what !== 'offers') this.#changed();
    });
  }

  get(name: string): Offered | undefined {
    return this.#all.get(name);
  }

  /** What is said of a tool whose server is away for now; undefined where there never was one of that name. */
  away(name: string): string | undefined {
    const server = this.#away.get(name);
    if (server === undefined) return undefined;
    const reason = this.#connections.states().find((one) => one.name === server)?.reason;
    const why = reason === undefined ? '' : ` (${reason.replace(/\.$/, '')})`;
    return `The server ${server}, which has ${name}, is away${why}. Try again in a moment, or go on without it.`;
  }

  /** By name; a new object after every change. */
  get all(): ReadonlyMap<string, Offered> {
    return this.#all;
  }

  get listings(): Listing[] {
    return this.#listings;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks the servers for their tools, and tells who listens when they are others than before. */
  async refresh(): Promise<void> {
    // One that has begun may have missed what the caller knows of.
    if (this.#refreshing) await this.#refreshing;
    this.#refreshing ??= this.#list().finally(() => {
      this.#refreshing = undefined;
      this.#listedAt = performance.now();
      if (this.#again) this.#changed();
      this.#again = false;
    });
    await this.#refreshing;
  }

  close(): void {
    this.#closing.abort();
    clearTimeout(this.#due);
    this.#stop();
    this.#listeners.clear();
  }

  /** Some servers tell of a change whenever they are asked: such a one would be asked without end. */
  #changed(): void {
    if (this.#closing.signal.aborted) return;
    if (this.#refreshing) this.#again = true;
    else
      this.#due ??= setTimeout(
        () => {
          this.#due = undefined;
          void this.refresh();
        },
        Math.max(0, this.#listedAt + this.#pause - performance.now()),
      ).unref();
  }

  async #list(): Promise<void> {
    let tools: HostTool[];
    try {
      const signal = within(LIST_MS, this.#closing.signal);
      tools = await this.#connections.tools(signal);
    } catch {
      return; // what was there stays until the next change
    }
    const all = new Map(this.#own);
    for (const tool of tools) {
      // A foreign server takes no name of ours.
      const name = this.#own.has(tool.name) ? `${tool.server}_${tool.name}` : tool.name;
      if (!all.has(name)) all.set(name, { tool, listing: listingOf(tool, name) });
    }
    const ready = new Set(
      this.#connections.states().flatMap((one) => (one.state === 'ready' ? [one.name] : [])),
    );
    const before = [...this.#all].map(([name, { tool }]): [string, string] => [name, tool.server]);
    this.#away = new Map(
      [...this.#away, ...before].filter(([name, server]) => !all.has(name) && !ready.has(server)),
    );
    const listings = [...all.values()].map((one) => one.listing);
    const seen = JSON.stringify(listings);
    this.#all = all;
    this.#pause = seen === this.#seen ? Math.min(PAUSE_MS.most, this.#pause * 2) : PAUSE_MS.first;
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#listings = listings;
    for (const tell of this.#listeners) tell();
  }
}

function listingOf(tool: HostTool, name: string): Listing {
  return {
    name,
    title: tool.title,
    description: tool.description,
    inputSchema: tool.inputSchema,
    // What other servers promise of their results is theirs to check.
    outputSchema: {},
    annotations: {
      readOnlyHint: tool.effect === 'read',
      destructiveHint: tool.effect === 'destroy',
      idempotentHint: tool.effect === 'read',
      openWorldHint: tool.openWorld,
    },
  };
}

function ownOffer(own: Served, listing: Listing): Offered {
  const { name, title, description, inputSchema, annotations } = listing;
  const effect = annotations['readOnlyHint']
    ? 'read'
    : annotations['destructiveHint'] === false
      ? 'write'
      : 'destroy';
  const openWorld = annotations['openWorldHint'] === true;
  // Its own server handles `wait_s` and `job`.
  const tool = { name, title, description, inputSchema, effect, openWorld, long: false } as const;
  return { own, listing, tool: { ...tool, server: own.name, foreign: false } };
}
