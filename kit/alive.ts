import { readFileSync } from 'node:fs';

/**
 * Whether a process runs; one of another user counts. Its id may have been given away again. One that has ended does not,
 * though its parent never asks for it, as the first process of many containers: it holds no lock and no file.
 */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM (kill(2)): it lives, under another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
  return !isZombie(pid);
}

/** proc(5): the state stands behind the name in brackets, which may hold anything. */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat[stat.lastIndexOf(')') + 2] === 'Z';
  } catch {
    return false; // not Linux, or gone this moment
  }
}
