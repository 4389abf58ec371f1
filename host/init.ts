import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kuzniaHome, readConfigFile } from '../kit/config.ts';
import { replaceFile } from '../kit/secret-write.ts';
import { processRuntime } from '../kit/serve.ts';
import { painter } from './terminal/display.ts';
import { askAll, GITLAB, nextSteps, type Ask } from './init/ask.ts';
import { checkGitLab, checkOllama, checkServers, type Finding } from './init/checks.ts';
import { compose, secretRef, webAddress, type Choices } from './init/compose.ts';
import { editors, launchOf } from './init/snippets.ts';
import { EXIT, parse, UsageError, type Command, type Io } from './terminal/io.ts';
import { wantedHost } from './models/models.ts';
import { Prompt } from './terminal/prompt.ts';
import { servers } from './servers.ts';
import { hostSettings } from './settings.ts';
import { clean, marked, nearest } from './terminal/text.ts';

const help = `
kuznia init: write a first kuznia.json by asking, look at each place that it names, and show what an editor needs.

Usage: kuznia init [--yes] [--without SERVER]... [--gitlab URL] [--gitlab-token NAME] [--read-only]
                   [--ollama URL] [--model NAME] [--no-check] [--json]
       kuznia init --print-snippet EDITOR

  --yes                ask nothing: the flags, and what is usual for the rest
  --without SERVER     leave out one of ${Object.keys(servers).join(', ')}; repeatable
  --gitlab URL         web address of your GitLab
  --gitlab-token NAME  the secret with its token, by name: no value ever goes into the file
  --read-only          only read there
  --ollama URL         where Ollama answers, when it is not on this machine
  --model NAME         the model to talk with
  --no-check           look at nothing
  --json               one JSON object: path, configuration, what was found, what to do next; needs --yes
  --print-snippet E    for ${Object.keys(editors).join(', ')}
A file that is there is asked about, a copy of it is kept as kuznia.json.bak, and what it says of other things stays.
The exit code is 1 when something that was named by a flag does not answer; the file is written all the same.

Example: kuznia init --yes --gitlab https://gitlab.example.org --gitlab-token gitlab-token
`;

export const command: Command = {
  help,
  async run(argv, io) {
    const { values, positionals } = parse(argv, {
      yes: { type: 'boolean', default: false },
      without: { type: 'string', multiple: true, default: [] },
      gitlab: { type: 'string' },
      'gitlab-token': { type: 'string' },
      'read-only': { type: 'boolean', default: false },
      ollama: { type: 'string' },
      model: { type: 'string' },
      'no-check': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      'print-snippet': { type: 'string' },
    });
    if (positionals.length > 0) throw new UsageError('kuznia init takes no words, only flags: see --help.');
    if (values['print-snippet'] !== undefined) return printSnippet(values['print-snippet'], io);
    if (!values.yes && (values.json || !io.interactive)) {
      throw new UsageError(
        'kuznia init asks at a terminal. Without one: kuznia init --yes, with flags; see --help.',
      );
    }
    const names = Object.keys(servers);
    for (const name of values.without) known(name, names, '--without');
    const url = values.gitlab === undefined ? undefined : webAddress(values.gitlab, '--gitlab');
    const token = values['gitlab-token'] === undefined ? undefined : secretRef(values['gitlab-token']);
    const without = Object.fromEntries(values.without.map((name) => [name, false]));
    const named = url !== undefined || token !== undefined;
    const given: Partial<Choices> = {
      servers: { ...(named && { gitlab: true }), ...without },
      ...(values.ollama !== undefined && { ollama: webAddress(values.ollama, '--ollama') }),
      ...(values.model !== undefined && { model: values.model }),
      ...(named && { gitlab: { url: url ?? GITLAB, token, readOnly: values['read-only'] } }),
    };
    const stop = new AbortController();
    const interrupt = () => stop.abort();
    process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
    const prompt = values.yes ? undefined : new Prompt(process.stdin, process.stdout);
    if (prompt) {
      prompt.onInterrupt = () => {
        io.out('\n');
        stop.abort();
        prompt.close();
      };
    }
    try {
      const ask: Ask | undefined = prompt && ((question) => prompt.read(question));
      const check = !values['no-check'];
      return await begin(given, { names, io, ask, check, json: values.json, signal: stop.signal });
    } catch (error) {
      // Ctrl-C ends the input too, which is not what there is to say.
      stop.signal.throwIfAborted();
      throw error;
    } finally {
      prompt?.close();
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    }
  },
};

