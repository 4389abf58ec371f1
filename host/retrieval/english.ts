/** Words that nearly every English sentence has one of, and few others have. */
const ENGLISH = new Set(
  'the a an is are was what which who how why where when of for to in on with my me it this that do does did and show make find get from open go list delete remove tell search write add can please'.split(
    ' ',
  ),
);

/** A guess that costs nothing: no letters that English lacks, and a word that English hardly does without. */
export function seemsEnglish(text: string): boolean {
  const words = text.toLowerCase().match(/[\p{L}']+/gu) ?? [];
  if (words.length === 0) return true;
  const foreign = words.filter((word) => /[^\p{ASCII}’]/u.test(word)).length;
  const english = words.filter((word) => ENGLISH.has(word)).length;
  return foreign > 0 ? english > words.length / 4 : english > 0 || words.length < 3;
}
