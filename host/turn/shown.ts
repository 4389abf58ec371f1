import type { JsonObject } from '../../kit/tool.ts';
import type { HostTool, Toolbox } from '../mcp/connections.ts';
import { pick, ToolIndex } from '../retrieval/index.ts';

/** Always shown: with these a model runs code, and makes the tool that it lacks. */
const PINNED = ['sandbox_run_code', 'sandbox_execute_task', 'sandbox_forge_tool', 'sandbox_improve_tool'];
/** Told of by `find_tools` at once. */
const MOST_FOUND = 6;

/** The host's own tool: how a model reaches those that it is not shown. */
export const FIND_TOOLS: HostTool = {
  name: 'find_tools',
  server: 'kuznia',
  title: 'Find tools',
  description: 'Finds further tools by what they should do. Those found can be called from then on.',
  inputSchema: {
    type: 'object',
    properties: { need: { type: 'string', description: 'what the tool should do, in English' } },
    required: ['need'],
    additionalProperties: false,
  },
  effect: 'read',
  long: false,
  foreign: false,
  openWorld: false,
};

interface Options {
  connections: Toolbox;
  /** What the person asked. */
  task: string;
  index?: ToolIndex;
  /** Beside the pinned ones. */
  most?: number;
  pinned?: string[];
}

/** The tools that a model sees in one turn: those that fit the task, the pinned ones, what it found, what was published since. */
export class Shown {
  readonly #connections: Toolbox;
  readonly #task: string;
  readonly #index: ToolIndex;
  readonly #most: number | undefined;
  readonly #pinned: string[];
  /** Chosen at the first look; the list is stable from then on, so that the model server's cache holds. */
  #first: { shown: Map<string, HostTool>; all: Set<string> } | undefined;

  constructor({ connections, task, index, most, pinned = PINNED }: Options) {
    this.#connections = connections;
    this.#task = task;
    this.#index = index ?? new ToolIndex({ home: '' });
    this.#most = most;
    this.#pinned = pinned;
  }

  async tools(signal: AbortSignal): Promise<HostTool[]> {
    const all = await this.#connections.tools(signal);
    this.#first ??= await this.#choose(all, signal);
    const { shown, all: before } = this.#first;
    const there = new Map(all.map((tool) => [tool.name, tool]));
    const kept = [...shown.values()].filter(({ name }) => there.has(name));
    const published = all.filter(
      ({ name }) => name.startsWith('forged_') && !before.has(name) && !shown.has(name),
    );
    const some = [...kept, ...published];
    return some.length < all.length ? [...some, FIND_TOOLS] : some;
  }

  /** Why tools are found by words alone; each reason once. */
  notice(): string | undefined {
    return this.#index.takeNotice();
  }

  /** True for the host's own tool; else the servers answer. */
  isFind(name: string): boolean {
    return name === FIND_TOOLS.name;
  }

  /** What `find_tools` answers; what it names is shown from the next round on. */
  async find(args: JsonObject, signal: AbortSignal): Promise<{ ok: boolean; text: string }> {
    const { need } = args;
    if (typeof need !== 'string' || need.trim() === '') {
      return { ok: false, text: 'find_tools needs `need`: say in a few words what the tool should do.' };
    }
    const all = await this.#connections.tools(signal);
    this.#index.update(all);
    const ranked = await this.#index.rank(need, signal);
    const found = pick(ranked, { most: MOST_FOUND, pinned: [] });
    for (const tool of found) this.#first?.shown.set(tool.name, tool);
    if (found.length === 0) return { ok: true, text: 'No tool fits. Answer without one, or have one made.' };
    const lines = found.map(({ name, description }) => `${name}: ${description}`);
    return { ok: true, text: `You can call these now:\n${lines.join('\n')}` };
  }

  async #choose(all: HostTool[], signal: AbortSignal) {
    this.#index.update(all);
    const ranked = await this.#index.rank(this.#task, signal);
    const chosen = pick(ranked, { most: this.#most, pinned: this.#pinned });
    return {
      shown: new Map(chosen.map((tool) => [tool.name, tool])),
      all: new Set(all.map(({ name }) => name)),
    };
  }
}
