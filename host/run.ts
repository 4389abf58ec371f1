import { text as readAll } from 'node:stream/consumers';
import { asCommand, quoted, shownCall, shownJson, type Approval } from './approvals/approval.ts';
import type { CallRecord } from './turn/calls.ts';
import { askFor, fillIn } from './chat/ask.ts';
import { Conversation } from './chat/conversation.ts';
import { Scope } from './chat/scope.ts';
import type { FormField, Image } from './mcp/connections.ts';
import { decider } from './approvals/deciding.ts';
import { TurnDisplay } from './terminal/display.ts';
import { readImage } from './models/images.ts';
import { EXIT, parse, UsageError, type Command, type Io } from './terminal/io.ts';
import { turn, type TurnEnd } from './turn/loop.ts';
import { Prompt } from './terminal/prompt.ts';
import { openSession, type Session } from './session.ts';
import { clean } from './terminal/text.ts';

const help = `
kuznia run: one task, then exit. \`kuznia --continue\` goes on with it in the chat.

Usage: kuznia run "TASK" [--model NAME] [--image FILE]... [--allow TOOL]... [--json]

  --model NAME  the Ollama model (else KUZNIA_MODEL, models.default in kuznia.json, or one that is installed)
  --image FILE  an image (PNG, JPEG, WebP, GIF) that the task is about; repeatable
  --allow TOOL  allow calls that would have to be asked about, by name or pattern ("gitlab_*"); repeatable
  --json        one JSON object: answer, reason, calls, model, rounds, ms
A task of "-" is read from standard input. The answer goes to standard output, the calls to standard error.

Example: kuznia run "Which ISO week is 3 January 2027 in? Use a tool."
`;

export const command: Command = {
  help,
  async run(argv, io) {
    const { values, positionals } = parse(argv, {
      model: { type: 'string' },
      image: { type: 'string', multiple: true, default: [] },
      allow: { type: 'string', multiple: true, default: [] },
      json: { type: 'boolean', default: false },
    });
    const words = positionals.join(' ');
    const task = words === '-' ? await readAll(process.stdin) : words;
    if (task.trim() === '') {
      throw new UsageError('kuznia run needs a task in quotes: kuznia run "What day was 1 January 2000?"');
    }
    const images = await Promise.all(values.image.map((path) => readImage(path)));
    const stop = new AbortController();
    process.once('SIGINT', () => stop.abort()).once('SIGTERM', () => stop.abort());
    const session = await openSession({ model: values.model, signal: stop.signal });
    try {
      return await one(task, { images, session, io, stop, given: values.allow, json: values.json });
    } finally {
      await session.close();
    }
  },
};

interface Task {
  images: Image[];
  session: Session;
  io: Io;
  stop: AbortController;
  /** Tools, or patterns of them, that the command line allows. */
  given: string[];
  json: boolean;
}

