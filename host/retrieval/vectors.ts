import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { jsonOrNothing } from '../../kit/json.ts';
import { untilAborted } from '../../kit/within.ts';

export interface Embedder {
  model: string;
  embed: (texts: string[], signal: AbortSignal) => Promise<number[][]>;
}

/** Kept at most: 16 MB of 384 dimensions, 44 MB of 1,024. What was used longest ago goes first. */
const MOST = 11_000;
const LARGEST_FILE = 256 * 1024 * 1024;
/** So many texts at once: a slow CPU takes half a second for each, and what is cancelled in the middle is lost. */
const BATCH = 8;

/** The vectors of texts by one model, each of length 1, kept in a file under the texts' hashes. */
export class Vectors {
  readonly #embedder: Embedder;
  readonly #file: string;
  /** In the order of use, the latest last. */
  readonly #known = new Map<string, Float32Array>();
  #loaded: Promise<void> | undefined;
  #changed = false;

  constructor(home: string, embedder: Embedder) {
    this.#embedder = embedder;
    this.#file = join(home, 'cache', `vectors-${hash(embedder.model).slice(0, 16)}.bin`);
  }

  /** Embeds what is not known yet. Keeps what it has when it is stopped or the model fails in the middle. */
  async learn(texts: string[], signal: AbortSignal): Promise<void> {
    await (this.#loaded ??= this.#load());
    const fresh: string[] = [];
    for (const text of new Set(texts)) {
      const key = hash(text);
      const vector = this.#known.get(key);
      if (!vector) fresh.push(text);
      else {
        this.#known.delete(key);
        this.#known.set(key, vector);
      }
    }
    try {
      for (let at = 0; at < fresh.length; at += BATCH) {
        signal.throwIfAborted();
        const batch = fresh.slice(at, at + BATCH);
        const made = await this.#embed(batch, signal);
        for (const [index, text] of batch.entries()) {
          const vector = made[index];
          if (vector) this.#known.set(hash(text), vector);
        }
        this.#changed = true;
      }
    } finally {
      await this.#save();
    }
  }

  /** The vector of a text that was learnt. */
  of(text: string): Float32Array | undefined {
    return this.#known.get(hash(text));
  }

  /** The vector of a text that is asked once: not kept. */
  async once(text: string, signal: AbortSignal): Promise<Float32Array> {
    const [vector] = await this.#embed([text], signal);
    if (!vector) throw new Error('no vector came');
    return vector;
  }

  async #embed(texts: string[], signal: AbortSignal): Promise<Float32Array[]> {
    const made = await untilAborted(this.#embedder.embed(texts, signal), signal);
    if (made.length !== texts.length) throw new Error(`${made.length} vectors for ${texts.length} texts`);
    return made.map(unit);
  }

  /** A file that is damaged, too large or of another kind is as good as none. */
  async #load(): Promise<void> {
    try {
      if ((await stat(this.#file)).size > LARGEST_FILE) return;
      const data = await readFile(this.#file);
      const end = data.indexOf(10);
      const head = header.parse(jsonOrNothing(data.subarray(0, end).toString()));
      const body = data.subarray(end + 1);
      if (body.length !== head.keys.length * head.size * 4 || hash(body) !== head.sum) return;
      for (const [index, key] of head.keys.entries()) {
        const from = body.byteOffset + index * head.size * 4;
        this.#known.set(key, new Float32Array(body.buffer.slice(from, from + head.size * 4)));
      }
    } catch {
      // It is made again.
    }
  }

  /** A cache that cannot be written costs time, nothing else. */
  async #save(): Promise<void> {
    if (!this.#changed) return;
    this.#changed = false;
    const kept = [...this.#known].slice(-MOST);
    const size = kept[0]?.[1].length ?? 0;
    const same = kept.filter(([, vector]) => vector.length === size);
    const body = Buffer.concat(
      same.map(([, { buffer, byteOffset, byteLength }]) => Buffer.from(buffer, byteOffset, byteLength)),
    );
    const head = JSON.stringify({ size, keys: same.map(([key]) => key), sum: hash(body) });
    const fresh = `${this.#file}.${process.pid}`;
    try {
      await mkdir(join(this.#file, '..'), { recursive: true, mode: 0o700 });
      await writeFile(fresh, Buffer.concat([Buffer.from(`${head}\n`), body]), { mode: 0o600 });
      await rename(fresh, this.#file);
    } catch {
      await rm(fresh, { force: true }).catch(() => undefined);
    }
  }
}

const header = z.object({ size: z.int().min(1).max(8192), keys: z.array(z.string()), sum: z.string() });

const hash = (data: string | Buffer): string =>
  createHash('sha256').update(data).digest('base64url').slice(0, 27);

function unit(vector: number[]): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
  if (!(length > 0)) throw new Error('a vector without a length');
  return Float32Array.from(vector, (x) => x / length);
}

/** The cosine of two vectors of length 1; 0 where they are of different models. */
export function cosine(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return 0;
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
