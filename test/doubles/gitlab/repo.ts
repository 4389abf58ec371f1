import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileDiffs, type FileDiff } from './diffs.ts';
import { updateHook } from './protection.ts';

export class GitFault extends Error {}

interface TreeEntry {
  id: string;
  name: string;
  type: string;
  path: string;
  mode: string;
}

const HASH = /^[0-9a-f]{40}$/;
/** What these say of commits that are named by their hashes never changes. */
const LASTING = new Set(['diff', 'log', 'ls-tree', 'merge-base', 'merge-tree', 'rev-list', 'show']);

/** A bare repository as gitrepository-layout(5) has it. */
const CONFIG = `[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
[http]
	receivepack = true
[receive]
	denyDeleteCurrent = ignore
`;

/** A bare repository behind a project of the double: everything that GitLab would ask Gitaly for is asked of git. */
export class Repo {
  readonly folder: string;
  readonly #trees = new Map<string, TreeEntry[]>();
  readonly #commits = new Set<string>();
  readonly #lasting = new Map<string, Promise<string>>();

  constructor(folder: string) {
    this.folder = folder;
  }

  static async create(folder: string): Promise<Repo> {
    const repo = new Repo(folder);
    for (const part of ['hooks', 'objects/info', 'objects/pack', 'refs/heads', 'refs/tags'])
      await mkdir(join(folder, part), { recursive: true });
    await writeFile(join(folder, 'HEAD'), 'ref: refs/heads/main\n');
    // What may be deleted is for the hook to say, as GitLab says it.
    await writeFile(join(folder, 'config'), CONFIG);
    await writeFile(join(folder, 'hooks', 'update'), updateHook, { mode: 0o755 });
    return repo;
  }

  /** A folder of a commit, as the API lists it. What a commit holds never changes: it is read once. */
  async tree(sha: string, path: string, recursive: boolean): Promise<TreeEntry[]> {
    const key = `${sha}:${path}:${recursive}`;
    const known = this.#trees.get(key);
    if (known) return known;
    const listed = await this.git(['ls-tree', '-z', ...(recursive ? ['-r', '-t'] : []), `${sha}:${path}`]);
    const entries = listed
      .split('\0')
      .filter(Boolean)
      .map((line) => {
        const [meta = '', name = ''] = line.split('\t');
        const [mode = '', type = '', id = ''] = meta.split(' ');
        return {
          id,
          name: name.split('/').at(-1) ?? name,
          type,
          path: path ? `${path}/${name}` : name,
          mode,
        };
      });
    // GitLab's Tree#sorted_entries: folders, then files, then submodules.
    const sorted = ['tree', 'blob', 'commit'].flatMap((type) => entries.filter((one) => one.type === type));
    this.#trees.set(key, sorted);
    return sorted;
  }

