import { gloss } from './polish.ts';
import { root } from './root.ts';
import { senses } from './senses.ts';

/** Words that nearly every English sentence has one of, and few others have. */
const ENGLISH = new Set(
  'the a an is are was what which who how why where when of for to in on with my me it this that do does did and show make find get from open go list delete remove tell search write add can please'.split(
    ' ',
  ),
);

/**
 * A guess that costs nothing: words that English hardly does without or that people say of tools, and more of them than
 * of those with letters that English lacks or that are known to be Polish ("do" is both).
 */
export function seemsEnglish(text: string): boolean {
  const words = text.toLowerCase().match(/[\p{L}']+/gu) ?? [];
  const known = words.filter((word) => ENGLISH.has(word) || senses().vocabulary.has(word) || isForm(word));
  const other = words.filter(
    (word) =>
      /[^\p{ASCII}’]/u.test(word) || (gloss(word).length > 0 && (word.length < 3 || !known.includes(word))),
  );
  if (other.length > 0) return known.length > other.length && known.length > words.length / 4;
  return known.length > 0 || words.length < 3;
}

/** Of a word that is known: short words of other languages may look like one ("alle"). */
const isForm = (word: string) => word.length > 4 && senses().vocabulary.has(root(word));
