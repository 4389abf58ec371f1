import { root } from './root.ts';
import { NAME_PARTS, senses } from './senses.ts';
import { withoutValues } from './values.ts';
import { STOP, words } from './words.ts';

/** What tools may call a thing: several terms are one name ("pull request"), and worth little one by one. */
interface Name {
  terms: string[];
  weight: number;
}

/** One thing that a request says: the names that it may have. */
export type Concept = Name[];

/** As measured by test/bench/recall.ts: what was said counts 1. */
const MEANT = 0.6;
const IN_PHRASE = 0.5;
const OF_KIND = 0.3;
/** Words of the longest phrase that is known. */
const PHRASE = 4;
/** Words of a request that are looked at: what is longer says what it needs at its beginning, or is a text to work on. */
const MOST = 200;

/**
 * What is asked of the index. Words that are known together ("thumbs up") are one thing, and what a request only
 * mentions, a file or an address, is there as its kind. `translated` has what words in another language may mean.
 */
export function concepts(request: string, translated: string[][] = []): Concept[] {
  const { text, kinds } = withoutValues(request);
  const said = words(text)
    .filter((word) => !/^\d+$/.test(word))
    .slice(0, MOST);
  const all: Concept[] = [];
  for (let at = 0; at < said.length;) {
    const { concept, size } = phraseAt(said, at) ?? { concept: ofWord(said[at] ?? ''), size: 1 };
    all.push(concept);
    at += size;
  }
  all.push(...translated.map((meant) => meant.flatMap(ofWord)));
  all.push(...kinds.map((kind) => kind.map((name) => named(name, OF_KIND))));
  return once(all);
}

const named = (name: string, weight: number): Name => ({ terms: name.split(NAME_PARTS).map(root), weight });

function ofWord(word: string): Concept {
  const meant = (senses().words.get(root(word)) ?? []).map((name) => named(name, MEANT));
  return STOP.has(word) ? meant : [named(word, 1), ...meant];
}

function phraseAt(said: string[], at: number): { concept: Concept; size: number } | undefined {
  for (let size = Math.min(PHRASE, said.length - at); size > 1; size--) {
    const phrase = said.slice(at, at + size);
    const key = phrase.map(root).join(' ');
    const meant = senses()
      .phrases.get(key)
      ?.map((name) => named(name, MEANT));
    if (!meant) continue;
    const own = meant.find(({ terms }) => terms.join(' ') === key);
    if (own) own.weight = 1;
    const parts = own ? [] : phrase.filter((word) => !STOP.has(word)).map((word) => named(word, IN_PHRASE));
    return { concept: [...meant, ...parts], size };
  }
  return undefined;
}

/** What is said twice counts once, where it is meant most surely. */
function once(all: Concept[]): Concept[] {
  const best = new Map<string, Name>();
  for (const name of all.flat()) {
    const key = name.terms.join(' ');
    if (name.weight > (best.get(key)?.weight ?? 0)) best.set(key, name);
  }
  const kept = new Set(best.values());
  return all.map((concept) => concept.filter((name) => kept.has(name))).filter(({ length }) => length > 0);
}
