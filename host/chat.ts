import { ModelError, type ChatMessage, type ModelInfo } from '../kit/model.ts';
import { version } from '../kit/version.ts';
import { decider } from './deciding.ts';
import { painter, TurnDisplay } from './display.ts';
import { EXIT, parse, type Command, type Io } from './io.ts';
import { turn } from './loop.ts';
import { described, pickModel } from './models.ts';
import { Prompt } from './prompt.ts';
import { openSession, type Session } from './session.ts';
import { shownTools } from './shown.ts';
import { clean, fit, nearest } from './text.ts';

const help = `
kuznia: a chat with a local model that has tools, and makes the ones it lacks.

Usage: kuznia [chat] [--model NAME]

  --model NAME  the Ollama model (else KUZNIA_MODEL, models.default in kuznia.json, or one that is installed)
In the chat: /help, /tools, /model [NAME], /quit. Ctrl-C stops an answer; at the prompt, twice, it quits.
Without a model it says how to get one and plays a demonstration with scripted answers.

Example: kuznia --model qwen3:8b
`;

export const command: Command = {
  help,
  async run(argv, io) {
    const { values, positionals } = parse(argv, { model: { type: 'string' } });
    const said = positionals.join(' ');
    let session: Session;
    try {
      session = await openSession({ model: values.model, signal: new AbortController().signal });
    } catch (error) {
      const missing = error instanceof ModelError && ['unreachable', 'no_model'].includes(error.reason);
      if (!missing || values.model !== undefined) throw error;
      const { demonstrate } = await import('./demo.ts');
      return demonstrate(io, error.message);
    }
    const chat = new Chat(session, io);
    try {
      await chat.talk(said);
      return EXIT.done;
    } finally {
      chat.close();
      await session.close();
    }
  },
};

/** A conversation at a terminal, or over pipes: a line in, an answer out. */
class Chat {
  readonly #session: Session;
  readonly #io: Io;
  readonly #prompt = new Prompt(process.stdin, process.stdout);
  readonly #messages: ChatMessage[] = [];
  readonly #allowed: string[] = [];
  #info: ModelInfo;
  #turn: AbortController | undefined;
  #display: TurnDisplay | undefined;
  #leaving = false;

  constructor(session: Session, io: Io) {
    this.#session = session;
    this.#io = io;
    this.#info = session.info;
    this.#prompt.onInterrupt = () => this.#interrupt();
    process.on('SIGINT', () => this.#interrupt());
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        this.#turn?.abort();
        this.#prompt.close();
      });
    }
  }

  async talk(first: string): Promise<void> {
    const { dim, bold } = painter(this.#io);
    const line = `Kuźnia ${version} · ${described(this.#info)} · /help`;
    this.#io.out(`${dim(fit(line, this.#io.columns() - 1))}\n`);
    let said: string | undefined = first === '' ? await this.#read(bold('› ')) : first;
    while (said !== undefined) {
      const text = said.trim();
      if (text === '/quit' || text === '/exit') return;
      if (text.startsWith('/')) await this.#slash(text);
      else if (text !== '') await this.#answer(text);
      said = await this.#read(bold('› '));
    }
    if (this.#io.interactive) this.#io.out('\n');
  }

  close(): void {
    this.#prompt.close();
  }

  async #read(label: string): Promise<string | undefined> {
    const said = await this.#prompt.read(label);
    this.#leaving = false;
    return said;
  }

  async #answer(text: string): Promise<void> {
    const { model, connections } = this.#session;
    const before = this.#messages.length;
    const stop = new AbortController();
    const display = new TurnDisplay(this.#io, { answers: true, calls: true });
    this.#turn = stop;
    this.#display = display;
    this.#messages.push({ role: 'user', content: text });
    const approve = decider({
      io: this.#io,
      prompt: this.#prompt,
      connections,
      display: () => this.#display,
      signal: () => stop.signal,
      allow: (tool) => this.#allowed.push(tool),
    });
    try {
      display.waiting(this.#info.name);
      const events = turn({
        model,
        connections,
        approve,
        info: this.#info,
        messages: this.#messages,
        allowed: this.#allowed,
        signal: stop.signal,
      });
      for await (const event of events) display.show(event);
    } catch (error) {
      display.pause();
      if (stop.signal.aborted) {
        this.#io.out(`${painter(this.#io).dim('stopped')}\n`);
      } else {
        // The question is taken back, so that the next one does not drag it along.
        this.#messages.length = before;
        const said = error instanceof Error ? error.message : String(error);
        this.#io.out(`${painter(this.#io).red('✗')} ${clean(said)}\n`);
      }
    } finally {
      this.#turn = undefined;
    }
  }

  async #slash(text: string): Promise<void> {
    const [name = '', ...words] = text.slice(1).split(/\s+/);
    const { out } = this.#io;
    if (name === 'help') {
      out(
        '/tools         the tools that the model sees\n/model [NAME]  the models there are, or talk to another one\n',
      );
      out('/quit          leave\nCtrl-C stops an answer; at the prompt, twice, it leaves.\n');
    } else if (name === 'tools') await this.#tools();
    else if (name === 'model') await this.#model(words.join(' '));
    else {
      const near = nearest(name, ['help', 'tools', 'model', 'quit'], 1)[0];
      out(`There is no /${clean(name)}. ${near ? `Did you mean /${near}?` : 'See /help.'}\n`);
    }
  }

  async #tools(): Promise<void> {
    const { bold } = painter(this.#io);
    const task = this.#messages.findLast((message) => message.role === 'user')?.content ?? '';
    const all = await this.#session.connections.tools(new AbortController().signal);
    const shown = shownTools(all, task);
    for (const tool of shown) {
      const room = Math.max(20, this.#io.columns() - tool.name.length - 4);
      this.#io.out(`${bold(tool.name)}  ${fit(clean(tool.description), room)}\n`);
    }
    this.#io.out(`${shown.length} of ${all.length}; \`kuznia call\` reaches them all.\n`);
  }

  async #model(name: string): Promise<void> {
    const { model } = this.#session;
    const { signal } = new AbortController();
    try {
      if (name === '') {
        const names = (await model.list(signal)).map((one) => one.name);
        this.#io.out(`${described(this.#info)}\nInstalled: ${names.join(', ')}\n`);
        return;
      }
      this.#info = await pickModel(model, name, signal);
      this.#io.out(`Now ${described(this.#info)}.\n`);
    } catch (error) {
      this.#io.out(
        `${painter(this.#io).red('✗')} ${error instanceof Error ? error.message : String(error)}\n`,
      );
    }
  }

  /** The first Ctrl-C stops the answer, or clears the line; one more at the empty prompt leaves. */
  #interrupt(): void {
    if (this.#turn) {
      this.#turn.abort();
      this.#prompt.dismiss();
      return;
    }
    if (this.#prompt.clear()) return;
    if (this.#leaving) {
      this.#prompt.close();
      return;
    }
    this.#leaving = true;
    this.#io.out(`\n${painter(this.#io).dim('Ctrl-C again to leave')}\n`);
    this.#prompt.again();
  }
}
