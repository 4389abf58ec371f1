import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { linkSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { ToolError } from '../../../kit/tool.ts';
import { isAlive, startOf } from '../../../kit/alive.ts';
import { codeOf } from './faults.ts';

const holder = z.object({ pid: z.number(), start: z.string(), nonce: z.string(), since: z.string() });
type Holder = z.output<typeof holder>;

/** No write takes so long (its commands have deadlines): a lock this old belongs to a process that hangs. */
const STALE_MS = 60_000;

/** Whether the holder lives is asked at once, then at every so manieth attempt. */
const LOOK_EVERY = 8;

/** A held lock. */
interface Lock {
  /** The former holder died holding it: what it left behind may need mending. */
  tookOver: boolean;
  release(): Promise<void>;
}

/**
 * Takes the writers' lock: a file made by `link`, which fails where the name is taken. It keeps writers from getting
 * in each other's way and no more: git's own compare-and-swap of the branch decides who wins, so it does no harm when
 * two take over the lock of a dead process at the same instant.
 */
export async function acquire(path: string, deadlineMs: number): Promise<Lock> {
  const me: Holder = {
    pid: process.pid,
    start: startOf(process.pid),
    nonce: randomBytes(8).toString('hex'),
    since: new Date().toISOString(),
  };
  const end = performance.now() + deadlineMs;
  const mine = `${path}.${me.pid}.${me.nonce}`;
  let tookOver = false;
  try {
    await writeFile(mine, JSON.stringify(me), { mode: 0o600 });
    for (let attempt = 0; ; attempt++) {
      try {
        // Synchronous: it takes some microseconds, a hundredth of the way through the thread pool, and many may wait.
        linkSync(mine, path);
        return { tookOver, release: () => release(path, me.nonce) };
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
      const late = performance.now() > end;
      if (attempt % LOOK_EVERY !== 0 && !late) {
        await waited();
        continue;
      }
      const other = await read(path);
      if (other && (await isDead(other, path))) {
        await remove(path, other.nonce);
        tookOver = true;
        continue;
      }
      if (late) throw held(path, other, deadlineMs);
      await waited();
    }
  } finally {
    await rm(mine, { force: true });
  }
}

/** As long for all, so that nobody who waits long falls behind newcomers. */
function waited(): Promise<void> {
  return pause(8 + Math.random() * 24);
}

function held(path: string, by: Holder | undefined, deadlineMs: number): ToolError {
  const who = by ? `process ${by.pid} has held it since ${by.since}` : 'another process holds it';
  return new ToolError(
    `The registry is busy: ${path} was not free within ${Math.round(deadlineMs / 1000)} s; ${who}. Nothing was changed. ` +
      'Try again; if that process hangs, end it.',
  );
}

/** undefined: released in the meantime. A lock that cannot be read is nobody's. */
async function read(path: string): Promise<Holder | undefined> {
  try {
    const parsed = holder.safeParse(JSON.parse(await readFile(path, 'utf8')));
    if (parsed.success) return parsed.data;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { pid: 0, start: '', nonce: '', since: 'an unknown time' };
}

async function isDead(other: Holder, path: string): Promise<boolean> {
  if (other.pid === 0 || !isAlive(other.pid)) return true;
  const now = startOf(other.pid);
  if (now !== '' && other.start !== '' && now !== other.start) return true;
  try {
    return Date.now() - (await stat(path)).mtimeMs > STALE_MS;
  } catch {
    return false;
  }
}

/** Moves the lock away and looks at what it got: another may have taken over between our look and our move. */
async function remove(path: string, nonce: string): Promise<void> {
  const aside = `${path}.dead.${randomBytes(6).toString('hex')}`;
  try {
    await rename(path, aside);
    const moved = await read(aside);
    if (moved && moved.nonce !== nonce) await link(aside, path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'EEXIST') throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

async function release(path: string, nonce: string): Promise<void> {
  const held = await read(path);
  if (held?.nonce === nonce) await rm(path, { force: true });
}
