import type { JsonObject } from '../../kit/tool.ts';

/** A line of this length in an argument was not made up twice. */
const LINE = 24;
/** Where something may be sent to or come from: whose it is counts, whatever stands around it. */
const PLACE = /\b[a-z][\w+.-]{1,20}:\/\/[^\s"'<>)]{4,400}|[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{1,200}/g;
/** Of one argument: each is looked for in all that was read. */
const MOST_LINES = 2_000;

interface Limits {
  /** Shorter texts are everywhere, and not looked for. */
  leastChars: number;
  /** The newest of what was read; what is older has left the context as well. */
  mostChars: number;
}

/** For a conversation here: a number or a yes stands everywhere. */
const LIMITS: Limits = { leastChars: 8, mostChars: 200_000 };

/** What others wrote, as far as a conversation read it: to tell where a call's arguments come from. */
export class Outside {
  readonly #limits: Limits;
  readonly #texts: string[] = [];
  #chars = 0;

  constructor(limits: Limits = LIMITS) {
    this.#limits = limits;
  }

  /** Notes text from a tool's untrusted result, or a page that the person put in: as much of it as was shown. */
  add(text: string): void {
    const { mostChars } = this.#limits;
    const added = plain(text.slice(0, mostChars));
    this.#texts.push(added);
    this.#chars += added.length;
    while (this.#chars > mostChars) this.#chars -= this.#texts.shift()?.length ?? 0;
  }

  /** The arguments whose text stands in what others wrote, and in nothing that the person said. */
  copied(args: JsonObject, said: string[]): string[] {
    if (this.#texts.length === 0) return [];
    const stands = (part: string) => this.#texts.some((read) => read.includes(part));
    const own = plain(said.join('\n'));
    const isCopied = (text: string): boolean => {
      const value = plain(text);
      if (value.length < this.#limits.leastChars || own.includes(value)) return false;
      if (stands(value)) return true;
      const lines = text.split('\n', MOST_LINES).map(plain);
      const places = value.slice(0, this.#limits.mostChars).match(PLACE) ?? [];
      return [...lines.filter((line) => line.length >= LINE), ...places.slice(0, MOST_LINES)].some(
        (part) => !own.includes(part) && stands(part),
      );
    };
    return Object.entries(args).flatMap(([name, value]) => (leaves(value).some(isCopied) ? [name] : []));
  }
}

/** As it is compared: JSON's escapes undone, white space, case and hidden signs of no weight. */
const plain = (text: string) =>
  text
    .replaceAll('\\n', ' ')
    .replaceAll('\\"', '"')
    .replace(/\p{Cf}+/gu, '')
    .replace(/\s+/g, ' ')
    .trim()
    .toLowerCase();

function leaves(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(leaves);
}
