/**
 * Text in which characters are written as escapes (JSON in JSON, percent-encoding of any choice of characters, HTML),
 * however mixed or nested: it is read as what it stands for, and what is found there is cut out of the text as it is.
 */

const LAYERS = 4;
/** Of a longer text only the outermost escapes are read: it costs a second for some 5 MB. */
const LONG = 1_000_000;
const ESCAPE =
  /%[0-9a-f]{2}|\\u\{?[0-9a-f]{2,6}\}?|\\x[0-9a-f]{2}|\\["'\\/bfnrt]|&(?:amp|lt|gt|quot|apos|#x[0-9a-f]{1,6}|#\d{1,7});/gi;
/** Escapes of one layer of JSON are searched as they stand; these need a reading. */
const worthwhile = /%[0-9a-f]{2}|\\[\\ux']|&(?:amp|lt|gt|quot|apos|#)/i;

const named: Record<string, string> = {
  '\\b': '\b',
  '\\f': '\f',
  '\\n': '\n',
  '\\r': '\r',
  '\\t': '\t',
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&apos;': "'",
};

/** Bytes, one a character: percent-encoding splits what is more than one byte in UTF-8. */
export const bytesOf = (text: string) => Buffer.from(text, 'utf8').toString('latin1');

function meant(escape: string): string {
  const short = named[escape.toLowerCase()];
  if (short !== undefined) return short;
  // Percent-encoding, and Python's `\xc4\x85`: bytes.
  const byte = /^(?:%|\\x)([0-9a-f]{2})$/i.exec(escape)?.[1];
  if (byte !== undefined) return String.fromCharCode(Number.parseInt(byte, 16));
  if (/^\\[^ux]/i.test(escape)) return escape.slice(1);
  const decimal = /^&#(\d+)/.exec(escape)?.[1];
  const point =
    decimal === undefined ? Number.parseInt(/[0-9a-f]{2,6}/i.exec(escape)?.[0] ?? '0', 16) : Number(decimal);
  return point <= 0x10ffff ? bytesOf(String.fromCodePoint(point)) : escape;
}

interface Layer {
  text: string;
  /** Where each character begins in the text as it is, and, at the end, where that ends; undefined: at the same place. */
  at?: Uint32Array;
}

function read({ text, at }: Layer): Layer | undefined {
  const parts: string[] = [];
  // What is read is never longer than what is written.
  const places = new Uint32Array(text.length + 1);
  let size = 0;
  let done = 0;
  const take = (part: string, from: number, step: 0 | 1) => {
    parts.push(part);
    for (let i = 0; i < part.length; i++) places[size++] = placeOf(at, from + i * step);
  };
  for (const { 0: escape, index } of text.matchAll(ESCAPE)) {
    take(text.slice(done, index), done, 1);
    take(meant(escape), index, 0);
    done = index + escape.length;
  }
  if (done === 0) return undefined;
  take(text.slice(done), done, 1);
  places[size++] = placeOf(at, text.length);
  return { text: parts.join(''), at: places };
}

const placeOf = (at: Layer['at'], index: number) => (at ? (at[index] ?? 0) : index);

/** Something secret in a reading, and what is shown in its place. */
export interface Found {
  from: number;
  to: number;
  shown: string;
}

/** The text without what `find` finds in a reading of it; what is written without escapes is looked for before. */
export function cutEscaped(text: string, find: (read: string) => Found[]): string {
  if (!worthwhile.test(text)) return text;
  const whole = bytesOf(text);
  const cuts: Found[] = [];
  let layer: Layer | undefined = { text: whole };
  const layers = text.length > LONG ? 1 : LAYERS;
  for (let depth = 0; depth < layers; depth++) {
    layer = read(layer);
    if (!layer) break;
    for (const found of find(layer.text)) {
      const [from, to] = [placeOf(layer.at, found.from), placeOf(layer.at, found.to)];
      const written = to - from !== found.to - found.from;
      if (written && !cuts.some((cut) => cut.from < to && from < cut.to))
        cuts.push({ from, to, shown: found.shown });
    }
  }
  if (cuts.length === 0) return text;
  cuts.sort((a, b) => a.from - b.from);
  let left = 0;
  const parts = cuts.map(({ from, to, shown }) => {
    const part = whole.slice(left, from) + bytesOf(shown);
    left = to;
    return part;
  });
  return Buffer.from(parts.join('') + whole.slice(left), 'latin1').toString('utf8');
}
