import type { JsonObject } from '../../kit/tool.ts';
import { Outside } from '../turn/outside.ts';

/**
 * What a person told an outside agent is not known here, so only what nobody types by chance counts: 24 characters. An
 * agent's window may hold a whole result.
 */
const LIMITS = { leastChars: 24, mostChars: 1_000_000 };
/** Clients whose reading is remembered; the one that read longest ago goes first. */
const KEPT = 16;

/** What each client read of others' text through the gateway: to tell where its arguments come from. */
export class Readings {
  readonly #read = new Map<string, Outside>();

  add(client: string, text: string): void {
    const outside = this.#read.get(client) ?? new Outside(LIMITS);
    this.#read.delete(client);
    this.#read.set(client, outside);
    const [oldest] = this.#read.keys();
    if (this.#read.size > KEPT && oldest !== undefined) this.#read.delete(oldest);
    outside.add(text);
  }

  /** The arguments that were copied from it; undefined where none were. */
  copied(client: string, args: JsonObject): string[] | undefined {
    const names = this.#read.get(client)?.copied(args, []) ?? [];
    return names.length > 0 ? names : undefined;
  }
}
