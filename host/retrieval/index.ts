import type { HostTool } from '../mcp/link-types.ts';
import { documentOf, keyOf, meanings } from './document.ts';
import { fuse } from './fuse.ts';
import { LexicalIndex } from './lexical.ts';
import { MeaningIndex } from './meaning.ts';
import { englishOnly } from './prefixes.ts';
import { seemsEnglish } from './english.ts';
import { gloss } from './polish.ts';
import { spelledOut } from './spelled.ts';
import type { Embedder } from './vectors.ts';

export { pick } from './pick.ts';
export type { Embedder } from './vectors.ts';

/** A tool and how well it fits. */
export interface Ranked {
  tool: HostTool;
  score: number;
  /** BM25, where a word is shared. */
  lexical?: number;
  /** The cosine of its nearest text, where an embedding model answers. */
  meaning?: number;
}

interface Options {
  home: string;
  embedder?: Embedder;
  /** Requests that a tool answers, by whoever wrote them. */
  examples?: (tool: HostTool) => string[];
  /** Puts a request into English, for an embedding model that knows nothing else. */
  restate?: (task: string, signal: AbortSignal) => Promise<string>;
  /** How long a ranking waits for the embedding model. */
  patienceMs?: number;
}

const PATIENCE_MS = 1500;

/** Finds the tools for a task, by words and, where an embedding model is there, by meaning. */
export class ToolIndex {
  readonly #lexical = new LexicalIndex();
  readonly #meaning: MeaningIndex | undefined;
  readonly #entries = new Map<string, { tool: HostTool; examples: string }>();
  readonly #options: Options;

  constructor(options: Options) {
    const { home, embedder, patienceMs = PATIENCE_MS } = options;
    this.#options = options;
    this.#meaning = embedder && new MeaningIndex(home, embedder, patienceMs);
  }

  /** Why tools are found by words alone: each reason is given once. */
  takeNotice(): string | undefined {
    const notice = this.#meaning?.notice;
    if (this.#meaning) this.#meaning.notice = undefined;
    return notice;
  }

  /** Takes the tools of now; only new or changed ones are indexed and embedded again. Cheap when nothing changed. */
  update(tools: HostTool[]): void {
    const gone = new Set(this.#entries.keys());
    for (const tool of tools) {
      const key = keyOf(tool);
      gone.delete(key);
      const written = [...(this.#options.examples?.(tool) ?? []), ...(tool.examples ?? [])];
      const examples = written.join('\n');
      const before = this.#entries.get(key);
      const known = before?.examples === examples && saysTheSame(before.tool, tool);
      this.#entries.set(key, { tool, examples });
      if (known) continue;
      this.#lexical.put(documentOf(tool, written));
      this.#meaning?.put(key, meanings(tool, written));
    }
    for (const key of gone) {
      this.#lexical.drop(key);
      this.#meaning?.drop(key);
      this.#entries.delete(key);
    }
  }

  /** Embeds what is new, for idle time; a ranking does it too, but waits only so long. */
  async learn(signal: AbortSignal): Promise<void> {
    await this.#meaning?.learn(signal);
  }

  /**
   * Best first. Throws only when `signal` aborts: where there is no embedding model, or it fails or is slow, tools are
   * found by words.
   */
  async rank(task: string, signal: AbortSignal): Promise<Ranked[]> {
    const { english, translated } = await this.#understood(task, signal);
    signal.throwIfAborted();
    const { embedder } = this.#options;
    const asked = english !== undefined && embedder && englishOnly(embedder.model) ? english : task;
    const meanings = (await this.#meaning?.search(spelledOut(asked), signal)) ?? new Map<string, number>();
    signal.throwIfAborted();
    const words = this.#lexical.search(
      translated || english === undefined ? task : `${english}\n${task}`,
      translated,
    );
    const scores = fuse(words, meanings);
    return [...this.#entries]
      .map(([key, { tool }]): Ranked => {
        const [lexical, meaning] = [words.get(key), meanings.get(key)];
        return {
          tool,
          score: scores.get(key) ?? 0,
          ...(lexical !== undefined && { lexical }),
          ...(meaning !== undefined && { meaning }),
        };
      })
      .sort((a, b) => b.score - a.score);
  }

  /** Stops what is still being embedded. */
  async close(): Promise<void> {
    await this.#meaning?.close();
  }

  /**
   * What is not English, in English: by the model where the embedding model needs it, else what a word list knows of it,
   * word by word.
   */
  async #understood(
    task: string,
    signal: AbortSignal,
  ): Promise<{ english?: string; translated?: string[][] }> {
    if (seemsEnglish(task)) return {};
    const { restate, embedder } = this.#options;
    if (restate && !(embedder && !englishOnly(embedder.model))) {
      try {
        return { english: await restate(task, signal) };
      } catch {
        signal.throwIfAborted();
      }
    }
    const translated = gloss(task);
    return translated.length > 0 ? { english: translated.flat().join(' '), translated } : {};
  }
}

/** By identity first: a server's list is the same objects until it changes. */
function saysTheSame(a: HostTool, b: HostTool): boolean {
  if (a === b) return true;
  if (a.title !== b.title || a.description !== b.description) return false;
  return a.inputSchema === b.inputSchema || JSON.stringify(a.inputSchema) === JSON.stringify(b.inputSchema);
}
