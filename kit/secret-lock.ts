import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { isAlive, startOf } from './alive.ts';

const holder = z.object({ pid: z.number(), start: z.string(), nonce: z.string() });
type Holder = z.output<typeof holder>;

/** No holder needs so long (its calls have deadlines): an older lock belongs to a process that hangs. */
const STALE_MS = 90_000;

/**
 * Runs `work` while no other process, and no other call of this one, holds the lock at `path`: a file made by link(2),
 * which fails where the name is taken. One whose holder has died is taken over.
 */
export async function withLock<T>(path: string, deadlineMs: number, work: () => Promise<T>): Promise<T> {
  const nonce = await acquire(path, deadlineMs);
  try {
    return await work();
  } finally {
    if (read(path)?.nonce === nonce) rmSync(path, { force: true });
  }
}

async function acquire(path: string, deadlineMs: number): Promise<string> {
  const nonce = randomBytes(8).toString('hex');
  const mine = `${path}.${process.pid}.${nonce}`;
  const end = performance.now() + deadlineMs;
  writeFileSync(mine, JSON.stringify({ pid: process.pid, start: startOf(process.pid), nonce }), {
    mode: 0o600,
  });
  try {
    for (;;) {
      try {
        linkSync(mine, path);
        return nonce;
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
      const other = read(path);
      if (other && isDead(other, path)) {
        setAside(path, other.nonce);
        continue;
      }
      if (performance.now() > end) {
        const who = other ? `process ${other.pid}` : 'another process';
        throw new Error(`${path} is held by ${who}. Nothing was changed; try again, or end that process.`);
      }
      await pause(5 + Math.random() * 20);
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** undefined: released in the meantime. One that cannot be read is nobody's. */
function read(path: string): Holder | undefined {
  try {
    const parsed = holder.safeParse(JSON.parse(readFileSync(path, 'utf8')));
    if (parsed.success) return parsed.data;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { pid: 0, start: '', nonce: '' };
}

function isDead({ pid, start }: Holder, path: string): boolean {
  if (pid === 0 || !isAlive(pid)) return true;
  const now = startOf(pid);
  if (now !== '' && start !== '' && now !== start) return true;
  try {
    return Date.now() - statSync(path).mtimeMs > STALE_MS;
  } catch {
    return false;
  }
}

/** Moved away and looked at: another may have taken over between the look and the move. */
function setAside(path: string, nonce: string): void {
  const aside = `${path}.dead.${randomBytes(6).toString('hex')}`;
  try {
    renameSync(path, aside);
    const moved = read(aside);
    if (moved && moved.nonce !== nonce) linkSync(aside, path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'EEXIST') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

/** The code of a system error. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
