import { promises } from 'node:fs';
import { join } from 'node:path';

const { open, readdir, stat } = promises;

const kinds = ['tool', 'http', 'command', 'model', 'event'] as const;
const outcomes = ['ok', 'error', 'timeout', 'cancelled', 'denied', 'refused'] as const;
export type JournalKind = (typeof kinds)[number];
export type Outcome = (typeof outcomes)[number];

const texts = ['server', 'client', 'call', 'turn', 'version', 'detail'] as const;
export const figures = ['ms', 'bytes_in', 'bytes_out'] as const;

/** What happened: who, what, how long, outcome. Never a secret: every text passes redaction. */
export interface JournalEntry {
  kind: JournalKind;
  /** A tool's name, `GET host/path`, `git fetch`, a model's name. */
  name: string;
  outcome: Outcome;
  server?: string;
  client?: string;
  /** Id of the tool call that this happened in. */
  call?: string;
  /** Id of the conversation's turn that asked for it. */
  turn?: string;
  version?: string;
  detail?: string;
  ms?: number;
  /** Bytes that this process received, and sent, for it. */
  bytes_in?: number;
  bytes_out?: number;
}

/** An entry as it is kept: with its time (ISO 8601, UTC) and the writer's process. */
export type KeptEntry = JournalEntry & { at: string; pid: number };

/** The day, and the part where a day has several files. */
export const fileName = /^(\d{4}-\d\d-\d\d)(?:\.(\d+))?\.jsonl$/;

export interface JournalFilter {
  since?: Date;
  until?: Date;
  kind?: JournalKind;
  /** With `*` and `?`. */
  name?: string;
  server?: string;
  outcome?: Outcome;
  /** Only the newest so many. */
  limit?: number;
}

/** Oldest first. Lines that are no whole entry (a killed writer's) are left out. */
export async function* readJournal(home: string, filter: JournalFilter = {}): AsyncGenerator<KeptEntry> {
  yield* readFiles(join(home, 'journal'), filter, new Map());
}

/**
 * What is recorded from now on, until `signal` aborts; with `since` or `limit`, first those of the past. Looks four
 * times a second: file watching is silent on network file systems, and lossy elsewhere.
 */
export async function* followJournal(
  home: string,
  filter: JournalFilter,
  signal: AbortSignal,
): AsyncGenerator<KeptEntry> {
  const folder = join(home, 'journal');
  const wanted = matcher(filter);
  const ends = new Map<string, number>();
  for (const path of await filesOf(folder, {})) ends.set(path, (await stat(path)).size);
  if (filter.since || filter.limit) yield* readFiles(folder, filter, ends);
  while (!signal.aborted) {
    for (const path of await filesOf(folder, {})) {
      const from = ends.get(path) ?? 0;
      const size = await stat(path).then(
        (found) => found.size,
        () => 0,
      );
      if (size > from) yield* entriesOf(path, wanted, ends, from);
    }
    await pause(250, signal);
  }
}

/** Notes in `ends` how far each file was read. */
async function* readFiles(
  folder: string,
  filter: JournalFilter,
  ends: Map<string, number>,
): AsyncGenerator<KeptEntry> {
  const wanted = matcher(filter);
  const paths = await filesOf(folder, filter);
  const { limit } = filter;
  if (limit === undefined) {
    for (const path of paths) yield* entriesOf(path, wanted, ends);
    return;
  }
  // From the newest file backwards, only as far as needed, and only `limit` entries held.
  let newest: KeptEntry[] = [];
  for (const path of paths.toReversed()) {
    const room = limit - newest.length;
    if (room <= 0) break;
    const ring: KeptEntry[] = [];
    for await (const entry of entriesOf(path, wanted, ends)) if (ring.push(entry) > room) ring.shift();
    newest = [...ring, ...newest];
  }
  yield* newest;
}

async function filesOf(folder: string, { since, until }: JournalFilter): Promise<string[]> {
  const from = since?.toISOString().slice(0, 10) ?? '';
  const to = until?.toISOString().slice(0, 10) ?? '9999';
  return (await readdir(folder).catch(() => []))
    .map((name) => ({
      name,
      day: fileName.exec(name)?.[1] ?? '',
      part: Number(fileName.exec(name)?.[2] ?? 0),
    }))
    .filter(({ day }) => day !== '' && day >= from && day <= to)
    .sort((a, b) => a.day.localeCompare(b.day) || a.part - b.part)
    .map(({ name }) => join(folder, name));
}

