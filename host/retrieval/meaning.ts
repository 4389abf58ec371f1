import { prefixes } from './prefixes.ts';
import { untilAborted } from '../../kit/within.ts';
import { cosine, Vectors, type Embedder } from './vectors.ts';

/** A model that failed is asked again after this. */
const PAUSE_MS = 60_000;

/** A search by meaning: how near a task is to the nearest text of each tool. */
export class MeaningIndex {
  /** Why it finds nothing. Said once; whoever shows it clears it. */
  notice: string | undefined;
  readonly #texts = new Map<string, string[]>();
  readonly #embedder: Embedder;
  readonly #vectors: Vectors;
  readonly #prefix: ReturnType<typeof prefixes>;
  readonly #patienceMs: number;
  readonly #closing = new AbortController();
  #learning: Promise<void> | undefined;
  #unlearnt = false;
  #askAgainAt = 0;
  #told = false;

  constructor(home: string, embedder: Embedder, patienceMs: number) {
    this.#embedder = embedder;
    this.#vectors = new Vectors(home, embedder);
    this.#prefix = prefixes(embedder.model);
    this.#patienceMs = patienceMs;
  }

  put(id: string, texts: string[]): void {
    this.#texts.set(
      id,
      texts.map((text) => this.#prefix.told + text),
    );
    this.#unlearnt = true;
  }

  drop(id: string): void {
    this.#texts.delete(id);
  }

  /** Embeds what is new. Throws when the model fails or `signal` aborts. */
  async learn(signal: AbortSignal): Promise<void> {
    this.#unlearnt = false;
    try {
      await this.#vectors.learn([...this.#texts.values()].flat(), signal);
    } catch (error) {
      this.#unlearnt = true;
      throw error;
    }
  }

  /** Cosines by id; nothing where the model fails, is slow, or has not read all tools yet. */
  async search(task: string, signal: AbortSignal): Promise<Map<string, number>> {
    const scores = new Map<string, number>();
    if (performance.now() < this.#askAgainAt) return scores;
    // A timer of its own: those of AbortSignal.timeout do not keep a process waiting.
    const patience = new AbortController();
    const stop = () => patience.abort();
    const timer = setTimeout(stop, this.#patienceMs);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      if (!(await this.#learnt(patience.signal))) return scores;
      const vector = await this.#vectors.once(this.#prefix.asked + task, patience.signal);
      for (const [id, texts] of this.#texts) {
        const told = texts.flatMap((text) => this.#vectors.of(text) ?? []);
        if (told.length > 0) scores.set(id, Math.max(...told.map((one) => cosine(vector, one))));
      }
    } catch (error) {
      signal.throwIfAborted();
      this.#fail(patience.signal.aborted ? `no answer within ${this.#patienceMs} ms` : error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
    return scores;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#learning;
  }

  /** Goes on embedding after the one who waits for it has lost patience; those who come meanwhile do not wait. */
  async #learnt(patience: AbortSignal): Promise<boolean> {
    if (this.#learning) return false;
    if (!this.#unlearnt) return true;
    const learning = this.learn(this.#closing.signal)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => (this.#learning = undefined));
    this.#learning = learning;
    try {
      await untilAborted(learning, patience);
    } catch {
      this.#tell(`until the embedding model ${this.#embedder.model} has read them`);
      return false;
    }
    return !this.#unlearnt;
  }

  #fail(error: unknown): void {
    if (this.#closing.signal.aborted) return;
    this.#askAgainAt = performance.now() + PAUSE_MS;
    const reason = error instanceof Error ? error.message : String(error);
    this.#tell(`since the embedding model ${this.#embedder.model} failed: ${reason.slice(0, 200)}`);
  }

  #tell(why: string): void {
    if (this.#told) return;
    this.#told = true;
    this.notice = `Tools are found by words alone ${why}.`;
  }
}
