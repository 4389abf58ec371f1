import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { codeOf } from './secret-lock.ts';

/**
 * Puts a file in place whole: written beside it, synced, then renamed. With `keep` the one before stays under that name.
 * Killed at any instant it leaves the old file or the new one.
 */
export function replaceFile(path: string, data: string | Uint8Array, { keep }: { keep?: string } = {}): void {
  const fresh = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  try {
    const fd = openSync(fresh, 'wx', 0o600);
    try {
      const bytes = typeof data === 'string' ? Buffer.from(data) : data;
      for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (keep !== undefined) keepLast(path, keep);
    renameSync(fresh, path);
    syncFolder(dirname(path));
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
}

function keepLast(path: string, keep: string): void {
  const link = `${keep}.${process.pid}.${randomBytes(6).toString('hex')}`;
  try {
    linkSync(path, link);
    renameSync(link, keep);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  } finally {
    // rename(2) of two names of one file does nothing, and leaves both.
    rmSync(link, { force: true });
  }
}

/** So that the rename outlives a power cut; not every system opens folders. */
function syncFolder(folder: string): void {
  try {
    const fd = openSync(folder, 'r');
    fsyncSync(fd);
    closeSync(fd);
  } catch {
    // The file itself is synced.
  }
}
