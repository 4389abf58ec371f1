/**
 * The child process: it runs no guest code on this thread, so it always answers. It keeps worker threads ready,
 * gives each call to one, and ends a worker when its call's deadline strikes.
 *
 * A call that runs for more than a moment counts its worker as gone, and another is started: so a call that spins
 * costs the next ones nothing. The server admits only so many calls at once, which bounds the threads.
 */
import { writeFileSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import { Engine, type EngineKit } from './engine.ts';
import { type FromChild, isFromWorker, isToChild, type Job, type Reply, size, STAGES } from './wire.ts';

/** A worker busy for longer than this is not counted on for the next call. */
const MOMENT_MS = 25;

/** A call that runs for longer than this steps back behind the short ones of all the others. */
const LONG_MS = 100;

/** A worker that nobody needed for this long goes. */
const IDLE_MS = 10_000;

/** The spares beyond the first start after this: a command of one call has ended by then. */
const SETTLED_MS = 1_000;

/** How long to wait for the last words of a worker that is ended. */
const LAST_WORDS_MS = 250;

/** Memory for our own side of a worker: texts of inputs and results, validation. The guest's is not in it. */
const LIMITS = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 4, stackSizeMb: 16 };

interface Running {
  job: Job;
  lines: string[];
  since: number;
  deadline: NodeJS.Timeout;
}

interface Seat {
  worker: Worker;
  stage: Int32Array;
  /** Its thread's number in the system, 0 while unknown. */
  thread: number;
  /** Whether its thread steps back. */
  behind: boolean;
  state: 'starting' | 'idle' | 'busy' | 'ending';
  running: Running | undefined;
  idleSince: number;
}

/** The worker threads of this process, and the calls that wait for one. */
class Pool {
  readonly #kit: EngineKit;
  readonly #source: string;
  readonly #spares: number;
  readonly #answer: (reply: Reply) => void;
  readonly #seats = new Set<Seat>();
  #waiting: Job[] = [];
  #failures = 0;
  #settled = false;
  #tick: NodeJS.Timeout | undefined;
  #pace = 0;

  constructor(kit: EngineKit, source: string, spares: number, answer: (reply: Reply) => void) {
    this.#kit = kit;
    this.#source = source;
    this.#spares = spares;
    this.#answer = answer;
    this.#fill();
    setTimeout(() => {
      this.#settled = true;
      this.#fill();
    }, SETTLED_MS);
  }

