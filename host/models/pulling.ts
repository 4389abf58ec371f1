import type { PullProgress } from '../../kit/model.ts';
import type { Io } from '../terminal/io.ts';
import { clean, duration, fit } from '../terminal/text.ts';

const ERASE = '\r\u001b[2K';
const REDRAW_MS = 100;
const BAR = 24;

/** Bytes as Ollama tells them, in powers of ten. */
export function bytes(count: number): string {
  for (const [unit, size] of [
    ['GB', 1e9],
    ['MB', 1e6],
    ['kB', 1e3],
  ] as const) {
    if (count >= size) return `${(count / size).toFixed(count >= 10 * size ? 0 : 1)} ${unit}`;
  }
  return `${count} B`;
}

/** Draws a download: one moving line on a terminal, else a line a tenth of the way and a line a step. */
export class PullDisplay {
  readonly #io: Io;
  readonly #name: string;
  readonly #files = new Map<string, { done: number; total: number }>();
  #status = '';
  #tenth = -1;
  #drawn = 0;
  /** Where the download stood when its first bytes were told: what is kept from an earlier try was not loaded now. */
  #first: { at: number; done: number } | undefined;

  constructor(io: Io, name: string) {
    this.#io = io;
    this.#name = clean(name);
  }

  show({ status, digest, done = 0, total }: PullProgress): void {
    const isFile = digest !== undefined && total !== undefined && total > 0;
    if (isFile) this.#files.set(digest, { done, total });
    const said = isFile ? `pulling ${this.#name}` : clean(status);
    const changed = said !== this.#status;
    this.#status = said;
    if (!this.#io.interactive) return this.#line(isFile, changed);
    const now = performance.now();
    if (!changed && now - this.#drawn < REDRAW_MS) return;
    this.#drawn = now;
    this.#io.out(`${ERASE}${fit(isFile ? this.#bar(now) : said, this.#io.columns() - 1)}`);
  }

  /** Leaves the line. */
  end(): void {
    if (this.#io.interactive) this.#io.out(ERASE);
  }

  #line(isFile: boolean, changed: boolean): void {
    if (!isFile) {
      if (changed) this.#io.out(`${this.#status}\n`);
      return;
    }
    const { done, total } = this.#sum();
    const tenth = Math.floor((done / total) * 10);
    if (tenth <= this.#tenth) return;
    this.#tenth = tenth;
    this.#io.out(`${this.#status}: ${tenth * 10} % of ${bytes(total)}\n`);
  }

  #bar(now: number): string {
    const { done, total } = this.#sum();
    this.#first ??= { at: now, done };
    const share = Math.min(1, done / total);
    const full = Math.round(share * BAR);
    const rate = ((done - this.#first.done) / (now - this.#first.at)) * 1000;
    const pace =
      rate > 0 && now - this.#first.at > 1000
        ? ` · ${bytes(rate)}/s · ${duration(Math.max(1000, ((total - done) / rate) * 1000))} left`
        : '';
    return `${this.#name} ${'█'.repeat(full)}${'░'.repeat(BAR - full)} ${Math.floor(share * 100)} % of ${bytes(total)}${pace}`;
  }

  #sum() {
    let [done, total] = [0, 0];
    for (const file of this.#files.values()) {
      done += file.done;
      total += file.total;
    }
    return { done, total };
  }
}
