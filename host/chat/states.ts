import type { ServerState } from '../mcp/connections.ts';
import { painter } from '../terminal/display.ts';
import type { Io } from '../terminal/io.ts';
import { marked } from '../terminal/text.ts';

/** Tells once of each server that went away or came back since it was last asked. */
export class ServerNews {
  readonly #io: Io;
  readonly #known = new Map<string, ServerState['state']>();

  constructor(io: Io) {
    this.#io = io;
  }

  tell(states: ServerState[]): void {
    const { yellow, green } = painter(this.#io);
    for (const { name, state, reason } of states) {
      const before = this.#known.get(name) ?? 'ready';
      // Trying again is no news.
      if (state === before || (state === 'starting' && before === 'degraded')) continue;
      this.#known.set(name, state);
      const says = state === 'ready' ? 'is there again' : `is ${state}${reason ? `: ${reason}` : ''}`;
      const mark = state === 'ready' ? green('✓') : yellow('!');
      this.#io.out(marked(mark, `${name} ${says}`, this.#io.columns()));
    }
  }
}