async function one(task: string, { images, session, io, stop, given, json }: Task): Promise<number> {
  const allowed: string[] = [];
  const { signal } = stop;
  const started = performance.now();
  const talks = io.interactive && !json;
  const display = new TurnDisplay(io, { answers: talks, calls: !json });
  const prompt = talks ? new Prompt(process.stdin, process.stdout) : undefined;
  if (prompt) {
    prompt.onInterrupt = () => {
      stop.abort();
      prompt.close();
    };
  }
  const { model, info, connections } = session;
  const talk = new Scope(session);
  let pending: Approval | undefined;
  const approve = prompt
    ? decider({
        io,
        prompt,
        connections,
        display: () => display,
        signal: () => signal,
        allow: (tool) => allowed.push(tool),
        keep: (tool) => talk.keep(tool),
      })
    : (approval: Approval) => {
        pending = approval;
        return Promise.resolve('unavailable' as const);
      };
  let end: TurnEnd | undefined;
  const conversation = Conversation.begin(session.runtime.home, (text) =>
    display.show({ type: 'notice', text }),
  );
  let close = () => conversation.close();
  try {
    const scope = await talk.forTurn(info, task);
    const seen = images.length > 0 ? await scope.see(images, signal) : {};
    if (seen.notice) display.show({ type: 'notice', text: seen.notice });
    const content = [task, seen.text].filter(Boolean).join('\n\n');
    talk.heard(content);
    const question = { role: 'user' as const, content, ...(seen.images && { images: seen.images }) };
    // What the person allows for this task stands before the configuration, but for what that denies.
    const denied = scope.rules.filter(({ policy }) => policy === 'deny');
    const flags = given.map((tool) => ({ tool, policy: 'allow' as const }));
    const rules = [...denied, ...flags, ...scope.rules];
    const { turn: asked, messages } = conversation.ask(question, info.name);
    close = () => {
      conversation.end(asked, messages);
      conversation.close();
    };
    const base = { ...scope, model, info, connections, messages, rules, allowed };
    const options = { ...base, approve, signal };
    const fill = prompt && filling({ io, prompt, display, signal });
    for await (const event of turn({ ...options, fill, turn: asked.id })) {
      display.show(event);
      if (event.type === 'end') end = event;
    }
  } finally {
    close();
    display.pause();
    prompt?.close();
  }
  if (!end) return EXIT.failed;
  const { answer, reason, rounds, calls } = end;
  if (json) {
    const shownCalls = calls.map(({ tool, arguments: args, ok, ms }) => ({
      tool,
      arguments: args,
      ok,
      ms: Math.round(ms),
    }));
    const needs = pending && {
      needs: {
        ...pending,
        ...(pending.question === undefined
          ? { allow: `--allow ${quoted(pending.tool)}` }
          : { command: deciding(pending, calls) }),
      },
    };
    const ms = Math.round(performance.now() - started);
    io.out(`${shownJson({ answer, reason, model: info.name, rounds, ms, calls: shownCalls, ...needs })}\n`);
  } else if (!talks && answer) {
    io.out(`${clean(answer)}\n`);
  }
  if (pending) {
    if (!json) io.err(howToAllow(pending, task, deciding(pending, calls)));
    return EXIT.approval;
  }
  if (calls.some((call) => call.denied)) return EXIT.approval;
  return answer === '' || reason === 'rounds' ? EXIT.failed : EXIT.done;
}

/** Asks at the terminal for what a server wants filled in. */
function filling({
  io,
  prompt,
  display,
  signal,
}: {
  io: Io;
  prompt: Prompt;
  display: TurnDisplay;
  signal: AbortSignal;
}) {
  const ask = askFor(io, prompt, () => signal.aborted);
  return async (question: string, fields: FormField[]) => {
    display.pause();
    io.out(`${clean(question)}\n`);
    return fillIn(fields, ask);
  };
}

/** The command by which a person decides: the one that the refusal names, else the call itself, at a terminal. */
function deciding({ tool, arguments: args }: Approval, calls: CallRecord[]): string {
  const refusal = calls.find((call) => call.denied === 'unavailable')?.text ?? '';
  return /kuznia approve \S+ \S+/.exec(clean(refusal))?.[0] ?? asCommand(tool, args);
}

/** The exact call, and the ways to have it made. A server's own question is not for `--allow` to answer. */
function howToAllow({ tool, arguments: args, question }: Approval, task: string, elsewhere: string): string {
  const lines = question
    ? clean(question)
        .split('\n')
        .map((line) => `  ${line}`)
    : [];
  const ways =
    question === undefined
      ? [
          `Allow it in this task: kuznia run --allow ${quoted(tool)} ${quoted(task)}`,
          `Or make it yourself:   ${asCommand(tool, args)}`,
        ]
      : [`Decide on it: ${elsewhere}`];
  return [
    `kuznia: a person has to allow this call: ${clean(shownCall(tool, args))}`,
    ...lines,
    ...ways,
    '',
  ].join('\n');
}
