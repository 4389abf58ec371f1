import { statSync, watch } from 'node:fs';
import type { BigIntStats, FSWatcher } from 'node:fs';
import { join } from 'node:path';
import type { Place } from './repository.ts';

const POLL_MS = 2000;
/** While nothing can be watched: no registry yet, or the system has no watches left. */
const UNWATCHED_POLL_MS = 200;

/**
 * Tells when main may have moved, in whichever process: the system's watch of its folder, which is prompt, and a
 * glance every 2 s as a net, since watches get lost (folders replaced, network file systems, no inotify left).
 */
export class Watch {
  readonly #place: Place;
  readonly #moved: () => void;
  #watcher: FSWatcher | undefined;
  #inode: bigint | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stamp: string;
  #closed = false;

  constructor(place: Place, moved: () => void) {
    this.#place = place;
    this.#moved = moved;
    this.#stamp = this.#look();
    this.#attach();
    this.#poll();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#watcher?.close();
  }

  get #branches(): string {
    return join(this.#place.git, 'refs', 'heads');
  }

  #poll(): void {
    if (this.#closed) return;
    const wait = this.#inode === undefined ? UNWATCHED_POLL_MS : POLL_MS;
    this.#timer = setTimeout(() => {
      this.#attach();
      this.#glance();
      this.#poll();
    }, wait).unref();
  }

  #glance(): void {
    const stamp = this.#look();
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    this.#moved();
  }

  /** After `git gc` the branch stands in packed-refs. */
  #look(): string {
    return [join(this.#branches, 'main'), join(this.#place.git, 'packed-refs')].map(stampOf).join(' ');
  }

  /** Watches the branch's folder, anew when it was replaced. */
  #attach(): void {
    const inode = statOf(this.#branches)?.ino;
    if (inode === this.#inode) return;
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#inode = undefined;
    if (inode === undefined) return;
    try {
      this.#watcher = watch(this.#branches, { persistent: false }, (_event, file) => {
        // The lock beside it comes and goes as well.
        if (file === 'main' || file === null) this.#glance();
      });
      this.#watcher.on('error', () => {
        this.#inode = undefined;
      });
      this.#inode = inode;
    } catch {
      // No watches left (ENOSPC of inotify(7)): the glance remains.
    }
  }
}

/** Changes whenever the file is written or replaced. */
export function stampOf(path: string): string {
  const found = statOf(path);
  return found ? `${found.ino}:${found.mtimeNs}:${found.size}` : '-';
}

function statOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false, bigint: true });
  } catch {
    return undefined;
  }
}
