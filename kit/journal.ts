import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileName, figures } from './journal-read.ts';
import type { JournalEntry, KeptEntry } from './journal-read.ts';
import { log } from './log.ts';
import { redact } from './secrets.ts';

export { followJournal, readJournal, totals } from './journal-read.ts';
export type { JournalEntry, JournalFilter, JournalKind, KeptEntry, Outcome, Totals } from './journal-read.ts';

export interface Journal {
  /** Never throws and never waits: lines of one tick are written together at its end. */
  record(entry: JournalEntry): void;
  /** The same journal; `fields` are added to every entry that does not have them. */
  child(fields: Partial<JournalEntry>): Journal;
  /** Resolves when everything recorded is in the file. */
  flush(): Promise<void>;
}

export const noJournal: Journal = {
  record: () => undefined,
  child: () => noJournal,
  flush: async () => undefined,
};

interface JournalOptions {
  /** Days that files are kept; default 30. */
  retentionDays?: number;
  /** In bytes, after which the day goes on in `DAY.1.jsonl`; default 32 MiB. */
  maxFileBytes?: number;
  now?: () => Date;
}

// Below PIPE_BUF and a page, so that no file system splits a line: appends of several processes never mix.
const longestLine = 4095;
const unwritten = new Set<() => void>();
const cleaned = new Set<string>();

/** `home/journal/YYYY-MM-DD.jsonl` (UTC days), shared by every process. Touches nothing before the first record. */
export function openJournal(home: string, options: JournalOptions = {}): Journal {
  const { retentionDays = 30, maxFileBytes = 32 * 1024 * 1024, now = () => new Date() } = options;
  const folder = join(home, 'journal');
  let file: { fd: number; day: string } | undefined;
  let lines: string[] = [];
  let torn = false;
  let warned = false;

  const opened = (day: string): number => {
    // Another process may have filled the file, and a person may have deleted it.
    if (file) {
      const { size, nlink } = fstatSync(file.fd);
      if (file.day === day && size < maxFileBytes && nlink > 0) return file.fd;
      closeSync(file.fd);
      file = undefined;
    }
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!cleaned.has(folder)) {
      cleaned.add(folder);
      removeOld(folder, new Date(now().getTime() - retentionDays * 86_400_000).toISOString().slice(0, 10));
    }
    // Numbered, never renamed: a writer that holds the old file open would go on in the wrong one.
    for (let part = 0; ; part++) {
      const fd = openSync(join(folder, part ? `${day}.${part}.jsonl` : `${day}.jsonl`), 'a', 0o600);
      if (fstatSync(fd).size < maxFileBytes) {
        file = { fd, day };
        return fd;
      }
      closeSync(fd);
    }
  };
  const write = () => {
    unwritten.delete(write);
    if (lines.length === 0) return;
    const batch = Buffer.from((torn ? '\n' : '') + lines.join(''));
    lines = [];
    try {
      const fd = opened(now().toISOString().slice(0, 10));
      const written = writeSync(fd, batch);
      torn = written < batch.length;
      if (torn) throw new Error('no space left');
    } catch (error) {
      if (warned) return;
      warned = true;
      const why = error instanceof Error ? error.message : 'the write failed';
      log.warn(`the journal in ${folder} cannot be written (${why}); work goes on without it`);
    }
  };
  const journal = (fields: Partial<JournalEntry>): Journal => ({
    record(entry) {
      if (unwritten.size === 0) setImmediate(writeAll);
      unwritten.add(write);
      lines.push(toLine({ ...fields, ...entry, at: now().toISOString(), pid: process.pid }));
    },
    child: (more) => journal({ ...fields, ...more }),
    flush: async () => write(),
  });
  return journal({});
}

let hooked = false;
function writeAll(): void {
  if (!hooked) {
    hooked = true;
    process.on('exit', writeAll);
  }
  for (const write of unwritten) write();
}

/** Always begins with `{"at":"`, by which a reader finds the next line behind a torn one. */
function toLine(entry: KeptEntry): string {
  const { at, pid, kind, name, outcome, detail, ...rest } = entry;
  const line: Record<string, string | number> = { at, pid, kind, name: clip(redact(name), 300), outcome };
  for (const key of figures) if (rest[key] !== undefined) line[key] = rest[key];
  for (const key of ['server', 'client', 'call', 'turn', 'version'] as const) {
    if (rest[key] !== undefined) line[key] = clip(redact(rest[key]), 100);
  }
  let shown = detail === undefined ? undefined : redact(detail);
  for (;;) {
    const text = `${JSON.stringify(shown === undefined ? line : { ...line, detail: shown })}\n`;
    const over = Buffer.byteLength(text) - longestLine;
    if (over <= 0) return text;
    shown = shown && clip(shown, Math.min(longestLine, Math.floor(shown.length * 0.8)));
  }
}

const clip = (text: string, chars: number) => (text.length > chars ? `${text.slice(0, chars - 1)}…` : text);

function removeOld(folder: string, firstKept: string): void {
  for (const name of readdirSync(folder)) {
    const day = fileName.exec(name)?.[1];
    if (day === undefined || day >= firstKept) continue;
    try {
      unlinkSync(join(folder, name));
    } catch {
      // Another process deleted it first.
    }
  }
}
