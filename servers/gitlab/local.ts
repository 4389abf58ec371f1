import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import { toolFor, ToolError, type ToolContext } from '../../kit/tool.ts';
import { Api, type Instance } from './client.ts';
import { folderIn, repositoryIn, withGit } from './checkout.ts';
import { project, record } from './fields.ts';
import { atProject, instanceFor, type GitLab } from './gitlab.ts';
import { projectTarget, filePath, refName, shown } from './targets.ts';
import { cut } from './text.ts';

const tool = toolFor<GitLab>();

const folder = z.string();
const SHOWN = 20_000;

/** Names that the model gives come after this: git takes none of them for an option. */
const END = '--end-of-options';

export const local = [
  tool({
    name: 'git_clone',
    title: 'Clone',
    description: 'Clone a project into a folder.',
    effect: 'write',
    openWorld: true,
    long: true,
    examples: ['clone group/project'],
    input: z.object({ project, folder: folder.optional(), branch: z.string().optional() }),
    output: record,
    preview: async ({ project, folder, branch }, gitlab, ctx) => {
      const place = await atProject(gitlab, project, ctx);
      return {
        clone: place.project,
        into: await folderIn(gitlab, folder ?? basename(place.project)),
        branch,
      };
    },
    async run({ project, folder, branch }, gitlab, ctx) {
      const place = await atProject(gitlab, project, ctx);
      const { http_url_to_repo: found } = z
        .object({ http_url_to_repo: z.string() })
        .parse(await place.api.get(`projects/${place.id}`));
      const url = sameHost(found, place.api.instance);
      const path = await folderIn(gitlab, folder ?? basename(new URL(url).pathname, '.git'));
      if ((await readdir(path).catch(() => [])).length > 0) {
        throw new ToolError(
          `${path} is there already and not empty. Choose another \`folder\`, or work in it.`,
        );
      }
      const parent = await folderIn(gitlab, '.');
      const named = branch === undefined ? [] : [`--branch=${refName(branch)}`];
      const opened = { path: parent, login: place.api.instance, ...common(gitlab, place.api.instance) };
      await withGit(opened, ctx, (git) =>
        git.clone(url, path, [...named, '--no-recurse-submodules', '--template=']),
      );
      return state(gitlab, path, ctx);
    },
  }),
  tool({
    name: 'git_status',
    title: 'Status',
    description: 'Branch, changed files and branches of a checkout.',
    effect: 'read',
    examples: ['what is changed in my checkout'],
    input: z.object({ folder }),
    output: record,
    run: ({ folder }, gitlab, ctx) => state(gitlab, folder, ctx),
  }),
  tool({
    name: 'git_diff',
    title: 'Local diff',
    description: 'What is not committed; or what changed from one ref to another.',
    effect: 'read',
    untrusted: true,
    examples: ['show my uncommitted changes'],
    input: z.object({
      folder,
      from: z.string().optional(),
      to: z.string().optional(),
      path: z.string().optional(),
    }),
    output: z.object({ diff: z.string() }),
    async run({ folder, from, to, path }, gitlab, ctx) {
      const { path: place, extra } = await repositoryIn(gitlab, folder, ctx);
      const refs = [from ?? (to === undefined ? undefined : 'HEAD'), to].flatMap((one) =>
        one === undefined ? [] : [refName(one)],
      );
      const files = path === undefined ? [] : [filePath(path)];
      const args = [
        '--no-color',
        '--no-ext-diff',
        '--no-textconv',
        '--ignore-submodules=all',
        END,
        ...(refs.length > 0 ? refs : ['HEAD']),
        '--',
        ...files,
      ];
      const diff = await withGit({ path: place, extra, home: gitlab.home }, ctx, (git) => git.diff(args));
      return { diff: cut(diff, SHOWN, ': ask for one `path`.') };
    },
  }),
  tool({
    name: 'git_branch',
    title: 'Switch branch',
    description: 'Switch to a branch; with from, make it there first.',
    effect: 'write',
    idempotent: true,
    examples: ['make a branch fix-login', 'switch to main'],
    input: z.object({ folder, branch: z.string(), from: z.string().optional() }),
    output: record,
    async run({ folder, branch, from }, gitlab, ctx) {
      const { path, extra } = await repositoryIn(gitlab, folder, ctx);
      const name = refName(branch);
      const start = from === undefined ? [] : ['-c', name, END, refName(from)];
      const args = ['switch', '--quiet', '--no-recurse-submodules', ...(from === undefined ? [name] : start)];
      await withGit({ path, extra, home: gitlab.home }, ctx, (git) => git.raw(args));
      return state(gitlab, folder, ctx);
    },
  }),
  tool({
    name: 'git_commit',
    title: 'Commit locally',
    description: 'Commit the paths given, or all changes.',
    effect: 'write',
    examples: ['commit my changes'],
    input: z.object({
      folder,
      message: z.string().min(1).max(100_000),
      paths: z.array(z.string()).optional(),
    }),
    output: record,
    async run({ folder, message, paths }, gitlab, ctx) {
      const { path, extra, remote } = await repositoryIn(gitlab, folder, ctx);
      const names = paths?.map(filePath);
      const identity = await author(gitlab, remote, ctx);
      const sha = await withGit({ path, extra, identity, home: gitlab.home }, ctx, async (git) => {
        await git.raw(['add', '--all', '--', ...(names ?? ['.'])]);
        const staged = await git.raw([
          'diff',
          '--cached',
          '--name-only',
          '--no-ext-diff',
          '--no-textconv',
          '--ignore-submodules=all',
        ]);
        if (staged.trim() === '') throw new ToolError('Nothing is changed, so nothing was committed.');
        await git.raw([
          'commit',
          '--quiet',
          '--no-verify',
          '--no-gpg-sign',
          '--cleanup=whitespace',
          `--message=${message}`,
          ...(names ? ['--', ...names] : []),
        ]);
        return git.revparse(['HEAD']);
      });
      return { sha };
    },
  }),
  tool({
    name: 'git_pull',
    title: 'Pull',
    description: 'Fetch, and fast-forward the current branch.',
    effect: 'write',
    openWorld: true,
    idempotent: true,
    examples: ['get the latest changes'],
    input: z.object({ folder }),
    output: record,
    preview: async ({ folder }, gitlab, ctx) => ({ pull: (await remoteOf(gitlab, folder, ctx)).url }),
    async run({ folder }, gitlab, ctx) {
      const { path, extra, login, url } = await remoteOf(gitlab, folder, ctx);
      await withGit({ path, extra, login, ...common(gitlab, login) }, ctx, async (git) => {
        const branch = (await git.raw(['symbolic-ref', '--short', '--quiet', 'HEAD'])).trim();
        await git.raw([
          'fetch',
          '--prune',
          '--no-recurse-submodules',
          '--quiet',
          END,
          url,
          '+refs/heads/*:refs/remotes/origin/*',
        ]);
        await git.raw([
          'merge',
          '--ff-only',
          '--quiet',
          '--no-verify',
          END,
          `refs/remotes/origin/${refName(branch)}`,
        ]);
      });
      return state(gitlab, folder, ctx);
    },
  }),
  tool({
    name: 'git_push',
    title: 'Push',
    description: 'Push the current branch, never by force.',
    effect: 'write',
    openWorld: true,
    idempotent: true,
    examples: ['push my branch'],
    input: z.object({ folder }),
    output: record,
    preview: async ({ folder }, gitlab, ctx) => {
      const { url } = await remoteOf(gitlab, folder, ctx);
      const { branch, ahead } = await state(gitlab, folder, ctx);
      return { push: branch, to: url, ahead };
    },
    async run({ folder }, gitlab, ctx) {
      const { path, extra, login, url } = await remoteOf(gitlab, folder, ctx);
      const pushed = await withGit({ path, extra, login, ...common(gitlab, login) }, ctx, async (git) => {
        const branch = refName((await git.raw(['symbolic-ref', '--short', '--quiet', 'HEAD'])).trim());
        await git.raw([
          'push',
          '--no-verify',
          '--no-recurse-submodules',
          '--porcelain',
          END,
          url,
          `refs/heads/${branch}:refs/heads/${branch}`,
        ]);
        await git.raw(['update-ref', `refs/remotes/origin/${branch}`, 'HEAD']);
        await git.raw(['config', `branch.${branch}.remote`, 'origin']);
        await git.raw(['config', `branch.${branch}.merge`, `refs/heads/${branch}`]);
        return { branch, sha: await git.revparse(['HEAD']) };
      });
      return { pushed: pushed.branch, sha: pushed.sha };
    },
  }),
  tool({
    name: 'git_log',
    title: 'Local log',
    description: 'Commits of a checkout, newest first.',
    effect: 'read',
    untrusted: true,
    examples: ['what were the last commits here'],
    input: z.object({ folder, ref: z.string().optional(), path: z.string().optional() }),
    output: z.object({ commits: z.array(z.string()) }),
    async run({ folder, ref, path }, gitlab, ctx) {
      const { path: place, extra } = await repositoryIn(gitlab, folder, ctx);
      const files = path === undefined ? [] : [filePath(path)];
      const args = [
        'log',
        '--max-count=30',
        '--no-show-signature',
        '--no-ext-diff',
        '--format=%h %as %an: %s',
        END,
        refName(ref ?? 'HEAD'),
        '--',
        ...files,
      ];
      const text = await withGit({ path: place, extra, home: gitlab.home }, ctx, (git) => git.raw(args));
      return { commits: text.split('\n').filter(Boolean) };
    },
  }),
];

