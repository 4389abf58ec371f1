import { randomBytes } from 'node:crypto';
import { copyFile, lstat, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { command } from '../../../kit/command.ts';
import { log } from '../../../kit/log.ts';
import type { Change } from './commits.ts';
import { sweep, tidy } from './commits.ts';
import { acquire } from './lock.ts';
import { blobId } from './objects.ts';
import type { Objects } from './objects.ts';
import type { Place } from './repository.ts';
import type { Snapshot } from './snapshot.ts';

const QUIET_MS = 1500;
const LOCK_MS = 500;
const DEADLINE_MS = 30_000;
/** Room for the names of many thousands of tools' files. */
const MAX_LISTING_BYTES = 64 * 1024 * 1024;
const ATTEMPTS = 3;
/** So many files are looked at together. */
const BATCH = 64;
/** So many files are mended at a time, since writers wait for it. */
const MENDED = 300;
/** A commit that somebody is writing the message of holds the lock for minutes. */
const FOREIGN_LOCK_MS = 60 * 60_000;

/**
 * The files beside `.git`: a view for people. Nothing is read from them but whether somebody edited them, and what is
 * done here is best effort: it fails silently, and the next time mends it.
 */
export class Worktree {
  readonly #place: Place;
  readonly #objects: Objects;
  readonly #main: () => Promise<Snapshot | undefined>;
  /** What was found in a file when it was last read: its id, while the stamp is the same. */
  readonly #read = new Map<string, { stamp: string; id: string }>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(place: Place, objects: Objects, main: () => Promise<Snapshot | undefined>) {
    this.#place = place;
    this.#objects = objects;
    this.#main = main;
  }

  /** Shows what a commit changed, leaving alone what somebody edited since `before`. */
  async show(changes: Change[], before: Snapshot | undefined): Promise<void> {
    try {
      if (!(await this.#showsMain())) return;
      for (const { path, content } of changes) {
        if (before && (await this.#isEdited(path, before, content))) continue;
        if (content === undefined) await rm(join(this.#place.folder, path), { force: true });
        else await replace(this.#place, path, content);
      }
    } catch (error) {
      log.debug(`registry: working tree: ${String(error)}`);
    }
    this.#later();
  }

  /**
   * The files of a tool that somebody edited by hand: what is there is neither what main has nor what any version had.
   * Files that are merely old are no edits.
   */
  async edits(name: string, main: Snapshot): Promise<string[]> {
    if (!(await this.#showsMain())) return [];
    const files = [...(await main.folder(`tools/${name}`)).keys()].map((file) => `tools/${name}/${file}`);
    const edited: string[] = [];
    for (const path of [...files, 'catalogue.json']) {
      if (await this.#isEdited(path, main, undefined)) edited.push(path);
    }
    return edited;
  }

  /** Does now what is still to be done. */
  async close(): Promise<void> {
    if (this.#timer) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#running = this.#refresh();
    }
    await this.#running;
  }

  async #isEdited(path: string, main: Snapshot, coming: string | undefined): Promise<boolean> {
    const content = await readFile(join(this.#place.folder, path)).catch(() => undefined);
    if (!content) return false;
    const id = blobId(content);
    if (coming !== undefined && id === blobId(Buffer.from(coming))) return false;
    const cut = path.lastIndexOf('/');
    const [folder, file] = [path.slice(0, Math.max(cut, 0)), path.slice(cut + 1)];
    const known = folder === '' ? main.root : await main.folder(folder);
    if (known.get(file)?.id === id) return false;
    const [top, name] = path.split('/');
    if (top !== 'tools' || name === undefined) return (await this.#objects.get(id)) === undefined;
    for (const version of (await main.versions(name)).toReversed()) {
      if ((await main.folder(`versions/${name}/${version}`)).get(file)?.id === id) return false;
    }
    return true;
  }

  /** Somebody may have checked out a branch of theirs: then the files are not ours to touch. */
  async #showsMain(): Promise<boolean> {
    const head = await readFile(join(this.#place.git, 'HEAD'), 'utf8').catch(() => '');
    return head.trim() === 'ref: refs/heads/main';
  }

  #later(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#running = this.#refresh().then(() => this.#tidy());
    }, QUIET_MS).unref();
  }

  async #refresh(): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        // Under the lock main stays where it is, so that what is mended is mended to what it is now.
        const lock = await acquire(this.#place.lock, LOCK_MS);
        try {
          if ((await this.#showsMain()) && !(await this.#isFresh())) await this.#refreshIndex();
          await sweep(this.#place);
        } finally {
          await lock.release();
        }
        return;
      } catch (error) {
        log.debug(`registry: index: ${String(error)}`);
      }
    }
  }

  async #tidy(): Promise<void> {
    try {
      await tidy(this.#place);
    } catch (error) {
      log.debug(`registry: repack: ${String(error)}`);
    }
  }

  /** Another process may just have done it. */
  async #isFresh(): Promise<boolean> {
    const [index, main] = await Promise.all(
      [this.#index, join(this.#place.git, 'refs', 'heads', 'main')].map(
        async (file) => (await stat(file)).mtimeMs,
      ),
    ).catch(() => []);
    return index !== undefined && main !== undefined && index > main;
  }

  /** Ours, so that a git of ours that is killed leaves no `index.lock`, and one that is there stops nothing. */
  get #index(): string {
    return join(this.#place.git, 'kuznia.index');
  }

  /**
   * After this `git status` is clean, except for what people edited. git itself looks at no file here: it would run the
   * filters that `.git/config` names.
   */
  async #refreshIndex(): Promise<void> {
    const env = { ...this.#place.env, GIT_INDEX_FILE: this.#index };
    const git = (args: string[]) =>
      command('git', args, {
        env,
        cwd: this.#place.folder,
        deadlineMs: DEADLINE_MS,
        maxOutputBytes: MAX_LISTING_BYTES,
      });
    await rm(`${this.#index}.lock`, { force: true });
    // It refuses paths that lead out of the folder, or into .git.
    await git(['read-tree', 'refs/heads/main']);
    const { stdout } = await git(['ls-tree', '-r', '-z', 'refs/heads/main']);
    await this.#mend([...stdout.matchAll(/100\d{3} blob ([0-9a-f]+)\t([^\0]+)\0/g)]);
    await this.#showIndex();
  }

  /** Writes the files that are old or gone, given by their ids and paths. */
  async #mend(entries: string[][]): Promise<void> {
    const main = await this.#main();
    if (!main) return;
    let left = MENDED;
    for (let at = 0; at < entries.length && left > 0; at += BATCH) {
      const batch = entries.slice(at, at + BATCH);
      const found = await Promise.all(batch.map(([, , path = '']) => this.#idOf(path)));
      const differing = batch.filter(([, id], i) => found[i] !== id).slice(0, left);
      left -= differing.length;
      for (const [, id = '', path = ''] of differing) {
        if (await this.#isEdited(path, main, undefined)) continue;
        const blob = await this.#objects.get(id);
        // Something else may be in its way, e.g. a folder: the other files are mended all the same.
        if (blob)
          await replace(this.#place, path, blob.data).catch((error: unknown) => log.debug(String(error)));
      }
    }
  }

  /** The id of what is in a file now; undefined where there is none. */
  async #idOf(path: string): Promise<string | undefined> {
    const file = join(this.#place.folder, path);
    try {
      const { ino, size, mtimeNs, ctimeNs } = await lstat(file, { bigint: true });
      const stamp = [ino, size, mtimeNs, ctimeNs].join(':');
      const known = this.#read.get(path);
      if (known?.stamp === stamp) return known.id;
      const id = blobId(await readFile(file));
      this.#read.set(path, { stamp, id });
      return id;
    } catch {
      return undefined;
    }
  }

  /** Puts our index in the place of git's own, unless somebody's git is at work on that. */
  async #showIndex(): Promise<void> {
    const theirs = join(this.#place.git, 'index');
    const lock = await stat(`${theirs}.lock`).catch(() => undefined);
    if (lock && Date.now() - lock.mtimeMs < FOREIGN_LOCK_MS) return;
    const copy = `${this.#index}.copy`;
    await copyFile(this.#index, copy);
    await rename(copy, theirs);
  }
}

/** By way of a file in `.git`, where nobody sees what a killed process left. */
async function replace(place: Place, path: string, content: string | Buffer): Promise<void> {
  const file = join(place.folder, path);
  const temporary = join(place.git, `kuznia.tmp.${randomBytes(6).toString('hex')}`);
  try {
    await writeFile(temporary, content);
    await mkdir(dirname(file), { recursive: true });
    await rename(temporary, file);
  } finally {
    await rm(temporary, { force: true });
  }
}
