/**
 * Whether a regular expression can take exponential time, decided as for an automaton: it can if and only if some
 * state lies on two different loops that read the same text ("exponential degree of ambiguity", Weber and Seidl 1991;
 * https://doi.org/10.1016/0304-3975(91)90381-B). So `^(a+)+$` is refused, and `^[a-z]+(-[a-z]+)*$`, which merely
 * looks alike, is not. Slowness that is only polynomial is left to the deadline of the worker.
 */

/** One character of text, and what may come before and after it. */
interface Position {
  /** Which of the sample characters it takes. */
  takes: boolean[];
  follow: Map<number, number>;
}

interface Part {
  nullable: boolean;
  first: number[];
  last: number[];
  /** Whether there is a repeat without end in it. */
  loops: boolean;
}

/** A pattern longer than this, or with more positions once repeats are written out, is refused unread. */
const LONGEST = 1000;
const MOST_POSITIONS = 400;

/** A loop through more positions than this is refused: pairs of them are compared. */
const LARGEST_LOOP = 100;

/** Comparisons of two positions after which a pattern counts as too large: half a second of them. */
const MOST_COMPARED = 500_000;

/** A count above this is read as "any number". */
const MOST_COPIES = 12;

/** How often a repeat without end may itself be repeated, before that counts as a loop. */
const MOST_POWERS = 3;

const NOTHING: Part = { nullable: true, first: [], last: [], loops: false };

class TooLarge extends Error {}

/** What is wrong with a pattern as it stands in a JSON Schema; undefined if it may be used. */
export function patternFault(pattern: string): string | undefined {
  if (pattern.length > LONGEST) return `is longer than ${LONGEST} characters; use a shorter one`;
  try {
    RegExp(pattern, 'u');
  } catch (error) {
    const why =
      error instanceof Error ? error.message.replace(/^Invalid regular expression: /, '') : String(error);
    return `does not compile: ${why} (JSON Schema patterns are Unicode regular expressions: escape only what needs it)`;
  }
  try {
    if (!new Automaton(pattern).explodes()) return undefined;
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    return 'is too large to be judged safe; use smaller counts, or maxLength';
  }
  return 'can take exponential time, because a repeat inside a repeat can split the same text in many ways, as in ^(a+)+$; write it so that each text matches in one way only';
}

class Automaton {
  readonly #source: string[];
  readonly #samples: string[];
  readonly #positions: Position[] = [];
  #at = 0;
  #compared = 0;

  constructor(pattern: string) {
    this.#source = Array.from(pattern);
    const ascii = Array.from({ length: 128 }, (_, code) => String.fromCodePoint(code));
    const others = ['\u00a0', 'é', 'ß', 'Ω', 'ж', 'ł', '中', '𝒳', '😀', '\u2028', '\ufeff', '٣'];
    this.#samples = [...new Set([...ascii, ...others, ...this.#source])];
    this.#choice();
  }

