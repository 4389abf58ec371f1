import { createHash } from 'node:crypto';
import { openCommand } from '../../../kit/command.ts';
import type { OpenCommand } from '../../../kit/command.ts';
import { ToolError } from '../../../kit/tool.ts';
import type { Place } from './repository.ts';

/** An object out of git's store. */
interface GitObject {
  id: string;
  type: string;
  data: Buffer;
}

export interface TreeEntry {
  id: string;
  folder: boolean;
}

interface Request {
  name: string;
  limit: number;
  retried: boolean;
  resolve: (found: GitObject | undefined) => void;
  reject: (error: unknown) => void;
}

interface Reading {
  id: string;
  type: string;
  size: number;
  /** Bytes still to come, the closing newline included. */
  left: number;
  /** undefined: too large, passed over. */
  chunks: Buffer[] | undefined;
}

const IDLE_MS = 30_000;
const DEADLINE_MS = 20_000;
/** Room for a catalogue of many thousands of tools. */
const MAX_OBJECT_BYTES = 32 * 1024 * 1024;
const MAX_HEADER_BYTES = 4096;

/**
 * Reads git's objects through one `git cat-file --batch` child, so that reading starts no process. The child is
 * started when first needed, again when it died, and ended when nobody asked for a while.
 */
export class Objects {
  readonly #place: Place;
  #child: OpenCommand | undefined;
  #queue: Request[] = [];
  #head: Buffer = Buffer.alloc(0);
  #reading: Reading | undefined;
  /** Keeps the process alive while somebody waits (the child itself does not), and ends a child that hangs. */
  #deadline: NodeJS.Timeout | undefined;
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(place: Place) {
    this.#place = place;
  }

