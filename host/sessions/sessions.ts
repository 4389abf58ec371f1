import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { isAlive } from '../../kit/alive.ts';
import { isObject, jsonOrNothing } from '../../kit/json.ts';
import type { ChatMessage } from '../../kit/model.ts';
import { redact } from '../../kit/secrets.ts';
import { UsageError } from '../terminal/io.ts';

const message = z.object({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string(),
  thinking: z.string().optional(),
  tool_calls: z
    .array(
      z.object({
        id: z.string().optional(),
        name: z.string(),
        arguments: z.record(z.string(), z.unknown()),
      }),
    )
    .optional(),
  tool_name: z.string().optional(),
  tool_call_id: z.string().optional(),
  images: z.array(z.string()).optional(),
});
const record = z.discriminatedUnion('type', [
  z.object({ type: z.literal('start'), id: z.string(), continues: z.string().optional() }),
  /** A process has the file in use until its `close`. */
  z.object({ type: z.literal('open'), pid: z.number(), nonce: z.string() }),
  z.object({ type: z.literal('close'), nonce: z.string() }),
  z.object({ type: z.literal('message'), turn: z.string(), model: z.string().optional(), message }),
  /** The turn was taken back, by the person or because it failed. */
  z.object({ type: z.literal('undo'), turn: z.string() }),
]);
type Entry = z.output<typeof record>;

/** A question and what came of it; the journal's entries of its calls carry its id. */
export interface Turn {
  id: string;
  at: string;
  model?: string;
  messages: ChatMessage[];
}

/** A conversation as it is kept. */
interface KeptSession {
  id: string;
  started: string;
  turns: Turn[];
}

interface SessionSummary {
  id: string;
  started: string;
  /** When it was last written to. */
  used: string;
  turns: number;
  title: string;
}

const FILE = /^(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)-([0-9a-f]{8})\.jsonl$/;
const MOST_BYTES = 256e6;
const MOST_LISTED = 20;

const folderOf = (home: string) => join(home, 'sessions');

/**
 * Writes one conversation, a line at once, to a file of its own; the first line makes the file. Where it cannot be
 * written that is told once, and the conversation goes on.
 */
export class SessionFile {
  readonly id: string;
  readonly #path: string;
  readonly #trouble: (message: string) => void;
  readonly #nonce = id(8);
  readonly #continues: string | undefined;
  #fd: number | undefined;
  #torn = false;
  #told = false;

  constructor(
    home: string,
    trouble: (message: string) => void,
    from: { path?: string; continues?: string } = {},
  ) {
    this.id = from.path ? (FILE.exec(basename(from.path))?.[2] ?? id(8)) : id(8);
    const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
    this.#path = from.path ?? join(folderOf(home), `${time}-${this.id}.jsonl`);
    this.#continues = from.continues;
    this.#trouble = trouble;
  }

  add(turn: Turn, messages: ChatMessage[]): void {
    for (const one of messages) {
      this.#write({ type: 'message', turn: turn.id, model: turn.model, message: one });
    }
  }

  undo(turn: Turn): void {
    this.#write({ type: 'undo', turn: turn.id });
  }

