import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isAlive } from '../../kit/alive.ts';

/** Older than any call takes. */
const STALE_MS = 60 * 60 * 1000;

/** Process ids mean something on one machine only: a home may be shared. */
const here = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

const runIn = (home: string) => join(home, 'run');

/** A folder that only we can read, for what one call needs on disk; `close` removes it. */
export async function runFolder(
  home: string,
  name: 'askpass' | 'glab',
): Promise<{ folder: string; close: () => Promise<void> }> {
  await mkdir(runIn(home), { recursive: true, mode: 0o700 });
  await sweepRun(home);
  const folder = await mkdtemp(join(runIn(home), `${name}-${here}-${process.pid}-`));
  return { folder, close: () => rm(folder, { recursive: true, force: true }) };
}

/** Removes what killed processes left, with the token that may be in it. */
export async function sweepRun(home: string): Promise<void> {
  for (const left of await readdir(runIn(home)).catch(() => [])) {
    // Other servers have their sockets and locks there too, which may be as old as they like.
    const [mine, machine, pid] = /^(?:askpass|glab)-(?:([0-9a-f]{8})-(\d+)-)?/.exec(left) ?? [];
    if (mine === undefined) continue;
    const path = join(runIn(home), left);
    const made = await stat(path).catch(() => undefined);
    const dead = machine === here && !isAlive(Number(pid));
    if (dead || (made && Date.now() - made.mtimeMs > STALE_MS))
      await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}
