import { human } from './durations.ts';
import { user } from './json-user.ts';
import type { Discussion, Issue, Label, MergeRequest, Milestone, Note, Project } from './model.ts';
import type { World } from './world.ts';

/* Answers as GitLab 18 gives them: with all the fields that a client has to throw away. */

export const milestone = (world: World, project: Project, one: Milestone) => ({
  id: one.id,
  iid: one.iid,
  project_id: project.id,
  title: one.title,
  description: one.description,
  state: one.state,
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:00.000Z',
  due_date: one.due,
  start_date: null,
  expired: false,
  web_url: `${world.url}/${project.path}/-/milestones/${one.iid}`,
});

export function label(project: Project, one: Label, counted: boolean) {
  const issues = project.issues.filter((each) => each.labels.includes(one.name));
  const requests = project.mergeRequests.filter((each) => each.labels.includes(one.name));
  const open = issues.filter((each) => each.state === 'opened').length;
  return {
    id: one.id,
    name: one.name,
    description: one.description,
    description_html: one.description ?? '',
    text_color: '#FFFFFF',
    color: one.color,
    archived: false,
    ...(counted && {
      open_issues_count: open,
      closed_issues_count: issues.length - open,
      open_merge_requests_count: requests.filter((each) => each.state === 'opened').length,
    }),
    subscribed: false,
    priority: null,
    is_project_label: true,
  };
}

/** What issues and merge requests have alike. */
export const common = (
  world: World,
  project: Project,
  one: Issue | MergeRequest,
  section: string,
  mark: string,
) => ({
  id: one.id,
  iid: one.iid,
  project_id: project.id,
  title: one.title,
  description: one.description,
  state: one.state,
  created_at: one.at,
  updated_at: one.changed ?? one.at,
  closed_at: one.state === 'closed' ? (one.closed?.at ?? one.at) : null,
  closed_by: one.state === 'closed' && one.closed ? user(world, one.closed.by) : null,
  labels: one.labels,
  milestone: one.milestone && milestone(world, project, one.milestone),
  assignees: one.assignees.map((each) => user(world, each)),
  author: user(world, one.author),
  assignee: one.assignees[0] ? user(world, one.assignees[0]) : null,
  user_notes_count: one.discussions.flatMap((each) => each.notes).filter((each) => !each.system).length,
  upvotes: 0,
  downvotes: 0,
  discussion_locked: null,
  web_url: `${world.url}/${project.path}/-/${section}/${one.iid}`,
  time_stats: {
    time_estimate: one.estimate,
    total_time_spent: one.spent,
    human_time_estimate: human(one.estimate),
    human_total_time_spent: human(one.spent),
  },
  task_completion_status: { count: 0, completed_count: 0 },
  references: {
    short: `${mark}${one.iid}`,
    relative: `${mark}${one.iid}`,
    full: `${project.path}${mark}${one.iid}`,
  },
});

export const issue = (world: World, project: Project, one: Issue) => ({
  ...common(world, project, one, 'issues', '#'),
  type: one.type,
  merge_requests_count: 0,
  due_date: one.due,
  confidential: one.confidential,
  issue_type: one.type.toLowerCase(),
  blocking_issues_count: 0,
  weight: null,
  has_tasks: true,
  task_status: '0 of 0 checklist items completed',
  severity: 'UNKNOWN',
  moved_to_id: null,
  imported: false,
  imported_from: 'none',
  service_desk_reply_to: null,
  epic_iid: null,
  epic: null,
  iteration: null,
  health_status: null,
  _links: {
    self: `${world.url}/api/v4/projects/${project.id}/issues/${one.iid}`,
    notes: `${world.url}/api/v4/projects/${project.id}/issues/${one.iid}/notes`,
    award_emoji: `${world.url}/api/v4/projects/${project.id}/issues/${one.iid}/award_emoji`,
    project: `${world.url}/api/v4/projects/${project.id}`,
    closed_as_duplicate_of: null,
  },
});

export const note = (world: World, one: Note, item: Issue | MergeRequest, section: string) => ({
  id: one.id,
  type: one.position ? 'DiffNote' : one.resolvable || one.threaded ? 'DiscussionNote' : null,
  body: one.body,
  author: user(world, one.author),
  created_at: one.at,
  updated_at: one.at,
  system: one.system,
  noteable_id: item.id,
  noteable_type: section === 'issues' ? 'Issue' : 'MergeRequest',
  project_id: item.projectId,
  resolvable: one.resolvable,
  ...(one.resolvable && {
    resolved: one.resolved,
    resolved_by: one.resolved && one.resolvedBy ? user(world, one.resolvedBy.user) : null,
    resolved_at: one.resolved ? (one.resolvedBy?.at ?? one.at) : null,
  }),
  ...(one.position && { position: one.position, commit_id: null, suggestions: [] }),
  confidential: one.internal ?? false,
  internal: one.internal ?? false,
  imported: false,
  imported_from: 'none',
  noteable_iid: item.iid,
  commands_changes: {},
});

export const discussion = (world: World, one: Discussion, item: Issue | MergeRequest, section: string) => ({
  id: one.id,
  individual_note: one.single,
  notes: one.notes.map((each) => note(world, each, item, section)),
});
