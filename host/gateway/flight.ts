import { randomUUID } from 'node:crypto';
import type { Answer, CallOptions, CallResult, FormField, Progress } from '../mcp/connections.ts';
import type { JsonObject } from '../../kit/tool.ts';

/** What a server wants to know from a person before its call goes on. */
export interface Wanted {
  message: string;
  /** To be filled in; a yes or no where there are none. */
  fields?: FormField[];
}

/** What a call came to for now. */
export type Step =
  | { kind: 'done'; result: CallResult }
  | { kind: 'wanted'; wanted: Wanted }
  | { kind: 'running'; note: string };

type Reply = { answer: Answer; form?: JsonObject };

/** Nobody came back for a call that waits for a person, or for the end of a job. */
const ABANDONED_MS = 5 * 60_000;

/**
 * One call to a server, which may outlive the request that began it: while a person is asked, and where it takes long.
 * The server is called once, however many requests it takes.
 */
export class Flight {
  readonly id = randomUUID();
  readonly client: string;
  /** What was called, with which arguments: only the same call may go on with it. */
  readonly digest: () => string;
  /** Its arguments that others wrote. */
  readonly copied: string[] | undefined;
  readonly #stop = new AbortController();
  readonly #done: Promise<CallResult>;
  #waiter: ((step: Step) => void) | undefined;
  #asking: Promise<unknown> = Promise.resolve();
  #wanted: { wanted: Wanted; reply: (reply: Reply) => void } | undefined;
  #progress: CallOptions['onProgress'];
  #note = 'started';
  #abandoned: NodeJS.Timeout | undefined;
  #over = false;

  constructor(
    who: { client: string; digest: () => string; canAsk: boolean; copied?: string[] },
    start: (options: CallOptions) => Promise<CallResult>,
  ) {
    this.client = who.client;
    this.digest = who.digest;
    this.copied = who.copied;
    const want = (wanted: Wanted) => {
      if (!who.canAsk) return Promise.resolve<Reply>({ answer: 'unavailable' });
      // One question after the other, as one client can answer them.
      const answered = this.#asking.then(
        () =>
          new Promise<Reply>((reply) => {
            this.#wanted = { wanted, reply };
            this.#waiter?.({ kind: 'wanted', wanted });
          }),
      );
      this.#asking = answered;
      return answered;
    };
    this.#done = start({
      signal: this.#stop.signal,
      onProgress: (progress) => this.#told(progress),
      ask: async (message) => (await want({ message })).answer,
      fill: async (message, fields) => (await want({ message, fields })).form,
    }).finally(() => {
      this.#over = true;
      clearTimeout(this.#abandoned);
    });
    // Told by `next`; between two requests nobody listens.
    this.#done.catch(() => undefined);
  }

  /** When it ended, however that was. */
  get ended(): Promise<unknown> {
    return this.#done.catch(() => undefined);
  }

  /** The person's answer to what was wanted last. */
  answer(reply: Reply): void {
    const asked = this.#wanted;
    this.#wanted = undefined;
    asked?.reply(reply);
  }

  /** Waits until it ends, asks something, or `waitMs` are over. A request that is cancelled ends the call. */
  async next(signal: AbortSignal, onProgress: CallOptions['onProgress'], waitMs?: number): Promise<Step> {
    clearTimeout(this.#abandoned);
    if (signal.aborted) this.stop(signal.reason);
    if (this.#wanted) return this.#left({ kind: 'wanted', wanted: this.#wanted.wanted });
    this.#progress = onProgress;
    const cancel = () => this.stop(signal.reason);
    signal.addEventListener('abort', cancel, { once: true });
    let timer: NodeJS.Timeout | undefined;
    try {
      const step = await new Promise<Step>((resolve, reject) => {
        this.#waiter = resolve;
        this.#done.then((result) => resolve({ kind: 'done', result }), reject);
        // The server may not listen to the cancel: the client need not wait for it.
        this.#stop.signal.addEventListener('abort', () => reject(this.#stop.signal.reason), { once: true });
        if (waitMs !== undefined) {
          timer = setTimeout(() => resolve({ kind: 'running', note: this.#note }), waitMs);
        }
      });
      return step.kind === 'done' ? step : this.#left(step);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', cancel);
      this.#waiter = undefined;
      this.#progress = undefined;
    }
  }

  stop(reason: unknown): void {
    clearTimeout(this.#abandoned);
    this.#stop.abort(reason);
  }

  /** The request ends before the call does: somebody has to come back for it. */
  #left(step: Step): Step {
    if (!this.#over) {
      const stop = () => this.stop(new Error('nobody came back for it'));
      this.#abandoned = setTimeout(stop, ABANDONED_MS).unref();
    }
    return step;
  }

  #told(progress: Progress): void {
    this.#note = progress.note ?? this.#note;
    this.#progress?.(progress);
  }
}
