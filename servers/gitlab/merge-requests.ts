import { z } from 'zod';
import { toolFor, ToolError } from '../../kit/tool.ts';
import { Api } from './client.ts';
import { threadsOf } from './comments.ts';
import { done, mergeRequest, names, next, project, record, records } from './fields.ts';
import { further } from './errors.ts';
import { atNumber, atProject, instanceFor, usable, type GitLab, type Place } from './gitlab.ts';
import { milestoneId, userIds } from './people.ts';
import { rebased } from './rebase.ts';
import { mergeRequestLine, mergeRequestWhole, projectOf, slim } from './shapes.ts';
import { refName } from './targets.ts';
import { cut, refuseQuickActions } from './text.ts';

const tool = toolFor<GitLab>();

const approvals = z.object({
  approved: z.boolean().nullish(),
  approvals_left: z.number().nullish(),
  approved_by: z.array(z.object({ user: z.object({ username: z.string() }) })).nullish(),
});

export const mergeRequests = [
  tool({
    name: 'gitlab_list_merge_requests',
    title: 'List merge requests',
    description: 'Merge requests of a project (without project: assigned to me), newest change first.',
    effect: 'read',
    openWorld: true,
    untrusted: true,
    examples: ['open merge requests', 'which merge requests wait for my review'],
    input: z.object({
      project: project.optional(),
      state: z.enum(['opened', 'closed', 'merged', 'all']).optional(),
      search: z.string().optional(),
      labels: names,
      author: z.string().optional(),
      reviewer: z.string().optional(),
      source_branch: z.string().optional(),
      next,
    }),
    output: z.object({ merge_requests: records, next }),
    async run(
      { project, state = 'opened', search, labels, author, reviewer, source_branch, next: cursor },
      gitlab,
      ctx,
    ) {
      const query = {
        state: state === 'all' ? undefined : state,
        search,
        labels: labels?.join(','),
        author_username: author?.replace(/^@/, ''),
        reviewer_username: reviewer?.replace(/^@/, ''),
        source_branch,
        order_by: 'updated_at',
      };
      const scope = author === undefined && reviewer === undefined ? 'assigned_to_me' : 'all';
      if (project === undefined) {
        const api = new Api(instanceFor(gitlab, {}), ctx);
        const page = await api.page('merge_requests', { ...query, scope }, cursor);
        const lines = page.items.map((one) => ({ ...mergeRequestLine.parse(one), project: projectOf(one) }));
        return { merge_requests: lines.filter(usable(api)), next: page.next };
      }
      const { api, id } = await atProject(gitlab, project, ctx);
      const page = await api.page(`projects/${id}/merge_requests`, query, cursor);
      return { merge_requests: page.items.map((one) => mergeRequestLine.parse(one)), next: page.next };
    },
  }),
  tool({
    name: 'gitlab_show_merge_request',
    title: 'Show a merge request',
    description:
      'A merge request: approvals, pipeline, conflicts, head sha, unresolved threads (all: every thread).',
    effect: 'read',
    openWorld: true,
    untrusted: true,
    examples: ['can merge request 7 be merged', 'what is open in the review of !7'],
    input: z.object({
      project: project.optional(),
      merge_request: mergeRequest,
      all: z.boolean().optional(),
      next,
    }),
    output: record,
    async run({ project, merge_request, all, next: cursor }, gitlab, ctx) {
      const { api, id, iid } = await atNumber(gitlab, merge_request, 'merge request', project, ctx);
      const path = `projects/${id}/merge_requests/${iid}`;
      const [shown, approval, page] = await Promise.all([
        api.get(path, { include_diverged_commits_count: true }),
        api.maybe(`${path}/approvals`),
        api.page(`${path}/discussions`, { per_page: 100 }, cursor),
      ]);
      const threads = threadsOf(page.items);
      return {
        ...whole(shown, approvals.safeParse(approval).data),
        threads: all ? threads : threads.filter((one) => one['resolved'] === 'no'),
        ...(!all && { other_threads: threads.filter((one) => one['resolved'] !== 'no').length }),
        ...(page.next !== undefined && { next: page.next }),
      };
    },
  }),
  tool({
    name: 'gitlab_write_merge_request',
    title: 'Create or update a merge request',
    description: 'Create a merge request from source_branch, or change, close or rebase the one given.',
    effect: 'write',
    openWorld: true,
    untrusted: true,
    examples: ['open a merge request for my branch', 'add anna as reviewer of !7', 'rebase !7', 'close !7'],
    input: z.object({
      project: project.optional(),
      merge_request: mergeRequest.optional(),
      source_branch: z.string().optional(),
      target_branch: z.string().optional(),
      target_project: project.optional().describe('of a fork: what it came from'),
      title: z.string().max(255).optional(),
      description: z.string().max(1_000_000).optional(),
      template: z.string().optional().describe('a description template'),
      draft: z.boolean().optional(),
      labels: names,
      assignees: names,
      reviewers: names,
      milestone: z.string().optional(),
      state: z.enum(['close', 'reopen']).optional(),
      rebase: z.boolean().optional(),
      allow_quick_actions: z.boolean().optional(),
    }),
    output: done,
    preview: async (input, gitlab, ctx) => {
      const { iid, values } = await prepared(input, gitlab, ctx);
      return slim({
        ...(iid === undefined ? { create: values } : { update: iid, ...values }),
        rebase: input.rebase,
      });
    },
    async run(input, gitlab, ctx) {
      const { place, iid, values } = await prepared(input, gitlab, ctx);
      const { api, id, project } = place;
      const { mergeRequests } = await api.rest;
      let shown: unknown;
      if (iid === undefined) {
        const { sourceBranch = '', targetBranch = '', title = '', ...others } = values;
        shown = await mergeRequests.create(project, sourceBranch, targetBranch, title, others);
      } else if (Object.values(values).some((one) => one !== undefined)) {
        shown = await mergeRequests.edit(project, iid, values);
      }
      const rebase = async (iid: number) => void (await mergeRequests.rebase(project, iid));
      if (input.rebase && iid !== undefined) {
        await (shown === undefined ? rebase(iid) : further(`!${iid} is updated`, () => rebase(iid)));
      }
      const path = `projects/${id}/merge_requests/${iid}`;
      const after = input.rebase ? await rebased(api, path, ctx) : {};
      shown = after.shown ?? shown ?? (await api.get(path));
      const { description: _same, url, ...rest } = whole(shown, undefined);
      return { ...rest, ...slim({ rebase: after.rebase }), url: String(url) };
    },
  }),
];

