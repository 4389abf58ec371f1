import { stripVTControlCharacters } from 'node:util';

/** What other people wrote (a model, a tool, a file) must not steer the terminal: controls go, hidden ones are shown. */
export function clean(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/\r\n?/g, '\n')
    .replace(/[^\P{Cc}\n\t]/gu, '')
    .replace(
      /[\p{Bidi_C}\u00ad\u115f\u1160\u180e\u200b\u2028\u2029\u2060-\u206f\u3164\ufeff\uffa0\u{e0000}-\u{e0fff}]/gu,
      (hidden) => `\\u${(hidden.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
    );
}

let segmenter: Intl.Segmenter | undefined;
/** Characters as a person counts them. Made when the first text beyond ASCII is measured: it costs 10 ms of each start. */
const graphemes = (text: string) =>
  (segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' })).segment(text);

/** East Asian Wide and Fullwidth (UAX 11), and what is drawn as an emoji. */
const WIDE =
  /^(?:[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f1e6}-\u{1f1ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\p{Emoji}\ufe0f)/u;
const ZERO = /^[\p{Mn}\p{Me}\p{Cf}\p{Cc}]+$/u;

/** Columns that a text takes on a terminal. */
export function displayWidth(text: string): number {
  if (/^[\u0020-\u007e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes(text)) {
    if (!ZERO.test(segment)) width += WIDE.test(segment) ? 2 : 1;
  }
  return width;
}

/** The text on one line of at most `columns`, with an ellipsis where it was cut. */
export function fit(text: string, columns: number): string {
  // No line holds more of it: a megabyte need not be measured.
  const line = text
    .slice(0, 20 * columns + 400)
    .replace(/\s+/g, ' ')
    .trim();
  if (displayWidth(line) <= columns) return line;
  let kept = '';
  let width = 1;
  for (const { segment } of graphemes(line)) {
    width += displayWidth(segment);
    if (width > columns) break;
    kept += segment;
  }
  return `${kept.trimEnd()}…`;
}

/** Breaks a text that comes in pieces at word ends, so that no line passes `columns`. */
export class Wrapper {
  #column = 0;
  #word = '';
  #space = '';
  readonly #columns: () => number;
  readonly #write: (text: string) => void;

  constructor(columns: () => number, write: (text: string) => void) {
    this.#columns = columns;
    this.#write = write;
  }

  get atLineStart(): boolean {
    return this.#column === 0 && this.#word === '';
  }

  add(text: string): void {
    for (const part of text.split(/(\n|[^\S\n]+)/)) {
      if (part === '') continue;
      if (part === '\n') {
        this.#flushWord();
        this.#write('\n');
        this.#column = 0;
        this.#space = '';
      } else if (/^\s/.test(part)) {
        this.#flushWord();
        this.#space += part.replaceAll('\t', '  ');
      } else {
        this.#word += part;
      }
    }
  }

  /** Writes what is held back and ends the line. */
  end(): void {
    this.#flushWord();
    if (this.#column > 0) this.#write('\n');
    this.#column = 0;
    this.#space = '';
  }

  #flushWord(): void {
    if (this.#word === '') return;
    const columns = Math.max(8, this.#columns());
    const width = displayWidth(this.#word);
    if (this.#column > 0 && this.#column + this.#space.length + width > columns) {
      this.#write('\n');
      this.#column = 0;
    } else {
      this.#write(this.#space);
      this.#column += this.#space.length;
    }
    this.#space = '';
    for (const { segment } of graphemes(this.#word)) {
      const size = displayWidth(segment);
      if (this.#column + size > columns) {
        this.#write('\n');
        this.#column = 0;
      }
      this.#write(segment);
      this.#column += size;
    }
    this.#word = '';
  }
}

/** Text in lines of at most `columns`. */
export function wrap(text: string, columns: number): string[] {
  let out = '';
  const wrapper = new Wrapper(
    () => columns,
    (part) => (out += part),
  );
  wrapper.add(text);
  wrapper.end();
  return out.replace(/\n$/, '').split('\n');
}

/** A line of its own behind a mark, whole: broken between words where the terminal is narrow. */
export function marked(mark: string, text: string, columns: number): string {
  return `${mark} ${wrap(clean(text), Math.max(20, columns - 3)).join('\n  ')}\n`;
}

const TAIL = 360;
const LONGEST_PERIOD = 90;

/** Whether a text has come to say the same thing over and over, as small models do until they are stopped. */
export function repeats(text: string): boolean {
  if (text.length < TAIL) return false;
  const tail = text.slice(-TAIL);
  for (let period = 1; period <= LONGEST_PERIOD; period++) {
    if (tail.slice(period) === tail.slice(0, -period)) return true;
  }
  return false;
}

/** `1 question`, `2 questions`. */
export const counted = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`;

/** A time as a person reads it. */
export function duration(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** The names most like `name`, nearest first: mistyped, or sharing its words. */
export function nearest(name: string, known: string[], most = 3): string[] {
  const wanted = words(name);
  return known
    .map((candidate) => {
      const shared = words(candidate).filter((word) => wanted.includes(word)).length;
      const distance = edits(name.toLowerCase(), candidate.toLowerCase());
      const close = distance <= Math.max(2, Math.floor(candidate.length / 4));
      return { candidate, score: shared * 2 + (close ? 10 - distance : 0) };
    })
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, most)
    .map(({ candidate }) => candidate);
}

const words = (text: string): string[] => text.toLowerCase().match(/[a-z0-9]{3,}/g) ?? [];

/** Levenshtein's distance; names are short. */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const kept = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, kept));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** What a server says of itself, without what a person would not see: controls, bidi, zero width, tag characters. */
export function visible(text: string): string {
  return clean(text.replace(/[\p{Cf}\p{Default_Ignorable_Code_Point}]/gu, ''));
}
