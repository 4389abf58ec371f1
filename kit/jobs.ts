import { randomUUID } from 'node:crypto';
import { ToolError, type JsonObject, type ToolContext } from './tool.ts';

interface Job {
  tool: string;
  done: Promise<JsonObject>;
  settled: boolean;
  stop: AbortController;
  note: string;
  /** The call that waits now, if any: progress goes there. */
  watcher?: ToolContext['progress'];
  finishedAt?: number;
}

const KEPT = 64;
/** Default of `wait_s`: clients give a call up after 60 s. */
const WAIT_S = 50;

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
    const id = typeof input['job'] === 'string' ? input['job'] : this.#start(tool, ctx, run);
    const job = this.#jobs.get(id);
    if (!job || job.tool !== tool) {
      throw new ToolError(
        `${tool} has no job \`${id}\` (jobs end with the server). Call ${tool} again without \`job\`.`,
      );
    }
    const asked = typeof input['wait_s'] === 'number' ? input['wait_s'] : WAIT_S;
    job.watcher = ctx.progress;
    const value = await settledWithin(job, Math.max(0, asked) * 1000, ctx.signal);
    if (value === 'aborted') {
      job.stop.abort(ctx.signal.reason);
      throw ctx.signal.reason;
    }
    if (value === 'running') return { status: 'running', job: id, note: job.note };
    this.#jobs.delete(id);
    return value;
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
    const job: Job = { tool, stop, settled: false, note: 'started', done: Promise.resolve({}) };
    job.done = run({
      signal: stop.signal,
      journal: ctx.journal,
      progress: (done, total, note) => {
        job.note = note ?? job.note;
        job.watcher?.(done, total, note);
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

async function settledWithin(
  job: Job,
  ms: number,
  signal: AbortSignal,
): Promise<JsonObject | 'running' | 'aborted'> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort = () => {};
  const late = new Promise<'running'>((resolve) => {
    timer = setTimeout(() => resolve('running'), Math.min(ms, 2 ** 31 - 1));
  });
  const aborted = new Promise<'aborted'>((resolve) => {
    onAbort = () => resolve('aborted');
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  try {
    return await Promise.race([job.done, late, aborted]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    delete job.watcher;
  }
}
