import { z } from 'zod';
import { toolFor, ToolError, type ToolContext } from '../../kit/tool.ts';
import { Api } from './client.ts';
import { repositoryIn, withGit } from './checkout.ts';
import { state } from './local-state.ts';
import { record } from './fields.ts';
import { instanceFor, type GitLab } from './gitlab.ts';
import { projectTarget, filePath, refName } from './targets.ts';
import { cut } from './text.ts';

const tool = toolFor<GitLab>();

const folder = z.string().describe('as git_clone made it');
const SHOWN = 20_000;

/** Names that the model gives come after this: git takes none of them for an option. */
const END = '--end-of-options';

export const local = [
  tool({
    name: 'git_status',
    title: 'Status',
    description: 'Branch, changed files and branches of a checkout.',
    effect: 'read',
    untrusted: true,
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
    untrusted: true,
    examples: ['make a branch fix-login', 'switch to main'],
    input: z.object({ folder, branch: z.string(), from: z.string().optional() }),
    output: record,
    preview: async ({ folder, branch, from }, gitlab, ctx) => {
      const { branch: now, changed } = await state(gitlab, folder, ctx);
      const start = from === undefined ? undefined : refName(from);
      return { switch: refName(branch), from: start, now, changed };
    },
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
    untrusted: true,
    examples: ['commit my changes'],
    input: z.object({
      folder,
      message: z.string().min(1).max(100_000),
      paths: z.array(z.string()).optional(),
    }),
    output: record,
    preview: async ({ folder, message, paths }, gitlab, ctx) => {
      const { branch, changed } = await state(gitlab, folder, ctx);
      return { commit: message, on: branch, ...(paths ? { paths: paths.map(filePath) } : { changed }) };
    },
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
      return {
        commits: text
          .split('\n')
          .filter(Boolean)
          .map((line) => cut(line, 500)),
      };
    },
  }),
];

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
