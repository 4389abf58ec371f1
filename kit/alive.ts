/** Whether a process runs; one of another user counts. Its id may have been given away again. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM (kill(2)): it lives, under another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
