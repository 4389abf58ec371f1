#!/usr/bin/env node
import type { Command } from './terminal/io.ts';
import { version } from '../kit/version.ts';

interface Entry {
  says: string;
  load: () => Promise<{ command: Command }>;
}

const chat: Entry = {
  says: 'talk with a local model that has tools, and makes the ones it lacks',
  load: () => import('./chat.ts'),
};

/** Loaded one at a time: `kuznia --version` pays for none of them. */
const commands: Record<string, Entry> = {
  chat,
  run: { says: 'one task, without a conversation', load: () => import('./run.ts') },
  call: { says: 'call one tool', load: () => import('./call.ts') },
  tools: { says: 'list the tools, or those for a task', load: () => import('./tools.ts') },
  serve: { says: 'serve the tools to an editor or another agent (MCP)', load: () => import('./serve.ts') },
  models: {
    says: 'the models there are, what each is for; get or remove one',
    load: () => import('./models-command.ts'),
  },
  approve: {
    says: 'decide on a call of another agent, or on a forged tool',
    load: () => import('./approve.ts'),
  },
  init: { says: 'write a first configuration, by asking', load: () => import('./init.ts') },
  secret: { says: 'keep tokens and 2FA seeds where no model sees them', load: () => import('./secret.ts') },
  login: { says: 'sign in where a server wants OAuth', load: () => import('./login.ts') },
  token: {
    says: 'let another agent use the gateway, with tools of its own',
    load: () => import('./token.ts'),
  },
  eval: { says: 'grade a model by tasks that are checked by machine', load: () => import('./eval.ts') },
  log: { says: 'what was called, how long it took, what came of it', load: () => import('./log.ts') },
  doctor: { says: 'what is there, what is missing, and how to get it', load: () => import('./doctor.ts') },
};

const lines = Object.entries(commands).map(([name, { says }]) => `  ${name.padEnd(8)} ${says}`);
const HELP = `kuznia ${version}: local models that make the tools they lack.

Usage: kuznia [COMMAND] [OPTIONS]

${lines.join('\n')}

Without a command it starts a chat. \`kuznia COMMAND --help\` tells more, with an example.
Data is kept in KUZNIA_HOME; the model server is OLLAMA_HOST.
Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 denied or approval needed, 4 no model.
`;

async function main(argv: string[]): Promise<number | undefined> {
  const [first = '', ...rest] = argv;
  if (first === '--version' || first === '-v') return say(`${version}\n`);
  if (first === '--help' || first === '-h' || first === 'help') return say(HELP);
  const { exitCode, processIo, unknownCommand } = await import('./terminal/io.ts');
  const io = processIo();
  try {
    const entry = Object.hasOwn(commands, first) ? commands[first] : undefined;
    if (!entry && first !== '' && !first.startsWith('-')) throw unknownCommand(first, Object.keys(commands));
    const { command } = await (entry ?? chat).load();
    const args = entry ? rest : argv;
    if (args.includes('--help') || args.includes('-h')) return say(`${command.help.trim()}\n`);
    return await command.run(args, io);
  } catch (error) {
    const code = exitCode(error);
    const message = code === 130 ? 'stopped' : error instanceof Error ? error.message : String(error);
    if (argv.includes('--json')) io.out(`${JSON.stringify({ error: { code, message } })}\n`);
    io.err(`kuznia: ${message}\n`);
    return code;
  }
}

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

// `kuznia log | head` ends with the reader.
process.stdout.on('error', () => process.exit(0));
// Closing waits for things that are not referenced (a child's end): the loop must not run empty meanwhile.
const alive = setInterval(() => undefined, 2 ** 30);
const code = await main(process.argv.slice(2));
clearInterval(alive);
if (code !== undefined) {
  // What was written must be out; then nothing that still lingers keeps the process.
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
}
