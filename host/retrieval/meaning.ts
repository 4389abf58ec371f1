import { prefixes } from './prefixes.ts';
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
    const patience = AbortSignal.any([signal, AbortSignal.timeout(this.#patienceMs)]);
    try {
      if (!(await this.#learnt(patience))) return scores;
      const vector = await this.#vectors.once(this.#prefix.asked + task, patience);
      for (const [id, texts] of this.#texts) {
        const told = texts.flatMap((text) => this.#vectors.of(text) ?? []);
        if (told.length > 0) scores.set(id, Math.max(...told.map((one) => cosine(vector, one))));
      }
    } catch (error) {
      signal.throwIfAborted();
      this.#fail(patience.aborted ? `no answer within ${this.#patienceMs} ms` : error);
    }
    return scores;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#learning;
  }

  /** Goes on embedding after the one who waits for it has lost patience: a later ranking has it. */
  async #learnt(patience: AbortSignal): Promise<boolean> {
    if (this.#unlearnt && !this.#learning) {
      this.#learning = this.learn(this.#closing.signal)
        .catch((error: unknown) => this.#fail(error))
        .finally(() => (this.#learning = undefined));
    }
    const impatient = new Promise<void>((resolve) => {
      if (patience.aborted) resolve();
      patience.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([this.#learning, impatient]);
    return !this.#unlearnt && !this.#learning;
  }

  #fail(error: unknown): void {
    if (this.#closing.signal.aborted) return;
    this.#askAgainAt = performance.now() + PAUSE_MS;
    if (this.#told) return;
    this.#told = true;
    const reason = error instanceof Error ? error.message : String(error);
    this.notice = `Tools are found by words alone: the embedding model ${this.#embedder.model} failed (${reason.slice(0, 200)}).`;
  }
}
