/** What one client may ask for; `rate` calls a minute over time, `burst` of them at once. */
export interface BoundOptions {
  concurrent: number;
  rate: number;
  burst: number;
}

const DEFAULTS: BoundOptions = { concurrent: 8, rate: 120, burst: 30 };
/** Clients that are remembered; names are cheap to make up. */
const KEPT = 1_000;

interface Use {
  running: number;
  left: number;
  at: number;
}

/** Keeps one client from taking everything: calls at a time, and calls a minute (a token bucket). */
export class Bounds {
  readonly #options: BoundOptions;
  readonly #uses = new Map<string, Use>();
  readonly #now: () => number;

  constructor(options: Partial<BoundOptions> = {}, now = () => performance.now()) {
    this.#options = { ...DEFAULTS, ...options };
    this.#now = now;
  }

  /** Counts one request; what is told to a client that made too many, and when it may come again. */
  tooMany(client: string): string | undefined {
    const { rate, burst } = this.#options;
    const use = this.#use(client);
    const now = this.#now();
    use.left = Math.min(burst, use.left + ((now - use.at) * rate) / 60_000);
    use.at = now;
    if (use.left >= 1) {
      use.left -= 1;
      return undefined;
    }
    const seconds = Math.max(1, Math.ceil(((1 - use.left) * 60) / rate));
    return `Not called: over ${rate} calls a minute (${burst} at once). Call again in ${seconds} s.`;
  }

  /** A place among the client's running calls: how to give it back, or what it is told when all are taken. */
  begin(client: string): (() => void) | string {
    const { concurrent } = this.#options;
    const use = this.#use(client);
    if (use.running >= concurrent) {
      return `Not called: ${concurrent} calls of yours are running. Call again when one of them has ended.`;
    }
    use.running++;
    let over = false;
    return () => {
      if (!over) use.running--;
      over = true;
    };
  }

  #use(client: string): Use {
    const known = this.#uses.get(client);
    if (known) return known;
    for (const [name, { running }] of this.#uses) {
      if (this.#uses.size < KEPT) break;
      if (running === 0) this.#uses.delete(name);
    }
    const use = { running: 0, left: this.#options.burst, at: this.#now() };
    this.#uses.set(client, use);
    return use;
  }
}