/** The address is the GitLab's own even where that lies behind another name. */
function sameHost(url: string, { url: base }: Instance): string {
  const found = new URL(url);
  const own = new URL(base);
  if (found.origin !== own.origin)
    throw new ToolError(
      `GitLab gives ${found.origin} as the address to clone from, which is not ${own.origin}: the token is not sent there. Correct GITLAB_URL.`,
    );
  return url;
}

function common(gitlab: GitLab, instance: Instance) {
  const ca = instance.name
    ? gitlab.config.instances.find((one) => one.name === instance.name)?.ca
    : gitlab.config.ca;
  return { home: gitlab.home, ...(ca && !ca.startsWith('-----') && { ca }) };
}

/** The GitLab that a checkout came from, and the address that is fetched from and pushed to: checked, then given as it is. */
async function remoteOf(gitlab: GitLab, folder: string, ctx: ToolContext) {
  const { path, extra, remote } = await repositoryIn(gitlab, folder, ctx);
  if (remote === undefined)
    throw new ToolError(`${shown(folder)} has no remote \`origin\`. Clone with git_clone.`);
  const target = projectTarget(remote);
  const login = instanceFor(
    gitlab,
    target.instance === undefined ? { instance: { name: remote.slice(0, 40) } } : target,
  );
  await atProject(gitlab, remote, ctx);
  return { path, extra, login, url: sameHost(remote, login) };
}

