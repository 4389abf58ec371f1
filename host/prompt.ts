import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';

/** Lines that arrive together were pasted together. */
const PASTE_MS = 25;

/** What a person may answer when something is to be decided. Only the whole answer counts: all else is a no. */
type Decision = 'yes' | 'always' | 'refuse' | 'no';
const DECISIONS = new Map<string, Decision>([
  ['y', 'yes'],
  ['yes', 'yes'],
  ['t', 'yes'],
  ['tak', 'yes'],
  ['a', 'always'],
  ['always', 'always'],
  ['r', 'refuse'],
  ['refuse', 'refuse'],
]);

/** A terminal, or a pipe, as far as this needs it. */
type Input = NodeJS.ReadableStream & { isTTY?: boolean };
type Output = NodeJS.WritableStream & { isTTY?: boolean; columns?: number };

/** Reads what a person types. What is typed while nobody asks is kept for the next question, and not echoed. */
export class Prompt {
  readonly #lines: Interface;
  readonly #terminal: boolean;
  readonly #typed: string[] = [];
  #muted = true;
  #ended = false;
  #wake: () => void = () => {};
  /** Ctrl-C. On a terminal it comes as a key, since the keys are read one by one. */
  onInterrupt: () => void = () => this.close();

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
    this.#lines = createInterface({ input, output: echo, terminal: this.#terminal, historySize: 200 });
    this.#lines.on('SIGINT', () => this.onInterrupt());
    this.#lines.on('line', (line) => {
      this.#typed.push(line);
      this.#wake();
    });
    this.#lines.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** What was typed, with the lines of one paste together; undefined at the end of the input. */
  async read(label: string): Promise<string | undefined> {
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
    this.#typed.length = 0;
    const answer = (await this.read(question)) ?? '';
    return DECISIONS.get(answer.trim().toLowerCase()) ?? 'no';
  }

  /** Clears what is half typed; true when there was something. */
  clear(): boolean {
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
    if (!this.#muted) this.#lines.write('\n');
  }

  close(): void {
    this.#lines.close();
  }

  async #until(ready: () => boolean): Promise<void> {
    while (!ready()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
