import { z } from 'zod';
import { toolFor, ToolError } from '../../kit/tool.ts';
import { Api } from './client.ts';
import { threadsOf } from './comments.ts';
import { done, idOrUrl, issue, names, next, project, record, records } from './fields.ts';
import { further } from './errors.ts';
import { atNumber, atProject, instanceFor, named, pathOf, usable, type GitLab } from './gitlab.ts';
import { milestoneId, userIds } from './people.ts';
import { issueLine, issueWhole, projectOf } from './shapes.ts';
import { cut, refuseQuickActions } from './text.ts';
import { workItems } from './work-items.ts';

const tool = toolFor<GitLab>();

/** Longest description that is shown. */
const SHOWN = 8000;

export const issues = [
  tool({
    name: 'gitlab_list_issues',
    title: 'List issues',
    description:
      'Issues of a project (without project: assigned to me), newest change first. type: work items such as TASK or EPIC.',
    effect: 'read',
    openWorld: true,
    untrusted: true,
    examples: ['which issues are open', 'bugs assigned to anna', 'my issues'],
    input: z.object({
      project: project.optional(),
      state: z.enum(['opened', 'closed', 'all']).optional(),
      search: z.string().optional(),
      labels: names,
      assignee: z.string().optional(),
      author: z.string().optional(),
      milestone: z.string().optional(),
      type: z.string().optional(),
      next,
    }),
    output: z.object({ issues: records, next }),
    async run(
      { project, state = 'opened', search, labels, assignee, author, milestone, type, next: cursor },
      gitlab,
      ctx,
    ) {
      const query = {
        state: state === 'all' ? undefined : state,
        search,
        labels: labels?.join(','),
        assignee_username: assignee?.replace(/^@/, ''),
        author_username: author?.replace(/^@/, ''),
        milestone,
        order_by: 'updated_at',
      };
      if (project === undefined) {
        const api = new Api(instanceFor(gitlab, {}), ctx);
        const scope = assignee === undefined && author === undefined ? 'assigned_to_me' : 'all';
        const page = await api.page('issues', { ...query, scope }, cursor);
        const withProject = page.items.map((one) => ({ ...issueLine.parse(one), project: projectOf(one) }));
        return { issues: withProject.filter(usable(api)), next: page.next };
      }
      const { api, id, project: path } = await atProject(gitlab, project, ctx);
      if (type !== undefined) return workItems(api, await pathOf(api, path), { type, state, search }, cursor);
      const page = await api.page(`projects/${id}/issues`, query, cursor);
      return { issues: page.items.map((one) => issueLine.parse(one)), next: page.next };
    },
  }),
  tool({
    name: 'gitlab_show_issue',
    title: 'Show an issue',
    description: 'An issue with its discussion and links.',
    effect: 'read',
    openWorld: true,
    untrusted: true,
    examples: ['read issue 12', 'what was said on issue 3'],
    input: z.object({ project: project.optional(), issue, next }),
    output: record,
    async run({ project, issue, next: cursor }, gitlab, ctx) {
      const { api, id, iid } = await atNumber(gitlab, issue, 'issue', project, ctx);
      const path = `projects/${id}/issues/${iid}`;
      const { description, ...rest } = issueWhole.parse(await api.get(path));
      const notes = await api.page(`${path}/discussions`, { per_page: 50 }, cursor);
      const threads = threadsOf(notes.items);
      const related = links.safeParse(await api.maybe(`${path}/links`)).data ?? [];
      return {
        ...rest,
        ...(description !== undefined && { description: cut(description, SHOWN) }),
        ...(related.length > 0 && { links: related }),
        threads,
        ...(notes.next !== undefined && { next: notes.next }),
      };
    },
  }),
  tool({
    name: 'gitlab_write_issue',
    title: 'Create or update an issue',
    description: 'Create an issue, or change the one given. Lists replace what was there.',
    effect: 'write',
    openWorld: true,
    untrusted: true,
    examples: [
      'open an issue about the login bug',
      'close issue 5',
      'assign issue 3 to anna',
      'log 2 hours on issue 4',
    ],
    input: z.object({
      project: project.optional(),
      issue: issue.optional(),
      title: z.string().max(255).optional(),
      description: z.string().max(1_000_000).optional(),
      labels: names,
      assignees: names,
      milestone: z.string().optional().describe('title; empty removes it'),
      due: z.string().optional().describe('YYYY-MM-DD'),
      state: z.enum(['close', 'reopen']).optional(),
      estimate: z.string().optional(),
      spent: z.string().optional().describe('adds, e.g. 1h30m'),
      link: idOrUrl.optional().describe('issue to link'),
      link_type: z.enum(['relates_to', 'blocks', 'is_blocked_by']).optional(),
      allow_quick_actions: z.boolean().optional(),
    }),
    output: done,
    preview: async (input, gitlab, ctx) => {
      const { iid, values } = await prepared(input, gitlab, ctx);
      const { estimate, spent, link } = input;
      return {
        ...(iid === undefined ? { create: values } : { update: iid, ...values }),
        estimate,
        spent,
        link,
      };
    },
    async run(input, gitlab, ctx) {
      const { place, iid: given, values, linked } = await prepared(input, gitlab, ctx);
      const { api, id, project } = place;
      const { issues } = await api.rest;
      const { title = '', ...others } = values;
      let shown: unknown;
      if (given === undefined) shown = await issues.create(project, title, others);
      else if (Object.values(values).some((one) => one !== undefined))
        shown = await issues.edit(project, given, values);
      const iid = given ?? z.object({ iid: z.number() }).parse(shown).iid;
      const path = `projects/${id}/issues/${iid}`;
      const { estimate, spent } = input;
      const done = `Issue #${iid} is ${given === undefined ? 'created' : 'updated'}`;
      const whole = await further(done, async () => {
        const time = async (kind: string, duration: string) =>
          api.send('POST', `${path}/${kind}?duration=${encodeURIComponent(duration)}`);
        if (estimate) await time('time_estimate', estimate);
        if (spent) await time('add_spent_time', spent);
        if (linked) {
          await api.send('POST', `${path}/links`, {
            target_project_id: linked.project,
            target_issue_iid: String(linked.iid),
            link_type: input.link_type,
          });
        }
        return shown === undefined || estimate || spent ? api.get(path) : shown;
      });
      const { description: _same, ...slimmed } = issueWhole.parse(whole);
      return slimmed;
    },
  }),
];

