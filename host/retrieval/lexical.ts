import MiniSearch from 'minisearch';
import { actOf, actWanted, type Act } from './acts.ts';
import { concepts, type Concept } from './asked.ts';
import type { Document } from './document.ts';
import { roots } from './words.ts';

const FIELDS = ['name', 'title', 'summary', 'rest', 'details', 'examples', 'server'] as const;

/** As measured by test/bench/recall.ts: names are chosen with care, arguments are often alike. */
const BOOST = { name: 2, title: 1, summary: 2, rest: 0.4, details: 0.5, examples: 3, server: 5 };
const BM25 = { k: 1, b: 0.6, d: 0.2 };
/** Of the other names of the same thing, beside the one that fits best: a tool that has them all is not found thrice. */
const OTHER_NAMES = 0.35;
/** Of a name of which a tool has not all words. */
const PART = 0.2;
/** How much it tells that a tool has more of what was said. */
const BREADTH = 0.15;
/** Of a tool that changes things where one that reads is asked for, or the other way round. */
const OTHER_ACT = 0.8;

/** Scores by tool. */
type Scores = Map<string, number>;

/** A search by words: BM25 over the fields of each tool. */
export class LexicalIndex {
  readonly #acts = new Map<string, Act>();
  readonly #index = new MiniSearch<Document>({
    fields: [...FIELDS],
    tokenize: roots,
    processTerm: (term) => term,
    searchOptions: {
      tokenize: (term) => [term],
      boost: BOOST,
      bm25: BM25,
      prefix: (term) => term.length > 4,
      weights: { prefix: 0.3, fuzzy: 0 },
    },
  });
  /** What a term found, until a tool changes. */
  readonly #found = new Map<string, Scores>();

  put(document: Document): void {
    this.drop(document.id);
    this.#index.add(document);
    const act = actOf(document.name);
    if (act) this.#acts.set(document.id, act);
  }

  drop(id: string): void {
    this.#found.clear();
    this.#acts.delete(id);
    if (this.#index.has(id)) this.#index.discard(id);
  }

  /** Scores by id; what shares no word is not there. */
  search(text: string, translated: string[][] = []): Scores {
    const scores: Scores = new Map();
    const counts: Scores = new Map();
    const all = concepts(text, translated);
    for (const concept of all) {
      for (const [id, score] of this.#concept(concept)) {
        scores.set(id, (scores.get(id) ?? 0) + score);
        counts.set(id, (counts.get(id) ?? 0) + 1);
      }
    }
    const wanted = actWanted(translated.length > 0 ? translated.flat().join(' ') : text);
    for (const [id, score] of scores) {
      const act = this.#acts.get(id);
      const fits = wanted && act && act !== wanted ? OTHER_ACT : 1;
      scores.set(id, score * fits * ((counts.get(id) ?? 0) / all.length) ** BREADTH);
    }
    return scores;
  }

  #concept(concept: Concept): Scores {
    const best: Scores = new Map();
    const sum: Scores = new Map();
    for (const { terms, weight } of concept) {
      for (const [id, score] of this.#name(terms)) {
        best.set(id, Math.max(score * weight, best.get(id) ?? 0));
        sum.set(id, score * weight + (sum.get(id) ?? 0));
      }
    }
    for (const [id, all] of sum) {
      const most = best.get(id) ?? 0;
      best.set(id, most + OTHER_NAMES * (all - most));
    }
    return best;
  }

  #name(terms: string[]): Scores {
    const [first = new Map<string, number>(), ...others] = terms.map((term) => this.#term(term));
    if (others.length === 0) return first;
    const parts = [first, ...others];
    const ids = new Set(parts.flatMap((part) => [...part.keys()]));
    return new Map(
      [...ids].map((id) => {
        const sum = parts.reduce((all, part) => all + (part.get(id) ?? 0), 0);
        return [id, parts.every((part) => part.has(id)) ? sum : sum * PART];
      }),
    );
  }

  #term(term: string): Scores {
    const before = this.#found.get(term);
    if (before) return before;
    const found = new Map(this.#index.search(term).map(({ id, score }) => [String(id), score]));
    if (this.#found.size >= MOST_TERMS) this.#found.clear();
    this.#found.set(term, found);
    return found;
  }
}

const MOST_TERMS = 200;