interface Beginning {
  names: string[];
  io: Io;
  /** Without it nobody is asked. */
  ask?: Ask;
  check: boolean;
  json: boolean;
  signal: AbortSignal;
}

/** Gathers the choices, looks at what they name, and writes the file. */
export async function begin(given: Partial<Choices>, scope: Beginning): Promise<number> {
  const { names, io, ask, check, json, signal } = scope;
  const home = kuzniaHome(io.env);
  const path = join(home, 'kuznia.json');
  const before = readConfigFile(home);
  const runtime = { ...processRuntime(), env: io.env, home };
  const usual = wantedHost(runtime);
  const findings: Finding[] = [];
  const tell = (finding: Finding) => {
    findings.push(finding);
    if (!json) io.out(findingLines(finding, io));
  };
  let choices: Choices;
  if (ask) {
    const wrong = (message: string) => io.out(`  ${message}\n`);
    choices = await askAll({ ask, names, tell, wrong, check, usual, signal }, given);
  } else {
    choices = {
      ...given,
      servers: Object.fromEntries(names.map((name) => [name, given.servers?.[name] ?? true])),
    };
    if (check && choices.gitlab) tell(await checkGitLab(choices.gitlab, signal));
    if (check) tell(await checkOllama({ ...choices, ollama: choices.ollama ?? usual }, signal));
  }
  signal.throwIfAborted();
  const text = `${JSON.stringify(compose(before, choices), null, 2)}\n`;
  tried(text);
  const there = existsSync(path);
  if (ask) {
    io.out(`\n${clean(text)}`);
    const question = there
      ? `Replace ${path}? A copy of it is kept. [y/N] `
      : `Write this to ${path}? [Y/n] `;
    const answer = (await ask(question))?.trim().toLowerCase() ?? 'n';
    if (!['y', 'yes', 't', 'tak', ...(there ? [] : [''])].includes(answer)) {
      io.out('Nothing was written.\n');
      return EXIT.approval;
    }
  }
  mkdirSync(home, { recursive: true });
  const copy = there ? `${path}.bak` : undefined;
  replaceFile(path, text, { keep: copy });
  if (check) for (const finding of await checkServers(runtime, signal)) tell(finding);

  const missing = findings.filter((one) => !one.ok);
  const next = nextSteps(choices, missing);
  if (json) {
    const config: unknown = JSON.parse(text);
    io.out(`${JSON.stringify({ path, ...(copy && { copy }), config, findings, next })}\n`);
  } else {
    io.out(`Written: ${path}${copy ? ` (the one before: ${copy})` : ''}\nNext:\n`);
    for (const line of next) io.out(`  ${line}\n`);
  }
  return missing.some(({ name }) => isNamed(name, given)) ? EXIT.failed : EXIT.done;
}

/** Without Ollama the tools can be served: it counts when a flag names it or its model. */
function isNamed(name: string, given: Partial<Choices>): boolean {
  if (name === 'ollama') return given.ollama !== undefined || given.model !== undefined;
  return name === 'gitlab' ? given.gitlab !== undefined : true;
}

/** Reads the text as a host would, in a folder of its own: what is wrong is told before anything is replaced. */
function tried(text: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'kuznia-init-'));
  try {
    writeFileSync(join(folder, 'kuznia.json'), text, { mode: 0o600 });
    hostSettings(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function findingLines({ name, ok, found, fix }: Finding, io: Io): string {
  const { dim, green, yellow } = painter(io);
  const head = marked(ok ? green('✓') : yellow('–'), `${name}: ${found}`, io.columns());
  return ok || fix === undefined ? head : `${head}  ${dim(fix)}\n`;
}

function printSnippet(name: string, io: Io): number {
  known(name, Object.keys(editors), '--print-snippet');
  const found = Object.entries(editors).find(([key]) => key === name);
  if (!found) return EXIT.usage;
  const [, { title, where, write }] = found;
  const here = {
    file: realpathSync(process.argv[1] ?? ''),
    node: process.execPath,
    platform: process.platform,
  };
  const own = io.env['KUZNIA_HOME'] ? kuzniaHome(io.env) : undefined;
  io.err(`${title}: ${where}\n`);
  io.out(`${write(launchOf(here, own))}\n`);
  return EXIT.done;
}

function known(name: string, names: string[], flag: string): void {
  if (names.includes(name)) return;
  const [near] = nearest(name, names, 1);
  const hint = near ? `Did you mean ${near}?` : `There are: ${names.join(', ')}.`;
  throw new UsageError(`${flag} ${name.slice(0, 40)}: there is none of that name. ${hint}`);
}
