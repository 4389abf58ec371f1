import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { ToolError, type JsonObject, type ToolContext } from './tool.ts';

interface Job {
  tool: string;
  done: Promise<JsonObject>;
  settled: boolean;
  stop: AbortController;
  note: string;
  /** The calls that wait now: progress goes there. */
  watchers: Set<ToolContext['progress']>;
}

/** Jobs that run, and results that were told but may be asked for again: an answer can get lost on its way. */
const KEPT = 64;
/** Default of `wait_s`: clients give a call up after 60 s. */
const WAIT_S = 50;
/** The longest that Node's timers wait, in ms. */
const LONGEST = 2 ** 31 - 1;

const waiting = z.looseObject({
  wait_s: z.number().nonnegative().default(WAIT_S),
  job: z.string().optional(),
});

/** Calls that outlive one request: started once, waited for as often as the client likes. */
export class Jobs {
  readonly #jobs = new Map<string, Job>();

  /**
   * Starts `run` as a job or, when the input names one, goes on waiting for it.
   * Answers the result, or `{ status: 'running', job, note }` when `wait_s` is over. A cancelled call ends its job.
   */
  async run(
    tool: string,
    input: JsonObject,
    ctx: ToolContext,
    run: (ctx: ToolContext) => Promise<JsonObject>,
  ): Promise<JsonObject> {
    const asked = waiting.safeParse(input).data;
    if (!asked) {
      throw new ToolError(
        `${tool} was not run: \`wait_s\` is a number of seconds, \`job\` the text that a call of ${tool} gave. Correct them and call again.`,
      );
    }
    const id = asked.job ?? this.#start(tool, ctx, run);
    const job = this.#jobs.get(id);
    if (!job || job.tool !== tool) {
      throw new ToolError(
        `${tool} has no job \`${id.slice(0, 40)}\` (jobs end with the server). Call ${tool} again without \`job\`.`,
      );
    }
    const value = await settledWithin(job, asked.wait_s * 1000, ctx);
    if (value === 'aborted') {
      job.stop.abort(ctx.signal.reason);
      throw ctx.signal.reason;
    }
    return value === 'running' ? { status: 'running', job: id, note: job.note } : value;
  }

  /** Ends every job; used when the server stops. */
  stop(): void {
    for (const job of this.#jobs.values()) job.stop.abort(new Error('the server stopped'));
  }

  #start(tool: string, ctx: ToolContext, run: (ctx: ToolContext) => Promise<JsonObject>): string {
    for (const [id, old] of this.#jobs) {
      if (this.#jobs.size < KEPT) break;
      if (old.settled) this.#jobs.delete(id);
    }
    if (this.#jobs.size >= KEPT) {
      throw new ToolError(`${KEPT} jobs are running already. Wait for one of them to end, then call again.`);
    }
    const id = randomUUID().slice(0, 8);
    const stop = new AbortController();
    const watchers: Job['watchers'] = new Set();
    const job: Job = { tool, stop, watchers, settled: false, note: 'started', done: Promise.resolve({}) };
    job.done = run({
      signal: stop.signal,
      journal: ctx.journal,
      progress: (done, total, note) => {
        job.note = note ?? job.note;
        for (const tell of watchers) tell(done, total, note);
      },
    }).finally(() => {
      job.settled = true;
    });
    // A job may end between two waits: its failure is told to the next one, and is no unhandled rejection.
    job.done.catch(() => undefined);
    this.#jobs.set(id, job);
    return id;
  }
}

async function settledWithin(job: Job, ms: number, ctx: ToolContext) {
  const over = new AbortController();
  const signal = AbortSignal.any([ctx.signal, over.signal]);
  const late = sleep(Math.min(ms, LONGEST), 'running' as const, { signal }).catch(() => 'aborted' as const);
  const tell: ToolContext['progress'] = (...step) => ctx.progress(...step);
  job.watchers.add(tell);
  try {
    return await Promise.race([job.done, late]);
  } finally {
    job.watchers.delete(tell);
    over.abort();
  }
}
