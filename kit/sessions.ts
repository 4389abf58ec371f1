import type { IncomingMessage, ServerResponse } from 'node:http';
import { internalError } from './log.ts';

/** One 2025-era client: its transport, seen from the HTTP server. */
export interface Session {
  handle: (req: IncomingMessage, res: ServerResponse, body: unknown) => Promise<void>;
  close: () => Promise<void>;
  /** Whose token opened it: nobody else's may use it. */
  client?: string;
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

  /** Undefined for another client's, as for one that never was. */
  get(id: string, client: string | undefined): Session | undefined {
    const session = this.#open.get(id);
    return session?.client === client ? session : undefined;
  }

  /** Undefined when every session is in use; else an idle one is ended to make room, where there is none. */
  add(id: string, made: Pick<Session, 'handle' | 'close' | 'client'>): Session | undefined {
    if (this.#open.size >= this.#max) {
      const oldest = this.#leastNeeded();
      if (oldest === undefined) return undefined;
      this.end(oldest);
    }
    const session = { ...made, open: 0, usedAt: Date.now() };
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

  /** The oldest idle session of whoever has most of those: one client's many do not end the others' few. */
  #leastNeeded(): string | undefined {
    const idle = [...this.#open].filter(([, one]) => one.open === 0);
    const count = new Map<string | undefined, number>();
    for (const { client } of this.#open.values()) count.set(client, (count.get(client) ?? 0) + 1);
    const many = (one: Session) => count.get(one.client) ?? 0;
    return idle.sort(([, a], [, b]) => many(b) - many(a) || a.usedAt - b.usedAt)[0]?.[0];
  }

  #collect(): void {
    const now = Date.now();
    for (const [id, one] of this.#open) {
      if (one.open === 0 && now - one.usedAt > this.#idleMs) this.end(id);
    }
  }
}
