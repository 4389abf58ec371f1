import * as json from './json.ts';
import { mergeRequestLine } from './json-merge-request.ts';
import { fitting, inOrder, newestFirst } from './filters.ts';
import { list, num, yes } from './params.ts';
import { need, paged, Refused, str, type Asked, type Route } from './routing.ts';
import { talkRoutes } from './routes-notes.ts';
import type { Issue, Link, MergeRequest, User } from './model.ts';

function found({ project, params }: Asked): Issue {
  const issue = project.issues.find((one) => one.iid === Number(params['iid']));
  if (!issue) throw new Refused(404, '404 Issue Not Found');
  return issue;
}

/** Zero, or nothing in the list, takes all away. */
export function usersOf({ world }: Asked, ids: unknown): User[] | undefined {
  const wanted = list(ids)?.map(Number);
  return wanted && world.users.filter((one) => wanted.includes(one.id));
}

/** What issues and merge requests take alike. */
export function change(asked: Asked, item: Issue | MergeRequest): void {
  const { body, project, world } = asked;
  const title = str(body['title']);
  if (title !== undefined && title.trim() === '')
    throw new Refused(400, { message: { title: ["can't be blank"] } });
  if (title !== undefined && title.length > 255)
    throw new Refused(400, { message: { title: ['is too long (maximum is 255 characters)'] } });
  item.title = title ?? item.title;
  item.description = str(body['description']) ?? item.description;
  const removed = list(body['remove_labels']) ?? [];
  const labels = [...(list(body['labels']) ?? item.labels), ...(list(body['add_labels']) ?? [])];
  item.labels = [...new Set(labels.map((one) => one.trim()))].filter((one) => !removed.includes(one)).sort();
  for (const one of item.labels) world.label(project, one);
  item.assignees = usersOf(asked, body['assignee_ids'] ?? body['assignee_id']) ?? item.assignees;
  item.due = str(body['due_date']) ?? item.due;
  if (body['milestone_id'] !== undefined) {
    const wanted = num(body['milestone_id']) ?? 0;
    const milestone = project.milestones.find((one) => one.id === wanted);
    if (wanted !== 0 && !milestone) throw new Refused(400, { message: { milestone_id: ['is invalid'] } });
    item.milestone = milestone ?? null;
  }
  if (body['state_event'] === 'close' && item.state === 'opened') close(asked, item);
  if (body['state_event'] === 'reopen' && item.state === 'closed') item.state = 'opened';
}

/** Closed now, by who asks. */
export function close({ user }: Pick<Asked, 'user'>, item: Issue | MergeRequest): void {
  item.state = 'closed';
  item.closed = { at: new Date().toISOString(), by: user };
}

/** Beyond so many GitLab gives no totals. */
const COUNTED = 10_000;

const linked = ({ world }: Asked, { id, to, project, type }: Link) => ({
  ...json.issue(world, project, to),
  issue_link_id: id,
  link_type: type,
  link_created_at: '2026-01-01T00:00:00.000Z',
  link_updated_at: '2026-01-01T00:00:00.000Z',
});

const BACK: Record<string, string> = { blocks: 'is_blocked_by', is_blocked_by: 'blocks' };

const linkRoutes: Route[] = [
  ['GET', '/projects/:id/issues/:iid/links', (asked) => found(asked).links.map((one) => linked(asked, one))],
  [
    'POST',
    '/projects/:id/issues/:iid/links',
    (asked) => {
      const { world, body, project } = asked;
      const from = found(asked);
      const other = world.find(str(body['target_project_id']) ?? `${num(body['target_project_id'])}`);
      const to = other?.issues.find((one) => one.iid === Number(body['target_issue_iid']));
      if (!other || !to || !other.members.has(asked.user.id)) throw new Refused(404, '404 Not Found');
      if (from.links.some((one) => one.to === to))
        throw new Refused(409, { message: 'Issue(s) already assigned' });
      const type = str(body['link_type']) ?? 'relates_to';
      const id = world.id();
      from.links.push({ id, to, project: other, type });
      to.links.push({ id, to: from, project, type: BACK[type] ?? type });
      return {
        id,
        source_issue: json.issue(world, project, from),
        target_issue: json.issue(world, other, to),
        link_type: type,
      };
    },
  ],
  [
    'DELETE',
    '/projects/:id/issues/:iid/links/:link',
    (asked) => {
      const from = found(asked);
      const link = from.links.find((one) => one.id === Number(asked.params['link']));
      if (!link) throw new Refused(404, '404 Not Found');
      from.links = from.links.filter((one) => one !== link);
      link.to.links = link.to.links.filter((one) => one.id !== link.id);
      return { ...linked(asked, link), id: link.id };
    },
  ],
];

