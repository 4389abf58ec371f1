import { z } from 'zod';
import { listing, type Listing } from '../../kit/listing.ts';
import { noJournal } from '../../kit/journal.ts';
import type { Outcome } from '../../kit/mount.ts';
import { toolFor, ToolError, type JsonObject } from '../../kit/tool.ts';
import { fitArguments } from '../turn/arguments.ts';
import type { ToolIndex } from '../retrieval/index.ts';
import { nearest } from '../terminal/text.ts';
import type { Offers } from './offered.ts';

interface Scope {
  offers: Offers;
  index: ToolIndex;
  may: (tool: string) => boolean;
}

export interface SearchOptions {
  /** Listed beside the two that find and call. */
  pinned: string[];
  index: ToolIndex;
  /** Takes its place as soon as it is there: an embedding model may have to be found first. */
  better?: (signal: AbortSignal) => Promise<ToolIndex>;
}

interface Wanted {
  tool: string;
  args: JsonObject;
}

const tool = toolFor<Scope>();

const findTools = tool({
  name: 'find_tools',
  title: 'Find tools',
  description:
    'Finds the tools for a task, best first, with their arguments; then call_tool calls one. Search again in other words when none fits.',
  effect: 'read',
  input: z.object({
    task: z.string().min(1).max(2_000).describe('what is to be done, in a few words'),
    most: z.int().min(1).max(20).default(5).describe('how many tools'),
  }),
  output: z.object({
    tools: z.array(
      z.object({
        name: z.string(),
        description: z.string(),
        effect: z.string(),
        arguments: z.record(z.string(), z.unknown()),
      }),
    ),
    note: z.string().optional(),
  }),
  async run({ task, most }, { offers, index, may }, { signal }) {
    const named = new Map([...offers.all].map(([name, { tool: one }]) => [one, name]));
    const found = (await index.rank(task, signal)).flatMap(({ tool: one, score }) => {
      const name = named.get(one);
      return score > 0 && name !== undefined && may(name) ? [{ name, tool: one }] : [];
    });
    const tools = found.slice(0, most).map(({ name, tool: one }) => ({
      name,
      description: one.description,
      effect: one.effect,
      arguments: one.inputSchema,
    }));
    if (tools.length > 0) return { tools };
    return { tools, note: 'No tool fits. Say it in other words, or go on without.' };
  },
});

/** Only its arguments are used: what it calls has an effect and a policy of its own. */
const callTool = tool({
  name: 'call_tool',
  title: 'Call a tool',
  description: 'Calls a tool that find_tools found, by its name and its own arguments.',
  effect: 'destroy',
  openWorld: true,
  input: z.object({
    name: z.string().max(200).describe('as find_tools told it'),
    arguments: z.record(z.string(), z.unknown()).default({}).describe("the tool's own arguments"),
  }),
  output: z.object({}),
  run: async () => ({}),
});

const callInput = z.strictObject({
  name: z.string().max(200),
  arguments: z.record(z.string(), z.unknown()).default({}),
});

/** A few tools instead of all, for clients with small windows. */
export class Search {
  readonly fixed: Listing[];
  readonly #offers: Offers;
  readonly #pinned: Set<string>;
  readonly #closing = new AbortController();
  readonly #bettering: Promise<void> | undefined;
  #index: ToolIndex;

  constructor(offers: Offers, { pinned, index, better }: SearchOptions) {
    this.#offers = offers;
    this.#index = index;
    this.#pinned = new Set(pinned);
    // Where it fails, tools are found by words.
    this.#bettering = better && this.#become(better).catch(() => undefined);
    offers.onChange(() => this.#update());
    this.#update();
    const { inputSchema, ...call } = listing(callTool);
    const { dry_run: _, ...properties } = z.record(z.string(), z.unknown()).parse(inputSchema['properties']);
    // A called tool answers in its own way.
    this.fixed = [
      listing(findTools),
      { ...call, inputSchema: { ...inputSchema, properties }, outputSchema: {} },
    ];
  }

  own(name: string): boolean {
    return name === findTools.name || name === callTool.name;
  }

  has(name: string): boolean {
    return this.own(name) || (this.#pinned.has(name) && this.#offers.get(name) !== undefined);
  }

  pinned(): Listing[] {
    return this.#offers.listings.filter(({ name }) => this.#pinned.has(name));
  }

  /** What call_tool is to call, with arguments that fit; a refusal where that cannot be. Undefined for find_tools. */
  wanted(name: string, input: unknown, may: (tool: string) => boolean): Wanted | string | undefined {
    if (name !== callTool.name) return undefined;
    const asked = callInput.safeParse(input).data;
    if (!asked) return 'call_tool was not run: its arguments are `name`, and `arguments` as one object.';
    const found = may(asked.name) ? this.#offers.get(asked.name) : undefined;
    if (!found) {
      const away = may(asked.name) ? this.#offers.away(asked.name) : undefined;
      if (away !== undefined) return away;
      const known = [...this.#offers.all.keys()].filter(may);
      const near = nearest(asked.name, known);
      const hint = near.length > 0 ? `Nearest: ${near.join(', ')}.` : 'Find one with find_tools.';
      return `There is no tool \`${asked.name.slice(0, 80)}\`. ${hint}`;
    }
    const fitted = fitArguments(found.listing.inputSchema, asked.arguments);
    if (fitted.ok) return { tool: asked.name, args: fitted.value };
    return `${asked.name} was not called: ${fitted.fault} Correct them and call again.`;
  }

  async find(input: unknown, signal: AbortSignal, may: (tool: string) => boolean): Promise<Outcome> {
    const scope = { offers: this.#offers, index: this.#index, may };
    try {
      const ctx = { signal, progress: () => undefined, journal: noJournal };
      const value = await findTools.run(input, scope, ctx);
      return { kind: 'value', value, text: JSON.stringify(value) };
    } catch (error) {
      if (error instanceof ToolError) return { kind: 'error', message: error.message };
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#bettering;
    await this.#index.close();
  }

  async #become(better: NonNullable<SearchOptions['better']>): Promise<void> {
    this.#index = await better(this.#closing.signal);
    this.#update();
    await this.#index.learn(this.#closing.signal);
  }

  #update(): void {
    this.#index.update([...this.#offers.all.values()].map((one) => one.tool));
  }
}
