import type { JsonObject } from '../../kit/tool.ts';
import { redact } from '../../kit/secrets.ts';
import { copiedNote } from '../approvals/approval.ts';
import type { Io } from './io.ts';
import type { TurnEvent } from '../turn/loop.ts';
import { clean, displayWidth, duration, fit, marked, wrap, Wrapper } from './text.ts';

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/** With less room a call and its result stand below one another. */
const NARROW = 36;
const FRAME_MS = 120;
const ERASE = '\r\u001b[2K';

/** Colours where the terminal has them. */
export function painter(io: Pick<Io, 'colour'>) {
  const paint = (code: string) => (text: string) => (io.colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  return {
    dim: paint('2'),
    bold: paint('1'),
    green: paint('32'),
    red: paint('31'),
    yellow: paint('33'),
    cyan: paint('36'),
  };
}

/** The line that is being redrawn: a call that runs, or a model that thinks. */
interface Live {
  label: string;
  detail: string;
  note: string;
  started: number;
}

/**
 * Draws the events of a turn: text as it comes, wrapped; each call as one line that turns from running to done; the steps
 * of a long one above it. Without a terminal only what is settled is written, in plain lines.
 */
export class TurnDisplay {
  readonly #io: Io;
  readonly #answers: boolean;
  readonly #calls: boolean;
  readonly #animated: boolean;
  readonly #paint: ReturnType<typeof painter>;
  readonly #wrapper: Wrapper;
  readonly #write: (text: string) => void;
  #live: Live | undefined;
  #timer: NodeJS.Timeout | undefined;
  #frame = 0;
  #steps: { kind: string; words: string[] } | undefined;

  /** `answers`: write the model's text to stdout as it comes; `calls`: write a line a call. */
  constructor(io: Io, options: { answers: boolean; calls: boolean; animated?: boolean }) {
    this.#io = io;
    this.#answers = options.answers;
    this.#calls = options.calls;
    this.#animated = options.animated ?? io.interactive;
    this.#paint = painter(io);
    this.#write = options.answers ? io.out : io.err;
    this.#wrapper = new Wrapper(() => io.columns(), io.out);
  }

  show(event: TurnEvent): void {
    switch (event.type) {
      case 'text':
        if (!this.#answers) return;
        this.#stop();
        this.#wrapper.add(clean(event.text));
        return;
      case 'thinking':
        if (!this.#live) this.#start({ label: 'thinking', detail: '', note: '', started: performance.now() });
        return;
      case 'call':
        if (event.copied) this.#notice(this.#paint.yellow('!'), copiedNote(event.copied));
        this.#start({
          label: event.tool,
          detail: shortArguments(event.arguments),
          note: '',
          started: performance.now(),
        });
        return;
      case 'progress':
        if (event.note) this.#step(clean(event.note));
        return;
      case 'result': {
        this.#endSteps();
        this.#stop();
        const own = event.text.startsWith(`${event.tool} `)
          ? event.text.slice(event.tool.length + 1)
          : event.text;
        const result = event.ok ? shortResult(event.value, event.text) : own;
        this.#line(event.ok, event.tool, shortArguments(event.arguments), duration(event.ms), result);
        return;
      }
      case 'notice':
        this.#stop();
        this.#notice(event.error ? this.#paint.red('✗') : this.#paint.yellow('!'), event.text);
        return;
      case 'context':
        return;
      default:
        this.#stop();
        this.#wrapper.end();
    }
  }

  /** Something waits for the model's first word. */
  waiting(label: string): void {
    this.#start({ label, detail: '', note: '', started: performance.now() });
  }

  /** Leaves the line to a question; the next event goes on. */
  pause(): void {
    this.#stop();
    this.#wrapper.end();
  }

  #start(live: Live): void {
    this.#stop();
    this.#wrapper.end();
    if (!this.#calls || !this.#animated) return;
    this.#live = live;
    this.#draw();
    this.#timer = setInterval(() => this.#draw(), FRAME_MS).unref();
  }

  #stop(): void {
    if (this.#live) this.#io.out(ERASE);
    this.#live = undefined;
    clearInterval(this.#timer);
  }

  #draw(): void {
    const { label, detail, note, started } = this.#live ?? { label: '', detail: '', note: '', started: 0 };
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const room = this.#io.columns() - 3;
    const time = duration(Math.max(100, performance.now() - started));
    const tail = [time, note && fit(note, Math.floor(room / 2))].filter(Boolean).join(' · ');
    const head = fit([label, detail].filter(Boolean).join(' '), Math.max(8, room - displayWidth(tail) - 3));
    const line = fit(`${head} · ${tail}`, room);
    this.#io.out(`${ERASE}${this.#paint.cyan(FRAMES[this.#frame] ?? '')} ${line}`);
  }

  /** Steps of one kind (`round 1: types`, `round 1: tests`) share a line; the newest is on the moving one meanwhile. */
  #step(note: string): void {
    const [, kind = '', word] = /^(?:(.+): )?(\w+)$/.exec(note) ?? [];
    if (this.#live) this.#live.note = note;
    if (kind !== this.#steps?.kind || word === undefined) this.#endSteps();
    if (word !== undefined) {
      this.#steps = { kind, words: [...(this.#steps?.words ?? []), word] };
      if (this.#live) this.#draw();
    } else this.#writeStep(note);
  }

  #endSteps(): void {
    const { kind = '', words = [] } = this.#steps ?? {};
    if (words.length > 0) this.#writeStep(`${kind && `${kind}: `}${words.join(', ')}`);
    this.#steps = undefined;
  }

  #writeStep(note: string): void {
    if (this.#live) this.#io.out(ERASE);
    for (const [n, line] of wrap(note, this.#io.columns() - 5)
      .slice(0, 3)
      .entries()) {
      this.#plain(this.#paint.dim(`  ${n === 0 ? '·' : ' '} ${line}`));
    }
    if (this.#live) this.#draw();
  }

  #line(ok: boolean, tool: string, args: string, time: string, result: string): void {
    const room = this.#io.columns() - 9 - time.length;
    const [call, outcome] = [`${tool} ${args}`.trim(), clean(result)];
    const mark = ok ? this.#paint.green('✓') : this.#paint.red('✗');
    if (room < NARROW) {
      this.#plain(`${mark} ${fit(call, this.#io.columns() - 3)}`);
      const lines = wrap(`${time}${outcome && ` · ${fit(outcome, 3 * NARROW)}`}`, this.#io.columns() - 3);
      for (const line of lines.slice(0, ok ? 1 : 4)) this.#plain(this.#paint.dim(`  ${line}`));
      return;
    }
    const over = displayWidth(call) + displayWidth(outcome) > room;
    // An error has to be read; of a result, a glimpse does.
    const forOutcome = over ? Math.max(ok ? 24 : 40, room - displayWidth(call)) : room;
    const tail = fit(outcome, forOutcome);
    const head = fit(call, room - displayWidth(tail));
    this.#plain(`${mark} ${head} ${this.#paint.dim(`· ${time}${tail && ` · ${tail}`}`)}`);
  }

  #notice(mark: string, text: string): void {
    this.#plain(marked(mark, text, this.#io.columns()).trimEnd());
  }

  #plain(line: string): void {
    this.#wrapper.end();
    if (this.#calls) this.#write(`${line}\n`);
  }
}

/** The argument itself where there is one, else all of them. */
function shortArguments(args: JsonObject): string {
  const [first, ...others] = Object.values(args);
  const shown = others.length === 0 && typeof first === 'string' ? `"${first}"` : JSON.stringify(args);
  return shown === '{}' ? '' : fit(clean(redact(shown.slice(0, 600))), 60);
}

const says = (key: string, one: unknown) =>
  key !== 'ms' && one !== undefined && one !== '' && !(Array.isArray(one) && one.length === 0);

function shortResult(value: JsonObject | undefined, text: string): string {
  const entries = Object.entries(value ?? {}).filter(([key, one]) => says(key, one));
  const [first, ...others] = entries;
  if (!first) return text;
  if (others.length === 0) return JSON.stringify(first[1]);
  return entries
    .map(([key, one]) => `${key} ${typeof one === 'string' ? one : JSON.stringify(one)}`)
    .join(', ');
}
