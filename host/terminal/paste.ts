import { Transform } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/** What a terminal puts around a paste, where it is asked to (xterm's bracketed paste mode). */
export const PASTES = { on: '\u001b[?2004h', off: '\u001b[?2004l' };
/** One key: an escape sequence (ECMA-48, 5.4) as a whole, or a letter. */
const KEY = /\u001b(?:\[[0-?]*[ -/]*[@-~]|O[^]|[^])?|[^]/gu;
const START = '\u001b[200~';
const END = '\u001b[201~';
/** A terminal that went away in the middle would swallow every key after it, Ctrl-C too. */
const LOST_MS = 2_000;
/** The Escape key begins as a paste does; what follows in a paste comes with it. */
const ESCAPE_MS = 30;
const MOST_CHARS = 400_000;
const MOST_KEPT = 20;
/** A longer line is shown as what it is: it would fill the screen. */
const LONG_LINE = 400;

/**
 * Between a terminal and readline: a paste of several lines becomes one word that stands for it, so that no line of it
 * runs before Enter is pressed, however long it is. `expand` puts the text back.
 */
export class Pastes extends Transform {
  readonly #decoder = new StringDecoder('utf8');
  readonly #kept: { token: string; text: string }[] = [];
  #count = 0;
  #held = '';
  #paste: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    clearTimeout(this.#timer);
    this.#take(this.#decoder.write(chunk));
    done();
  }

  override _flush(done: () => void): void {
    clearTimeout(this.#timer);
    this.#give(this.#held);
    if (this.#paste !== undefined) this.#finish();
    done();
  }

  /** The line with the pastes that it names; they are kept a while, since a line may be asked for again. */
  expand(line: string): string {
    let text = line;
    for (const { token, text: pasted } of this.#kept) text = text.replace(token, () => pasted);
    return text;
  }

  #take(more: string): void {
    let text = this.#held + more;
    this.#held = '';
    while (text !== '') {
      const mark = this.#paste === undefined ? START : END;
      const at = text.indexOf(mark);
      if (at === -1) {
        const held = beginning(text, mark);
        this.#give(text.slice(0, text.length - held.length));
        this.#held = held;
        break;
      }
      this.#give(text.slice(0, at));
      text = text.slice(at + mark.length);
      if (this.#paste === undefined) this.#paste = '';
      else this.#finish();
    }
    if (this.#paste !== undefined) this.#later(LOST_MS);
    else if (this.#held !== '') this.#later(ESCAPE_MS);
  }

  #later(ms: number): void {
    this.#timer = setTimeout(() => {
      const held = this.#held;
      this.#held = '';
      this.#give(held);
      if (this.#paste !== undefined) this.#finish();
    }, ms);
  }

  #give(text: string): void {
    if (text === '') return;
    if (this.#paste === undefined) this.#keys(text);
    else if (this.#paste.length < MOST_CHARS) this.#paste += text;
  }

  #finish(): void {
    // Tabs would complete, other controls would be keys.
    const text = (this.#paste ?? '')
      .replace(/\r\n?/g, '\n')
      .replace(/[^\P{Cc}\n\t]/gu, '')
      .replace(/\n+$/, '');
    this.#paste = undefined;
    const lines = text.split('\n').length;
    if (lines === 1 && text.length <= LONG_LINE && !text.includes('\t')) return this.#keys(text);
    this.#count += 1;
    const size = lines > 1 ? `${lines} lines` : `${text.length} characters`;
    const token = `[paste ${this.#count}: ${size}]`;
    this.#kept.push({ token, text });
    if (this.#kept.length > MOST_KEPT) this.#kept.shift();
    this.#keys(token);
  }

  /** A letter at a time: what comes at once readline puts at the end of the line, wherever the cursor is (Node 20 to 24). */
  #keys(text: string): void {
    // Tabs among other text were pasted, at a terminal without the mode: no completion is wanted.
    if (text.length > 1 && text.includes('\t')) this.push(text);
    else for (const [key] of text.matchAll(KEY)) this.push(key);
  }
}

/** The longest end of a text that a mark begins with. */
function beginning(text: string, mark: string): string {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length--) {
    if (mark.startsWith(text.slice(-length))) return text.slice(-length);
  }
  return '';
}
