import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Once a minute is often enough; some are used with every request. */
const OFTEN_MS = 60_000;
const written = new Map<string, number>();

const place = (home: string, name: string) => join(home, 'run', 'used', name);

/** Remembers when a secret, or a place where codes arrive, was last of use: an empty file whose time tells. */
export function markUsed(home: string, name: string): void {
  const path = place(home, name);
  const now = Date.now();
  if (now - (written.get(path) ?? 0) < OFTEN_MS) return;
  written.set(path, now);
  try {
    mkdirSync(join(home, 'run', 'used'), { recursive: true, mode: 0o700 });
    writeFileSync(path, '', { mode: 0o600 });
  } catch {
    // It is for display alone.
  }
}

/** When that was, by whichever process; undefined for never. */
export function lastUsed(home: string, name: string): string | undefined {
  return statSync(place(home, name), { throwIfNoEntry: false })?.mtime.toISOString();
}
