import { Socket } from 'node:net';
import { constants as system } from 'node:os';
import { basename } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { Journal, Outcome } from './journal.ts';
import { log } from './log.ts';
import { CommandError, killGroup, living, start, startError } from './programs.ts';
import type { CommandReason, StartOptions } from './programs.ts';
import { redact } from './secrets.ts';

export { allowProgram, CommandError } from './programs.ts';
export type { CommandReason } from './programs.ts';

interface CommandResult {
  code: number;
  /** Whole and not redacted: it is data. Decoded as UTF-8. */
  stdout: string;
  stderr: string;
  /** From start to end, in ms. */
  ms: number;
}

interface CommandOptions extends StartOptions {
  /** Written to stdin; without it stdin is empty, so that a program that asks gets no answer at once. */
  input?: string | Uint8Array;
  /** In ms; then SIGTERM, and 1 s later SIGKILL, to its process group. */
  deadlineMs: number;
  /** stdout and stderr together, in bytes; default 4 MiB. Past it the command is killed. */
  maxOutputBytes?: number;
  signal?: AbortSignal;
  /** Exit codes that are no error; default 0 only. */
  allowExit?: number[];
  journal?: Journal;
  /** What is being done, for errors and the journal; default e.g. `git fetch`. Never arguments from outside. */
  what?: string;
}

/** A long-lived child. */
export interface OpenCommand {
  stdin: Writable;
  stdout: Readable;
  pid: number;
  /** Its exit code, or 128 + the signal's number, as a shell would say it. Never rejects. */
  exited: Promise<number>;
  /** Kills its process group; resolves when it is gone. Calling it again is fine. */
  close(): Promise<void>;
}

const graceMs = 1000;
const defaultOutputBytes = 4 * 1024 * 1024;
const shownChars = 2000;
const longestLine = 64 * 1024;

/** Runs one command to its end: no shell, listed programs only. Throws CommandError. */
export async function command(
  program: string,
  args: string[],
  options: CommandOptions,
): Promise<CommandResult> {
  const what = options.what ?? describe(program, args);
  const started = performance.now();
  const record = (outcome: Outcome, detail: string, bytes_in?: number) =>
    options.journal?.record({
      kind: 'command',
      name: what,
      ms: elapsed(started),
      outcome,
      detail,
      bytes_in,
    });
  try {
    const result = await run(program, args, what, options);
    record('ok', `exit ${result.code}`, Buffer.byteLength(result.stdout) + Buffer.byteLength(result.stderr));
    return result;
  } catch (error) {
    const reason = error instanceof CommandError ? error.reason : 'exit';
    const outcome = { deadline: 'timeout', cancelled: 'cancelled' } as const;
    const detail = error instanceof Error ? error.message : what;
    record(reason === 'deadline' || reason === 'cancelled' ? outcome[reason] : 'error', detail);
    throw error;
  }
}

