import type { IncomingMessage, ServerResponse } from 'node:http';
import { internalError } from './log.ts';

/** One 2025-era client: its transport, seen from the HTTP server. */
export interface Session {
  handle: (req: IncomingMessage, res: ServerResponse, body: unknown) => Promise<void>;
  close: () => Promise<void>;
  /** Responses that are still open: a stream keeps its session. */
  open: number;
  usedAt: number;
}

/** The sessions of 2025-era clients: counted, found by id, collected when idle. */
export class Sessions {
  readonly #open = new Map<string, Session>();
  readonly #max: number;
  readonly #idleMs: number;
  readonly #sweep: NodeJS.Timeout;

  constructor(max: number, idleMs: number) {
    this.#max = max;
    this.#idleMs = idleMs;
    this.#sweep = setInterval(() => this.#collect(), Math.min(30_000, idleMs));
    this.#sweep.unref();
  }

  get size(): number {
    return this.#open.size;
  }

  get(id: string): Session | undefined {
    return this.#open.get(id);
  }

  /** Undefined when every session is in use; else an idle one is ended to make room, if there is none. */
  add(id: string, { handle, close }: Pick<Session, 'handle' | 'close'>): Session | undefined {
    if (this.#open.size >= this.#max) {
      const idle = [...this.#open].filter(([, one]) => one.open === 0);
      const oldest = idle.sort(([, a], [, b]) => a.usedAt - b.usedAt)[0];
      if (!oldest) return undefined;
      this.end(oldest[0]);
    }
    const session = { handle, close, open: 0, usedAt: Date.now() };
    this.#open.set(id, session);
    return session;
  }

  /** Counts the response as open until it is closed. */
  hold(session: Session, res: ServerResponse): void {
    session.open++;
    session.usedAt = Date.now();
    res.once('close', () => {
      session.open--;
      session.usedAt = Date.now();
    });
  }

  end(id: string): void {
    const session = this.#open.get(id);
    this.#open.delete(id);
    session?.close().catch(internalError);
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    const all = [...this.#open.values()];
    this.#open.clear();
    await Promise.allSettled(all.map((one) => one.close()));
  }

  #collect(): void {
    const now = Date.now();
    for (const [id, one] of this.#open) {
      if (one.open === 0 && now - one.usedAt > this.#idleMs) this.end(id);
    }
  }
}
