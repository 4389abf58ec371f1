/** What people write short or call otherwise, and what it is called in full: embedding models know little of either. */
const SHORT: [RegExp, string][] = [
  [/\bMR(s?)\b/giu, 'merge request$1'],
  [/(?<!\S)!(?=\d)/gu, 'merge request '],
  [/\bPR(s?)\b/giu, 'pull request$1'],
  [/\bticket(s?)\b/giu, 'issue$1'],
  [/(?<!\S)#(?=\d)/gu, 'issue '],
  [/\brepos\b/giu, 'repositories'],
  [/\brepo\b/giu, 'repository'],
  [/\bCI\b/gu, 'pipeline'],
  [/\btag(s?)\b/giu, 'label$1'],
  [/\bremark(s?)\b/giu, 'comment$1'],
  [/\bfolders\b/giu, 'directories'],
  [/\bfolder\b/giu, 'directory'],
];

/** A request as an embedding model understands it best. */
export const spelledOut = (request: string): string =>
  SHORT.reduce((text, [short, full]) => text.replace(short, full), request);