function run(program: string, args: string[], what: string, options: CommandOptions): Promise<CommandResult> {
  const { deadlineMs, signal, input } = options;
  const limit = options.maxOutputBytes ?? defaultOutputBytes;
  if (signal?.aborted) {
    throw new CommandError(`${what} was cancelled before it began.`, { program, reason: 'cancelled' });
  }
  const started = performance.now();
  const child = start(program, args, options);
  return new Promise((resolve, reject) => {
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let size = 0;
    let killed: Exclude<CommandReason, 'exit' | 'missing'> | undefined;
    let ended: { code: number | null; by: NodeJS.Signals | null } | undefined;
    let failed: CommandError | undefined;
    let escalation: NodeJS.Timeout | undefined;

    const stop = (reason: typeof killed) => {
      if (killed) return;
      killed = reason;
      // The last block of output comes after the exit, and may be the one too many.
      if (ended) return;
      killGroup(child, 'SIGTERM');
      escalation = setTimeout(() => {
        killGroup(child, 'SIGKILL');
        // A grandchild in a group of its own may hold the pipes for ever: we do not wait for it.
        escalation = setTimeout(settle, graceMs);
      }, graceMs);
    };
    const take = (into: Buffer[]) => (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) into.push(chunk);
      else stop('output');
    };
    const onAbort = () => stop('cancelled');
    const settle = () => {
      clearTimeout(deadline);
      clearTimeout(escalation);
      signal?.removeEventListener('abort', onAbort);
      living.delete(child);
      child.stdout?.destroy();
      child.stderr?.destroy();
      if (failed) return reject(failed);
      // Its helpers may have outlived it, and a SIGTERM.
      if (killed) killGroup(child, 'SIGKILL');
      const stderr = Buffer.concat(err).toString('utf8');
      const code = ended?.code ?? null;
      if (!killed && code !== null && (options.allowExit ?? [0]).includes(code)) {
        resolve({ code, stdout: Buffer.concat(out).toString('utf8'), stderr, ms: elapsed(started) });
        return;
      }
      const shown = redact(stderr).trim();
      const part = killed === 'output' ? shown.slice(0, shownChars) : shown.slice(-shownChars);
      const end =
        code === null ? `was killed by ${ended?.by ?? 'a signal'}` : `failed with exit code ${code}`;
      const message = {
        deadline: `${what} took longer than ${deadlineMs} ms and was stopped.`,
        cancelled: `${what} was cancelled.`,
        output: `${what} wrote more than ${limit} bytes and was stopped: ask it for less.`,
        exit: `${what} ${end}${part ? `: ${part.slice(-400)}` : '.'}`,
      }[killed ?? 'exit'];
      reject(new CommandError(message, { program, reason: killed ?? 'exit', code, stderr: part }));
    };
    // setTimeout turns anything past 2^31-1 into 1 ms.
    const deadline = setTimeout(stop, Math.min(deadlineMs, 2 ** 31 - 1), 'deadline');
    signal?.addEventListener('abort', onAbort, { once: true });

    child.on('error', (error) => {
      failed = startError(program, error, options.cwd);
      settle();
    });
    child.on('exit', (code, by) => {
      ended = { code, by };
      clearTimeout(deadline);
      clearTimeout(escalation);
      // What it left behind in its group must not keep the pipes, and us, open.
      escalation = setTimeout(() => {
        killGroup(child, 'SIGKILL');
        escalation = setTimeout(settle, graceMs);
      }, graceMs);
    });
    child.on('close', settle);
    child.stdout?.on('data', take(out));
    child.stderr?.on('data', take(err));
    // A program may end without reading its input (EPIPE): its exit code tells.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/**
 * Starts a child that stays. Its handles are unref'd, so it keeps no process alive (who waits for its answer holds the
 * event loop by a deadline's timer), and it goes with us at exit. It should itself end when its stdin ends: after a
 * SIGKILL of ours that is all it learns. Its stderr goes to the log, at `debug`.
 */
export function openCommand(
  program: string,
  args: string[],
  options: StartOptions & { journal?: Journal; what?: string },
): OpenCommand {
  const what = options.what ?? describe(program, args);
  const started = performance.now();
  const child = start(program, args, options);
  const { pid, stdin, stdout, stderr } = child;
  let closing = false;
  const exited = new Promise<number>((resolve) => {
    child.on('error', (error) => {
      living.delete(child);
      log.warn(`${what}: ${error.message}`);
      resolve(127);
    });
    child.on('exit', (code, by) => {
      const status = code ?? 128 + (by ? system.signals[by] : 0);
      // Its helpers go with it, however it ended.
      killGroup(child, 'SIGKILL');
      living.delete(child);
      const outcome = closing || status === 0 ? 'ok' : 'error';
      const detail = closing ? 'closed' : `exit ${status}`;
      options.journal?.record({ kind: 'command', name: what, ms: elapsed(started), outcome, detail });
      resolve(status);
    });
  });
  if (pid === undefined || !stdin || !stdout || !stderr) throw startError(program, undefined, options.cwd);
  child.unref();
  for (const stream of [stdin, stdout, stderr]) {
    if (stream instanceof Socket) stream.unref();
    stream.on('error', (error) => log.debug(`${what}: ${error.message}`));
  }
  // Whole lines: of a secret that came in two parts neither would be known for one.
  let rest = '';
  let skipping = false;
  stderr.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!skipping) log.debug(`${what}: ${line.trimEnd()}`);
      skipping = false;
    }
    if (rest.length > longestLine) {
      // Cut where all that could be a secret was seen whole; what follows in the same line is not told.
      if (!skipping) log.debug(`${what}: ${redact(rest).slice(0, longestLine / 2)} …`);
      skipping = true;
      rest = '';
    }
  });
  stderr.on('end', () => {
    if (rest !== '' && !skipping) log.debug(`${what}: ${rest}`);
  });
  return {
    stdin,
    stdout,
    pid,
    exited,
    async close() {
      closing = true;
      child.ref();
      if (living.has(child)) killGroup(child, 'SIGKILL');
      await exited;
    },
  };
}

/** `git fetch`: past git's `-C folder` and `-c key=value`. Other programs' arguments are no names. */
function describe(program: string, args: string[]): string {
  if (program !== 'git') return basename(program);
  const sub = args.find((arg, i) => /^[a-z][a-z-]*$/.test(arg) && !['-C', '-c'].includes(args[i - 1] ?? ''));
  return sub === undefined ? program : `git ${sub}`;
}

const elapsed = (since: number) => Math.round(performance.now() - since);
