import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { files } from './sessions.ts';

const DAY_MS = 24 * 60 * 60_000;

/** Removes conversations that nobody went on with for so many days; without a number all are kept. */
export function removeOld(home: string, days: number | undefined): void {
  if (days === undefined) return;
  for (const { path, used } of files(home)) {
    if (Date.now() - Date.parse(used) <= days * DAY_MS) continue;
    try {
      rmSync(path);
    } catch {
      // Not ours to remove, or gone already: `doctor` counts what is there.
    }
  }
}

/** How much is kept, for a person who wants to know. */
export function keptSessions(home: string): { folder: string; count: number; bytes: number } {
  const all = files(home);
  const bytes = all.reduce(
    (sum, { path }) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
  return { folder: join(home, 'sessions'), count: all.length, bytes };
}
