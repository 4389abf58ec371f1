/** "Parties SHOULD implement rate limiting to prevent flooding" (MCP, Progress): so many steps at once, then one so often. */
const AT_ONCE = 100;
const EVERY_MS = 20;

/** Tells the steps of a call in order; of those that come too fast, the newest. A client that reads none fills no memory. */
export class Steps<Step> {
  readonly #send: (step: Step) => Promise<unknown>;
  #sending: Promise<unknown> = Promise.resolve();
  #held: { step: Step } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #left = AT_ONCE;
  #at = performance.now();

  constructor(send: (step: Step) => Promise<unknown>) {
    this.#send = send;
  }

  tell(step: Step): void {
    this.#held = { step };
    if (this.#timer) return;
    const now = performance.now();
    this.#left = Math.min(AT_ONCE, this.#left + (now - this.#at) / EVERY_MS);
    this.#at = now;
    if (this.#left >= 1) {
      this.#left -= 1;
      this.#next();
    } else {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#next();
      }, EVERY_MS);
    }
  }

  /** Tells the last one too; settles when all have left. */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    this.#next();
    await this.#sending;
  }

  #next(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held) this.#sending = this.#sending.then(() => this.#send(held.step)).catch(() => undefined);
  }
}
