/** An English word without its ending, after the idea of Porter's stemmer: "branches" meets "branch", "merging" "merge". */
export function root(word: string): string {
  if (word.length < 4 || !/^[a-z]+$/.test(word)) return word;
  const plural = word
    .replace(/(ss|sh|ch|x|z)es$/, '$1')
    .replace(/ies$/, 'y')
    .replace(/([^su])s$/, '$1');
  const bare = plural
    .replace(/(?:ization|isation)$/, 'ize')
    .replace(/(?<=[a-z]{3})(?:ations?|ated|ating|ate|ator)$/, 'at')
    .replace(/(?<=[a-z]{3})(?:ments?|ness)$/, '')
    .replace(/ied$/, 'y')
    .replace(/(?<=[aeiouy][a-z]*)(?<=[a-z]{2})(?:ing|ed)$/, '')
    .replace(/(?<=[a-z]{4})(?:er|or|ly|ion)$/, '')
    .replace(/([bdgmnprt])\1$/, '$1');
  return bare.replace(/(?<=[a-z]{2})e$/, '').replace(/(?<=[a-z]{2})y$/, 'i');
}
