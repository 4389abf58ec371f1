import { JSException, type JSValueHandle } from 'quickjs-wasi';
import { GUEST_FILE, MAX_DEPTH } from './guest.ts';
import { type Engine, NO_MODULES } from './engine.ts';
import { DEFAULT_MEMORY_BYTES, type Failure, type Job, size, type Stage } from './wire.ts';
import { validate } from './schema-values.ts';

/** Thrown wherever a call ends without a value. */
export class Stop extends Error {
  readonly outcome: Failure;
  readonly trace: string;
  /** Whether the engine was torn out of its work, so that nothing more should be asked of it. */
  readonly fatal: boolean;

  constructor(outcome: Failure, message: string, trace = '', fatal = false) {
    super(message);
    this.outcome = outcome;
    this.trace = trace;
    this.fatal = fatal || outcome === 'out_of_memory';
  }
}

/** What surrounds one call: where it tells its stage, and how much it has printed. */
interface Surroundings {
  mark(stage: Stage): void;
  printed(): number;
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Names that models reach for, and what to say when they are not there. */
const ABSENT: [RegExp, string][] = [
  [/^(fetch|XMLHttpRequest|WebSocket|EventSource|Request|Response|Headers)$/, 'there is no network here'],
  [/^(require|module|exports)$/, 'this is an ES module: use export default, and no modules to require'],
  [/^(process|Buffer|global|__dirname|__filename|fs|path|os|setImmediate)$/, 'there is no Node.js here'],
  [/^(window|document|localStorage|navigator|alert)$/, 'there is no browser here'],
  [
    /^(URL|URLSearchParams|Intl|crypto|Blob|AbortController|WebAssembly|Temporal)$/,
    'only ECMAScript, console, timers, TextEncoder, TextDecoder, structuredClone, atob and btoa are here',
  ],
];

/** Runs one call in a fresh engine. Answers with the result as JSON text, or throws a Stop. */
export async function runCall(engine: Engine, job: Job, around: Surroundings): Promise<string> {
  try {
    return await attempt(engine, job, around);
  } catch (error) {
    if (error instanceof Stop) throw error;
    throw trapped(engine, job, error);
  }
}

async function attempt(engine: Engine, job: Job, around: Surroundings): Promise<string> {
  around.mark(1);
  const input = job.input === '' && job.inputSchema !== '' ? '{}' : job.input;
  if (deeperThan(input, MAX_DEPTH)) {
    throw new Stop('bad_input', `input is nested more than ${MAX_DEPTH} deep; send something flatter`);
  }
  demand(job.inputSchema, input, 'input');
  around.mark(2);
  const { vm } = engine;
  engine.clock = job.clock;
  const seed =
    job.clock === 'fixed' ? Uint32Array.of(1, 2, 3, 4) : crypto.getRandomValues(new Uint32Array(4));
  const numbers = [job.consoleBytes, ...seed].map((each) => vm.newNumber(each));
  engine.call('start', job.clock === 'fixed' ? vm.true : vm.false, ...numbers);
  const named = job.kind === 'snippet' ? vm.true : vm.false;
  const given = engine.call('define', input === '' ? vm.undefined : text(engine, job, input), named);
  const program = job.kind === 'module' ? await moduleOf(engine, job) : await snippetOf(engine, job);
  const value = await settle(engine, job, engine.call('finish', program, given));
  around.mark(3);
  const result = read(engine, job, value, around);
  around.mark(4);
  demand(job.outputSchema, result, 'output');
  return result;
}

/** A module's default export, which must be a function. */
async function moduleOf(engine: Engine, job: Job): Promise<JSValueHandle> {
  const found = defaultOf(await settle(engine, job, load(engine, job, job.code, 'module')));
  if (found.isFunction) return found;
  throw new Stop(
    'error',
    `the default export is ${found.typeof}, not a function: write \`export default (input) => { … }\``,
  );
}

function defaultOf(names: JSValueHandle): JSValueHandle {
  const found = names.getProp('default');
  if (!found.isUndefined) return found;
  throw new Stop('error', 'the module has no default export: add `export default (input) => { … }`');
}

/**
 * A snippet's value. What it is, is decided by what parses: one object literal or function, a script (its value is
 * that of its last expression), a module, and at last the body of a function, for a stray `return` at the top.
 */
async function snippetOf(engine: Engine, job: Job): Promise<JSValueHandle> {
  const { code } = job;
  let missed: Unparsed | undefined;
  const tries = async (as: 'module' | 'script', source: string): Promise<JSValueHandle | undefined> => {
    try {
      return await settle(engine, job, load(engine, job, source, as));
    } catch (error) {
      if (!(error instanceof Unparsed)) throw error;
      // The reading that got furthest into the text is the one that was meant.
      if (!missed || error.at > missed.at) missed = error;
      return undefined;
    }
  };
  if (/^\s*(\{|(async\s+)?function\b)/.test(code)) {
    const whole = await tries('script', `(${code.trim().replace(/;$/, '')}\n)`);
    if (whole) return whole.getProp('value');
    missed = undefined;
  }
  const script = await tries('script', code);
  if (script) return script.getProp('value');
  const names = await tries('module', code);
  if (names) return defaultOf(names);
  if (missed && /return not in a function/.test(missed.message)) {
    const body = await tries('script', `(async function () {${code}\n})()`);
    if (body) return body.getProp('value');
  }
  throw missed?.stop ?? new Stop('error', 'the code does not parse');
}

/** Code that does not parse one way, and how far the parser came. */
class Unparsed extends Error {
  readonly at: number;
  readonly stop: Stop;

  constructor(at: number, stop: Stop) {
    super(stop.message);
    this.at = at;
    this.stop = stop;
  }
}

function load(engine: Engine, job: Job, source: string, as: 'module' | 'script'): JSValueHandle {
  try {
    return engine.load(source, fileOf(job), as);
  } catch (error) {
    // Only what precedes execution is thrown here: what the code throws itself rejects the promise.
    if (!(error instanceof JSException)) throw error;
    const stop = thrown(engine, job, [error.name, error.message, error.stack ?? '']);
    if (error.name !== 'SyntaxError') throw stop;
    const [, line, column] = frameIn(job).exec(error.stack ?? '') ?? [];
    const unparsed = new Unparsed(Number(line ?? 0) * 1e6 + Number(column ?? 0), stop);
    throw job.kind === 'module' ? stop : unparsed;
  }
}

/** Lets the guest go on until the promise settles: jobs first, then the timer that is due next. */
async function settle(engine: Engine, job: Job, promise: JSValueHandle): Promise<JSValueHandle> {
  for (;;) {
    engine.vm.executePendingJobs();
    if (promise.promiseState !== 0) break;
    const wait = engine.call('delay').toNumber();
    if (wait < 0) {
      throw new Stop(
        'error',
        'the promise never settles: nothing is left to run that could resolve or reject it',
      );
    }
    if (wait > 0 && job.clock === 'real') Atomics.wait(sleeper, 0, 0, wait);
    const crash = engine.call('fire').toString();
    if (crash !== '') throw thrown(engine, job, parts(crash));
  }
  const settled = await engine.vm.resolvePromise(promise);
  if ('error' in settled) throw thrown(engine, job, parts(described(engine, settled.error)));
  return settled.value;
}

/** The result as JSON text, written by the prelude: the only thing of a guest's that we read. */
function read(engine: Engine, job: Job, value: JSValueHandle, around: Surroundings): string {
  const handle = engine.call('read', value, engine.vm.newNumber(job.resultBytes));
  const written = handle.isString ? handle.toString() : '';
  const rest = written.slice(1);
  switch (written[0]) {
    case 'J':
      if (Buffer.byteLength(rest) <= job.resultBytes) return rest;
      break;
    case 'L':
      break;
    case 'U':
      if (job.kind === 'snippet' && around.printed() > 0) return 'null';
      if (job.kind === 'module') throw new Stop('bad_output', 'output is undefined; return a value, or null');
      throw new Stop(
        'bad_output',
        'the code gives no value; end it with an expression, such as the name of the variable that holds the result',
      );
    case 'E':
      throw new Stop('bad_output', rest);
    case 'X':
      throw thrown(engine, job, parts(rest));
    default:
      throw new Error('the result could not be read');
  }
  throw new Stop(
    'output_limit',
    `the result is larger than ${size(job.resultBytes)}; return less, for example a page or a summary`,
  );
}

function demand(schema: string, json: string, what: string): void {
  if (schema === '') return;
  const faults = validate(JSON.parse(schema), JSON.parse(json), what);
  if (faults.length > 0) throw new Stop(what === 'input' ? 'bad_input' : 'bad_output', faults.join('; '));
}

function described(engine: Engine, error: JSValueHandle): string {
  const handle = engine.call('describe', error);
  return handle.isString ? handle.toString() : '["","",""]';
}

function parts(described: string): string[] {
  const list: unknown = JSON.parse(described);
  return Array.isArray(list) ? list.map(String) : [];
}

/** What the guest threw, as the Stop that its user reads: the message, a hint, the line in their own code. */
function thrown(engine: Engine, job: Job, [name = '', message = '', stack = '']: string[]): Stop {
  if (message === NO_MODULES) return new Stop('denied', message);
  if (name === 'InternalError' && message === 'out of memory') return starved(job);
  // With no memory left even for an error object, the engine throws null.
  if (message === 'threw null' && engine.memoryBytes > job.memoryBytes * 0.9) return starved(job);
  const line = frameIn(job).exec(stack)?.[1];
  const absent = /^'?(\w+)'? is not defined$/.exec(message)?.[1] ?? '';
  const hint = ABSENT.find(([names]) => name === 'ReferenceError' && names.test(absent))?.[1];
  const said = [name, message].filter((part) => part !== '').join(': ') || 'threw an empty error';
  const trace = stack
    .split('\n')
    .filter((frame) => !frame.includes(GUEST_FILE))
    .join('\n')
    .trimEnd();
  return new Stop('error', `${said}${hint ? ` (${hint})` : ''}${line ? ` (line ${line})` : ''}`, trace);
}

/** What stopped the engine itself: its stack, its memory, or a fault of its own. */
function trapped(engine: Engine, job: Job, error: unknown): Stop {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof RangeError && /call stack/.test(message)) {
    return new Stop('error', 'RangeError: the code nests or recurses too deep', '', true);
  }
  if (/out of memory/.test(message) || engine.memoryBytes > job.memoryBytes * 0.9) return starved(job);
  return new Stop('error', message.replace(/^Job execution error: /, 'uncaught in a microtask: '), '', true);
}

function starved(job: Job): Stop {
  return new Stop(
    'out_of_memory',
    `the code needs more than the ${size(job.memoryBytes)} of memory it may have; keep less at once`,
  );
}

function text(engine: Engine, job: Job, value: string): JSValueHandle {
  const handle = engine.vm.newString(value);
  if (!handle.isString) throw starved(job);
  return handle;
}

const fileOf = (job: Job) => (job.kind === 'module' ? 'tool.js' : 'snippet.js');
const frameIn = (job: Job) =>
  job.kind === 'module' ? /tool\.js:(\d+)(?::(\d+))?/ : /snippet\.js:(\d+)(?::(\d+))?/;

/** Whether brackets nest deeper than `limit`, counted without recursion; strings are skipped. */
function deeperThan(json: string, limit: number): boolean {
  if (json.length <= limit) return false;
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    const char = json[i];
    if (char === '"') {
      for (i++; i < json.length && json[i] !== '"'; i++) if (json[i] === '\\') i++;
    } else if (char === '[' || char === '{') {
      if (++depth > limit) return true;
    } else if (char === ']' || char === '}') depth--;
  }
  return false;
}

/** A call that used more than the default keeps its memory until a collection: its worker goes instead. */
export const retiresAfter = (engine: Engine) => engine.memoryBytes > DEFAULT_MEMORY_BYTES / 4;
