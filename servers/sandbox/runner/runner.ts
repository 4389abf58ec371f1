import { DEFAULT_MEMORY_BYTES, type Failure, type Job, type Reply, size } from './wire.ts';
import { RunnerProcess } from './process.ts';

/** Code to run: an ES module of plain JavaScript whose default export is `(input) => output`, or a snippet. */
export interface Program {
  code: string;
  kind: 'module' | 'snippet';
}

/** One call. */
export interface RunRequest {
  program: Program;
  /** A JSON value; undefined for none. */
  input: unknown;
  /** Checked where a slow pattern can be ended; must have passed `checkSchema`. */
  inputSchema?: Record<string, unknown> | undefined;
  outputSchema?: Record<string, unknown> | undefined;
  /** Of the code itself; a call waits for a free worker at most as long again. */
  timeoutMs: number;
  memoryBytes?: number | undefined;
  resultBytes?: number | undefined;
  consoleBytes?: number | undefined;
  /** `fixed`: Date stands at 2026-01-01T00:00:00Z, randomness is the same each time, timers do not wait. */
  clock: 'real' | 'fixed';
}

/** How a call ended: `ms` is what it took in the worker, `bytes` the size of its result as JSON. */
export type Verdict =
  | { outcome: 'ok'; value: unknown; console: string[]; ms: number; bytes: number }
  | { outcome: Failure; message: string; stack?: string | undefined; console: string[]; ms: number };

/** What the runner is doing, for `doctor` and tests. */
interface RunnerStats {
  pid: number | undefined;
  running: number;
  queued: number;
  /** Child processes started so far. */
  started: number;
}

/** Runs programs where they can do no harm. */
export interface Runner {
  /** Never rejects. An aborted call ends at once, with outcome `error` and the message `cancelled`. */
  run(request: RunRequest, signal?: AbortSignal): Promise<Verdict>;
  /** Starts the child process and its spare workers in the background. */
  warm(): void;
  close(): Promise<void>;
  stats(): RunnerStats;
}

/** Settings of the embedded lane. */
interface QuickjsOptions {
  /** Workers kept ready beyond those with long calls. */
  workers?: number;
  /** Calls that run at once; more wait their turn. */
  concurrency?: number;
  /** How long after a deadline the child process may stay silent before it is replaced. */
  graceMs?: number;
}

const CODE_LIMIT = 1024 * 1024;
const INPUT_LIMIT = 4 * 1024 * 1024;
const SMALLEST_MEMORY = 2 * 1024 * 1024;
const LARGEST_MEMORY = 1024 * 1024 * 1024;

/** Longer deadlines than this are cut: past 24 days a timer of Node's fires at once. */
const LONGEST_MS = 3_600_000;

/** A child process that does not come up within this time counts as failed. */
const BOOT_MS = 20_000;

/** How often a call is begun: a second child process that dies under it ends it. */
const ATTEMPTS = 2;

interface Call {
  job: Job;
  since: number;
  attempts: number;
  timer: NodeJS.Timeout | undefined;
  settle(verdict: Verdict): void;
}

/** The `quickjs` lane: a fresh WebAssembly instance per call, in a worker thread, in a child process of our own. */
export function quickjsRunner(options: QuickjsOptions = {}): Runner {
  return new QuickjsRunner(options.workers ?? 2, options.concurrency ?? 16, options.graceMs ?? 1000);
}

class QuickjsRunner implements Runner {
  readonly #workers: number;
  readonly #concurrency: number;
  readonly #graceMs: number;
  #child: RunnerProcess | undefined;
  #ready = false;
  #boot: NodeJS.Timeout | undefined;
  #closed = false;
  #serial = 0;
  #started = 0;
  #failures = 0;
  readonly #queue: Call[] = [];
  readonly #running = new Map<number, Call>();

  constructor(workers: number, concurrency: number, graceMs: number) {
    this.#workers = workers;
    this.#concurrency = concurrency;
    this.#graceMs = graceMs;
  }

