/** What requests mention, by its form, and what tools call such a thing. */
const KINDS: [RegExp, string[]][] = [
  [/\bhttps?:\/\/\S+/giu, ['url', 'page']],
  [/[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+/gu, ['email']],
  [/-?\d{1,3}\.\d{2,}\s*,\s*-?\d{1,3}\.\d{2,}/gu, ['coordinates', 'latitude', 'longitude']],
  [
    /(?<![\w.-])(?:[\w-]{1,63}\.){1,5}(?:com|org|net|edu|gov|info|io|dev|app|ai|eu|uk|us|de|fr|pl|es|it|nl|ch|cz)\b(?:\/\S*)?/giu,
    ['url', 'page'],
  ],
  [/(?<![\w./~-])[\w./~-]{0,200}[\w-]\.[a-z][a-z0-9]{0,4}\b(?![\w.])/giu, ['file']],
  [/(?<!\S)#\d+\b/gu, ['issue']],
  [/(?<!\S)!\d+\b/gu, ['merge+request']],
  [/(?<!\S)#\p{L}[\p{L}\p{N}_-]*/gu, ['channel']],
  [/(?<!\S)[~.]{0,2}\/[\w./-]+/gu, ['path', 'directory', 'file']],
  [/\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,40}\b/gu, ['commit']],
  [/["“„«»][^"“”„«»]{1,200}["”“«»]/gu, []],
];
/** What is longer is no request that needs this. */
const LONGEST = 4000;

/**
 * A request without what it only mentions, and the names of the kinds of that: the letters of "notes.txt" or of a quoted
 * title say nothing of the tool that is needed, that it is a file does.
 */
export function withoutValues(request: string): { text: string; kinds: string[][] } {
  const kinds: string[][] = [];
  let text = request.slice(0, LONGEST);
  for (const [form, names] of KINDS) {
    text = text.replace(form, (value: string) => {
      if (names.length > 0) kinds.push(names[0] === 'url' ? [...names, ...hostNames(value)] : names);
      return ' ';
    });
  }
  return { text, kinds };
}

/** An address may name a server: gitlab.com. */
function hostNames(address: string): string[] {
  const [host = ''] = address.replace(/^https?:\/\//iu, '').split(/[/:?#]/u);
  return host.toLowerCase().split('.').slice(0, -1);
}
