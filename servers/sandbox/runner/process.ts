import { type ChildProcess, fork } from 'node:child_process';
import { parse } from 'node:path';
import { isFromChild, type Job, type Reply, type ToChild } from './wire.ts';
import { type RunnerSources, runnerSources } from './source.ts';

/** What the owner of a child process hears from it. */
interface ProcessEvents {
  ready(): void;
  reply(reply: Reply): void;
  /** It is gone, or never came: `why` is for people. */
  gone(why: string): void;
}

/**
 * One child process, from its start to its end. It has an empty environment, no standard streams, and does not keep
 * our event loop alive unless `hold(true)` was said.
 */
export class RunnerProcess {
  readonly #events: ProcessEvents;
  #child: ChildProcess | undefined;
  #over = false;
  #held = false;
  #exited: Promise<void>;

  constructor(spares: number, events: ProcessEvents) {
    this.#events = events;
    this.#exited = this.#start(spares).catch((error: unknown) => {
      this.#gone(error instanceof Error ? error.message : String(error));
    });
  }

  /** Its process id, once it has one. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  run(job: Job): void {
    this.#say({ type: 'run', job });
  }

  cancel(id: number): void {
    this.#say({ type: 'cancel', id });
  }

  /** Whether our event loop waits for it: while calls are in flight. */
  hold(held: boolean): void {
    this.#held = held;
    if (held) this.#child?.channel?.ref();
    else this.#child?.channel?.unref();
  }

  /** Ends it at once. Nothing is heard from it after. */
  async kill(): Promise<void> {
    this.#over = true;
    // Whoever waits for the end must not see the event loop run dry first.
    this.#child?.ref();
    this.#child?.kill('SIGKILL');
    await this.#exited;
  }

  async #start(spares: number): Promise<void> {
    const sources: RunnerSources = await runnerSources();
    if (this.#over) return;
    const child = fork(sources.child, [sources.worker, String(spares)], {
      env: {},
      // Neither our flags (a debugger's port, a loader) nor our folder.
      execArgv: ['--disallow-code-generation-from-strings'],
      cwd: parse(process.execPath).root,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      serialization: 'advanced',
    });
    this.#child = child;
    child.unref();
    this.hold(this.#held);
    child.on('message', (message: unknown) => {
      if (this.#over || !isFromChild(message)) return;
      if (message.type === 'ready') this.#events.ready();
      else this.#events.reply(message.reply);
    });
    await new Promise<void>((resolve) => {
      child.once('error', (error) => {
        this.#gone(`it cannot be started: ${error.message}`);
        resolve();
      });
      child.once('exit', (code, signal) => {
        this.#gone(signal ? `it was ended by ${signal}` : `it ended with code ${code}`);
        resolve();
      });
    });
  }

  #say(message: ToChild): void {
    // A failed send means that it is going: its exit is heard of next.
    this.#child?.send(message, () => {});
  }

  #gone(why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#events.gone(why);
  }
}