  run(request: RunRequest, signal?: AbortSignal): Promise<Verdict> {
    const job = this.#jobOf(request);
    if ('outcome' in job) return Promise.resolve(job);
    if (signal?.aborted) return Promise.resolve(failed('error', 'cancelled', 0));
    return new Promise((resolve) => {
      const since = performance.now();
      const cancelled = () => {
        if (this.#running.has(job.id)) this.#child?.cancel(job.id);
        call.settle(failed('error', 'cancelled', performance.now() - since));
      };
      const call: Call = {
        job,
        since,
        attempts: 0,
        timer: undefined,
        settle: (verdict) => {
          clearTimeout(call.timer);
          signal?.removeEventListener('abort', cancelled);
          this.#running.delete(job.id);
          const at = this.#queue.indexOf(call);
          if (at >= 0) this.#queue.splice(at, 1);
          resolve(verdict);
          this.#next();
        },
      };
      signal?.addEventListener('abort', cancelled, { once: true });
      this.#enqueue(call);
      this.#next();
    });
  }

  warm(): void {
    if (this.#child || this.#closed) return;
    this.#ready = false;
    this.#started++;
    const child = new RunnerProcess(this.#workers, {
      ready: () => {
        clearTimeout(this.#boot);
        this.#failures = 0;
        this.#ready = true;
        this.#next();
      },
      reply: (reply) => this.#running.get(reply.id)?.settle(verdictOf(reply)),
      gone: (why) => this.#replace(why),
    });
    this.#child = child;
    this.#boot = setTimeout(() => {
      void child.kill();
      this.#replace(`it was not ready after ${BOOT_MS} ms`);
    }, BOOT_MS);
    this.#boot.unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#boot);
    const child = this.#child;
    [this.#child, this.#ready] = [undefined, false];
    for (const call of [...this.#queue, ...this.#running.values()]) {
      call.settle(failed('error', 'the sandbox was closed', performance.now() - call.since));
    }
    await child?.kill();
  }

  stats(): RunnerStats {
    const { size: running } = this.#running;
    return { pid: this.#child?.pid, running, queued: this.#queue.length, started: this.#started };
  }

  /** Hands out what may run now, and lets our process end when nothing does. */
  #next(): void {
    const busy = this.#queue.length + this.#running.size > 0;
    if (busy) this.warm();
    this.#child?.hold(busy);
    while (this.#ready && this.#running.size < this.#concurrency) {
      const call = this.#queue.shift();
      if (!call) return;
      clearTimeout(call.timer);
      this.#running.set(call.job.id, call);
      call.attempts++;
      call.timer = setTimeout(() => this.#silent(call), call.job.timeoutMs + this.#graceMs);
      this.#child?.run(call.job);
    }
  }

  #enqueue(call: Call, first = false): void {
    if (first) this.#queue.unshift(call);
    else this.#queue.push(call);
    // While the child process comes up nobody is to blame: its own limit applies.
    const { timeoutMs } = call.job;
    call.timer = setTimeout(
      () => {
        const others = this.#running.size;
        const why = this.#ready
          ? `all ${others} workers are busy with other calls`
          : 'the sandbox is still starting';
        const said = `waited ${timeoutMs} ms for its turn: ${why}; try again, or give it more time`;
        call.settle(failed('timeout', said, performance.now() - call.since));
      },
      Math.max(timeoutMs, this.#ready ? 0 : BOOT_MS),
    );
  }

  /** The child process let a deadline pass in silence: it is stuck, whatever with. */
  #silent(call: Call): void {
    const { timeoutMs } = call.job;
    const said = `not done after ${timeoutMs} ms: it was ended; make it do less, or give it more time`;
    this.#running.delete(call.job.id);
    void this.#child?.kill();
    this.#replace('it did not answer');
    call.settle(failed('timeout', said, performance.now() - call.since));
  }

  /** The child process is gone. Programs are pure: what was running there runs again, once. */
  #replace(why: string): void {
    clearTimeout(this.#boot);
    this.#failures = this.#ready ? 0 : this.#failures + 1;
    [this.#child, this.#ready] = [undefined, false];
    for (const call of [...this.#running.values()].toReversed()) {
      this.#running.delete(call.job.id);
      clearTimeout(call.timer);
      if (call.attempts < ATTEMPTS) this.#enqueue(call, true);
      else
        call.settle(
          failed(
            'error',
            `the sandbox's process died under this call, twice: ${why}`,
            performance.now() - call.since,
          ),
        );
    }
    if (this.#failures >= 3) {
      this.#failures = 0;
      for (const call of this.#queue.splice(0)) {
        call.settle(
          failed('error', `the sandbox's process does not start: ${why}`, performance.now() - call.since),
        );
      }
    }
    this.#next();
  }

  #jobOf(request: RunRequest): Job | Verdict {
    if (this.#closed) return failed('error', 'the sandbox was closed', 0);
    const { program, clock } = request;
    if (program.code.length > CODE_LIMIT) {
      return failed('error', `the code is ${size(program.code.length)}; the limit is ${size(CODE_LIMIT)}`, 0);
    }
    const input = jsonOf(request.input);
    if (typeof input !== 'string') return failed('bad_input', `input is no JSON value: ${input.fault}`, 0);
    if (input.length > INPUT_LIMIT) {
      return failed('bad_input', `input is ${size(input.length)}; the limit is ${size(INPUT_LIMIT)}`, 0);
    }
    const memory = request.memoryBytes ?? DEFAULT_MEMORY_BYTES;
    return {
      id: ++this.#serial,
      kind: program.kind,
      code: program.code,
      input,
      inputSchema: request.inputSchema ? JSON.stringify(request.inputSchema) : '',
      outputSchema: request.outputSchema ? JSON.stringify(request.outputSchema) : '',
      clock,
      timeoutMs: Math.min(LONGEST_MS, Math.max(1, request.timeoutMs)),
      memoryBytes: Math.min(LARGEST_MEMORY, Math.max(SMALLEST_MEMORY, memory)),
      resultBytes: request.resultBytes ?? 256 * 1024,
      consoleBytes: request.consoleBytes ?? 16 * 1024,
    };
  }
}

function jsonOf(value: unknown): string | { fault: string } {
  if (value === undefined) return '';
  try {
    const text: unknown = JSON.stringify(value);
    return typeof text === 'string' ? text : { fault: `it is a ${typeof value}` };
  } catch (error) {
    return { fault: error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error) };
  }
}

function failed(outcome: Failure, message: string, ms: number): Verdict {
  return { outcome, message, console: [], ms };
}

function verdictOf({ outcome, text, message, stack, console, ms }: Reply): Verdict {
  if (outcome !== 'ok') return { outcome, message, ...(stack ? { stack } : {}), console, ms };
  try {
    return { outcome, value: JSON.parse(text), console, ms, bytes: Buffer.byteLength(text) };
  } catch {
    return { outcome: 'bad_output', message: 'the result is no JSON', console, ms };
  }
}
