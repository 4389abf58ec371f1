import type { JsonObject } from '../../kit/tool.ts';

/** Shorter texts (a number, a yes) are everywhere. */
const LEAST = 8;
/** A line of this length in an argument was not made up twice. */
const LINE = 24;
/** The newest of what was read; older text has left the context as well. */
const MOST_CHARS = 200_000;

/** What others wrote, as far as a conversation read it: to tell where a call's arguments come from. */
export class Outside {
  #text = '';

  /** Notes text from a tool's untrusted result, or a page that the person put in. */
  add(text: string): void {
    this.#text = `${this.#text}\n${plain(text)}`.slice(-MOST_CHARS);
  }

  /** The arguments whose text stands in what others wrote, and in nothing that the person said. */
  copied(args: JsonObject, said: string[]): string[] {
    if (this.#text === '') return [];
    const own = plain(said.join('\n'));
    const isCopied = (text: string): boolean => {
      const value = plain(text);
      if (value.length < LEAST || own.includes(value)) return false;
      if (this.#text.includes(value)) return true;
      return text
        .split('\n')
        .map(plain)
        .some((line) => line.length >= LINE && !own.includes(line) && this.#text.includes(line));
    };
    return Object.entries(args).flatMap(([name, value]) => (leaves(value).some(isCopied) ? [name] : []));
  }
}

/** As it is compared: JSON's escapes undone, white space and case of no weight. */
const plain = (text: string) =>
  text.replaceAll('\\n', ' ').replaceAll('\\"', '"').replace(/\s+/g, ' ').trim().toLowerCase();

function leaves(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(leaves);
}
