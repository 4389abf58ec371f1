import { readFileSync } from 'node:fs';

/** What proc(5) says of a process in its `stat`. */
interface Stat {
  parent: number;
  /** In ticks since the machine's start (field 22): a process id alone may have been given away again. */
  began: string;
  /** A zombie: it holds no lock and no file, but its parent never asked for it, as the first process of many containers. */
  ended: boolean;
}

/** Counted from behind the name, which stands in brackets and may hold anything; undefined where the text is no `stat`. */
export function readStat(text: string): Stat | undefined {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state = '', parent, began] = [fields[0], fields[1], fields[19]];
  return parent && began ? { parent: Number(parent), began, ended: 'ZX'.includes(state) } : undefined;
}

/** Undefined where there is no such process, or no /proc. */
export function statOf(pid: number): Stat | undefined {
  try {
    return readStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** When a process began, as its lock says; `dead` for a zombie, empty where there is no /proc. */
export function startOf(pid: number): string {
  const stat = statOf(pid);
  return stat?.ended ? 'dead' : (stat?.began ?? '');
}

/** Whether a process runs; one of another user counts. Its id may have been given away again. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM (kill(2)): it lives, under another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
  return !statOf(pid)?.ended;
}