  /** Whether two different walks over the same text lead from a position back to itself. */
  explodes(): boolean {
    for (const loop of this.#loops()) {
      if (loop.length > LARGEST_LOOP) throw new TooLarge();
      const inside = new Set(loop);
      const edges = (from: number) =>
        [...(this.#positions[from]?.follow ?? [])].filter(([to]) => inside.has(to));
      // The same step in two ways, as from `a` to `a` in (a+)+.
      if (loop.some((from) => edges(from).some(([, ways]) => ways > 1))) return true;
      const pairs = (id: number): number[] => {
        const [left, right] = [Math.floor(id / MOST_POSITIONS), id % MOST_POSITIONS];
        return edges(left).flatMap(([l]) =>
          edges(right).flatMap(([r]) => (this.#meet(l, r) ? [l * MOST_POSITIONS + r] : [])),
        );
      };
      const [start = 0] = loop;
      const reached = reach(start * MOST_POSITIONS + start, pairs);
      const back = new Map<number, number[]>();
      for (const from of reached) for (const to of pairs(from)) back.set(to, [...(back.get(to) ?? []), from]);
      const returning = reach(start * MOST_POSITIONS + start, (id) => back.get(id) ?? []);
      for (const id of returning) if (Math.floor(id / MOST_POSITIONS) !== id % MOST_POSITIONS) return true;
    }
    return false;
  }

  #meet(left: number, right: number): boolean {
    if (++this.#compared > MOST_COMPARED) throw new TooLarge();
    const [one, other] = [this.#positions[left]?.takes ?? [], this.#positions[right]?.takes ?? []];
    return one.some((takes, index) => takes && other[index]);
  }

  /** The sets of positions that can all reach each other. */
  #loops(): number[][] {
    const follow = (from: number) => [...(this.#positions[from]?.follow.keys() ?? [])];
    const before = new Map<number, number[]>();
    for (const from of this.#positions.keys()) {
      for (const to of follow(from)) before.set(to, [...(before.get(to) ?? []), from]);
    }
    const seen = new Set<number>();
    const loops: number[][] = [];
    for (const start of this.#positions.keys()) {
      if (seen.has(start) || !follow(start).some((next) => reach(next, follow).has(start))) continue;
      const ahead = reach(start, follow);
      const loop = [...reach(start, (at) => before.get(at) ?? [])].filter((at) => ahead.has(at));
      for (const at of loop) seen.add(at);
      loops.push(loop);
    }
    return loops;
  }

  // The reader: Glushkov's construction, one position for each character of the pattern. The pattern is known to
  // compile, so only the syntax of valid ones is handled.

  #choice(): Part {
    let part = this.#sequence();
    while (this.#source[this.#at] === '|') {
      this.#at++;
      const other = this.#sequence();
      part = {
        nullable: part.nullable || other.nullable,
        first: [...part.first, ...other.first],
        last: [...part.last, ...other.last],
        loops: part.loops || other.loops,
      };
    }
    return part;
  }

  #sequence(): Part {
    let part = NOTHING;
    while (
      this.#at < this.#source.length &&
      this.#source[this.#at] !== '|' &&
      this.#source[this.#at] !== ')'
    ) {
      part = this.#then(part, this.#repeated());
    }
    return part;
  }

  #then(left: Part, right: Part): Part {
    this.#link(left.last, right.first);
    return {
      nullable: left.nullable && right.nullable,
      first: left.nullable ? [...left.first, ...right.first] : left.first,
      last: right.nullable ? [...left.last, ...right.last] : right.last,
      loops: left.loops || right.loops,
    };
  }

  #link(from: number[], to: number[]): void {
    for (const left of from) {
      const follow = this.#positions[left]?.follow;
      for (const right of to) follow?.set(right, (follow.get(right) ?? 0) + 1);
    }
  }

  #repeated(): Part {
    const start = this.#at;
    const atom = this.#atom();
    const end = this.#at;
    const rest = this.#source.slice(end).join('');
    const [written = '', sign = '', low = '', comma = '', high = ''] =
      /^(?:([*+?])|\{(\d+)(,?)(\d*)\})\??/.exec(rest) ?? [];
    if (written === '') return atom;
    const after = end + written.length;
    const min = sign === '' ? Number(low) : sign === '+' ? 1 : 0;
    const max =
      sign === '?'
        ? 1
        : sign !== '' || (comma !== '' && high === '')
          ? Infinity
          : comma === ''
            ? min
            : Number(high);
    const exact = min === max && this.#positions.length + max * (end - start) < MOST_POSITIONS;
    const copy = () => {
      this.#at = start;
      const part = this.#atom();
      this.#at = after;
      return part;
    };
    this.#at = after;
    if (max === 0) return NOTHING;
    // (.*a){20} is no loop, but costs the twentieth power of the length: judged as if it were one.
    if ((max > MOST_COPIES && !exact) || (max > MOST_POWERS && atom.loops)) {
      this.#link(atom.last, atom.first);
      return { ...atom, nullable: atom.nullable || min === 0, loops: true };
    }
    const optional = (part: Part) => ({ ...part, nullable: true });
    // x{1,3} as x(x(x)?)?: written in one way only, so that counting adds no ambiguity of its own.
    const tail = (left: number): Part =>
      left === 0 ? NOTHING : optional(this.#then(copy(), tail(left - 1)));
    let part = min === 0 ? NOTHING : atom;
    for (let done = 1; done < min; done++) part = this.#then(part, copy());
    if (min === 0) return optional(this.#then(atom, tail(max - 1)));
    return this.#then(part, tail(max - min));
  }

  #atom(): Part {
    const char = this.#source[this.#at] ?? '';
    if (char === '(') return this.#group();
    const rest = this.#source.slice(this.#at).join('');
    const [assertion] = /^(?:[\^$]|\\[bB]|\\[1-9]\d*|\\k<[^>]*>)/.exec(rest) ?? [];
    if (assertion !== undefined) {
      this.#at += Array.from(assertion).length;
      return NOTHING;
    }
    const [text = char] =
      /^(?:\[(?:\\[^]|[^\]\\])*\]|\\u\{[^}]*\}|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u.{4}|\\x..|\\c.|\\[pP]\{[^}]*\}|\\.|[^])/u.exec(
        rest,
      ) ?? [];
    this.#at += Array.from(text).length;
    const one = RegExp(`^(?:${text})$`, 'u');
    const takes = this.#samples.map((sample) => one.test(sample));
    const position = this.#positions.push({ takes, follow: new Map() }) - 1;
    if (position >= MOST_POSITIONS) throw new TooLarge();
    return { nullable: false, first: [position], last: [position], loops: false };
  }

  #group(): Part {
    const rest = this.#source.slice(this.#at).join('');
    const [opening = '('] = /^\((?:\?(?:[:=!]|<[=!]|<[^>]*>))?/.exec(rest) ?? [];
    this.#at += Array.from(opening).length;
    const part = this.#choice();
    this.#at++;
    // What an assertion looks at is read again by what follows it: its own loops are judged, but it links nothing.
    return /[=!]$/.test(opening) ? NOTHING : part;
  }
}

function reach(start: number, next: (at: number) => number[]): Set<number> {
  const found = new Set([start]);
  for (const at of found) for (const to of next(at)) found.add(to);
  return found;
}
