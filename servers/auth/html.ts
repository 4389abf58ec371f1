const BLOCKS =
  /^\/?(?:address|article|blockquote|br|center|dd|div|dl|dt|fieldset|footer|form|h[1-6]|header|hr|li|main|ol|p|pre|section|table|tbody|td|tfoot|th|thead|tr|ul)$/;
const SILENT = new Set([
  'head',
  'style',
  'script',
  'title',
  'template',
  'noscript',
  'svg',
  'object',
  'iframe',
]);
/** Elements that have no end tag; counting them as open would hide all that follows. */
const VOID = /^(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)$/;
const LONGEST = 400_000;

const NAMED: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  zwnj: '',
  zwj: '',
  lrm: '',
  rlm: '',
  shy: '',
  szlig: 'ß',
  aelig: 'æ',
  oelig: 'œ',
  oslash: 'ø',
  lstrok: 'ł',
  iexcl: '¡',
  iquest: '¿',
  deg: '°',
  copy: '©',
  euro: '€',
  pound: '£',
  yen: '¥',
  hyphen: '-',
  ndash: '–',
  mdash: '—',
  hellip: '…',
  bull: '•',
  middot: '·',
  colon: ':',
  num: '#',
  lsquo: '‘',
  rsquo: '’',
  ldquo: '“',
  rdquo: '”',
};

/** `eacute` is an e and an accent. */
const ACCENTS: Record<string, string> = {
  acute: '\u0301',
  grave: '\u0300',
  circ: '\u0302',
  uml: '\u0308',
  tilde: '\u0303',
  cedil: '\u0327',
  ring: '\u030a',
  caron: '\u030c',
  dot: '\u0307',
  ogon: '\u0328',
};

/** Names of letters know upper and lower case; what has no letter in it is a space. */
function namedLetter(name: string): string {
  const [, letter = '', accent = ''] = /^([a-z])([a-z]+)$/i.exec(name) ?? [];
  const mark = ACCENTS[accent];
  if (mark !== undefined) return (letter + mark).normalize('NFC');
  const known = NAMED[name.toLowerCase()] ?? ' ';
  return /^[A-Z]/.test(name) ? known.toUpperCase() : known;
}

/**
 * The text that a person would see: no styles, scripts, comments or hidden elements; with `pictures`, what stands for them
 * where they are not loaded. One pass, whatever the mark-up.
 */
export function htmlText(html: string, pictures = false): string {
  const source = html.slice(0, LONGEST);
  let text = '';
  /** How many elements deep inside one that is not shown. */
  let hidden: { name: string; depth: number } | undefined;
  let at = 0;
  while (at < source.length) {
    const open = source.indexOf('<', at);
    const until = open < 0 ? source.length : open;
    if (!hidden) text += source.slice(at, until);
    if (open < 0) break;
    if (source.startsWith('<!--', open)) {
      const end = source.indexOf('-->', open + 4);
      at = end < 0 ? source.length : end + 3;
      continue;
    }
    const end = endOfTag(source, open);
    const tag = source.slice(open + 1, end);
    at = end + 1;
    const name = /^\/?[a-z][a-z0-9]*/i.exec(tag)?.[0].toLowerCase();
    if (name === undefined) {
      if (!hidden && !/^[!?]/.test(tag)) text += '<';
      if (!/^[!?]/.test(tag)) at = open + 1;
      continue;
    }
    const plain = name.replace('/', '');
    if (hidden) {
      if (plain === hidden.name && !tag.endsWith('/')) hidden.depth += name.startsWith('/') ? -1 : 1;
      if (hidden.depth === 0) hidden = undefined;
      continue;
    }
    if (BLOCKS.test(name)) text += '\n';
    if (pictures && name === 'img' && !unseen(tag)) text += `\n${alternative(tag)}\n`;
    const opens = !name.startsWith('/') && !tag.endsWith('/') && !VOID.test(plain);
    if (opens && (SILENT.has(plain) || unseen(tag))) hidden = { name: plain, depth: 1 };
  }
  return decoded(text)
    .replace(/[ \t\f\v\u00a0]+/g, ' ')
    .replace(/ ?\n ?/g, '\n')
    .replace(/\n{2,}/g, '\n');
}

const alternative = (tag: string) =>
  /\balt\s*=\s*(?:"([^"]{0,200})"|'([^']{0,200})')/i.exec(tag.slice(0, 4000))?.slice(1).join('') ?? '';

/** What mail programs quote or forward, as they mark it. */
const quoted = (tag: string) =>
  /^blockquote\b[^>]*\btype\s*=\s*["']?cite|\bclass\s*=\s*["'][^"']*(?:gmail_quote|yahoo_quoted|moz-cite-prefix)/i.test(
    tag.slice(0, 2000),
  );

const unseen = (tag: string) =>
  quoted(tag) ||
  /\bhidden\b(?!=)|display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|opacity\s*:\s*0(?![.\d])|mso-hide\s*:\s*all/i.test(
    tag.slice(0, 2000),
  );

/** Past quoted attribute values, which may hold `>`; an open quote ends with the tag's first `>`. */
function endOfTag(source: string, open: number): number {
  let quote = '';
  const first = source.indexOf('>', open);
  const limit = Math.min(source.length, open + 20_000);
  for (let i = open + 1; i < limit; i++) {
    const c = source[i] ?? '';
    if (quote !== '') {
      if (c === quote) quote = '';
    } else if ((c === '"' || c === "'") && source[i - 1]?.match(/[=\s]/)) quote = c;
    else if (c === '>') return i;
  }
  return first < 0 ? source.length : first;
}

function decoded(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,8}));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return namedLetter(String(name));
    const point = decimal === undefined ? Number.parseInt(String(hex), 16) : Number(decimal);
    return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}
