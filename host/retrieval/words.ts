import { root } from './root.ts';
import { PHRASES, SENSES } from './senses.ts';

/** The words of a text: `getUser_byID` is get, user, by, id; accents are dropped. */
export function words(text: string): string[] {
  return (
    text
      .replace(/([\p{Ll}\p{N}])(\p{Lu})/gu, '$1 $2')
      .replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, '$1 $2')
      .toLowerCase()
      // NFKD leaves this one letter whole.
      .replaceAll('ł', 'l')
      .normalize('NFKD')
      .replace(/\p{M}/gu, '')
      .match(/[\p{L}\p{N}]+/gu) ?? []
  );
}

/** What is indexed of a text: roots, without the words that every text has. */
export function roots(text: string): string[] {
  return words(text)
    .filter((word) => !STOP.has(word))
    .map(root);
}

/**
 * What is asked of the index: the roots of a request at their full weight, and what people mean by them ("ticket":
 * issue) at less. A phrase ("thumbs up") is read before its words.
 */
export function asked(text: string): Map<string, number> {
  const found = words(text);
  const weights = new Map<string, number>();
  const add = (term: string, weight: number) => weights.set(term, Math.max(weight, weights.get(term) ?? 0));
  for (const [at, word] of found.entries()) {
    for (const size of [3, 2]) {
      if (at + size > found.length) continue;
      const phrase = found
        .slice(at, at + size)
        .map(root)
        .join(' ');
      for (const meant of PHRASES.get(phrase) ?? []) add(root(meant), SENSE_WEIGHT);
    }
    const stem = root(word);
    for (const meant of SENSES.get(stem) ?? []) add(root(meant), SENSE_WEIGHT);
    if (!STOP.has(word)) add(stem, 1);
  }
  return weights;
}

const SENSE_WEIGHT = 0.5;

const STOP = new Set(
  [
    'a an the of to in on for from with and or by as into that this these those it its is are be was were been do does did',
    'has have had can could should would will may might must how i me my mine we us our you your he she they them their',
    'if then so than too very just not no any all one some there here which who whom whose when while about please',
    'use used using via per only also such other same',
  ].flatMap((line) => line.split(' ')),
);
