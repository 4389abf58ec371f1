import * as json from './json.ts';
import { need, paged, Refused, str, type Asked, type Route } from './routing.ts';
import type { Issue, MergeRequest, Milestone, User } from './world.ts';

function found({ project, params }: Asked): Issue {
  const issue = project.issues.find((one) => one.iid === Number(params['iid']));
  if (!issue) throw new Refused(404, '404 Issue Not Found');
  return issue;
}

const usersOf = ({ world }: Asked, ids: unknown): User[] | undefined =>
  Array.isArray(ids) ? world.users.filter((one) => ids.map(Number).includes(one.id)) : undefined;

/** What issues and merge requests take alike. */
export function change(asked: Asked, item: Issue | MergeRequest): void {
  const { body, project } = asked;
  const title = str(body['title']);
  if (title !== undefined && title.trim() === '')
    throw new Refused(400, { message: { title: ["can't be blank"] } });
  if (title !== undefined && title.length > 255)
    throw new Refused(400, { message: { title: ['is too long (maximum is 255 characters)'] } });
  item.title = title ?? item.title;
  item.description = str(body['description']) ?? item.description;
  item.labels = str(body['labels'])?.split(',').filter(Boolean) ?? item.labels;
  item.assignees = usersOf(asked, body['assignee_ids']) ?? item.assignees;
  item.due = str(body['due_date']) ?? item.due;
  if (body['milestone_id'] !== undefined) {
    const milestone: Milestone | undefined = project.milestones.find(
      (one) => one.id === Number(body['milestone_id']),
    );
    item.milestone = milestone ?? null;
  }
  if (body['state_event'] === 'close') item.state = 'closed';
  if (body['state_event'] === 'reopen') item.state = 'opened';
}

export { usersOf };

/** Notes and discussions, for issues and merge requests. */
export function talkRoutes(section: string, of: (asked: Asked) => Issue | MergeRequest): Route[] {
  const base = `/projects/:id/${section}/:iid`;
  const thread = (asked: Asked) => {
    const one = of(asked).discussions.find((each) => each.id === asked.params['thread']);
    if (!one) throw new Refused(404, '404 Discussion Not Found');
    return one;
  };
  const body = (asked: Asked) => {
    const text = str(asked.body['body']) ?? asked.query.get('body') ?? '';
    if (text.trim() === '')
      throw new Refused(400, { message: '400 Bad request - Note {:note=>["can\'t be blank"]}' });
    return text;
  };
  return [
    [
      'GET',
      `${base}/discussions`,
      (asked) =>
        paged(
          asked,
          of(asked).discussions.map((one) => json.discussion(asked.world, one)),
          '/discussions',
        ),
    ],
    [
      'POST',
      `${base}/notes`,
      (asked) => {
        const note = asked.world.note(body(asked), asked.user);
        asked.world.discuss(of(asked), note, true);
        return json.note(asked.world, note);
      },
    ],
    [
      'POST',
      `${base}/discussions/:thread/notes`,
      (asked) => {
        const one = thread(asked);
        const note = asked.world.note(body(asked), asked.user, {
          resolvable: one.notes[0]?.resolvable ?? false,
        });
        one.notes.push(note);
        return json.note(asked.world, note);
      },
    ],
    [
      'PUT',
      `${base}/discussions/:thread`,
      (asked) => {
        const one = thread(asked);
        for (const note of one.notes)
          if (note.resolvable) note.resolved = asked.query.get('resolved') === 'true';
        return json.discussion(asked.world, one);
      },
    ],
    [
      'POST',
      `${base}/time_estimate`,
      (asked) => {
        of(asked).estimate = asked.query.get('duration');
        return { human_time_estimate: of(asked).estimate };
      },
    ],
    [
      'POST',
      `${base}/add_spent_time`,
      (asked) => {
        of(asked).spent = asked.query.get('duration');
        return { human_total_time_spent: of(asked).spent };
      },
    ],
  ];
}

/** Beyond so many GitLab gives no totals. */
const COUNTED = 10_000;

const filtered = (asked: Asked, issues: Issue[]): Issue[] => issues.filter(fitting(asked)).toReversed();

function fitting(asked: Asked): (one: Issue) => boolean {
  const { query } = asked;
  const labels = query.get('labels')?.split(',') ?? [];
  const tests = Object.entries(TESTS).flatMap(([name, fits]) => {
    const value = query.get(name);
    return value === null ? [] : [fits(value, asked)];
  });
  if (labels.length > 0) tests.push((one) => labels.every((label) => one.labels.includes(label)));
  return (one) => tests.every((fits) => fits(one));
}

/** What a list can be narrowed by. */
const TESTS: Record<string, (value: string, asked: Asked) => (one: Issue) => boolean> = {
  state: (value) => (one) => one.state === value,
  search: (value) => (one) => one.title.includes(value),
  assignee_username: (value) => (one) => one.assignees.some((user) => user.username === value),
  author_username: (value) => (one) => one.author.username === value,
  milestone: (value) => (one) => one.milestone?.title === value,
  scope:
    (value, { user }) =>
    (one) =>
      value !== 'assigned_to_me' || one.assignees.includes(user),
};

export const issueRoutes: Route[] = [
  [
    'GET',
    '/issues',
    (asked) => {
      const rows = asked.world.projects.flatMap((project) =>
        filtered(asked, project.issues).map((one) => json.issue(asked.world, project, one)),
      );
      return paged(asked, rows, '/issues');
    },
  ],
  [
    'GET',
    '/projects/:id/issues',
    (asked) => {
      const { world, project, query } = asked;
      const end = Number(query.get('page') ?? 1) * Number(query.get('per_page') ?? 20);
      // GitLab has indexes, and counts no more than 10,000 (docs.gitlab.com/api/rest/#pagination): it looks no further than it must.
      const rows: Issue[] = [];
      const fits = fitting(asked);
      const enough = project.issues.length > COUNTED ? end + 1 : Infinity;
      for (let at = project.issues.length - 1; at >= 0 && rows.length < enough; at--) {
        const one = project.issues[at];
        if (one && fits(one)) rows.push(one);
      }
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
      const made = asked.world.issue(asked.project, asked.user, title);
      change(asked, made);
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
      return json.issue(asked.world, asked.project, found(asked));
    },
  ],
  [
    'GET',
    '/projects/:id/issues/:iid/links',
    (asked) =>
      found(asked).links.map(({ to, type }) => ({
        ...json.issue(asked.world, asked.project, to),
        issue_link_id: 1,
        link_type: type,
        link_created_at: '',
        link_updated_at: '',
      })),
  ],
  [
    'POST',
    '/projects/:id/issues/:iid/links',
    (asked) => {
      const other = asked.world.find(str(asked.body['target_project_id']) ?? '');
      const to = other?.issues.find((one) => one.iid === Number(asked.body['target_issue_iid']));
      if (!to) throw new Refused(404, '404 Not Found');
      found(asked).links.push({ to, type: str(asked.body['link_type']) ?? 'relates_to' });
      return { source_issue: {}, target_issue: {}, link_type: 'relates_to' };
    },
  ],
  ...talkRoutes('issues', found),
];
