import { readdir, readFile } from 'node:fs/promises';
import { readStat, statOf } from '../../kit/alive.ts';
import { command } from '../../kit/command.ts';

/** A process, with when it began: a number is given out again after it ends. */
interface Process {
  pid: number;
  parent: number;
  began: string;
}

/**
 * What a program started, and what that started: `npx` and shells leave the server itself behind when they are ended, and not
 * every server ends with its input.
 */
export async function descendants(pid: number): Promise<Process[]> {
  return familyOf(pid, await processes()).filter((one) => one.pid !== pid);
}

/** A process, what it started, and what that started, of all that there are. */
export function familyOf(pid: number, all: Process[]): Process[] {
  const found = all.filter((one) => one.pid === pid);
  const parents = new Set([pid]);
  // A child has mostly a higher number than its parent, but numbers start anew at some time.
  for (let grew = true; grew;) {
    grew = false;
    for (const one of all) {
      if (parents.has(one.pid) || !parents.has(one.parent)) continue;
      parents.add(one.pid);
      found.push(one);
      grew = true;
    }
  }
  return found;
}

/** Ends those that are still there. */
export async function endAll(family: Process[]): Promise<void> {
  if (family.length === 0) return;
  const there = new Map((await processes()).map((one) => [one.pid, one.began]));
  for (const { pid, began } of family) {
    if (there.get(pid) !== began) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
}

/** From /proc on Linux, else from `ps` (POSIX); none on Windows, where a process takes its children with it by `taskkill` only. */
export async function processes(): Promise<Process[]> {
  if (process.platform === 'win32') return [];
  const names = await readdir('/proc').catch((): string[] => []);
  const numbers = names.filter((name) => /^\d+$/.test(name));
  if (numbers.length === 0) return listed();
  const read = numbers.map(async (name) => {
    const stat = readStat(await readFile(`/proc/${name}/stat`, 'latin1').catch(() => ''));
    return stat && !stat.ended ? [{ pid: Number(name), parent: stat.parent, began: stat.began }] : [];
  });
  return (await Promise.all(read)).flat();
}

/** When a process began, known at once; undefined where it is none any more, or the system does not say so fast. */
export function beganAt(pid: number): string | undefined {
  const stat = statOf(pid);
  return stat?.ended ? undefined : stat?.began;
}

async function listed(): Promise<Process[]> {
  try {
    const { stdout } = await command('ps', ['-A', '-o', 'pid=,ppid=,lstart='], { deadlineMs: 2_000 });
    return stdout.split('\n').flatMap((line) => {
      const [, pid, parent, began] = /^\s*(\d+)\s+(\d+)\s+(.+)$/.exec(line) ?? [];
      return pid && parent && began ? [{ pid: Number(pid), parent: Number(parent), began }] : [];
    });
  } catch {
    return [];
  }
}
