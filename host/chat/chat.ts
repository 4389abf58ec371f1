import { setTimeout as sleep } from 'node:timers/promises';
import { ModelError, type ModelInfo } from '../../kit/model.ts';
import { version } from '../../kit/version.ts';
import { askFor, fillIn, type AskFor } from './ask.ts';
import { attach } from './attach.ts';
import { complete } from './complete.ts';
import { Conversation } from './conversation.ts';
import { isNearlyFull, meterText, type Meter } from './meter.ts';
import { Scope } from './scope.ts';
import { slash, slashNames, type Talk } from './slash.ts';
import { ServerNews } from './states.ts';
import type { FormField, Image } from '../mcp/connections.ts';
import { decider } from '../approvals/deciding.ts';
import { painter, TurnDisplay } from '../terminal/display.ts';
import type { Io } from '../terminal/io.ts';
import { turn } from '../turn/loop.ts';
import { described } from '../models/models.ts';
import { Prompt } from '../terminal/prompt.ts';
import type { Session } from '../session.ts';
import { clean, counted, fit, marked } from '../terminal/text.ts';

/** A person who types sooner than this is not idle. */
const IDLE_MS = 3_000;

/** As it is sent; `from` says that a server wrote it. */
interface Message {
  text: string;
  from: 'server' | undefined;
  images: Image[];
}

const NOTHING = { faults: [], notes: [] };

/** A conversation at a terminal, or over pipes: a line in, an answer out. */
export class Chat implements Talk {
  readonly session: Session;
  readonly io: Io;
  readonly ask: AskFor;
  readonly #prompt = new Prompt(process.stdin, process.stdout);
  readonly #allowed: string[] = [];
  readonly #news: ServerNews;
  info: ModelInfo;
  conversation: Conversation;
  images: Image[] = [];
  meter: Meter | undefined;
  #failed: Message | undefined;
  #scope: Scope;
  #turn: AbortController | undefined;
  #display: TurnDisplay | undefined;
  #asking = false;
  #stopped = false;
  #leaving = false;