/** Merge requests whose description says that they close an issue. */
const closes = (iid: number) =>
  new RegExp(`\\b(?:clos(?:e[sd]?|ing)|fix(?:e[sd]|ing)?|resolv(?:e[sd]?|ing)) #${iid}\\b`, 'i');

export const closing = (description: string, issues: Issue[]) =>
  issues.filter((one) => closes(one.iid).test(description));

export const issueRoutes: Route[] = [
  [
    'GET',
    '/issues',
    (asked) => {
      if (!asked.query.has('scope')) asked.query.set('scope', 'created_by_me');
      const seen = asked.world.projects.filter((one) => one.members.has(asked.user.id));
      const rows = seen.flatMap((project) =>
        inOrder(asked.query, project, project.issues.filter(fitting(asked))).map((one) =>
          json.issue(asked.world, project, one),
        ),
      );
      return paged(asked, rows, '/issues');
    },
  ],
  [
    'GET',
    '/projects/:id/issues',
    (asked) => {
      const { world, project, query } = asked;
      const end = (num(query.get('page')) ?? 1) * (num(query.get('per_page')) ?? 20);
      // GitLab has indexes, and counts no more than 10,000 (docs.gitlab.com/api/rest/#pagination): it looks no further than it must.
      const rows: Issue[] = [];
      const fits = fitting(asked);
      const enough = project.issues.length > COUNTED ? end + 1 : Infinity;
      for (const one of newestFirst(query, project, project.issues)) {
        if (fits(one)) rows.push(one);
        if (rows.length >= enough) break;
      }
      if (query.get('sort') === 'asc') rows.reverse();
      const items = rows.map((one) => () => json.issue(world, project, one));
      return paged(asked, items, `/projects/${project.id}/issues`, enough === Infinity);
    },
  ],
  [
    'POST',
    '/projects/:id/issues',
    (asked) => {
      const title = str(asked.body['title']);
      if (title === undefined) throw new Refused(400, { error: 'title is missing' });
      need(asked, 10);
      const made = asked.world.issue(asked.project, asked.user, title);
      try {
        change(asked, made);
      } catch (error) {
        asked.project.issues.pop();
        throw error;
      }
      if (yes(asked.body['confidential'])) made.confidential = true;
      made.type = str(asked.body['issue_type'])?.toUpperCase() ?? made.type;
      return json.issue(asked.world, asked.project, made);
    },
  ],
  ['GET', '/projects/:id/issues/:iid', (asked) => json.issue(asked.world, asked.project, found(asked))],
  [
    'PUT',
    '/projects/:id/issues/:iid',
    (asked) => {
      need(asked, 20);
      change(asked, found(asked));
      if (asked.body['confidential'] !== undefined)
        found(asked).confidential = yes(asked.body['confidential']);
      asked.world.touch(asked.project, found(asked));
      return json.issue(asked.world, asked.project, found(asked));
    },
  ],
  [
    'DELETE',
    '/projects/:id/issues/:iid',
    (asked) => {
      need(asked, 40);
      const gone = found(asked);
      asked.project.issues = asked.project.issues.filter((one) => one !== gone);
      for (const { to, id } of gone.links) to.links = to.links.filter((one) => one.id !== id);
      return undefined;
    },
  ],
  [
    'GET',
    '/projects/:id/issues/:iid/closed_by',
    async (asked) => {
      const { project, world } = asked;
      const { iid } = found(asked);
      const by = project.mergeRequests.filter((one) => closes(iid).test(one.description));
      return Promise.all(by.map((one) => mergeRequestLine(world, project, one)));
    },
  ],
  [
    'GET',
    '/projects/:id/issues/:iid/related_merge_requests',
    async (asked) => {
      const { project, world } = asked;
      const named = new RegExp(`#${found(asked).iid}\\b`);
      const by = project.mergeRequests.filter((one) => named.test(one.description));
      return paged(
        asked,
        await Promise.all(by.map((one) => mergeRequestLine(world, project, one))),
        `/projects/${project.id}/issues/${found(asked).iid}/related_merge_requests`,
      );
    },
  ],
  ...linkRoutes,
  ...talkRoutes('issues', found),
];