  /**
   * What `name` (an id, `refs/…` or `<commit>:<path>`) stands for; undefined where there is none, or where git finds
   * it damaged. Names go to git as lines: build them only from checked parts.
   */
  get(name: string, limit = MAX_OBJECT_BYTES): Promise<GitObject | undefined> {
    if (this.#closed) return Promise.reject(new ToolError('The registry is closed.'));
    if (/[\s\0]/.test(name))
      return Promise.reject(new Error(`not the name of a git object: ${JSON.stringify(name)}`));
    return new Promise((resolve, reject) => {
      const request: Request = { name, limit, retried: false, resolve, reject };
      this.#queue.push(request);
      this.#send([request]);
    });
  }

  /** The entries of a tree; undefined where there is none. */
  async tree(name: string): Promise<Map<string, TreeEntry> | undefined> {
    const found = await this.get(name);
    return found?.type === 'tree' ? parseTree(found.data, found.id.length / 2) : undefined;
  }

  /** The text of a blob; undefined where there is none. */
  async text(name: string, limit?: number): Promise<string | undefined> {
    const found = await this.get(name, limit);
    return found?.type === 'blob' ? found.data.toString('utf8') : undefined;
  }

  /** Ends the child. What is still asked for is refused. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#deadline);
    const waiting = this.#queue;
    this.#queue = [];
    for (const request of waiting) request.reject(new ToolError('The registry is closed.'));
    await this.#stop();
  }

  #send(requests: Request[]): void {
    clearTimeout(this.#idle);
    this.#deadline ??= setTimeout(() => void this.#stop(), DEADLINE_MS);
    try {
      this.#child ??= this.#start();
    } catch (error) {
      this.#settle();
      this.#queue = this.#queue.filter((one) => !requests.includes(one));
      for (const request of requests) request.reject(error);
      return;
    }
    this.#child.stdin.write(requests.map((request) => `${request.name}\n`).join(''));
  }

  #start(): OpenCommand {
    const child = openCommand('git', ['cat-file', '--batch'], { env: this.#place.env });
    this.#head = Buffer.alloc(0);
    this.#reading = undefined;
    child.stdout.on('data', (chunk: Buffer) => {
      if (child === this.#child) this.#take(chunk);
    });
    void child.exited.then((code) => this.#ended(child, code));
    return child;
  }

  async #stop(): Promise<void> {
    clearTimeout(this.#idle);
    await this.#child?.close();
  }

  /** It answers in order: what it died of is the first one unanswered. That is asked once more, the others as well. */
  #ended(child: OpenCommand, code: number): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    this.#settle();
    const first = this.#queue[0];
    if (!first) return;
    if (first.retried) {
      this.#queue.shift();
      first.reject(new ToolError(unreadable(this.#place.folder, first.name, code)));
    }
    first.retried = true;
    if (this.#queue.length > 0) this.#send(this.#queue);
  }

  #take(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) rest = this.#reading ? this.#body(this.#reading, rest) : this.#header(rest);
  }

  /** `<id> <type> <size>`, or `<name> missing` (gitformat of git-cat-file(1), BATCH OUTPUT). */
  #header(chunk: Buffer): Buffer {
    const end = chunk.indexOf(0x0a);
    if (end === -1) {
      this.#head = Buffer.concat([this.#head, chunk]);
      if (this.#head.length > MAX_HEADER_BYTES) void this.#stop();
      return Buffer.alloc(0);
    }
    const line = Buffer.concat([this.#head, chunk.subarray(0, end)]).toString('utf8');
    this.#head = Buffer.alloc(0);
    const found = /^([0-9a-f]{40,64}) (\w+) (\d+)$/.exec(line);
    const [, id, type, size] = found ?? [];
    if (id !== undefined && type !== undefined && size !== undefined) {
      const bytes = Number(size);
      const limit = this.#queue[0]?.limit ?? 0;
      this.#reading = { id, type, size: bytes, left: bytes + 1, chunks: bytes <= limit ? [] : undefined };
    } else {
      this.#answer((request) => request.resolve(undefined));
    }
    return chunk.subarray(end + 1);
  }

  #body(reading: Reading, chunk: Buffer): Buffer {
    const part = chunk.subarray(0, reading.left);
    reading.left -= part.length;
    reading.chunks?.push(part);
    if (reading.left === 0) {
      this.#reading = undefined;
      const { id, type, size, chunks } = reading;
      this.#answer((request) => {
        if (chunks) request.resolve({ id, type, data: Buffer.concat(chunks).subarray(0, size) });
        else
          request.reject(
            new ToolError(
              `${request.name} in ${this.#place.folder} has ${size} bytes, more than the ${request.limit} that are read.`,
            ),
          );
      });
    }
    return chunk.subarray(part.length);
  }

  #answer(give: (request: Request) => void): void {
    const request = this.#queue.shift();
    this.#settle();
    if (request) give(request);
  }

  /** Somebody was answered: the deadline counts anew for the next one, and nobody left means idle. */
  #settle(): void {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
    if (this.#queue.length > 0) {
      this.#deadline = setTimeout(() => void this.#stop(), DEADLINE_MS);
      return;
    }
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => void this.#stop(), IDLE_MS).unref();
  }
}

function unreadable(folder: string, name: string, code: number): string {
  return (
    `git could not read ${name} in ${folder} (it ended with ${code}). If ${folder}/.git/HEAD does not say ` +
    `\`ref: refs/heads/main\`, write that into it; else run \`git -C ${folder} fsck\`. Nothing was changed.`
  );
}

/** `<mode> <name>\0<id in binary>`, one after the other. */
function parseTree(data: Buffer, idBytes: number): Map<string, TreeEntry> {
  const entries = new Map<string, TreeEntry>();
  for (let at = 0; at < data.length;) {
    const space = data.indexOf(0x20, at);
    const nul = data.indexOf(0, space);
    if (space === -1 || nul === -1) break;
    const folder = data.toString('latin1', at, space) === '40000';
    const id = data.toString('hex', nul + 1, nul + 1 + idBytes);
    entries.set(data.toString('utf8', space + 1, nul), { id, folder });
    at = nul + 1 + idBytes;
  }
  return entries;
}

/** The id that git gives to a blob. */
export function blobId(content: Buffer): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}
