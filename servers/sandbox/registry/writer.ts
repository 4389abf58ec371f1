import { mkdir } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { log } from '../../../kit/log.ts';
import { ToolError } from '../../../kit/tool.ts';
import { emptyCatalogue, render } from './catalogue.ts';
import { Moved, commit, createTag, sweep } from './commits.ts';
import type { Change } from './commits.ts';
import { acquire } from './lock.ts';
import { pretty } from './records.ts';
import { FORMAT, create, exists } from './repository.ts';
import type { Snapshot } from './snapshot.ts';
import type { Source } from './snapshot.ts';
import type { Worktree } from './worktree.ts';

/** What a write comes to, given main as it is now. No changes: it is so already. */
export interface Plan<T> {
  result: T;
  changes: Change[];
  /** `save slugify 1.0.0`: the verb, the tool, the version, and a note that ends the line. */
  message: string;
  /** A version was saved: its tag. */
  tag?: string;
}

/** Works out a write. Called again, with main as it is then, when somebody else was first. */
type Planner<T> = (main: Snapshot | undefined) => Promise<Plan<T>>;

const DEADLINE_MS = 15_000;

/** The tag of a version. Both parts must be checked. */
export function tagOf(name: string, version: string): string {
  return `refs/tags/${name}/v${version}`;
}

/** Writes to the registry, one commit at a time. */
export class Writer {
  readonly #source: Source;
  readonly #worktree: Worktree;
  readonly #main: () => Promise<Snapshot | undefined>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(source: Source, worktree: Worktree, main: () => Promise<Snapshot | undefined>) {
    this.#source = source;
    this.#worktree = worktree;
    this.#main = main;
  }

  /** One write of this process after the other; the lock is for the other processes. */
  write<T>(plan: Planner<T>): Promise<T> {
    const turn = this.#last.then(() => this.#locked(plan));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Resolves when no write is under way. */
  async idle(): Promise<void> {
    await this.#last;
  }

  async #locked<T>(plan: Planner<T>): Promise<T> {
    const { place } = this.#source;
    await mkdir(place.home, { recursive: true, mode: 0o700 });
    const end = performance.now() + DEADLINE_MS;
    const lock = await acquire(place.lock, DEADLINE_MS);
    try {
      if (!(await exists(place))) await create(place);
      if (lock.tookOver) await sweep(place);
      for (;;) {
        const done = await this.#attempt(plan);
        if (done) return done.result;
        if (performance.now() > end) {
          throw new ToolError(
            `The registry is busy: other writers were first for ${DEADLINE_MS / 1000} s. Nothing was changed. Try again.`,
          );
        }
        await pause(Math.random() * 30);
      }
    } finally {
      await lock.release();
    }
  }

  /** undefined: main moved in the meantime. */
  async #attempt<T>(plan: Planner<T>): Promise<{ result: T } | undefined> {
    const { place } = this.#source;
    const main = await this.#main();
    if (main) await this.#mendTag(main);
    const { result, changes, message, tag } = await plan(main);
    if (changes.length === 0) return { result };
    const all = main ? changes : [...(await this.#first()), ...changes];
    let id: string;
    try {
      id = await commit(place, main?.commit, all, message);
    } catch (error) {
      if (error instanceof Moved) return undefined;
      // A git that failed, perhaps for want of room, leaves behind what takes some.
      await sweep(place, 0);
      throw error;
    }
    if (tag !== undefined) await this.#tag(tag, id);
    await this.#worktree.show(all, main);
    return { result };
  }

  async #tag(tag: string, id: string): Promise<void> {
    const { place, objects } = this.#source;
    if (await createTag(place, tag, id)) return;
    // Another writer may have thought us dead, and mended it.
    if ((await objects.get(tag))?.id === id) return;
    throw new ToolError(`${tag} in ${place.folder} was made by somebody else. Remove it, then save again.`);
  }

  /**
   * A save that was killed between its commit and its tag left a version without one. Writers make sure of it before
   * they move main, so that only the newest commit can lack its tag.
   */
  async #mendTag(main: Snapshot): Promise<void> {
    const [, name, version] = /^save ([a-z][a-z0-9_]*) ([0-9.]+)$/.exec(main.subject) ?? [];
    if (name === undefined || version === undefined) return;
    if (!(await main.versions(name)).includes(version)) return;
    const tag = tagOf(name, version);
    if (await this.#source.objects.get(tag)) return;
    try {
      await createTag(this.#source.place, tag, main.commit);
    } catch (error) {
      log.warn(`registry: ${tag} could not be made: ${String(error)}`);
    }
  }

  /** What lies in a registry from its first commit on. */
  async #first(): Promise<Change[]> {
    const catalogue = render({ ...emptyCatalogue, at: new Date().toISOString() });
    return [
      { path: 'format.json', content: pretty({ format: FORMAT }) },
      // The files are shown as they are, whatever the user's git is set to.
      { path: '.gitattributes', content: '* -text\n' },
      { path: 'catalogue.json', content: catalogue },
      { path: 'catalogue.sig', content: `${await this.#source.signer.sign('catalogue', catalogue)}\n` },
    ];
  }
}
