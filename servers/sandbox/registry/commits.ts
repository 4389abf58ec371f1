import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CommandError, command } from '../../../kit/command.ts';
import type { Place } from './repository.ts';

/** A file to write, or to remove. */
export interface Change {
  path: string;
  content: string | undefined;
}

/** Somebody else moved the branch: read it again and try anew. */
export class Moved extends Error {
  override name = 'Moved';
}

/** How git says that a branch is not where it was: not an ancestor, elsewhere, there by now, gone by now. */
const LOST = /Not updating refs|but expected|reference already exists|unable to resolve reference/;
const DEADLINE_MS = 30_000;
/** A ref is locked for some milliseconds; what is older was left behind by a git that was killed. */
const STALE_LOCK_MS = 3000;
/**
 * git would flush the pack that it unpacks and throws away a moment later, which takes longer than all the rest. What
 * is kept it flushes no more than git does by default: a killed process loses nothing, a power cut the last seconds.
 */
const NO_FSYNC = 'core.fsync=none';
const NO_COMMIT = '0'.repeat(40);

/**
 * Writes one commit on top of `parent` and moves main to it. One process does all of it, past the index and the
 * working tree; it refuses to move a branch that is not at `parent` any more, and with `feature done` a stream that
 * was cut changes nothing (git-fast-import(1)). Throws Moved when somebody else was first.
 */
export async function commit(
  place: Place,
  parent: string | undefined,
  changes: Change[],
  message: string,
): Promise<string> {
  const input = stream(parent, changes, message);
  try {
    const { stdout } = await command('git', ['-c', NO_FSYNC, 'fast-import', '--quiet'], {
      env: place.env,
      input,
      deadlineMs: DEADLINE_MS,
      what: 'git fast-import',
    });
    return stdout.trim();
  } catch (error) {
    if (error instanceof CommandError && LOST.test(error.stderr)) {
      throw new Moved('main was moved by another process', { cause: error });
    }
    if (await freed(place, error)) throw new Moved('a stale lock of git was removed', { cause: error });
    throw error;
  }
}

function stream(parent: string | undefined, changes: Change[], message: string): Buffer {
  const parts: Buffer[] = [];
  const line = (text: string) => parts.push(Buffer.from(`${text}\n`));
  const data = (text: string) => {
    const bytes = Buffer.from(text);
    line(`data ${bytes.length}`);
    parts.push(bytes, Buffer.from('\n'));
  };
  const marks = new Map<string, number>();
  line('feature done');
  for (const { content } of changes) {
    if (content === undefined || marks.has(content)) continue;
    marks.set(content, marks.size + 2);
    line('blob');
    line(`mark :${marks.size + 1}`);
    data(content);
  }
  line('commit refs/heads/main');
  line('mark :1');
  line(`committer Kuźnia <kuznia@localhost> ${Math.floor(Date.now() / 1000)} +0000`);
  data(message);
  if (parent !== undefined) line(`from ${parent}`);
  for (const { path, content } of changes) {
    line(content === undefined ? `D ${path}` : `M 100644 :${marks.get(content)} ${path}`);
  }
  line('');
  line('get-mark :1');
  line('done');
  return Buffer.concat(parts);
}

/** Makes an immutable tag; false when there is one of that name already. */
export async function createTag(place: Place, ref: string, at: string): Promise<boolean> {
  try {
    await command('git', ['update-ref', ref, at, NO_COMMIT], {
      env: place.env,
      deadlineMs: DEADLINE_MS,
      what: 'git update-ref',
    });
    return true;
  } catch (error) {
    if (error instanceof CommandError && /already exists/.test(error.stderr)) return false;
    if (await freed(place, error)) return createTag(place, ref, at);
    throw error;
  }
}

/**
 * A git that is killed leaves its `*.lock` of a ref, which would stop every later one. True when there is reason to
 * try again: a stale one was removed, or a young one waited for. Only called while holding the writers' lock.
 */
async function freed(place: Place, error: unknown): Promise<boolean> {
  if (!(error instanceof CommandError)) return false;
  const path = /Unable to create '(.+\.lock)': File exists/.exec(error.stderr)?.[1];
  if (path === undefined || !path.startsWith(join(place.git, '/'))) return false;
  const age = await stat(path).then(
    (found) => Date.now() - found.mtimeMs,
    () => 0,
  );
  if (age > STALE_LOCK_MS) await rm(path, { force: true });
  else await pause(100);
  return true;
}

/** Clears away what killed gits left behind. It does no harm, it only takes room. */
export async function sweep(place: Place, olderMs = 10 * 60_000): Promise<void> {
  const pack = join(place.git, 'objects', 'pack');
  for (const [folder, pattern] of [
    [place.git, /^(fast_import_crash_\d+|kuznia\.tmp\..+)$/],
    [pack, /^tmp_/],
  ] as const) {
    const names = await readdir(folder).catch(() => []);
    for (const name of names.filter((one) => pattern.test(one))) {
      const path = join(folder, name);
      const found = await stat(path).catch(() => undefined);
      if (found && Date.now() - found.mtimeMs >= olderMs) await rm(path, { force: true });
    }
  }
}

/** Loose objects beyond which reading and disk space suffer; git's own limit for `gc --auto` is about the same. */
const LOOSE_PER_FOLDER = 24;

/**
 * Packs what is loose when much of it has gathered. Ids are evenly spread, so that one of the 256 folders tells of
 * all of them. Only what is in a pack is removed, so readers and writers at the same time are not disturbed.
 */
export async function tidy(place: Place, loosePerFolder = LOOSE_PER_FOLDER): Promise<boolean> {
  const sample = await readdir(join(place.git, 'objects', '17')).catch(() => []);
  if (sample.length < loosePerFolder) return false;
  await command('git', ['repack', '--geometric=2', '-d', '-l', '-q'], {
    env: place.env,
    deadlineMs: 120_000,
    what: 'git repack',
  });
  return true;
}