/** Name and address for commits: the repository's own, else the GitLab user's. */
async function author(
  gitlab: GitLab,
  remote: string | undefined,
  ctx: ToolContext,
): Promise<Record<string, string>> {
  const target = remote !== undefined && /^https?:/.test(remote) ? projectTarget(remote) : {};
  const raw = await new Api(instanceFor(gitlab, target), ctx).get('user');
  const user = z
    .object({
      name: z.string(),
      username: z.string(),
      commit_email: z.string().nullish(),
      email: z.string().nullish(),
    })
    .parse(raw);
  const email = user.commit_email || user.email || `${user.username}@users.noreply.localhost`;
  return {
    GIT_AUTHOR_NAME: user.name,
    GIT_AUTHOR_EMAIL: email,
    GIT_COMMITTER_NAME: user.name,
    GIT_COMMITTER_EMAIL: email,
  };
}

async function state(gitlab: GitLab, folder: string, ctx: ToolContext) {
  const { path, extra } = await repositoryIn(gitlab, folder, ctx);
  return withGit({ path, extra, home: gitlab.home }, ctx, async (git) => {
    const text = await git.raw([
      'status',
      '--porcelain=v2',
      '--branch',
      '-z',
      '--ignore-submodules=all',
      '--untracked-files=normal',
    ]);
    const branches = await git.raw([
      'for-each-ref',
      '--format=%(refname:short)',
      '--count=50',
      '--sort=-committerdate',
      'refs/heads',
    ]);
    const heads = new Map<string, string>();
    const changed: string[] = [];
    const parts = text.split('\0');
    for (let at = 0; at < parts.length; at++) {
      const line = parts[at] ?? '';
      const head = /^# branch\.(\S+) (.*)$/.exec(line);
      if (head) heads.set(head[1] ?? '', head[2] ?? '');
      else if (line.startsWith('? ')) changed.push(`?? ${line.slice(2)}`);
      else if (/^[12u] /.test(line)) {
        const fields = line.split(' ');
        changed.push(
          `${(fields[1] ?? '').replaceAll('.', ' ')} ${fields.slice(line.startsWith('1') ? 8 : line.startsWith('2') ? 9 : 10).join(' ')}`,
        );
        if (line.startsWith('2')) at++;
      }
    }
    const [, ahead, behind] = /^\+(\d+) -(\d+)$/.exec(heads.get('ab') ?? '') ?? [];
    return {
      folder: path,
      branch: heads.get('head'),
      sha: heads.get('oid')?.slice(0, 8),
      ...(ahead !== undefined && { ahead: Number(ahead), behind: Number(behind) }),
      changed: changed.slice(0, 200),
      ...(changed.length > 200 && { more: changed.length - 200 }),
      branches: branches.split('\n').filter(Boolean),
    };
  });
}