  run(job: Job): void {
    const seat = [...this.#seats].find((each) => each.state === 'idle');
    if (seat) this.#give(seat, job);
    else this.#waiting.push(job);
    this.#watch();
  }

  cancel(id: number): void {
    this.#waiting = this.#waiting.filter((job) => job.id !== id);
    const seat = [...this.#seats].find((each) => each.running?.job.id === id);
    if (!seat) return;
    clearTimeout(seat.running?.deadline);
    seat.running = undefined;
    void this.#end(seat);
  }

  #give(seat: Seat, job: Job): void {
    seat.state = 'busy';
    const deadline = setTimeout(() => void this.#strike(seat), job.timeoutMs);
    seat.running = { job, lines: [], since: performance.now(), deadline };
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    seat.worker.postMessage(job);
  }

  /** Starts workers until enough are free of long calls. */
  #fill(): void {
    const now = performance.now();
    for (const seat of this.#seats) if (seat.running && now - seat.running.since > LONG_MS) stepBack(seat);
    const free = [...this.#seats].filter(
      (seat) => seat.state !== 'ending' && (!seat.running || now - seat.running.since < MOMENT_MS),
    );
    const wanted = this.#settled || this.#waiting.length > 1 ? this.#spares : 1;
    for (let missing = wanted - free.length; missing > 0; missing--) this.#start();
    const idle = free.filter((seat) => seat.state === 'idle' && now - seat.idleSince > IDLE_MS);
    for (const seat of idle.slice(0, Math.max(0, free.length - this.#spares))) void this.#end(seat);
  }

  /** Looks after the pool: often while anything runs, and seldom until what was started for it is gone again. */
  #watch(): void {
    const wait = this.#busy() || this.#waiting.length > 0 ? MOMENT_MS : IDLE_MS;
    if (this.#tick && this.#pace <= wait) return;
    clearTimeout(this.#tick);
    this.#pace = wait;
    this.#tick = setTimeout(() => {
      this.#tick = undefined;
      this.#fill();
      if (this.#waiting.length > 0 || this.#seats.size !== this.#spares || this.#busy()) this.#watch();
    }, wait);
  }

  #busy(): boolean {
    return [...this.#seats].some((seat) => seat.running);
  }

  #start(): void {
    const stage = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(this.#source, {
      workerData: { kit: this.#kit, stage },
      env: {},
      execArgv: [],
      resourceLimits: LIMITS,
    });
    const seat: Seat = {
      worker,
      stage,
      thread: 0,
      behind: false,
      state: 'starting',
      running: undefined,
      idleSince: 0,
    };
    this.#seats.add(seat);
    worker.on('message', (message: unknown) => this.#hear(seat, message));
    worker.on('error', (error: unknown) => this.#lost(seat, error));
    worker.on('exit', () => this.#lost(seat, undefined));
  }

  #hear(seat: Seat, message: unknown): void {
    if (!isFromWorker(message)) return;
    if (message.type === 'line') {
      seat.running?.lines.push(message.line);
    } else if (message.type === 'end') {
      this.#finish(seat, message.reply, message.dropped);
      if (message.retire) void this.#end(seat);
    } else if (seat.state !== 'ending' && this.#forward(seat)) {
      seat.thread = message.thread;
      this.#failures = 0;
      seat.state = 'idle';
      seat.idleSince = performance.now();
      const next = this.#waiting.shift();
      if (next) this.#give(seat, next);
    }
  }

  /** Gives a worker that stepped back its place again, or another worker the place: only root may raise a priority. */
  #forward(seat: Seat): boolean {
    if (!seat.behind) return true;
    try {
      setPriority(seat.thread, getPriority());
      seat.behind = false;
    } catch {
      void this.#end(seat);
    }
    return !seat.behind;
  }

  /** Ends a call: once, whoever comes first. */
  #finish(seat: Seat, reply: Reply, dropped: number): void {
    const running = seat.running;
    if (!running || running.job.id !== reply.id) return;
    seat.running = undefined;
    clearTimeout(running.deadline);
    const limit = size(running.job.consoleBytes);
    if (dropped > 0)
      running.lines.push(`(${dropped} more console calls cut or dropped: the limit is ${limit})`);
    this.#answer({ ...reply, console: running.lines });
  }

  async #strike(seat: Seat): Promise<void> {
    const running = seat.running;
    if (!running) return;
    const { id, timeoutMs } = running.job;
    const stage = STAGES[Atomics.load(seat.stage, 0)] ?? 'running';
    const where = /schema/.test(stage)
      ? `checking the value against the ${stage}, whose patterns are too slow for it: make them simpler`
      : 'it was ended; make it do less, or give it more time';
    await this.#end(seat);
    this.#finish(seat, failed(id, 'timeout', `not done after ${timeoutMs} ms: ${where}`, timeoutMs), 0);
  }

  async #end(seat: Seat): Promise<void> {
    seat.state = 'ending';
    // A replacement starts at once; what the worker said last is still delivered before its exit is.
    this.#fill();
    this.#watch();
    await Promise.race([
      seat.worker.terminate(),
      new Promise((done) => void setTimeout(done, LAST_WORDS_MS)),
    ]);
    this.#seats.delete(seat);
  }

  /** A worker died: of memory on our side of it, or of a fault. Only its call fails. */
  #lost(seat: Seat, error: unknown): void {
    const message = error instanceof Error ? error.message : 'the worker stopped';
    const running = seat.running;
    if (running && seat.state !== 'ending') {
      const starved = error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      const said = starved ? 'the values of this call take more memory than there is for them' : message;
      const ms = performance.now() - running.since;
      this.#finish(seat, failed(running.job.id, starved ? 'out_of_memory' : 'error', said, ms), 0);
    }
    const early = seat.state === 'starting';
    seat.state = 'ending';
    if (!this.#seats.delete(seat)) return;
    if (early && ++this.#failures > 3) {
      for (const job of this.#waiting.splice(0)) {
        this.#answer(failed(job.id, 'error', `no worker can be started: ${message}`, 0));
      }
      this.#failures = 0;
    } else this.#fill();
  }
}

/** Lowers the priority of a worker's thread, which Linux keeps for each (setpriority(2), "C library/kernel differences"). */
function stepBack(seat: Seat): void {
  if (seat.behind || seat.thread === 0) return;
  try {
    setPriority(seat.thread, constants.priority.PRIORITY_BELOW_NORMAL);
    seat.behind = true;
  } catch {
    // The system does not let us: then it shares its time out evenly.
  }
}

function failed(id: number, outcome: Reply['outcome'], message: string, ms: number): Reply {
  return { id, outcome, text: '', message, stack: '', console: [], ms };
}

function say(message: FromChild): void {
  process.send?.(message);
}

async function serve(source: string, spares: number): Promise<void> {
  // The server is gone: so are we, whatever the workers do.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  // Ctrl-C in a terminal reaches every process of the group; whether to stop is the server's decision.
  process.on('SIGINT', () => {});
  process.on('SIGHUP', () => {});
  try {
    // If the machine runs out of memory, the kernel should take this process and not the server (proc(5)).
    writeFileSync('/proc/self/oom_score_adj', '900');
  } catch {
    // Not Linux.
  }
  const pool = new Pool(await Engine.prepare(), source, spares, (reply) => say({ type: 'reply', reply }));
  process.on('message', (message: unknown) => {
    if (!isToChild(message)) return;
    if (message.type === 'run') pool.run(message.job);
    else pool.cancel(message.id);
  });
  say({ type: 'ready' });
}

const [, , source = '', spares = '2'] = process.argv;
await serve(source, Number(spares));
