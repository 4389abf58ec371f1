import { ToolError } from '../../../kit/tool.ts';
import { explained } from './faults.ts';
import { checkName, decide, save, statusOf, verdict, versionInfo, wanted } from './life.ts';
import type { Saved, VersionInfo } from './life.ts';
import { Live } from './live.ts';
import { Objects } from './objects.ts';
import { Programs } from './programs.ts';
import type { Program } from './programs.ts';
import { publish, retire, rollback } from './publish.ts';
import type { Market, Release, ReleaseOptions } from './publish.ts';
import type {
  CatalogueLine,
  Decider,
  Manifest,
  Status,
  StoredVerdict,
  TestCase,
  ToolFiles,
  VerdictRecord,
} from './records.ts';
import { diffTrees, history, placeOf } from './repository.ts';
import type { HistoryEntry } from './repository.ts';
import { Signer } from './signing.ts';
import type { Snapshot, Source } from './snapshot.ts';
import { Summaries } from './summaries.ts';
import type { ToolSummary } from './summaries.ts';
import { Watch } from './watch.ts';
import { Worktree } from './worktree.ts';
import { Writer } from './writer.ts';
import type { Plan } from './writer.ts';

export type { ToolFiles, ToolSummary };

/** Changed at once, so many are read ahead; more of them (a registry just opened) are read when called. */
const WARMED = 16;

/** A published tool, as it is listed. */
export type LiveTool = CatalogueLine;

/** One version whole. */
export interface StoredVersion {
  name: string;
  version: string;
  status: Status;
  digest: string;
  manifest: Manifest;
  code: string;
  compiled?: string;
  tests: TestCase[];
  verdict?: VerdictRecord;
  decision?: StoredVerdict['decision'];
}

/** Every tool that was ever forged, with its versions, and which of them are live. Faults are told as ToolError. */
export interface Registry {
  save(files: ToolFiles): Promise<Saved>;
  /** Oldest first. */
  versions(name: string): Promise<VersionInfo[]>;
  /** The newest version, if none is named. */
  read(name: string, version?: string): Promise<StoredVersion>;
  /** Sorted; one and the same array until something changes. With `status`: where the newest or the live one has it. */
  list(status?: Status): Promise<ToolSummary[]>;
  putVerdict(name: string, version: string, record: VerdictRecord): Promise<void>;
  approve(name: string, version: string, by: Decider): Promise<void>;
  refuse(name: string, version: string, by: Decider, reason?: string): Promise<void>;
  /** The newest version, if none is named. Refused where it was not approved, or `options` ask for a person's approval. */
  publish(name: string, version?: string, options?: ReleaseOptions): Promise<Release>;
  /** To the version that was live before, if none is named; refused as `publish` is. */
  rollback(name: string, version?: string, options?: ReleaseOptions): Promise<Release>;
  retire(name: string): Promise<Release>;
  /** From memory, sorted; one and the same array until the catalogue changes. */
  live(): LiveTool[];
  /** From memory, once it was read and checked. */
  program(name: string): Promise<Program>;
  history(name: string): Promise<HistoryEntry[]>;
  diff(name: string, from: string, to: string): Promise<string>;
  /** Told the names whose live version changed, whichever process changed it. Returns how to stop listening. */
  onChange(listener: (names: string[]) => void): () => void;
  /** What is wrong with the registry just now, and what to do about it. */
  warnings(): string[];
  close(): Promise<void>;
}

/**
 * Opens the registry of a KUZNIA_HOME: writes nothing, and never fails. Where there is none yet, it is empty and made
 * with the first save; where it is damaged, `warnings` says how, and what is asked of it says so as well.
 */
export async function openRegistry(home: string): Promise<Registry> {
  const registry = new GitRegistry(home);
  await registry.look();
  return registry;
}

class GitRegistry implements Registry {
  readonly #source: Source;
  readonly #live: Live;
  readonly #worktree: Worktree;
  readonly #writer: Writer;
  readonly #programs: Programs;
  readonly #summaries = new Summaries();
  readonly #watch: Watch;
  readonly #listeners = new Set<(names: string[]) => void>();
  #fault: string | undefined;
  #looking: Promise<void> | undefined;
  #again = false;
  #closed = false;

  constructor(home: string) {
    const place = placeOf(home);
    this.#source = { place, objects: new Objects(place), signer: new Signer(place.home) };
    this.#live = new Live(this.#source, (names) => this.#tell(names));
    const main = () => this.#live.refresh();
    this.#worktree = new Worktree(place, this.#source.objects, main);
    this.#writer = new Writer(this.#source, this.#worktree, main);
    this.#programs = new Programs(this.#source);
    this.#watch = new Watch(place, () => void this.look());
  }

  /** Takes in what main says now. While that is under way, another call only makes it be done once more. */
  look(): Promise<void> {
    this.#again = this.#looking !== undefined;
    this.#looking ??= this.#lookUntilDone();
    return this.#looking;
  }

