import { changedNames, differences, emptyCatalogue, idsOf, lastGood, readCatalogue } from './catalogue.ts';
import type { Catalogue, Reading } from './catalogue.ts';
import type { CatalogueLine } from './records.ts';
import { exists } from './repository.ts';
import { Snapshot } from './snapshot.ts';
import type { Source } from './snapshot.ts';

/**
 * The catalogue in use: the last one that this registry's key signed and that is no older than the one before. What
 * somebody else made of it on main is told and not used; the next publish puts it right.
 */
export class Live {
  readonly #source: Source;
  readonly #changed: (names: string[]) => void;
  #catalogue: Catalogue = emptyCatalogue;
  #lines: CatalogueLine[] = [];
  #seen: string | undefined;
  #seenAt = '';
  #refused: string | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(source: Source, changed: (names: string[]) => void) {
    this.#source = source;
    this.#changed = changed;
  }

  get catalogue(): Catalogue {
    return this.#catalogue;
  }

  /** Sorted by name; the same array until the catalogue changes. */
  get lines(): CatalogueLine[] {
    return this.#lines;
  }

  /** When the catalogue on main says it was written, whether it is in use or not. */
  get seenAt(): string {
    return this.#seenAt;
  }

  /** Why what main says is not used. */
  get refused(): string | undefined {
    return this.#refused;
  }

  /**
   * Takes in what main says now. Most commits (drafts, verdicts) leave the catalogue as it is, and every process is
   * woken by each: that is seen from the root of main's tree alone.
   */
  async look(): Promise<void> {
    if (this.#seen !== undefined) {
      const root = await this.#source.objects.tree('refs/heads/main^{tree}');
      if (root && idsOf({ root }) === this.#seen) return;
    }
    await this.refresh();
  }

  /** Main as it is now, its catalogue taken in. One after the other, so that an older main never follows a newer one. */
  refresh(): Promise<Snapshot | undefined> {
    const turn = this.#last.then(() => this.#refresh());
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #refresh(): Promise<Snapshot | undefined> {
    const main = (await exists(this.#source.place)) ? await Snapshot.main(this.#source) : undefined;
    const ids = main ? idsOf(main) : undefined;
    if (ids === this.#seen) return main;
    if (main) await this.#take(main);
    else if (this.#lines.length > 0)
      this.#refused = this.#told('main is gone', 'Restore the folder, or restart to begin anew.');
    this.#seen = ids;
    return main;
  }

  async #take(main: Snapshot): Promise<void> {
    const reading = await readCatalogue(main, this.#source.signer);
    this.#seenAt = (reading.ok ? reading.catalogue : reading.found)?.at ?? '';
    if (reading.ok && reading.catalogue.at >= this.#catalogue.at) {
      this.#refused = undefined;
      this.#use(reading.catalogue);
      return;
    }
    // Nothing in memory yet: this process began after somebody changed it.
    const good = this.#catalogue.at === '' ? await lastGood(main, this.#source) : undefined;
    if (good) this.#use(good);
    this.#refused = this.#explanation(main, reading);
  }

  #use(catalogue: Catalogue): void {
    const names = changedNames(this.#catalogue, catalogue);
    this.#catalogue = catalogue;
    if (names.length === 0) return;
    this.#lines = [...catalogue.lines.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    this.#changed(names);
  }

  #explanation(main: Snapshot, reading: Reading): string {
    const { folder } = this.#source.place;
    if (reading.ok) {
      const back = differences(this.#catalogue, reading.catalogue);
      return this.#told(
        `main was set back to ${main.commit.slice(0, 10)}, whose catalogue is older (differs in: ${back})`,
        'To go back on purpose, restart what uses the registry.',
      );
    }
    const what = reading.found
      ? `It differs in: ${differences(this.#catalogue, reading.found)}`
      : 'It cannot be read';
    return this.#told(
      `${reading.why} (commit ${main.commit.slice(0, 10)} on main). ${what}`,
      `See \`git -C ${folder} log -3 -- catalogue.json\`.`,
    );
  }

  #told(what: string, next: string): string {
    return (
      `The catalogue in ${this.#source.place.folder} is not used: ${what}. The last good one stays in use ` +
      `(${this.#catalogue.lines.size} tools), and the next publish, rollback or retire writes it anew. ${next}`
    );
  }
}
