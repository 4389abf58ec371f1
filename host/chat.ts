import { ModelError } from '../kit/model.ts';
import { Chat } from './chat/chat.ts';
import { EXIT, parse, type Command } from './terminal/io.ts';
import { openSession, type Session } from './session.ts';
import { modelOfSession } from './sessions/sessions.ts';
import { processRuntime } from '../kit/serve.ts';

const help = `
kuznia: a chat with a local model that has tools, and makes the ones it lacks.

Usage: kuznia [chat] [--model NAME] [--continue [ID]]

  --model NAME     the Ollama model (else KUZNIA_MODEL, models.default in kuznia.json, or one that is installed)
  --continue [ID]  go on with the newest conversation, or with this one, and its model
In the chat: /help lists the commands, @server:uri puts a resource into a message, Tab completes both.
Ctrl-C stops an answer; at the prompt, twice, it quits. Conversations are kept in KUZNIA_HOME/sessions.
Without a model it says how to get one and plays a demonstration with scripted answers.

Example: kuznia --model qwen3:8b
`;

export const command: Command = {
  help,
  async run(argv, io) {
    const { values, positionals } = parse(withContinue(argv), {
      model: { type: 'string' },
      continue: { type: 'string' },
    });
    const said = positionals.join(' ');
    let session: Session;
    try {
      session = await opened(values.model, values.continue);
    } catch (error) {
      const missing = error instanceof ModelError && ['unreachable', 'no_model'].includes(error.reason);
      if (!missing || values.model !== undefined) throw error;
      const { demonstrate } = await import('./demo/demo.ts');
      return demonstrate(io, error.message);
    }
    const chat = new Chat(session, io);
    try {
      await chat.talk(said, values.continue);
      return EXIT.done;
    } finally {
      chat.close();
      await session.close();
    }
  },
};

/** A conversation goes on with its own model, as long as that is there and no other is named. */
async function opened(model: string | undefined, resume: string | undefined): Promise<Session> {
  const { signal } = new AbortController();
  const own =
    model === undefined && resume !== undefined
      ? modelOfSession(processRuntime().home, resume || undefined)
      : undefined;
  try {
    return await openSession({ model: model ?? own, signal });
  } catch (error) {
    if (own === undefined || !(error instanceof ModelError) || error.reason !== 'no_model') throw error;
    return openSession({ signal });
  }
}

/** `--continue` alone means the newest: `parseArgs` has no option with a value that may be missing. */
function withContinue(argv: string[]): string[] {
  return argv.flatMap((arg, at) => {
    if (arg !== '--continue') return [arg];
    return /^[0-9a-f]{8}$/.test(argv[at + 1] ?? '') ? [arg] : ['--continue='];
  });
}