  async git(
    args: string[],
    options: { input?: string | Buffer; env?: Record<string, string> } = {},
  ): Promise<string> {
    const key = isLasting(args) && Object.keys(options).length === 0 ? args.join('\0') : undefined;
    const known = key === undefined ? undefined : this.#lasting.get(key);
    if (known) return known;
    const asked = this.bytes(args, options).then((out) => out.toString('utf8'));
    if (key === undefined) return asked;
    this.#lasting.set(key, asked);
    // What is not there yet may come.
    asked.catch(() => this.#lasting.delete(key));
    return asked;
  }

  bytes(
    args: string[],
    options: { input?: string | Buffer; env?: Record<string, string> } = {},
  ): Promise<Buffer> {
    return run(['--git-dir', this.folder, ...args], options);
  }

  async resolve(ref: string): Promise<string | undefined> {
    if (this.#commits.has(ref)) return ref;
    const found = (await this.#branch(ref)) ?? (await this.#parsed(ref));
    if (found !== undefined) this.#commits.add(found);
    return found;
  }

  /** A branch from its file: this is asked most of all. Where the name may mean anything else, git says what (gitrevisions(7)). */
  async #branch(ref: string): Promise<string | undefined> {
    if (!/^[\w-][\w/-]*$/.test(ref)) return undefined;
    const whole = /^refs\/(?:heads|merge-requests)\//.test(ref);
    const others = ['packed-refs', ...(whole ? [] : [ref, `refs/${ref}`, `refs/tags/${ref}`])];
    if (others.some((other) => existsSync(join(this.folder, other)))) return undefined;
    const path = join(this.folder, whole ? ref : `refs/heads/${ref}`);
    const text = (await readFile(path, 'utf8').catch(() => '')).trim();
    return HASH.test(text) ? text : undefined;
  }

  async #parsed(ref: string): Promise<string | undefined> {
    try {
      return (
        await this.git(['rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`])
      ).trim();
    } catch {
      return undefined;
    }
  }

  /** The tree of both together; undefined where they change the same lines (git-merge-tree(1), since 2.38). */
  async mergedTree(ours: string, theirs: string): Promise<string | undefined> {
    try {
      return (await this.git(['merge-tree', '--write-tree', ours, theirs])).split('\n')[0];
    } catch {
      return undefined;
    }
  }

  async blob(ref: string, path: string): Promise<Buffer | undefined> {
    try {
      return await this.bytes(['cat-file', 'blob', `${ref}:${path}`]);
    } catch {
      return undefined;
    }
  }

  async lastCommit(ref: string, path: string): Promise<string> {
    return (await this.git(['log', '-1', '--format=%H', ref, '--', path])).trim();
  }

  /** One commit on a branch. */
  async commit(
    branch: string,
    start: string | undefined,
    message: string,
    actions: {
      action: string;
      file_path: string;
      previous_path?: string;
      content?: Buffer;
      last_commit_id?: string;
      executable?: boolean;
    }[],
    author = { name: 'Root', email: 'root@example.com' },
  ): Promise<string> {
    const parent = await this.resolve(start ?? branch);
    const temp = await mkdtemp(join(tmpdir(), 'double-index-'));
    const env = {
      GIT_INDEX_FILE: join(temp, 'index'),
      GIT_WORK_TREE: temp,
      GIT_AUTHOR_NAME: author.name,
      GIT_AUTHOR_EMAIL: author.email,
      GIT_COMMITTER_NAME: author.name,
      GIT_COMMITTER_EMAIL: author.email,
    };
    try {
      if (parent) await this.git(['read-tree', parent], { env });
      for (const one of actions) {
        const path = one.file_path;
        const before = parent ? await this.blob(parent, one.previous_path ?? path) : undefined;
        const there = (await this.git(['ls-files', '--', `:(literal)${path}`], { env })) !== '';
        if (one.action === 'create' && there) throw new GitFault('A file with this name already exists');
        if (['update', 'delete', 'move'].includes(one.action) && !before)
          throw new GitFault("A file with this name doesn't exist");
        if (one.last_commit_id && parent && (await this.lastCommit(parent, path)) !== one.last_commit_id) {
          throw new GitFault(
            'You are attempting to update a file that has changed since you started editing it.',
          );
        }
        if (one.action === 'delete') await this.git(['update-index', '--force-remove', '--', path], { env });
        if (one.action === 'move')
          await this.git(['update-index', '--force-remove', '--', one.previous_path ?? ''], { env });
        if (one.action === 'chmod') {
          if (!there) throw new GitFault("A file with this name doesn't exist");
          const [, blob = ''] = (
            await this.git(['ls-files', '-s', '--', `:(literal)${path}`], { env })
          ).split(' ');
          const mode = one.executable ? '100755' : '100644';
          await this.git(['update-index', '--cacheinfo', `${mode},${blob},${path}`], { env });
        } else if (one.action !== 'delete') {
          const sha = (
            await this.git(['hash-object', '-w', '--stdin'], {
              input: one.content ?? before ?? Buffer.alloc(0),
            })
          ).trim();
          const mode = one.executable ? '100755' : '100644';
          await this.git(['update-index', '--add', '--cacheinfo', `${mode},${sha},${path}`], { env });
        }
      }
      const tree = (await this.git(['write-tree'], { env })).trim();
      const parents = parent ? ['-p', parent] : [];
      const sha = (await this.git(['commit-tree', tree, ...parents, '-m', message], { env })).trim();
      await this.git(['update-ref', `refs/heads/${branch}`, sha]);
      return sha;
    } finally {
      await rm(temp, { recursive: true, force: true });
    }
  }

  /** The head of a branch after its commits were made anew on another; undefined where they do not fit there. */
  async rebased(head: string, onto: string): Promise<string | undefined> {
    const temp = await mkdtemp(join(tmpdir(), 'double-rebase-'));
    const tree = join(temp, 'tree');
    const env = { GIT_COMMITTER_NAME: 'Root', GIT_COMMITTER_EMAIL: 'root@example.com' };
    try {
      await this.git(['worktree', 'add', '--quiet', '--detach', tree, head], { env });
      await run(['-C', tree, 'rebase', '--quiet', onto], { env });
      return (await run(['-C', tree, 'rev-parse', 'HEAD'], {})).toString().trim();
    } catch {
      return undefined;
    } finally {
      await rm(temp, { recursive: true, force: true });
      await this.git(['worktree', 'prune']).catch(() => undefined);
    }
  }

  /** What changed between two commits. */
  async diffs(from: string, to: string): Promise<FileDiff[]> {
    return fileDiffs(await this.git(['diff', '--no-color', '-M', from, to]));
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

function isLasting([command = '', ...args]: string[]): boolean {
  const end = args.indexOf('--');
  const revisions = (end < 0 ? args : args.slice(0, end)).filter((arg) => !arg.startsWith('-'));
  const named = revisions.flatMap((arg) => arg.replace(/:.*/s, '').split(/\.{2,3}/));
  return LASTING.has(command) && named.length > 0 && named.every((one) => HASH.test(one));
}

function run(
  args: string[],
  { input, env = {} }: { input?: string | Buffer; env?: Record<string, string> },
): Promise<Buffer> {
  const clean = {
    PATH: process.env['PATH'] ?? '',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    LC_ALL: 'C',
  };
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, { env: { ...clean, ...env } });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (part: Buffer) => out.push(part));
    child.stderr.on('data', (part: Buffer) => err.push(part));
    child.stdin.on('error', () => undefined);
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(out));
      else reject(new GitFault(`git ${args[2]}: ${Buffer.concat(err).toString()}`));
    });
    child.stdin.end(input);
  });
}
