import { z } from 'zod';
import { toolFor, ToolError } from '../../kit/tool.ts';
import { GitLabError } from './errors.ts';
import { next, project, record } from './fields.ts';
import { atProject, type GitLab } from './gitlab.ts';
import { commitLine, slim } from './shapes.ts';
import { filePath, refName } from './targets.ts';
import { cut, oneLine } from './text.ts';

const tool = toolFor<GitLab>();

const change = z.object({ old_path: z.string(), new_path: z.string(), diff: z.string().nullish() });
const comparison = z.object({
  commits: z.array(commitLine),
  diffs: z.array(change),
  compare_timeout: z.boolean().nullish(),
});
const tip = z.object({
  name: z.string(),
  protected: z.boolean().nullish(),
  default: z.boolean().nullish(),
  commit: commitLine,
});
const whole = z.object({
  id: z.string(),
  message: z.string(),
  web_url: z.string().nullish(),
  parent_ids: z.array(z.string()).nullish(),
});

export const refs = [
  tool({
    name: 'gitlab_history',
    title: 'Commits, branches, tags',
    description:
      'Lists branches, tags, or commits (of a ref or path); shows one commit (sha); or compares from with to.',
    effect: 'read',
    openWorld: true,
    untrusted: true,
    examples: ['latest commits on main', 'what branches exist', 'what changed between v1 and v2'],
    input: z.object({
      project,
      list: z.enum(['commits', 'branches', 'tags']).optional(),
      ref: z.string().optional(),
      path: z.string().optional(),
      search: z.string().optional(),
      sha: z.string().optional(),
      from: z.string().optional(),
      to: z.string().optional(),
      next,
    }),
    output: z.looseObject({ next }),
    async run(input, gitlab, ctx) {
      const { api, id, target } = await atProject(gitlab, input.project, ctx);
      const base = `projects/${id}/repository`;
      const { list = 'commits', path, search, next: cursor } = input;
      const sha = input.sha ?? (target.kind === 'commit' ? target.ref : undefined);
      if (input.from !== undefined || input.to !== undefined) {
        const to = refName(input.to ?? 'HEAD');
        const found = comparison.parse(
          await api.get(`${base}/compare`, { from: refName(input.from ?? 'HEAD'), to }),
        );
        return { commits: found.commits, ...shownDiff(found.diffs) };
      }
      if (sha !== undefined) {
        const commit = whole.parse(await api.get(`${base}/commits/${encodeURIComponent(refName(sha))}`));
        const diffs = z
          .array(change)
          .parse(await api.get(`${base}/commits/${commit.id}/diff`, { per_page: 100 }));
        const { id: full, message, web_url: url, parent_ids: parents } = commit;
        return {
          ...slim({ sha: full, message: cut(message.trim(), 4000), parents, url }),
          ...shownDiff(diffs),
        };
      }
      if (list === 'commits') {
        if (search !== undefined)
          throw new ToolError(
            '`search` looks at names of branches and tags: give `list` as branches or tags. Commits are narrowed by `ref` and `path`.',
          );
        const named = input.ref ?? target.ref;
        const query = {
          ref_name: named === undefined ? undefined : refName(named),
          path: path === undefined ? undefined : filePath(path),
        };
        const page = await api.page(`${base}/commits`, query, cursor);
        return { commits: page.items.map((one) => commitLine.parse(one)), next: page.next };
      }
      const page = await api.page(`${base}/${list}`, { search }, cursor);
      const tips = page.items.map((one) => tip.parse(one));
      return { [list]: tips.map(({ commit, ...rest }) => slim({ ...rest, ...commit })), next: page.next };
    },
  }),
  tool({
    name: 'gitlab_write_ref',
    title: 'Create or protect a branch or tag',
    description: 'Create a branch or tag from a ref, or set protection of one.',
    effect: 'write',
    openWorld: true,
    untrusted: true,
    examples: ['make a branch fix-login from main', 'tag v1.2.0', 'protect the release branch'],
    input: z.object({
      project,
      branch: z.string().optional(),
      tag: z.string().optional(),
      from: z.string().optional(),
      message: z.string().optional(),
      protect: z.boolean().optional().describe('sets protection (true, false) instead of creating'),
    }),
    output: record,
    async run({ project, branch, tag, from, message, protect }, gitlab, ctx) {
      const name = oneOf(branch, tag);
      const { api, id, project: path } = await atProject(gitlab, project, ctx);
      const kind = tag === undefined ? 'branches' : 'tags';
      if (protect !== undefined) {
        const address = `projects/${id}/protected_${kind}`;
        if (protect) await api.send('POST', address, { name });
        else await api.send('DELETE', `${address}/${encodeURIComponent(name)}`);
        return { name, protected: protect };
      }
      if (from === undefined)
        throw new ToolError('`from` is missing: the branch, tag or commit to make it from.');
      refName(from);
      const { branches } = await api.rest;
      const made = await (
        tag === undefined
          ? branches.create(path, name, from)
          : api.send('POST', `projects/${id}/repository/tags`, { tag_name: name, ref: from, message })
      ).catch((error: unknown) => {
        if (
          error instanceof GitLabError &&
          error.status === 400 &&
          /Invalid reference|Target .*invalid/i.test(error.message)
        )
          throw new ToolError(
            `\`from\` is no branch, tag or commit of the project, so nothing was made. gitlab_history lists them.`,
          );
        throw error;
      });
      return { name, ...z.object({ commit: commitLine }).parse(made).commit };
    },
  }),
  tool({
    name: 'gitlab_delete_ref',
    title: 'Delete a branch or tag',
    description: 'Deletes a branch or a tag on GitLab.',
    effect: 'destroy',
    openWorld: true,
    examples: ['delete the branch old-feature'],
    input: z.object({ project, branch: z.string().optional(), tag: z.string().optional() }),
    output: record,
    async confirm({ project, branch, tag }) {
      const name = oneOf(branch, tag);
      return {
        message: `Delete the ${tag === undefined ? 'branch' : 'tag'} ${name} of ${project} on GitLab?`,
        elsewhere: `git push origin --delete ${name}, or delete it on GitLab's web page.`,
      };
    },
    async run({ project, branch, tag }, gitlab, ctx) {
      const name = oneOf(branch, tag);
      const { api, project: path } = await atProject(gitlab, project, ctx);
      const { branches, tags } = await api.rest;
      await (tag === undefined ? branches : tags).remove(path, name);
      return { deleted: name };
    },
  }),
];

function oneOf(branch: string | undefined, tag: string | undefined): string {
  if ((branch === undefined) === (tag === undefined))
    throw new ToolError('Give `branch` or `tag`, one of them.');
  return refName(branch ?? tag ?? '');
}

function shownDiff(diffs: z.output<typeof change>[]) {
  const files = diffs.map(({ old_path, new_path }) =>
    oneLine(old_path === new_path ? new_path : `${old_path} -> ${new_path}`),
  );
  const text = diffs
    .map((one) => `--- ${oneLine(one.old_path)}\n+++ ${oneLine(one.new_path)}\n${one.diff ?? ''}`)
    .join('\n');
  return { files, diff: cut(text, 20_000, ': compare fewer commits, or read files.') };
}
