import { randomBytes } from 'node:crypto';
import { readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ToolError } from '../../../kit/tool.ts';
import { codeOf } from './faults.ts';

/** Where a registry lies, and the environment that every git of ours gets. */
export interface Place {
  home: string;
  /** The repository: KUZNIA_HOME/registry. */
  folder: string;
  /** Its git directory. */
  git: string;
  /** The writers' lock, beside the repository: it is needed before there is one. */
  lock: string;
  env: Record<string, string>;
}

/** Raised when what lies on disk can no longer be read by an older Kuźnia. */
export const FORMAT = 1;

const settings = {
  // Nothing of the user's, and nothing that a foreign hand wrote into .git/config, may start a program. Filters cannot
  // be switched off in .git/info/attributes: no git of ours reads or writes the files beside .git.
  'core.hooksPath': '/dev/null',
  'core.fsmonitor': 'false',
  'core.attributesFile': '/dev/null',
  'gc.auto': '0',
  'maintenance.auto': 'false',
  'core.autocrlf': 'false',
  'core.quotePath': 'false',
  'log.showSignature': 'false',
};

/** The registry of a KUZNIA_HOME. GIT_DIR is given, so git never looks for a repository in the folders above. */
export function placeOf(home: string): Place {
  const folder = join(resolve(home), 'registry');
  const git = join(folder, '.git');
  return {
    home: resolve(home),
    folder,
    git,
    lock: join(resolve(home), 'registry.lock'),
    env: { ...cleanEnv(), GIT_DIR: git, GIT_WORK_TREE: folder },
  };
}

function cleanEnv(): Record<string, string> {
  const env: Record<string, string> = {
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_OPTIONAL_LOCKS: '0',
    // What is missing is not fetched, by whatever program .git/config names for that: no protocol has this name.
    GIT_NO_LAZY_FETCH: '1',
    GIT_ALLOW_PROTOCOL: 'none',
    // A replace ref would show another object under an id that was approved (git-replace(1)).
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_AUTHOR_NAME: 'Kuźnia',
    GIT_AUTHOR_EMAIL: 'kuznia@localhost',
    GIT_COMMITTER_NAME: 'Kuźnia',
    GIT_COMMITTER_EMAIL: 'kuznia@localhost',
    LC_ALL: 'C',
    TZ: 'UTC',
  };
  const entries = Object.entries(settings);
  env['GIT_CONFIG_COUNT'] = String(entries.length);
  for (const [index, [key, value]] of entries.entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = key;
    env[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  return env;
}

/** Whether there is a repository to read; throws where something else lies in its place. */
export async function exists(place: Place): Promise<boolean> {
  try {
    const found = await readdir(place.folder);
    if (found.includes('.git')) return true;
    if (found.length === 0) return false;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    if (codeOf(error) !== 'ENOTDIR') throw error;
  }
  throw new ToolError(
    `${place.folder} exists but is not a git repository: the registry is not opened, and nothing there is touched. ` +
      'Move it away, or set KUZNIA_HOME to another folder.',
  );
}

/** Making one takes far less: who began it so long ago is dead. */
const ABANDONED_MS = 60_000;

/** Makes the repository beside its place and moves it there whole: who dies in between leaves none. */
export async function create(place: Place): Promise<void> {
  for (const left of await readdir(place.home)) {
    if (!left.startsWith('registry.new-')) continue;
    const path = join(place.home, left);
    const made = (await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now();
    if (Date.now() - made > ABANDONED_MS) await rm(path, { recursive: true, force: true });
  }
  const fresh = join(place.home, `registry.new-${randomBytes(6).toString('hex')}`);
  try {
    const git = await simple(place.home, cleanEnv());
    await git.init(['--quiet', '--initial-branch=main', '--template=', fresh]);
    await rename(fresh, place.folder);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    // Somebody else was first.
    if (!['ENOTEMPTY', 'EEXIST'].includes(codeOf(error) ?? '')) throw error;
  }
}

/** One thing that happened to a tool. */
export interface HistoryEntry {
  /** `save`, `verdict`, `approve`, `refuse`, `publish`, `rollback` or `retire`. */
  event: string;
  version: string;
  /** The rest of the line, e.g. who approved it. */
  note: string;
  at: string;
  commit: string;
}

const HISTORY_LIMIT = 200;
const SPLITTER = ' |~| ';

/** What happened to the tool, newest first. The name must be checked: it goes into a pattern. */
export async function history(place: Place, name: string): Promise<HistoryEntry[]> {
  const git = await simple(place.folder, place.env);
  const log = await git.log({
    format: { commit: '%H', at: '%cI', subject: '%s' },
    splitter: SPLITTER,
    maxCount: HISTORY_LIMIT,
    '--extended-regexp': null,
    '--grep': `^[a-z]+ ${name} [0-9.]+( |$)`,
    'refs/heads/main': null,
  });
  return log.all.flatMap(({ commit, at, subject }) => {
    const [event = '', tool, version = '', ...note] = subject.split(' ');
    return tool === name ? [{ event, version, note: note.join(' '), at, commit }] : [];
  });
}

const DIFF_LIMIT = 100_000;

/** The difference between two trees, given by their ids. */
export async function diffTrees(place: Place, from: string, to: string): Promise<string> {
  const git = await simple(place.folder, place.env);
  const text = await git.diff(['--no-color', '--no-ext-diff', '--no-textconv', from, to]);
  return text.length > DIFF_LIMIT
    ? `${text.slice(0, DIFF_LIMIT)}\n… (${text.length - DIFF_LIMIT} more characters)\n`
    : text;
}

/** simple-git takes 50 ms to load: not before it is needed. What it guards against is set by us on purpose. */
async function simple(folder: string, env: Record<string, string>) {
  const { simpleGit } = await import('simple-git');
  const git = simpleGit({
    baseDir: folder,
    allowEnvironment: Object.keys(env).filter((key) => key.startsWith('GIT_')),
    timeout: { block: 20_000 },
    unsafe: {
      allowUnsafeConfigPaths: true,
      allowUnsafeConfigEnvCount: true,
      allowUnsafeHooksPath: true,
      allowUnsafeFsMonitor: true,
      allowUnsafeTemplateDir: true,
    },
  });
  return git.env({ PATH: process.env['PATH'] ?? '', ...env });
}

/** The commit that the branch last stood at, by git's own log of it, for a message about a damaged branch. */
export async function lastKnown(place: Place): Promise<string | undefined> {
  try {
    const log = await readFile(join(place.git, 'logs', 'refs', 'heads', 'main'), 'utf8');
    return /^[0-9a-f]+ ([0-9a-f]{40,64}) /.exec(log.trimEnd().split('\n').at(-1) ?? '')?.[1];
  } catch {
    return undefined;
  }
}
