import { human } from './durations.ts';
import { shortPipeline } from './json-ci.ts';
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

const common = (
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
  updated_at: one.at,
  closed_at: one.state === 'closed' ? one.at : null,
  closed_by: null,
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

export async function mergeRequest(world: World, project: Project, one: MergeRequest) {
  const { repo } = project;
  const kept = one.merged?.refs;
  const head = kept ? kept.head_sha : ((await repo.resolve(one.source)) ?? one.mergeCommit);
  const target = kept ? kept.start_sha : await repo.resolve(one.target);
  const base = kept
    ? kept.base_sha
    : head && target
      ? (await repo.git(['merge-base', head, target]).catch(() => '')).trim() || null
      : null;
  const conflicts =
    one.state === 'opened' && head && target ? (await repo.mergedTree(target, head)) === undefined : false;
  const behind =
    head && target
      ? Number((await project.repo.git(['rev-list', '--count', `${head}..${target}`])).trim())
      : 0;
  const draft = /^draft:/i.test(one.title);
  const open = one.discussions.some((each) => each.notes.some((note) => note.resolvable && !note.resolved));
  const files = base && head ? await project.repo.diffs(base, head) : [];
  const pipeline = project.pipelines.findLast((each) => each.ref === one.source);
  return {
    ...common(world, project, one, 'merge_requests', '!'),
    merged_by: one.merged && user(world, one.merged.by),
    merge_user: one.merged && user(world, one.merged.by),
    merged_at: one.merged && one.at,
    target_branch: one.target,
    source_branch: one.source,
    reviewers: one.reviewers.map((each) => user(world, each)),
    source_project_id: project.id,
    target_project_id: project.id,
    draft,
    work_in_progress: draft,
    merge_when_pipeline_succeeds: one.autoMerge,
    merge_status: conflicts ? 'cannot_be_merged' : 'can_be_merged',
    detailed_merge_status:
      one.state !== 'opened'
        ? 'not_open'
        : draft
          ? 'draft_status'
          : conflicts
            ? 'conflict'
            : open
              ? 'discussions_not_resolved'
              : 'mergeable',
    merge_after: null,
    sha: one.merged ? one.merged.sha : head,
    merge_commit_sha: one.mergeCommit,
    squash_commit_sha: null,
    should_remove_source_branch: null,
    force_remove_source_branch: one.removeSource,
    prepared_at: one.at,
    reference: `!${one.iid}`,
    squash: one.squash,
    squash_on_merge: one.squash,
    has_conflicts: conflicts,
    blocking_discussions_resolved: !open,
    approvals_before_merge: null,
    subscribed: true,
    changes_count: String(files.length),
    latest_build_started_at: null,
    latest_build_finished_at: null,
    first_deployed_to_production_at: null,
    pipeline: pipeline ? shortPipeline(world, pipeline) : null,
    head_pipeline: pipeline ? shortPipeline(world, pipeline) : null,
    diff_refs: base ? { base_sha: base, head_sha: head, start_sha: target } : null,
    merge_error: null,
    first_contribution: false,
    user: { can_merge: true },
    diverged_commits_count: behind,
  };
}

export const note = (world: World, one: Note, item: Issue | MergeRequest, section: string) => ({
  id: one.id,
  type: one.position ? 'DiffNote' : one.resolvable ? 'DiscussionNote' : null,
  body: one.body,
  author: user(world, one.author),
  created_at: one.at,
  updated_at: one.at,
  system: one.system,
  noteable_id: item.id,
  noteable_type: section === 'issues' ? 'Issue' : 'MergeRequest',
  project_id: item.projectId,
  resolvable: one.resolvable,
  ...(one.resolvable && { resolved: one.resolved, resolved_by: null, resolved_at: null }),
  ...(one.position && { position: one.position }),
  confidential: false,
  internal: false,
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

export const project = (world: World, one: Project, empty: boolean) => ({
  id: one.id,
  description: one.description,
  name: one.name,
  name_with_namespace: one.path.replaceAll('/', ' / '),
  path: one.name,
  path_with_namespace: one.path,
  created_at: '2026-01-01T00:00:00.000Z',
  default_branch: empty ? null : 'main',
  tag_list: [],
  topics: [],
  ssh_url_to_repo: `git@gitlab.example:${one.path}.git`,
  http_url_to_repo: `${world.url}/${one.path}.git`,
  web_url: `${world.url}/${one.path}`,
  readme_url: null,
  forks_count: 0,
  avatar_url: null,
  star_count: 0,
  last_activity_at: '2026-01-01T00:00:00.000Z',
  visibility: one.visibility,
  archived: false,
  empty_repo: empty,
  open_issues_count: one.issues.filter((each) => each.state === 'opened').length,
  merge_method: 'merge',
  namespace: {
    id: 1,
    name: one.path.split('/')[0],
    path: one.path.split('/')[0],
    kind: 'group',
    full_path: one.path.split('/').slice(0, -1).join('/'),
    parent_id: null,
    avatar_url: null,
    web_url: world.url,
  },
  ...(one.forkedFrom && { forked_from_project: { id: one.forkedFrom.id } }),
  permissions: { project_access: null, group_access: null },
  ci_default_git_depth: 20,
  shared_runners_enabled: true,
});
