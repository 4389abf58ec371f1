import { root } from './root.ts';

/** The words of a text: `getUser_byID` is get, user, by, id; accents are dropped. */
export function words(text: string): string[] {
  return (
    text
      .replace(/([\p{Ll}\p{N}])(\p{Lu})/gu, '$1 $2')
      // "PRs" is one word.
      .replace(/(\p{Lu})(\p{Lu}(?!s\b)\p{Ll})/gu, '$1 $2')
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

/** Words that every text has. */
export const STOP = new Set(
  [
    'a an the of to in on for from with and or by as into that this these those it its is are be was were been do does did',
    'has have had can could should would will may might must how i me my mine we us our you your he she they them their',
    'if then so than too very just not no any all one some there here which who whom whose when while about please',
    'use used using via per only also such other same',
  ].flatMap((line) => line.split(' ')),
);
