import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** What a killed process left is older than any call takes. */
const STALE_MS = 60 * 60 * 1000;

/** A folder that only we can read, for what one call needs on disk; `close` removes it. */
export async function runFolder(
  home: string,
  name: string,
): Promise<{ folder: string; close: () => Promise<void> }> {
  const all = join(home, 'run');
  await mkdir(all, { recursive: true, mode: 0o700 });
  for (const left of await readdir(all)) {
    if (!left.startsWith(`${name}-`)) continue;
    const made = await stat(join(all, left)).catch(() => undefined);
    if (made && Date.now() - made.mtimeMs > STALE_MS)
      await rm(join(all, left), { recursive: true, force: true });
  }
  const folder = await mkdtemp(join(all, `${name}-`));
  return { folder, close: () => rm(folder, { recursive: true, force: true }) };
}