interface Wanted {
  project?: string;
  merge_request?: string;
  source_branch?: string;
  target_branch?: string;
  target_project?: string;
  title?: string;
  description?: string;
  template?: string;
  draft?: boolean;
  labels?: string[];
  assignees?: string[];
  reviewers?: string[];
  milestone?: string;
  state?: 'close' | 'reopen';
  rebase?: boolean;
  allow_quick_actions?: boolean;
}

async function prepared(input: Wanted, gitlab: GitLab, ctx: Parameters<typeof atProject>[2]) {
  refuseQuickActions(input.description, input.allow_quick_actions);
  const { merge_request, source_branch, target_branch } = input;
  if (merge_request === undefined && (source_branch === undefined || input.project === undefined)) {
    throw new ToolError(
      'Give `project` and `source_branch` to create one, or `merge_request` to change one.',
    );
  }
  const only =
    merge_request === undefined
      ? (['state', 'rebase'] as const)
      : (['source_branch', 'target_project', 'template'] as const);
  for (const name of only)
    if (input[name] !== undefined)
      throw new ToolError(
        merge_request === undefined
          ? `\`${name}\` is for a merge request that is there. Give \`merge_request\`, or leave \`${name}\` out to create one.`
          : `\`${name}\` is for a new merge request. Leave it out to change \`merge_request\`, or leave \`merge_request\` out to create one.`,
      );
  const numbered =
    merge_request === undefined
      ? undefined
      : await atNumber(gitlab, merge_request, 'merge request', input.project, ctx);
  const place = numbered ?? (await atProject(gitlab, input.project ?? '', ctx));
  const { api, id } = place;
  if (source_branch !== undefined) refName(source_branch);
  if (target_branch !== undefined) refName(target_branch);
  const into =
    input.target_project === undefined ? undefined : await upstream(place, input.target_project, gitlab, ctx);
  const target = target_branch ?? (numbered ? undefined : await defaultBranch(api, String(into ?? id)));
  const title = input.title ?? (numbered ? undefined : source_branch);
  const current =
    numbered && input.draft !== undefined && title === undefined
      ? z.object({ title: z.string() }).parse(await api.get(`projects/${id}/merge_requests/${numbered.iid}`))
          .title
      : title;
  const values = {
    ...(!numbered && { sourceBranch: source_branch }),
    ...(into !== undefined && { targetProjectId: into }),
    targetBranch: target,
    title: drafted(current, input.draft),
    description: input.description ?? (await template(api, id, input.template)),
    labels: input.labels?.join(','),
    assigneeIds: await userIds(api, input.assignees),
    reviewerIds: await userIds(api, input.reviewers),
    milestoneId: await milestoneId(api, id, input.milestone),
    ...(numbered && { stateEvent: input.state }),
  };
  return { place, iid: numbered?.iid, values };
}

