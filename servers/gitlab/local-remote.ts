import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import { toolFor, ToolError, type ToolContext } from '../../kit/tool.ts';
import type { Instance } from './client.ts';
import { folderIn, repositoryIn, withGit } from './checkout.ts';
import { state } from './local-state.ts';
import { project, record } from './fields.ts';
import { atProject, instanceFor, type GitLab } from './gitlab.ts';
import { projectTarget, refName, shown } from './targets.ts';

const tool = toolFor<GitLab>();

const folder = z.string().describe('as git_clone made it');

/** Names that the model gives come after this: git takes none of them for an option. */
const END = '--end-of-options';

/** git tools that speak to GitLab. */
export const localRemote = [
  tool({
    name: 'git_clone',
    title: 'Clone',
    description: 'Clone a project into a folder.',
    effect: 'write',
    openWorld: true,
    long: true,
    untrusted: true,
    examples: ['clone group/project'],
    input: z.object({
      project,
      folder: z.string().optional().describe('to make'),
      branch: z.string().optional(),
    }),
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
      const opened = { path: parent, alone: true, login: place.api.instance, home: gitlab.home };
      await withGit(opened, ctx, (git) =>
        git.clone(url, path, [...named, '--no-recurse-submodules', '--template=']),
      );
      return state(gitlab, path, ctx);
    },
  }),
  tool({
    name: 'git_pull',
    title: 'Pull',
    description: 'Fetch, and fast-forward the current branch.',
    effect: 'write',
    openWorld: true,
    idempotent: true,
    untrusted: true,
    examples: ['get the latest changes'],
    input: z.object({ folder }),
    output: record,
    preview: async ({ folder }, gitlab, ctx) => ({ pull: (await remoteOf(gitlab, folder, ctx)).url }),
    async run({ folder }, gitlab, ctx) {
      const { path, extra, login, name } = await remoteOf(gitlab, folder, ctx);
      await withGit({ path, extra, login, home: gitlab.home }, ctx, async (git) => {
        const branch = (await git.raw(['symbolic-ref', '--short', '--quiet', 'HEAD']).catch(() => '')).trim();
        if (branch === '')
          throw new ToolError(
            'No branch is checked out in the folder. Switch to one with git_branch, then pull.',
          );
        await git.raw([
          'fetch',
          '--prune',
          '--no-recurse-submodules',
          '--quiet',
          END,
          name,
          '+refs/heads/*:refs/remotes/origin/*',
        ]);
        const theirs = `refs/remotes/origin/${refName(branch)}`;
        if ((await git.raw(['for-each-ref', theirs])).trim() === '')
          throw new ToolError(
            `The branch ${branch} is not on GitLab, so there is nothing to pull; other branches are fetched. Push it with git_push, or switch to one that is there with git_branch.`,
          );
        await git.raw(['merge', '--ff-only', '--quiet', '--no-verify', END, theirs]);
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
      const { path, extra, login, name } = await remoteOf(gitlab, folder, ctx);
      const pushed = await withGit({ path, extra, login, home: gitlab.home }, ctx, async (git) => {
        const branch = refName((await git.raw(['symbolic-ref', '--short', '--quiet', 'HEAD'])).trim());
        await git.raw([
          'push',
          '--no-verify',
          '--no-recurse-submodules',
          '--porcelain',
          END,
          name,
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

/**
 * The GitLab that a checkout came from, and the address that is fetched from and pushed to, once checked. git gets it as a
 * remote whose name nobody could guess: an address alone could be the name of another remote in .git/config.
 */
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
  const url = sameHost(remote, login);
  const name = `kuznia-${randomUUID()}`;
  return { path, extra: { ...extra, [`remote.${name}.url`]: url }, login, url, name };
}