  save(files: ToolFiles): Promise<Saved> {
    const { name } = files.manifest;
    return this.#write(name, ({ main, live }) => save(this.#source, main, live, files));
  }

  versions(name: string): Promise<VersionInfo[]> {
    return this.#read(name, async (main) => {
      await wanted(main, name);
      const versions = (await main?.versions(name)) ?? [];
      if (!main) return [];
      return Promise.all(versions.map((version) => versionInfo(main, this.#live.catalogue, name, version)));
    });
  }

  read(name: string, version?: string): Promise<StoredVersion> {
    return this.#read(name, async (main) => {
      const target = await wanted(main, name, version);
      const content = await main?.content(name, target);
      if (!main || !content) throw new ToolError(`${name} has no version ${target}.`);
      const { digest, files } = content;
      const found = await main.verdict(name, target);
      // A verdict on other files says nothing about these.
      const judged = found?.digest === digest ? found : undefined;
      const status = await statusOf(main, this.#live.catalogue, name, target, judged);
      const known = judged && { verdict: judged.verdict, decision: judged.decision };
      return { name, version: target, status, digest, ...files, ...known };
    });
  }

  list(status?: Status): Promise<ToolSummary[]> {
    return this.#read(undefined, async (main) => this.#summaries.list(main, this.#live.catalogue, status));
  }

  putVerdict(name: string, version: string, record: VerdictRecord): Promise<void> {
    return this.#write(name, ({ main }) => verdict(this.#source, main, name, version, record));
  }

  approve(name: string, version: string, by: Decider): Promise<void> {
    return this.#write(name, ({ main }) => decide(this.#source, main, name, version, { approved: true, by }));
  }

  refuse(name: string, version: string, by: Decider, reason?: string): Promise<void> {
    const decision = { approved: false, by, ...(reason !== undefined && { reason }) };
    return this.#write(name, ({ main }) => decide(this.#source, main, name, version, decision));
  }

  publish(name: string, version?: string, options?: ReleaseOptions): Promise<Release> {
    return this.#write(name, (market) => publish(market, name, version, options));
  }

  rollback(name: string, version?: string, options?: ReleaseOptions): Promise<Release> {
    return this.#write(name, (market) => rollback(market, name, version, options));
  }

  retire(name: string): Promise<Release> {
    return this.#write(name, (market) => retire(market, name));
  }

  live(): LiveTool[] {
    return this.#live.lines;
  }

  async program(name: string): Promise<Program> {
    const line = this.#live.catalogue.lines.get(name);
    if (!line) throw new ToolError(`${name} is not published (any more). List the tools to see which are.`);
    return this.#explained(() => this.#programs.get(line));
  }

  history(name: string): Promise<HistoryEntry[]> {
    return this.#read(name, async (main) => {
      await wanted(main, name);
      return history(this.#source.place, name);
    });
  }

  diff(name: string, from: string, to: string): Promise<string> {
    return this.#read(name, async (main) => {
      await Promise.all([wanted(main, name, from), wanted(main, name, to)]);
      const versions = await main?.folder(`versions/${name}`);
      const [before, after] = [versions?.get(from)?.id, versions?.get(to)?.id];
      return before === undefined || after === undefined ? '' : diffTrees(this.#source.place, before, after);
    });
  }

  onChange(listener: (names: string[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  warnings(): string[] {
    return [this.#fault, this.#live.refused].filter((one) => one !== undefined);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.close();
    this.#listeners.clear();
    await this.#writer.idle();
    await this.#worktree.close();
    await this.#source.objects.close();
  }

  async #lookUntilDone(): Promise<void> {
    do {
      this.#again = false;
      try {
        await this.#live.look();
        this.#fault = undefined;
      } catch (error) {
        const told = explained(error, this.#source.place.folder);
        this.#fault = told instanceof Error ? told.message : String(told);
      }
    } while (this.#again && !this.#closed);
    this.#looking = undefined;
  }

  /** Reads ahead the code that will be called next, so that no call waits for it. */
  #tell(names: string[]): void {
    const lines = names.flatMap((name) => this.#live.catalogue.lines.get(name) ?? []);
    if (lines.length <= WARMED) void this.#programs.warm(lines);
    for (const listener of this.#listeners) listener(names);
  }

  #read<T>(name: string | undefined, work: (main: Snapshot | undefined) => Promise<T>): Promise<T> {
    return this.#explained(async () => {
      if (name !== undefined) checkName(name);
      return work(await this.#live.refresh());
    });
  }

  #write<T>(name: string, plan: (market: Market) => Promise<Plan<T>>): Promise<T> {
    return this.#explained(async () => {
      if (this.#closed) throw new ToolError('The registry is closed.');
      checkName(name);
      const done = await this.#writer.write((main) =>
        plan({
          source: this.#source,
          main,
          live: this.#live.catalogue,
          at: this.#live.seenAt,
          refused: this.#live.refused !== undefined,
          worktree: this.#worktree,
        }),
      );
      await this.look();
      return done;
    });
  }

  async #explained<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw explained(error, this.#source.place.folder);
    }
  }
}
