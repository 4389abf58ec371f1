import MiniSearch from 'minisearch';
import type { Document } from './document.ts';
import { asked, roots } from './words.ts';

const FIELDS = ['name', 'title', 'summary', 'rest', 'details', 'examples', 'server'] as const;

/** As measured by test/bench/recall.ts: names are chosen with care, arguments are often alike. */
const BOOST = { name: 2, title: 1.5, summary: 2, rest: 0.6, details: 0.6, examples: 2, server: 5 };

/** A search by words: BM25 over the fields of each tool. */
export class LexicalIndex {
  readonly #index = new MiniSearch<Document>({
    fields: [...FIELDS],
    tokenize: roots,
    processTerm: (term) => term,
    searchOptions: { boost: BOOST, bm25: { k: 1.2, b: 0.6, d: 0.5 } },
  });

  put(document: Document): void {
    if (this.#index.has(document.id)) this.#index.discard(document.id);
    this.#index.add(document);
  }

  drop(id: string): void {
    this.#index.discard(id);
  }

  /** Scores by id; what shares no word is not there. */
  search(text: string): Map<string, number> {
    const weights = asked(text);
    const hits = this.#index.search(text, {
      tokenize: () => [...weights.keys()],
      boostTerm: (term) => weights.get(term) ?? 1,
      prefix: (term) => term.length > 4,
      weights: { prefix: 0.3, fuzzy: 0 },
    });
    return new Map(hits.map(({ id, score }) => [String(id), score]));
  }
}
