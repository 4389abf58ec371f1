import { chmod, lstat, mkdir, readdir, realpath, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { command } from '../../kit/command.ts';
import { ToolError, type ToolContext } from '../../kit/tool.ts';
import type { Instance } from './client.ts';
import { gitSettings } from './git-settings.ts';
import type { GitLab } from './gitlab.ts';
import { runFolder } from './run-folder.ts';
import { shown } from './targets.ts';

type Env = Record<string, string>;
type Ctx = Pick<ToolContext, 'signal' | 'journal'>;

/** Where git_ tools may work: the configured roots, else KUZNIA_HOME/checkouts, with links resolved. */
async function rootsOf({ config, home }: GitLab): Promise<string[]> {
  const given = config.roots.map((root) => resolve(root));
  const own = join(home, 'checkouts');
  if (given.length === 0) await mkdir(own, { recursive: true });
  const roots = [];
  for (const root of given.length > 0 ? given : [own]) roots.push(await realpath(root).catch(() => root));
  return roots;
}

const inside = (root: string, path: string) => {
  const way = relative(root, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
};

/** A folder inside the roots; the part of it that exists is looked at with links resolved. */
export async function folderIn(gitlab: GitLab, folder: string): Promise<string> {
  const roots = await rootsOf(gitlab);
  const [first = ''] = roots;
  if (folder.includes('\0')) throw new ToolError('`folder` is no path.');
  const wanted = isAbsolute(folder) ? resolve(folder) : resolve(first, folder);
  let there = wanted;
  for (;;) {
    const real = await realpath(there).catch(() => undefined);
    if (real !== undefined) {
      const path = resolve(real, relative(there, wanted));
      if (roots.some((root) => inside(root, path))) return path;
      break;
    }
    // A link that leads nowhere could be made to lead anywhere.
    const dangling = await lstat(there).catch(() => undefined);
    if (dangling || dirname(there) === there) break;
    there = dirname(there);
  }
  throw new ToolError(
    `${shown(folder)} is not inside ${roots.join(' or ')}, where git tools may work. Choose a folder there, or a person adds one to GITLAB_ROOTS.`,
  );
}

/** Environment of a git in a folder. `GIT_DIR` is given where there is a repository: git looks in no folder above. */
function gitEnv(folder: string | undefined, extra: Env): Env {
  const all = { ...gitSettings, ...extra };
  const env: Env = {
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_LITERAL_PATHSPECS: '1',
    GIT_NO_LAZY_FETCH: '1',
    // Stronger than every protocol.*.allow (git(1)).
    GIT_ALLOW_PROTOCOL: 'http:https',
    GIT_EDITOR: 'false',
    GIT_PAGER: 'cat',
    LC_ALL: 'C',
    ...(folder !== undefined && { GIT_DIR: join(folder, '.git'), GIT_WORK_TREE: folder }),
    GIT_CONFIG_COUNT: String(Object.keys(all).length),
  };
  for (const [index, [key, value]] of Object.entries(all).entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = key;
    env[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  return env;
}

/** Keys that send git elsewhere or let others decide what runs; they cannot be overruled one by one. */
const foreign =
  /^(url\..*\.(insteadof|pushinsteadof)|include\.path|includeif\..*|remote\..*\.(vcs|uploadpack|receivepack|proxy|promisor|partialclonefilter)|http\.(?!(postbuffer|lowspeedlimit|lowspeedtime|version|maxrequests)$).*|fetch\.bundleuri|core\.(worktree|gitproxy|alternaterefscommand)|uploadpack\.packobjectshook|extensions\.(worktreeconfig|partialclone|refstorage))$/;

/** Keys that name a program: each is overruled by nothing. */
const programs =
  /^(filter\..*\.(clean|smudge|process)|diff\..*\.(command|textconv)|merge\..*\.driver|credential\..*helper|gpg\..*program|core\.(editor|pager|askpass)|sequence\.editor|pager\..*|trailer\..*\.(command|cmd)|interactive\.difffilter)$/;

/** What of a .git lies elsewhere: git would read and write there as if it were its own. */
async function leadingOut(own: string): Promise<string | undefined> {
  const below = ['refs/heads', 'refs/remotes', 'refs/tags', 'logs/refs', 'objects/info', 'objects/pack'];
  for (const part of [...(await readdir(own)), ...below]) {
    const found = await lstat(join(own, part)).catch(() => undefined);
    if (found?.isSymbolicLink()) return part;
  }
  // Objects of another repository (gitrepository-layout(5)); no clone of ours has them.
  const lent = 'objects/info/alternates';
  return (await lstat(join(own, lent)).catch(() => undefined)) && lent;
}

/** Opens a repository that may be hostile: what its own configuration could start is found and switched off. */
export async function repositoryIn(
  gitlab: GitLab,
  folder: string,
  ctx: Ctx,
): Promise<{ path: string; extra: Env; remote: string | undefined }> {
  const path = await folderIn(gitlab, folder);
  const own = await lstat(join(path, '.git')).catch(() => undefined);
  if (!own?.isDirectory()) {
    throw new ToolError(
      `${shown(folder)} is no git repository of its own (no folder .git). Give the folder that git_clone made.`,
    );
  }
  if (await lstat(join(path, '.git', 'commondir')).catch(() => undefined)) {
    throw new ToolError(
      `${shown(folder)} takes its configuration from elsewhere (.git/commondir): it is not touched. Use the main checkout, or clone anew.`,
    );
  }
  const leading = await leadingOut(join(path, '.git'));
  if (leading !== undefined) {
    throw new ToolError(
      `Not touched: .git/${leading} of ${shown(folder)} leads out of the checkout. A person should look at it, or clone anew.`,
    );
  }
  const options = { cwd: path, env: gitEnv(path, {}), deadlineMs: 10_000, ...ctx };
  const { stdout } = await command('git', ['config', '--list', '--local', '--includes', '-z'], options);
  const extra: Env = {};
  let remote: string | undefined;
  for (const pair of stdout.split('\0')) {
    const at = pair.indexOf('\n');
    const key = at < 0 ? pair : pair.slice(0, at);
    // Section and variable are lower case in this list, what stands between is not.
    const lower = key.toLowerCase();
    if (foreign.test(lower)) {
      throw new ToolError(
        `Not touched: .git/config of ${shown(folder)} sets ${shown(key)}, which could send code or the token elsewhere. A person should look at it, or clone anew.`,
      );
    }
    if (programs.test(lower)) extra[key] = '';
    if (/^filter\..*\.required$/.test(lower)) extra[key] = 'false';
    if (lower === 'remote.origin.url') remote = pair.slice(at + 1);
  }
  return { path, extra, remote };
}

interface Opened {
  path: string;
  /** Runs outside any repository: what lies at `path` is not looked at. */
  alone?: boolean;
  extra?: Env;
  /** Whose token git may have: only for addresses on that GitLab. */
  login?: Instance;
  home: string;
  identity?: Env;
}

/** Runs `work` with a simple-git on the repository; with `login` git can ask for the token while it runs. */
export async function withGit<T>(
  opened: Opened,
  ctx: Ctx,
  work: (git: import('simple-git').SimpleGit) => Promise<T>,
): Promise<T> {
  const { path, extra = {}, login } = opened;
  const asking = login && (await askpass(opened.home, login));
  const repository = opened.alone ? undefined : await lstat(join(path, '.git')).catch(() => undefined);
  const proxy = Object.fromEntries(
    ['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY', 'https_proxy', 'http_proxy', 'no_proxy'].flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  const env: Env = {
    ...proxy,
    ...gitEnv(repository ? path : undefined, {
      ...extra,
      ...(asking?.ca && { 'http.sslCAInfo': asking.ca }),
    }),
    ...opened.identity,
    ...(asking && { GIT_ASKPASS: asking.program }),
  };
  try {
    const { simpleGit } = await import('simple-git');
    const git = simpleGit({
      baseDir: path,
      abort: ctx.signal,
      allowEnvironment: Object.keys(env).filter((key) => key.startsWith('GIT_')),
      timeout: { block: 60_000 },
      // These are guarded against because a caller could set them; here they are ours, to switch things off.
      unsafe: {
        allowUnsafeAskPass: true,
        allowUnsafeCommandBinaries: true,
        allowUnsafeConfigEnvCount: true,
        allowUnsafeConfigPaths: true,
        allowUnsafeCredentialHelper: true,
        allowUnsafeDiffExternal: true,
        allowUnsafeDiffTextConv: true,
        allowUnsafeEditor: true,
        allowUnsafeFilter: true,
        allowUnsafeFsMonitor: true,
        allowUnsafeGpgProgram: true,
        allowUnsafeHooksPath: true,
        allowUnsafeMergeDriver: true,
        allowUnsafePager: true,
        allowUnsafeProtocolOverride: true,
        allowUnsafeSshCommand: true,
        allowUnsafeTemplateDir: true,
      },
    });
    return await work(git.env({ PATH: process.env['PATH'] ?? '', ...env }));
  } catch (error) {
    throw told(error);
  } finally {
    await asking?.close();
  }
}

/**
 * A program that answers git's question for the password, and only for that GitLab's address (gitcredentials(7)). The
 * token is in a file that only we can read, for as long as the command runs: never in an argument, address or config.
 */
async function askpass(home: string, { url, token, ca }: Instance) {
  const { protocol, host } = new URL(url);
  const { folder, close } = await runFolder(home, 'askpass');
  const program = join(folder, 'askpass');
  try {
    await writeFile(join(folder, 'token'), `${await token()}\n`, { mode: 0o600 });
    if (ca !== undefined) await writeFile(join(folder, 'ca.pem'), ca, { mode: 0o600 });
    // host is a URL's: it holds no quote.
    const script = `#!/bin/sh
case "$1" in
  "Username for '${protocol}//${host}'"*) echo oauth2 ;;
  "Password for '${protocol}//oauth2@${host}'"*) cat "\${0%/*}/token" ;;
  *) exit 1 ;;
esac
`;
    await writeFile(program, script, { mode: 0o700 });
    await chmod(program, 0o700);
  } catch (error) {
    await close();
    throw error;
  }
  return { program, close, ...(ca !== undefined && { ca: join(folder, 'ca.pem') }) };
}

/** git's own words, shortened, and what to do. */
function told(error: unknown): unknown {
  if (error instanceof ToolError || !(error instanceof Error)) return error;
  const said = error.message.replace(/\s+/g, ' ').trim().slice(-500);
  if (/could not read (Username|Password)|Authentication failed|HTTP Basic: Access denied/i.test(said)) {
    return new ToolError(
      'GitLab refused the token for git. It needs the scope read_repository (write_repository to push) or api; check GITLAB_TOKEN.',
    );
  }
  if (/protected branch|pre-receive hook declined|not allowed to push/i.test(said)) {
    return new ToolError(
      `GitLab refused the push (${said.slice(-200)}). Push another branch and open a merge request.`,
    );
  }
  if (/non-fast-forward|fetch first|\[rejected\]/i.test(said))
    return new ToolError(
      'The remote branch has commits that are not here. git_pull first, then push again; nothing was overwritten.',
    );
  if (/Not possible to fast-forward|divergent|diverging/i.test(said))
    return new ToolError(
      'Both sides have new commits, so this is no fast-forward, and nothing was changed. Make a branch from here with git_branch and push that.',
    );
  if (/transport '.*' not allowed/i.test(said))
    return new ToolError('Only http and https remotes are used. Clone with git_clone.');
  const unknown =
    /(?:bad revision|invalid reference:|Remote branch|unknown revision or path[^']*|ambiguous argument) '?([^\s']{1,200})/i.exec(
      said,
    )?.[1];
  if (unknown !== undefined)
    return new ToolError(
      `git knows no \`${shown(unknown)}\` here: no branch, tag or commit has that name. gitlab_history lists those on GitLab, git_log shows what is here; git_pull brings new ones.`,
    );
  const file = /pathspec '([^']{1,200})' did not match/i.exec(said)?.[1];
  if (file !== undefined)
    return new ToolError(
      `There is no file \`${shown(file)}\` in the folder. git_status shows what is changed.`,
    );
  return new ToolError(`git: ${said}. Look at the folder with git_status, and correct the arguments.`);
}