/** Whole lines from byte `from` on; holds one block and at most one line, however long a broken file's lines are. */
async function* entriesOf(
  path: string,
  wanted: (entry: KeptEntry) => boolean,
  ends: Map<string, number>,
  from = 0,
): AsyncGenerator<KeptEntry> {
  const handle = await open(path).catch(() => undefined);
  if (!handle) return;
  try {
    const block = Buffer.alloc(64 * 1024);
    let rest = Buffer.alloc(0);
    let at = from;
    for (;;) {
      const { bytesRead } = await handle.read(block, 0, block.length, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      const text = Buffer.concat([rest, block.subarray(0, bytesRead)]);
      const last = text.lastIndexOf(10);
      rest = Buffer.from(text.subarray(last + 1));
      ends.set(path, at - rest.length);
      if (rest.length > 2 * block.length) rest = Buffer.alloc(0);
      if (last < 0) continue;
      for (const line of text.toString('utf8', 0, last).split('\n')) {
        const entry = parse(line);
        if (entry && wanted(entry)) yield entry;
      }
    }
  } finally {
    await handle.close();
  }
}

function parse(line: string): KeptEntry | undefined {
  const start = line.lastIndexOf('{"at":"');
  if (start < 0) return undefined;
  try {
    return kept(JSON.parse(line.slice(start)));
  } catch {
    return undefined;
  }
}

function kept(value: unknown): KeptEntry | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const found = new Map<string, unknown>(Object.entries(value));
  const kind = kinds.find((kind) => kind === found.get('kind'));
  const outcome = outcomes.find((outcome) => outcome === found.get('outcome'));
  const [at, pid, name] = [found.get('at'), found.get('pid'), found.get('name')];
  if (!kind || !outcome || typeof at !== 'string' || typeof pid !== 'number' || typeof name !== 'string')
    return undefined;
  const entry: KeptEntry = { at, pid, kind, name, outcome };
  for (const key of texts) {
    const text = found.get(key);
    if (typeof text === 'string') entry[key] = text;
  }
  for (const key of figures) {
    const figure = found.get(key);
    if (typeof figure === 'number') entry[key] = figure;
  }
  return entry;
}

function matcher({
  since,
  until,
  kind,
  name,
  server,
  outcome,
}: JournalFilter): (entry: KeptEntry) => boolean {
  const glob = name
    ?.replace(/[\\^$.+()[\]{}|]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replaceAll('?', '.');
  const named = glob === undefined ? undefined : new RegExp(`^${glob}$`);
  const [from, to] = [since?.toISOString() ?? '', until?.toISOString() ?? '9999'];
  return (entry) =>
    entry.at >= from &&
    entry.at <= to &&
    (kind === undefined || entry.kind === kind) &&
    (server === undefined || entry.server === server) &&
    (outcome === undefined || entry.outcome === outcome) &&
    (named === undefined || named.test(entry.name));
}

export interface Totals {
  name: string;
  kind: JournalKind;
  calls: number;
  /** Outcomes `error`, `timeout` and `refused`; what a person cancelled or denied is no fault. */
  errors: number;
  /** Median and 95th percentile of the times told, in ms (nearest rank). */
  p50: number;
  p95: number;
}

/** Per name, most called first. */
export async function totals(
  entries: AsyncIterable<JournalEntry> | Iterable<JournalEntry>,
): Promise<Totals[]> {
  const byName = new Map<string, { total: Totals; times: number[] }>();
  for await (const { kind, name, outcome, ms } of entries) {
    const key = `${kind} ${name}`;
    const seen = byName.get(key) ?? { total: { name, kind, calls: 0, errors: 0, p50: 0, p95: 0 }, times: [] };
    byName.set(key, seen);
    seen.total.calls++;
    if (outcome === 'error' || outcome === 'timeout' || outcome === 'refused') seen.total.errors++;
    if (ms !== undefined) seen.times.push(ms);
  }
  const result = [...byName.values()].map(({ total, times }) => {
    times.sort((a, b) => a - b);
    const rank = (part: number) => times[Math.ceil(part * times.length) - 1] ?? 0;
    return { ...total, p50: rank(0.5), p95: rank(0.95) };
  });
  return result.sort((a, b) => b.calls - a.calls || a.name.localeCompare(b.name));
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
