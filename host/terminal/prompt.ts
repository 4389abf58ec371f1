import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';
import { callbackify } from 'node:util';
import { Pastes, PASTES } from './paste.ts';

/** Lines that arrive together were pasted together. */
const PASTE_MS = 25;

/** What a person may answer when something is to be decided. Only the whole answer counts: all else is a no. */
type Decision = 'yes' | 'always' | 'forever' | 'refuse' | 'no';
const DECISIONS = new Map<string, Decision>([
  ['y', 'yes'],
  ['yes', 'yes'],
  ['t', 'yes'],
  ['tak', 'yes'],
  ['a', 'always'],
  ['always', 'always'],
  ['f', 'forever'],
  ['for good', 'forever'],
  ['r', 'refuse'],
  ['refuse', 'refuse'],
]);

/** A terminal, or a pipe, as far as this needs it. */
type Input = NodeJS.ReadableStream & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown };
type Output = NodeJS.WritableStream & { isTTY?: boolean; columns?: number };

/** Reads what a person types. What is typed while nobody asks is kept for the next question, and not echoed. */
export class Prompt {
  readonly #lines: Interface;
  readonly #terminal: boolean;
  readonly #typed: string[] = [];
  readonly #pastes = new Pastes();
  readonly #leave: () => void;
  #reading: Promise<string | undefined> | undefined;
  #muted = true;
  #ended = false;
  #wake: () => void = () => {};
  /** Ctrl-C. On a terminal it comes as a key, since the keys are read one by one. */
  onInterrupt: () => void = () => this.close();
  /** What Tab offers for a line: the ways it could go on, and which part of it they take the place of. */
  complete: (line: string) => Promise<[string[], string]> = (line) => Promise.resolve([[], line]);

  constructor(input: Input, output: Output) {
    this.#terminal = input.isTTY === true && output.isTTY === true;
    const echo = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        if (!this.#muted) output.write(chunk);
        done();
      },
    });
    // What readline asks of a terminal: its width, and to hear when that changes.
    Object.defineProperty(echo, 'columns', { get: () => output.columns });
    if (this.#terminal) output.on('resize', () => echo.emit('resize'));
    this.#lines = createInterface({
      input: this.#terminal ? this.#keys(input) : input,
      output: echo,
      terminal: this.#terminal,
      historySize: 200,
      // A completion that fails offers nothing.
      completer: callbackify(async (line: string): Promise<[string[], string]> => {
        const nothing: [string[], string] = [[], line];
        return this.#muted ? nothing : this.complete(line).catch(() => nothing);
      }),
    });
    this.#leave = () => {
      if (this.#terminal) output.write(PASTES.off);
      input.unpipe(this.#pastes);
      input.pause();
    };
    if (this.#terminal) output.write(PASTES.on);
    this.#lines.on('SIGINT', () => this.onInterrupt());
    this.#lines.on('line', (line) => {
      this.#typed.push(this.#pastes.expand(line));
      this.#wake();
    });
    this.#lines.on('close', () => {
      this.#leave();
      this.#ended = true;
      this.#wake();
    });
  }

  /**
   * What was typed, with the lines of one paste together; undefined at the end of the input. One question at a time: the next
   * waits until this one is answered, also when nobody waits for that any more.
   */
  async read(label: string): Promise<string | undefined> {
    while (this.#reading) await this.#reading;
    this.#reading = this.#read(label).finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(label: string): Promise<string | undefined> {
    if (this.#terminal) {
      this.#muted = false;
      this.#lines.setPrompt(label);
      if (this.#typed.length === 0 && !this.#ended) this.#lines.prompt();
    }
    await this.#until(() => this.#typed.length > 0 || this.#ended);
    if (this.#terminal && this.#typed.length > 0) {
      for (let seen = 0; seen < this.#typed.length;) {
        seen = this.#typed.length;
        await new Promise((resolve) => setTimeout(resolve, PASTE_MS));
      }
    }
    this.#muted = true;
    if (this.#typed.length === 0) return undefined;
    return this.#typed.splice(0, this.#terminal ? this.#typed.length : 1).join('\n');
  }

  /** A question that must be decided now: what was typed before it does not count. */
  async confirm(question: string): Promise<Decision> {
    while (this.#reading) await this.#reading;
    this.#typed.length = 0;
    const answer = (await this.read(question)) ?? '';
    return DECISIONS.get(answer.trim().toLowerCase()) ?? 'no';
  }

  /** Clears what is half typed; true when there was something. */
  clear(): boolean {
    if (!this.#terminal) return false;
    const typed = this.#lines.line !== '';
    this.#lines.write(null, { ctrl: true, name: 'e' });
    this.#lines.write(null, { ctrl: true, name: 'u' });
    return typed;
  }

  /** Shows the question anew, below what was written since. */
  again(): void {
    if (!this.#muted) this.#lines.prompt();
  }

  /** Ends a question that waits, as if Enter had been pressed. */
  dismiss(): void {
    this.clear();
    if (this.#terminal && !this.#muted) this.#lines.write('\n');
  }

  close(): void {
    this.#lines.close();
  }

  /** The terminal's keys with its pastes taken together; to readline it is the terminal. */
  #keys(input: Input): Pastes {
    const asTerminal = { isTTY: true, setRawMode: (raw: boolean) => input.setRawMode?.(raw) };
    return Object.assign(input.pipe(this.#pastes), asTerminal);
  }

  async #until(ready: () => boolean): Promise<void> {
    while (!ready()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
