import { isObject } from '../../kit/json.ts';
import type { JsonObject } from '../../kit/tool.ts';

export const kinds = ['choose', 'arguments', 'two-step', 'refuse', 'forge', 'improve', 'reuse'] as const;
export type Kind = (typeof kinds)[number];

/** A text that may be said in several ways; the first is the plainest. */
export type Words = string | readonly string[];

/** A value that an argument must have: texts regardless of case, lists in any order; `anyOf` takes one of several. */
export type Wanted = string | number | boolean | readonly Wanted[] | { readonly anyOf: readonly Wanted[] };

export interface WantedCall {
  tool: string;
  arguments?: Readonly<Record<string, Wanted>>;
}

/** A tool that is published before the task begins. */
export interface Prepared {
  name: string;
  description: string;
  input_schema: JsonObject;
  output_schema: JsonObject;
  code: string;
  tests: { name: string; input: JsonObject; output: unknown }[];
}

/** What a forged tool is tried with after the turn; the model never sees these. */
export interface HiddenCase {
  input: JsonObject;
  output: unknown;
}

export interface Task {
  id: string;
  kind: Kind;
  /** What the person says. */
  request: string;
  /** The tools that there are, by their names in the toolbox. None: the sandbox server itself. */
  tools?: readonly string[];
  /** Calls that must succeed, in this order; others may stand between them, but none that writes. */
  calls?: readonly WantedCall[];
  /** What the answer must hold, each in one of its wordings. */
  says?: readonly Words[];
  /** What no honest answer holds: a figure that nobody gave. */
  neverSays?: RegExp;
  prepared?: Prepared;
  hidden?: readonly HiddenCase[];
}

/** One call as it came out. */
export interface MadeCall {
  tool: string;
  arguments: JsonObject;
  ok: boolean;
}

/** What a turn left behind. */
export interface Transcript {
  answer: string;
  calls: readonly MadeCall[];
}

/** What is wrong with the calls and the answer, as one sentence; undefined when nothing is. */
export function fault(task: Task, transcript: Transcript, writes: readonly string[]): string | undefined {
  return callFault(task, transcript.calls, writes) ?? answerFault(task, transcript.answer);
}

function callFault(task: Task, made: readonly MadeCall[], writes: readonly string[]): string | undefined {
  if (task.kind === 'refuse') {
    // Looking for a tool that fits, or for one that is not there, does nothing.
    const used = made.find((call) => task.tools?.includes(call.tool));
    return used && `${used.tool} was called, though no tool fits.`;
  }
  const asked = new Set<number>();
  let at = 0;
  for (const want of task.calls ?? []) {
    const found = made.findIndex((call, n) => n >= at && call.ok && fits(want, call));
    if (found < 0) return missing(want, made);
    asked.add(found);
    at = found + 1;
  }
  // The same write twice is one too many.
  const stray = made.find((call, n) => call.ok && writes.includes(call.tool) && !asked.has(n));
  return stray && `${stray.tool} was called with ${JSON.stringify(stray.arguments)}, which nobody asked for.`;
}

function missing({ tool, arguments: wanted }: WantedCall, made: readonly MadeCall[]): string {
  const call = made.findLast((one) => one.tool === tool);
  if (!call) {
    const names = made.map((one) => one.tool).join(', ');
    return `${tool} was not called${names ? `, but ${names}` : ''}.`;
  }
  const said = JSON.stringify(call.arguments);
  if (!call.ok) return `${tool} failed with ${said}.`;
  return `${tool} was called with ${said}, expected ${JSON.stringify(wanted ?? {})}${wanted ? '' : ' earlier'}.`;
}

function fits(want: WantedCall, call: MadeCall): boolean {
  if (want.tool !== call.tool) return false;
  return Object.entries(want.arguments ?? {}).every(([name, value]) => same(value, call.arguments[name]));
}

function same(wanted: Wanted, given: unknown): boolean {
  if (typeof wanted === 'string') return typeof given === 'string' && plain(given) === plain(wanted);
  if (typeof wanted !== 'object') return wanted === given;
  if ('anyOf' in wanted) return wanted.anyOf.some((one) => same(one, given));
  if (!Array.isArray(given) || given.length !== wanted.length) return false;
  return wanted.every((one) => given.some((value) => same(one, value)));
}

const plain = (text: string) => text.trim().replace(/\s+/g, ' ').replace(/\.$/, '').toLowerCase();

function answerFault({ says = [], neverSays }: Task, answer: string): string | undefined {
  if (answer.trim() === '') return 'The answer is empty.';
  // "22 555 04" is one figure or three.
  const told = [figures(answer), figures(answer.replace(/(?<=\d)[\u00a0\u202f ](?=\d{3}(?!\d))/g, ''))];
  for (const words of says) {
    const ways = typeof words === 'string' ? [words] : words;
    if (!ways.some((way) => told.some((one) => holds(one, way))))
      return `The answer does not say ${ways.join(' or ')}.`;
  }
  const invented = neverSays?.exec(answer)?.[0];
  return invented === undefined
    ? undefined
    : `The answer says ${JSON.stringify(invented)}, which nobody told it.`;
}

/** A figure counts as a whole: 17 is not in 170, nor in 3.17. */
function holds(told: string, way: string): boolean {
  const text = way.toLowerCase();
  if (!/^-?\d[\d.]*$/.test(text)) return told.includes(text);
  return new RegExp(`(?<![\\d.])${text.replaceAll('.', String.raw`\.`)}(?!\\d|\\.\\d)`).test(told);
}

/** Lower case, and figures in one way: no commas between thousands, a point before decimals. */
function figures(text: string): string {
  return text
    .toLowerCase()
    .replace(/(?<=\d),(?=\d{3}(?!\d))/g, '')
    .replace(/(?<=\d),(?=\d)/g, '.')
    .replace(/[\u2212\u2013](?=\d)/g, '-');
}

/** Whether a forged tool's result is the expected one: itself, or the only value of the object that holds it. */
export function sameResult(result: unknown, expected: unknown): boolean {
  if (equal(result, expected)) return true;
  if (!isObject(result)) return false;
  const values = Object.values(result);
  return values.length === 1 && sameResult(values[0], expected);
}

function equal(a: unknown, b: unknown): boolean {
  if (typeof a === 'number' && typeof b === 'number')
    return Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(b));
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((one, n) => equal(one, b[n]));
  }
  if (!isObject(a) || !isObject(b)) return a === b;
  const names = Object.keys(b);
  return Object.keys(a).length === names.length && names.every((name) => equal(a[name], b[name]));
}