interface Wanted {
  project?: string;
  issue?: string;
  link?: string;
  title?: string;
  description?: string;
  labels?: string[];
  assignees?: string[];
  milestone?: string;
  due?: string;
  state?: 'close' | 'reopen';
  allow_quick_actions?: boolean;
}

/** Checks the input and turns names into ids: all that is read before anything is written. */
async function prepared(input: Wanted, gitlab: GitLab, ctx: Parameters<typeof atProject>[2]) {
  refuseQuickActions(input.description, input.allow_quick_actions);
  if (input.issue === undefined && input.project === undefined) {
    throw new ToolError('Give `project` to create an issue, or `issue` to change one.');
  }
  const numbered =
    input.issue === undefined ? undefined : await atNumber(gitlab, input.issue, 'issue', input.project, ctx);
  const place = numbered ?? (await atProject(gitlab, input.project ?? '', ctx));
  if (!numbered && !input.title?.trim()) throw new ToolError('A new issue needs a `title`.');
  const { api, id } = place;
  const values = {
    title: input.title,
    description: input.description,
    labels: input.labels?.join(','),
    assigneeIds: await userIds(api, input.assignees),
    milestoneId: await milestoneId(api, id, input.milestone),
    dueDate: input.due,
    ...(numbered && { stateEvent: input.state }),
  };
  const linked =
    input.link === undefined ? undefined : await atNumber(gitlab, input.link, 'issue', named(place), ctx);
  if (linked && linked.api.instance !== api.instance)
    throw new ToolError('`link` is on another GitLab. Only issues of one GitLab can be linked.');
  return { place, iid: numbered?.iid, values, linked };
}

const links = z.array(
  z
    .object({ iid: z.number(), title: z.string(), state: z.string(), link_type: z.string() })
    .transform(({ link_type: type, ...rest }) => ({ ...rest, type })),
);
