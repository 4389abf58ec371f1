import { ConfigError } from '../../kit/config.ts';
import { bare, checkGitLab, checkOllama, type Finding } from './checks.ts';
import { secretRef, webAddress, type Choices } from './compose.ts';

/** Puts a question to the person; undefined when the input ended. */
export type Ask = (question: string) => Promise<string | undefined>;

/** What init is about, server by server. */
export const SERVER_SAYS: Record<string, string> = {
  sandbox: 'a model writes tools of its own, tested and run in isolation',
  gitlab: 'issues, merge requests and pipelines of a GitLab',
  auth: 'passwords, two-factor codes and sign-ins by name, never shown to a model',
};

export const GITLAB = 'https://gitlab.com';
export const TOKEN = 'gitlab-token';

interface Asking {
  ask: Ask;
  /** Our servers' names. */
  names: string[];
  tell: (finding: Finding) => void;
  /** Why an answer was not taken. */
  wrong: (message: string) => void;
  check: boolean;
  /** Where Ollama is looked for when nothing is said. */
  usual?: string;
  signal: AbortSignal;
}

/** The input ended before all was said: nothing is written. */
export class Unanswered extends Error {
  override name = 'UsageError';
}

/** Asks for a first configuration, and looks at each place that is named before it goes on. */
export async function askAll(asking: Asking, given: Partial<Choices> = {}): Promise<Choices> {
  const servers: Record<string, boolean> = {};
  for (const name of asking.names) {
    const says = SERVER_SAYS[name] ?? 'one of our servers';
    servers[name] = given.servers?.[name] ?? (await yes(asking, `Use ${name} (${says})?`, true));
  }
  const gitlab = servers['gitlab'] ? (given.gitlab ?? (await askGitLab(asking))) : undefined;
  const model = await askModel(asking, given);
  return { servers, ...model, ...(gitlab && { gitlab }) };
}

async function askGitLab(asking: Asking): Promise<NonNullable<Choices['gitlab']>> {
  for (;;) {
    const url = await taken(asking, `Web address of GitLab [${GITLAB}]: `, (text) =>
      webAddress(text || GITLAB, 'GitLab'),
    );
    const token = await taken(asking, `Name of the secret with its token [${TOKEN}]: `, (text) =>
      secretRef(text || TOKEN),
    );
    const readOnly = await yes(asking, 'Only read there?', false);
    const gitlab = { url, token, readOnly };
    if (!asking.check) return gitlab;
    const finding = await checkGitLab(gitlab, asking.signal);
    asking.tell(finding);
    if (finding.ok || (await yes(asking, 'Keep it as it is?', false))) return gitlab;
  }
}

async function askModel(asking: Asking, given: Partial<Choices>): Promise<Pick<Choices, 'ollama' | 'model'>> {
  let { ollama } = given;
  if (ollama === undefined) {
    const question = `Where Ollama answers [${asking.usual ?? 'http://127.0.0.1:11434'}]: `;
    ollama = await taken(asking, question, (text) => (text ? webAddress(text, 'Ollama') : undefined));
  }
  if (asking.check)
    asking.tell(await checkOllama({ ollama: ollama ?? asking.usual, model: given.model }, asking.signal));
  const wanted = given.model ?? (await said(asking, 'Model to talk with [one that is installed]: '));
  if (asking.check && wanted !== '' && wanted !== given.model) {
    asking.tell(await checkOllama({ ollama: ollama ?? asking.usual, model: wanted }, asking.signal));
  }
  return { ...(ollama !== undefined && { ollama }), ...(wanted && { model: wanted }) };
}

async function said({ ask }: Asking, question: string): Promise<string> {
  const answer = await ask(question);
  if (answer === undefined)
    throw new Unanswered('The input ended before the last question: nothing was written.');
  return answer.trim();
}

async function taken<T>(asking: Asking, question: string, read: (text: string) => T): Promise<T> {
  for (;;) {
    const text = await said(asking, question);
    try {
      return read(text);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      asking.wrong(error.message);
    }
  }
}

async function yes(asking: Asking, question: string, otherwise: boolean): Promise<boolean> {
  for (;;) {
    const text = await said(asking, `${question} [${otherwise ? 'Y/n' : 'y/N'}] `);
    if (text === '') return otherwise;
    if (/^(y|yes|t|tak)$/i.test(text)) return true;
    if (/^(n|no|nie)$/i.test(text)) return false;
    asking.wrong('Answer y or n.');
  }
}

/** What is left to do by hand, in commands. */
export function nextSteps({ gitlab }: Choices, missing: readonly Finding[]): string[] {
  const secret = gitlab?.token === undefined ? [] : [`kuznia secret add ${bare(gitlab.token)}`];
  const fixes = missing.flatMap(({ fix }) => /ollama pull \S+/.exec(fix ?? '')?.[0] ?? []);
  return [...secret, ...fixes, 'kuznia doctor', 'kuznia init --print-snippet vscode'];
}