/** The number of the project that a fork's branch is to be merged into. */
async function upstream(
  { api }: Place,
  named: string,
  gitlab: GitLab,
  ctx: Parameters<typeof atProject>[2],
): Promise<number> {
  const into = await atProject(gitlab, named, ctx);
  if (into.api.instance !== api.instance)
    throw new ToolError('`target_project` is on another GitLab than `project`. Name one on the same.');
  return z.object({ id: z.number() }).parse(await api.get(`projects/${into.id}`)).id;
}

/** "Draft: " before the title is how GitLab marks a draft. */
function drafted(title: string | undefined, draft: boolean | undefined): string | undefined {
  if (title === undefined || draft === undefined) return title;
  const bare = title.replace(/^(\[draft\]|\(draft\)|draft:)\s*/i, '');
  return draft ? `Draft: ${bare}` : bare;
}

async function defaultBranch(api: Api, id: string): Promise<string> {
  const { default_branch: branch } = z
    .object({ default_branch: z.string().nullish() })
    .parse(await api.get(`projects/${id}`));
  if (!branch)
    throw new ToolError(
      'The project has no default branch (its repository is empty). Commit to a branch first, or give target_branch.',
    );
  return branch;
}

async function template(api: Api, id: string, name: string | undefined): Promise<string | undefined> {
  if (name === undefined) return undefined;
  const found = await api.get(`projects/${id}/templates/merge_requests/${encodeURIComponent(name)}`);
  return z.object({ content: z.string() }).parse(found).content;
}

function whole(raw: unknown, approval: z.output<typeof approvals> | undefined): Record<string, unknown> {
  const mr = mergeRequestWhole.parse(raw);
  return {
    ...slim({
      iid: mr.iid,
      title: mr.title,
      state: mr.state,
      draft: mr.draft,
      author: mr.author,
      assignees: mr.assignees,
      reviewers: mr.reviewers,
      labels: mr.labels,
      from: mr.source_branch,
      to: mr.target_branch,
      sha: mr.sha,
      files: mr.changes_count,
      merge_status: mr.detailed_merge_status,
      conflicts: mr.has_conflicts,
      behind: mr.diverged_commits_count || undefined,
      merge_error: mr.merge_error,
      merged_as: mr.merge_commit_sha?.slice(0, 8),
      pipeline: mr.head_pipeline ?? undefined,
      approvals:
        approval &&
        slim({
          left: approval.approvals_left ?? undefined,
          by: approval.approved_by?.map((one) => one.user.username),
        }),
      updated: mr.updated_at,
      description: mr.description ? cut(mr.description, 8000) : undefined,
    }),
    url: mr.web_url,
  };
}