  /** Takes an existing file over; false where another process that lives has it in use. */
  claim(): boolean {
    this.#write({ type: 'open', pid: process.pid, nonce: this.#nonce });
    // The file's own order decides between two that claim it at once.
    const entries = readEntries(this.#path).map(({ entry }) => entry);
    const closed = entries.flatMap((entry) => (entry.type === 'close' ? [entry.nonce] : []));
    const first = entries.find(
      (entry) => entry.type === 'open' && !closed.includes(entry.nonce) && isAlive(entry.pid),
    );
    if (first?.type === 'open' && first.nonce === this.#nonce) return true;
    this.close();
    return false;
  }

  close(): void {
    if (this.#fd === undefined) return;
    this.#write({ type: 'close', nonce: this.#nonce });
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  #write(entry: Entry): void {
    const line = JSON.stringify(hidden({ at: new Date().toISOString(), ...entry }));
    try {
      this.#append(line);
    } catch (error) {
      if (this.#told) return;
      this.#told = true;
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      const why = code === 'ENOSPC' || code === '' ? 'the disk is full' : code;
      this.#trouble(`This conversation cannot be kept (${this.#path}: ${why}). It goes on without that.`);
    }
  }

  #append(line: string): void {
    if (this.#fd === undefined) {
      mkdirSync(join(this.#path, '..'), { recursive: true, mode: 0o700 });
      this.#fd = openSync(this.#path, 'a+', 0o600);
      if (fstatSync(this.#fd).size === 0) {
        this.#write({ type: 'start', id: this.id, continues: this.#continues });
        this.#write({ type: 'open', pid: process.pid, nonce: this.#nonce });
      } else this.#torn = !endsWhole(this.#fd);
    }
    const bytes = Buffer.from(`${this.#torn ? '\n' : ''}${line}\n`);
    this.#torn = true;
    // Whatever is left of a write that failed is a line of its own, and no reader's.
    if (writeSync(this.#fd, bytes) < bytes.length) throw new Error('a short write');
    this.#torn = false;
  }
}

/** A conversation that goes on: its turns, and the file that the next ones are written to. */
export function continueSession(
  home: string,
  which: string | undefined,
  trouble: (message: string) => void,
): { session: KeptSession; file: SessionFile } {
  const path = find(home, which);
  const session = readSession(path);
  const same = new SessionFile(home, trouble, { path });
  if (same.claim()) return { session, file: same };
  const file = new SessionFile(home, trouble, { continues: session.id });
  for (const turn of session.turns) file.add(turn, turn.messages);
  return { session, file };
}

/** The model that a conversation was held with last; undefined where there is no such conversation. */
export function modelOfSession(home: string, which: string | undefined): string | undefined {
  try {
    return readSession(find(home, which)).turns.at(-1)?.model;
  } catch {
    return undefined; // told when it is gone on with
  }
}

/** The newest conversations first. */
export function listSessions(home: string): SessionSummary[] {
  return files(home)
    .slice(0, MOST_LISTED)
    .flatMap(({ path, used }) => {
      try {
        const { id, started, turns } = readSession(path);
        const title = turns[0]?.messages.find(({ role }) => role === 'user')?.content ?? '';
        return turns.length > 0 ? [{ id, started, used, turns: turns.length, title }] : [];
      } catch {
        return [];
      }
    });
}

/** Reads a conversation. A line that is torn or of another time is passed over; so is what was taken back. */
function readSession(path: string): KeptSession {
  const entries = readEntries(path);
  const turns = new Map<string, Turn>();
  for (const { at, entry } of entries) {
    if (entry.type === 'undo') turns.delete(entry.turn);
    if (entry.type !== 'message') continue;
    const turn = turns.get(entry.turn) ?? { id: entry.turn, at, model: entry.model, messages: [] };
    turn.messages.push(entry.message);
    turns.set(entry.turn, turn);
  }
  const [, time = '', named = ''] = FILE.exec(basename(path)) ?? [];
  // Without its question (a line that was lost) an answer is worth nothing.
  const whole = [...turns.values()].filter(({ messages }) => messages[0]?.role === 'user');
  return { id: named, started: time.replace(/(\d\d)-(\d\d)-(\d\d)$/, '$1:$2:$3Z'), turns: whole };
}

/** A new turn. */
export function newTurn(model: string): Turn {
  return { id: id(12), at: new Date().toISOString(), model, messages: [] };
}

function find(home: string, which: string | undefined): string {
  const all = files(home);
  if (which === undefined) {
    const newest = all.find(({ path }) => readSession(path).turns.length > 0);
    if (newest) return newest.path;
    throw new UsageError('There is no conversation to go on with yet. Start one with `kuznia`.');
  }
  const found = all.find(({ path }) => basename(path).includes(which));
  if (found && which.length >= 4) return found.path;
  throw new UsageError(`There is no conversation ${which.slice(0, 60)}. See /sessions in the chat.`);
}

/** Every conversation that is kept, the newest first. */
export function files(home: string): { path: string; used: string }[] {
  let names: string[];
  try {
    names = readdirSync(folderOf(home));
  } catch {
    return [];
  }
  return names
    .filter((name) => FILE.test(name))
    .flatMap((name) => {
      const path = join(folderOf(home), name);
      // One that another process has just removed is none.
      const used = statSync(path, { throwIfNoEntry: false })?.mtime.toISOString();
      return used === undefined ? [] : [{ path, used }];
    })
    .sort((a, b) => b.used.localeCompare(a.used) || b.path.localeCompare(a.path));
}

function readEntries(path: string): { at: string; entry: Entry }[] {
  if (statSync(path).size > MOST_BYTES) {
    throw new UsageError(`${path} is larger than ${MOST_BYTES / 1e6} MB and is not read.`);
  }
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const value = jsonOrNothing(line);
      const parsed = record.safeParse(value);
      const at = z.object({ at: z.string() }).safeParse(value).data?.at ?? '';
      return parsed.success ? [{ at, entry: parsed.data }] : [];
    });
}

function endsWhole(fd: number): boolean {
  const last = Buffer.alloc(1);
  readSync(fd, last, 0, 1, fstatSync(fd).size - 1);
  return last[0] === 10;
}

/** Without secrets; images are bytes, not text that could hold one. */
function hidden(value: unknown): unknown {
  if (typeof value === 'string') return redact(value);
  if (Array.isArray(value)) return value.map(hidden);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, key === 'images' ? one : hidden(one)]),
  );
}

const id = (digits: number) => randomBytes(digits / 2).toString('hex');
