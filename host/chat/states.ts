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
    const say = (mark: string, text: string) => this.#io.out(marked(mark, text, this.#io.columns()));
    const [starting, there]: [string[], string[]] = [[], []];
    for (const { name, state, reason } of states) {
      const before = this.#known.get(name) ?? 'ready';
      // Trying again is no news.
      if (state === before || (state === 'starting' && before === 'degraded')) continue;
      this.#known.set(name, state);
      if (state === 'degraded') say(yellow('!'), `${name} is degraded${reason ? `: ${reason}` : ''}`);
      else if (state === 'starting') starting.push(name);
      else if (before === 'starting') there.push(name);
      else say(green('✓'), `${name} is there again`);
    }
    if (starting.length > 0) say(yellow('…'), `still starting: ${starting.join(', ')}`);
    if (there.length > 0) say(green('✓'), `there now: ${there.join(', ')}`);
  }
}