  constructor(session: Session, io: Io) {
    this.session = session;
    this.io = io;
    this.#news = new ServerNews(io);
    this.info = session.info;
    this.conversation = this.#newConversation();
    this.#scope = new Scope(session);
    const ask = askFor(io, this.#prompt, () => this.#stopped || this.#turn?.signal.aborted === true);
    this.ask = async (label) => {
      this.#asking = true;
      this.#stopped = false;
      try {
        return await ask(label);
      } finally {
        this.#asking = false;
      }
    };
    this.#prompt.complete = (line) => complete(line, slashNames, session.connections);
    this.#prompt.onInterrupt = () => this.#interrupt();
    process.on('SIGINT', () => this.#interrupt());
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        this.#turn?.abort();
        this.#prompt.close();
      });
    }
  }

  /** `resume`: an earlier conversation's id, or empty for the newest. */
  async talk(first: string, resume?: string): Promise<void> {
    const { dim } = painter(this.io);
    if (resume !== undefined) {
      const { home } = this.session.runtime;
      this.conversation = Conversation.resume(home, resume || undefined, (text) => this.#trouble(text));
      this.#scope = new Scope(this.session, this.conversation.messages);
    }
    const line = `Kuźnia ${version} · ${described(this.info)} · /help`;
    this.io.out(`${dim(fit(line, this.io.columns() - 1))}\n`);
    const { turns, id } = this.conversation;
    const question = turns.at(-1)?.messages[0]?.content;
    if (question !== undefined) {
      const told = `going on with ${id}, ${counted(turns.length, 'question')} so far, the last: ${clean(question)}`;
      this.io.out(`${dim(fit(told, this.io.columns() - 1))}\n`);
    }
    let said: string | undefined = first === '' ? await this.#read() : first;
    while (said !== undefined) {
      const text = said.trim();
      if (text === '/quit' || text === '/exit') return;
      if (/^\/[^/\s]*(?:\s|$)/.test(text)) await slash(this, text);
      else if (text !== '') await this.say(text);
      said = await this.#read();
    }
    if (this.io.interactive) this.io.out('\n');
  }

  close(): void {
    this.#prompt.close();
    this.conversation.close();
  }

  begin(): void {
    this.conversation.close();
    this.conversation = this.#newConversation();
    this.#scope = new Scope(this.session);
    this.meter = undefined;
    this.#failed = undefined;
  }

  async retry(): Promise<boolean> {
    const message = this.#failed;
    if (message) await this.#send(message);
    return message !== undefined;
  }

  async say(text: string, from?: 'server'): Promise<void> {
    const { images } = this;
    this.images = [];
    await this.#send({ text, from, images });
  }

  /** Sends a message and draws what comes of it. Throws nothing: what went wrong is told. */
  async #send(message: Message): Promise<void> {
    const stop = new AbortController();
    const display = new TurnDisplay(this.io, { answers: true, calls: true });
    this.#turn = stop;
    this.#display = display;
    try {
      display.waiting(this.info.name);
      await untilAborted(this.#answer(message, display, stop.signal), stop.signal);
      this.#failed = undefined;
    } catch (error) {
      display.pause();
      const { dim, red } = painter(this.io);
      if (stop.signal.aborted) {
        this.io.out(`${dim('stopped')}\n`);
      } else {
        this.#failed = message;
        const said = error instanceof Error ? error.message : String(error);
        this.io.out(`${red('✗')} ${clean(said)}\n`);
        if (this.io.interactive) this.io.out(`${dim('/retry asks again')}\n`);
      }
    } finally {
      this.#turn = undefined;
    }
  }

  async #answer({ text: said, from, images }: Message, display: TurnDisplay, signal: AbortSignal) {
    const { session, info, conversation } = this;
    // What a server wrote names no resources of others.
    const { text, faults, notes } =
      from === 'server' ? { ...NOTHING, text: said } : await attach(said, session.connections, signal);
    if (faults.length > 0) throw new Error(faults.join(' '));
    signal.throwIfAborted();
    for (const note of notes) display.show({ type: 'notice', text: note });
    const scope = await this.#scope.forTurn(info, said);
    const seen = images.length > 0 ? await scope.see(images, signal) : {};
    signal.throwIfAborted();
    if (seen.notice) display.show({ type: 'notice', text: seen.notice });
    const content = [text, seen.text].filter(Boolean).join('\n\n');
    if (from === 'server') this.#scope.outside.add(content);
    else this.#scope.heard(content);
    const question = { role: 'user' as const, content, ...(seen.images && { images: seen.images }) };
    const { turn: asked, messages } = conversation.ask(question, info.name);
    // What a stopped turn still does in the background changes nothing here.
    let over = false;
    const end = () => {
      if (!over) conversation.end(asked, messages);
      over = true;
    };
    signal.addEventListener('abort', end, { once: true });
    const approve = decider({
      io: this.io,
      prompt: this.#prompt,
      connections: session.connections,
      display: () => this.#display,
      signal: () => signal,
      allow: (tool) => this.#allowed.push(tool),
      keep: (tool) => this.#scope.keep(tool),
    });
    const options = {
      ...scope,
      model: session.model,
      connections: session.connections,
      approve,
      info,
      messages,
      allowed: this.#allowed,
      turn: asked.id,
      fill: (question: string, fields: FormField[]) => this.#fill(question, fields),
      signal,
    };
    try {
      for await (const event of turn(options)) {
        if (over) return;
        if (event.type === 'context') this.meter = { used: event.used, limit: event.limit };
        display.show(event);
      }
      end();
    } catch (error) {
      // The question is taken back, so that the next one does not drag it along.
      if (!over) conversation.undo(asked);
      over = true;
      throw error;
    } finally {
      signal.removeEventListener('abort', end);
    }
  }

  async #fill(question: string, fields: FormField[]) {
    if (!this.io.interactive) return undefined;
    this.#display?.pause();
    this.io.out(`${clean(question)}\n`);
    return fillIn(fields, this.ask);
  }

  #newConversation(): Conversation {
    return Conversation.begin(this.session.runtime.home, (text) => this.#trouble(text));
  }

  #trouble(text: string): void {
    this.#display?.pause();
    this.io.out(marked(painter(this.io).yellow('!'), text, this.io.columns()));
  }

  async #read(): Promise<string | undefined> {
    this.#news.tell(this.session.connections.states());
    const typed = new AbortController();
    if (this.io.interactive) void this.#idle(typed.signal);
    const said = await this.#prompt.read(this.#label());
    typed.abort();
    this.#leaving = false;
    return said;
  }

  /** While nobody asks anything, tools are made easier to find. */
  async #idle(signal: AbortSignal): Promise<void> {
    const waited = await sleep(IDLE_MS, true, { signal, ref: false }).catch(() => false);
    if (waited) await this.session.idle(this.info, signal);
  }

  #label(): string {
    const { bold, dim, yellow } = painter(this.io);
    if (!this.meter) return bold('› ');
    const text = meterText(this.meter, this.io.columns());
    return `${(isNearlyFull(this.meter) ? yellow : dim)(text)} ${bold('› ')}`;
  }

  /** The first Ctrl-C stops the answer, or clears the line; one more at the empty prompt leaves. */
  #interrupt(): void {
    this.#stopped = true;
    if (this.#turn) {
      this.#turn.abort();
      this.#prompt.dismiss();
      return;
    }
    if (this.#asking) return this.#prompt.dismiss();
    if (this.#prompt.clear()) return;
    if (this.#leaving) {
      this.#prompt.close();
      return;
    }
    this.#leaving = true;
    this.io.out(`\n${painter(this.io).dim('Ctrl-C again to leave')}\n`);
    this.#prompt.again();
  }
}

/** The work's end, or its being stopped, whichever is first: the person does not wait for what is being wound up. */
function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new ModelError('cancelled', 'Cancelled.'));
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
