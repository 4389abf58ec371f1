import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Runner, RunRequest, Verdict } from '../servers/sandbox/runner/runner.ts';

/** What a test may say about a call beside its code. */
export type Extra = Partial<Omit<RunRequest, 'program'>>;

/** Runs a snippet under the real clock. */
export function run(on: Runner, code: string, extra: Extra = {}, signal?: AbortSignal): Promise<Verdict> {
  const rest = { input: undefined, timeoutMs: 20_000, clock: 'real' as const, ...extra };
  return on.run({ program: { kind: 'snippet', code }, ...rest }, signal);
}

/** A verdict on one line, to match against. */
export function told(done: Verdict): string {
  return done.outcome === 'ok' ? `ok: ${JSON.stringify(done.value)}` : `${done.outcome}: ${done.message}`;
}

/** For tests that look into other processes. */
export const linux = { skip: process.platform === 'linux' ? false : 'reads /proc' };

/** A number of a process's status, such as VmRSS (kB) or Threads. */
export function status(pid: number | undefined, field: string): number {
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** Whether a process runs, and is not only waiting to be counted. */
export function alive(pid: number | undefined): boolean {
  return existsSync(`/proc/${pid}`) && !/State:\s+Z/.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

/** Whether a condition came true in time. */
export async function until(condition: () => boolean, ms: number): Promise<boolean> {
  const end = performance.now() + ms;
  while (!condition() && performance.now() < end) await sleep(10);
  return condition();
}
