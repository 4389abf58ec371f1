import { access, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import type { ModelInfo } from '../../kit/model.ts';
import type { HostPrompt, Image } from '../mcp/connections.ts';
import { painter } from '../terminal/display.ts';
import { toMarkdown } from '../sessions/export.ts';
import { readImage } from '../models/images.ts';
import { UsageError, type Io } from '../terminal/io.ts';
import { described, pickModel } from '../models/models.ts';
import type { Session } from '../session.ts';
import { listSessions } from '../sessions/sessions.ts';
import { clean, counted, fit, nearest } from '../terminal/text.ts';
import { promptArguments, type AskFor } from './ask.ts';
import type { Conversation } from './conversation.ts';
import type { Meter } from './meter.ts';

/** The chat as its commands see it. */
export interface Talk {
  readonly io: Io;
  readonly session: Session;
  readonly ask: AskFor;
  readonly conversation: Conversation;
  meter: Meter | undefined;
  info: ModelInfo;
  /** Go with the next message. */
  images: Image[];
  /** Sends once more what failed last; false where nothing did. */
  retry: () => Promise<boolean>;
  /** Sends a message; `from` says that a server wrote it. */
  say: (text: string, from?: 'server') => Promise<void>;
  /** Begins another conversation. */
  begin: () => void;
}

interface SlashCommand {
  args?: string;
  says: string;
  run: (talk: Talk, rest: string) => Promise<void> | void;
}

const ENTRIES = {
  help: { says: 'this list', run: help },
  tools: { args: '[WORD]', says: 'the tools there are', run: tools },
  servers: { says: 'the servers: which are there, and why one is not', run: servers },
  model: { args: '[NAME]', says: 'the models there are, or talk to another one', run: model },
  image: { args: 'FILE [MESSAGE]', says: 'put an image into this message, or the next', run: image },
  context: { says: 'how full the model’s context is', run: context },
  undo: { says: 'take the last question and its answer back', run: undo },
  retry: { says: 'ask again what failed', run: retry },
  sessions: { says: 'earlier conversations', run: sessions },
  export: { args: '[FILE]', says: 'write this conversation as Markdown', run: exported },
  new: { says: 'begin another conversation', run: fresh },
  quit: { says: 'leave', run: () => undefined },
} satisfies Record<string, SlashCommand>;
const commands = new Map<string, SlashCommand>(Object.entries(ENTRIES));

/** Names of the commands, for Tab. */
export const slashNames = [...commands.keys()];

/** Carries out `/name rest`: a command, or a server's prompt (`/server:prompt`). */
export async function slash(talk: Talk, line: string): Promise<void> {
  const [, name = '', rest = ''] = /^\/(\S*)\s*(.*)$/s.exec(line) ?? [];
  const command = commands.get(name);
  try {
    if (command) await command.run(talk, rest.trim());
    else await serverPrompt(talk, name, rest);
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    talk.io.out(`${painter(talk.io).red('✗')} ${clean(said)}\n`);
  }
}

async function serverPrompt(talk: Talk, name: string, rest: string): Promise<void> {
  const { connections } = talk.session;
  const prompts = await connections.prompts(soon());
  const found = prompts.find((one) => nameOf(one) === name);
  if (!found) {
    const server = name.split(':')[0];
    const away = connections.states().find((one) => one.name === server && one.state !== 'ready');
    if (away) {
      throw new UsageError(
        `The server ${away.name} is ${away.state}, so /${name} is not known. Try again in a moment.`,
      );
    }
    const near = nearest(name, [...slashNames, ...prompts.map(nameOf)], 1)[0];
    throw new UsageError(`There is no /${name}. ${near ? `Did you mean /${near}?` : 'See /help.'}`);
  }
  const given = await promptArguments(found.arguments, rest, talk.ask);
  if (!given) throw new UsageError(`/${name} was not sent: an argument that it needs is missing.`);
  const { text } = await connections.prompt(found.server, found.name, given, soon());
  talk.io.out(`${painter(talk.io).dim(fit(clean(text), Math.max(20, talk.io.columns() - 2)))}\n`);
  await talk.say(text, 'server');
}

const nameOf = ({ server, name }: HostPrompt) => `${server}:${name}`;
const HELP_MS = 1_500;
const soon = () => AbortSignal.timeout(20_000);

async function help({ io, session }: Talk): Promise<void> {
  const line = (name: string, says: string) =>
    io.out(`${clean(name).padEnd(22)} ${fit(clean(says), Math.max(20, io.columns() - 24))}\n`);
  for (const [name, { args = '', says }] of commands) line(`/${name} ${args}`.trim(), says);
  io.out('@server:uri puts a resource into a message; Tab completes it, and the commands.\n');
  io.out('Ctrl-C stops an answer; at the prompt, twice, it leaves.\n');
  // A server that hangs takes nothing from the list.
  const prompts = await session.connections.prompts(AbortSignal.timeout(HELP_MS)).catch(() => []);
  for (const one of prompts) line(`/${nameOf(one)}`, one.description);
}

async function tools({ io, session }: Talk, word: string): Promise<void> {
  const { bold } = painter(io);
  const all = await session.connections.tools(soon());
  const some = all.filter((tool) =>
    `${tool.name} ${tool.description}`.toLowerCase().includes(word.toLowerCase()),
  );
  for (const tool of some) {
    const room = Math.max(20, io.columns() - tool.name.length - 4);
    io.out(`${bold(clean(tool.name))}  ${fit(clean(tool.description), room)}\n`);
  }
  const which = word === '' ? `${all.length} tools` : `${some.length} of ${all.length} tools`;
  io.out(`${which}; the model sees those that fit the task. /tools WORD looks for some.\n`);
}

function servers({ io, session }: Talk): void {
  const { green, yellow, red } = painter(io);
  const marks = { ready: green('✓'), starting: yellow('…'), degraded: red('✗') };
  for (const { name, state, reason, tools } of session.connections.states()) {
    const says = state === 'ready' ? `${tools} tools` : [state, reason].filter(Boolean).join(': ');
    io.out(
      `${marks[state]} ${clean(name)}  ${fit(clean(says), Math.max(20, io.columns() - name.length - 5))}\n`,
    );
  }
}

async function model(talk: Talk, name: string): Promise<void> {
  const { model } = talk.session;
  if (name !== '') {
    talk.info = await pickModel(model, name, soon());
    // Of the one before.
    talk.meter = undefined;
    talk.io.out(`Now ${described(talk.info)}.\n`);
    return;
  }
  const names = (await model.list(soon())).map((one) => one.name);
  talk.io.out(`${described(talk.info)}\nInstalled: ${clean(names.join(', '))}\n`);
}

async function image(talk: Talk, rest: string): Promise<void> {
  if (rest === '') throw new UsageError('Name the file: /image photo.png What is this?');
  const whole = pathOf(rest.replace(/^(["'])(.*)\1$/, '$2'));
  const [, quoted, plain = '', message = ''] =
    /^(?:["']([^"']+)["']|((?:\\.|\S)+))\s*(.*)$/s.exec(rest) ?? [];
  // A name with spaces needs no quotes where nothing follows it.
  const isWhole = await access(resolve(whole)).then(
    () => true,
    () => false,
  );
  const path = isWhole ? whole : pathOf(quoted ?? plain);
  talk.images.push(await readImage(resolve(path)));
  if (!isWhole && message !== '') await talk.say(message);
  else talk.io.out(`${clean(path)} goes with your next message.\n`);
}

/** As a shell would read it: terminals put a file in so when it is dropped on them. */
const pathOf = (typed: string) => typed.replace(/^~(?=\/)/, homedir()).replace(/\\([ ()'"&])/g, '$1');

function context({ io, meter, info, conversation }: Talk): void {
  const turns = `${counted(conversation.turns.length, 'question')} so far`;
  const own = `${info.name} itself can read ${info.contextLength}`;
  if (!meter) {
    io.out(`Nothing was asked yet in this sitting; ${turns}; ${own}.\n`);
    return;
  }
  const share = Math.round((meter.used / meter.limit) * 100);
  io.out(`${meter.used} of ${meter.limit} tokens (${share} %) after the last answer; ${turns}; ${own}.\n`);
}

function undo({ io, conversation }: Talk): void {
  const question = conversation.turns.at(-1)?.messages[0]?.content;
  if (conversation.undo() === undefined) throw new UsageError('There is nothing to take back.');
  io.out(`Taken back: ${fit(clean(question ?? ''), Math.max(20, io.columns() - 14))}\n`);
  io.out('What its calls did outside of this conversation stays done.\n');
}

async function retry(talk: Talk): Promise<void> {
  if (!(await talk.retry())) throw new UsageError('Nothing failed that could be asked again.');
}

function sessions({ io, session, conversation }: Talk): void {
  const kept = listSessions(session.runtime.home);
  for (const { id, used, turns, title } of kept) {
    const head = `${id === conversation.id ? '*' : ' '} ${id}  ${used.slice(0, 16).replace('T', ' ')}  ${String(turns).padStart(3)}`;
    io.out(`${head}  ${fit(clean(title), Math.max(12, io.columns() - head.length - 3))}\n`);
  }
  io.out(
    kept.length === 0
      ? 'None is kept yet.\n'
      : 'Go on with one: kuznia --continue ID (without ID: the newest).\n',
  );
}

async function exported({ io, conversation }: Talk, path: string): Promise<void> {
  if (conversation.turns.length === 0) throw new UsageError('Nothing was said yet.');
  const file = resolve(path || `kuznia-${conversation.id}.md`);
  try {
    await writeFile(file, toMarkdown([...conversation.turns]), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    const why = code === 'EEXIST' ? 'it is there already: name another file' : code;
    throw new UsageError(`${file} cannot be written: ${why}.`);
  }
  io.out(`Written to ${file}\n`);
}

function fresh(talk: Talk): void {
  talk.begin();
  talk.io.out('A new conversation.\n');
}
