import { createHash } from 'node:crypto';
import type { Discussion, Issue, Job, MergeRequest, Note, Pipeline, Project, User, World } from './world.ts';

/* Answers as GitLab 18 gives them: with all the fields that a client has to throw away. */

export const user = (world: World, one: User) => ({
  id: one.id,
  username: one.username,
  public_email: '',
  name: one.name,
  state: 'active',
  locked: false,
  avatar_url: `https://secure.gravatar.com/avatar/${createHash('sha256').update(one.username).digest('hex')}?s=80&d=identicon`,
  web_url: `${world.url}/${one.username}`,
});

const milestone = (world: World, project: Project, one: { id: number; title: string } | null) =>
  one && {
    id: one.id,
    iid: one.id,
    project_id: project.id,
    title: one.title,
    description: '',
    state: 'active',
    created_at: '2026-01-01T00:00:00.000Z',
    updated_at: '2026-01-01T00:00:00.000Z',
    due_date: null,
    start_date: null,
    expired: false,
    web_url: `${world.url}/${project.path}/-/milestones/${one.id}`,
  };

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
  closed_at: null,
  closed_by: null,
  labels: one.labels,
  milestone: milestone(world, project, one.milestone),
  assignees: one.assignees.map((each) => user(world, each)),
  author: user(world, one.author),
  assignee: one.assignees[0] ? user(world, one.assignees[0]) : null,
  user_notes_count: one.discussions.flatMap((each) => each.notes).filter((each) => !each.system).length,
  upvotes: 0,
  downvotes: 0,
  discussion_locked: null,
  web_url: `${world.url}/${project.path}/-/${section}/${one.iid}`,
  time_stats: {
    time_estimate: 0,
    total_time_spent: 0,
    human_time_estimate: one.estimate,
    human_total_time_spent: one.spent,
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
  type: 'ISSUE',
  merge_requests_count: 0,
  due_date: one.due,
  confidential: false,
  issue_type: 'issue',
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
  const head = (await project.repo.resolve(one.source)) ?? one.mergeCommit;
  const target = await project.repo.resolve(one.target);
  const base = head && target ? (await project.repo.git(['merge-base', head, target])).trim() : null;
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
    merged_by: null,
    merge_user: null,
    merged_at: null,
    target_branch: one.target,
    source_branch: one.source,
    reviewers: one.reviewers.map((each) => user(world, each)),
    source_project_id: project.id,
    target_project_id: project.id,
    draft,
    work_in_progress: draft,
    merge_when_pipeline_succeeds: one.autoMerge,
    merge_status: 'can_be_merged',
    detailed_merge_status:
      one.state !== 'opened'
        ? 'not_open'
        : draft
          ? 'draft_status'
          : open
            ? 'discussions_not_resolved'
            : 'mergeable',
    merge_after: null,
    sha: head,
    merge_commit_sha: one.mergeCommit,
    squash_commit_sha: null,
    should_remove_source_branch: null,
    force_remove_source_branch: true,
    prepared_at: one.at,
    reference: `!${one.iid}`,
    squash: false,
    squash_on_merge: false,
    has_conflicts: false,
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

export const shortPipeline = (world: World, one: Pipeline) => ({
  id: one.id,
  iid: one.id,
  project_id: one.project.id,
  sha: one.sha,
  ref: one.ref,
  status: one.status,
  source: one.source,
  name: null,
  created_at: '2026-01-03T00:00:00.000Z',
  updated_at: '2026-01-03T00:01:00.000Z',
  web_url: `${world.url}/${one.project.path}/-/pipelines/${one.id}`,
});

export const pipeline = (world: World, one: Pipeline) => ({
  ...shortPipeline(world, one),
  before_sha: '0'.repeat(40),
  tag: false,
  yaml_errors: one.yaml_errors,
  user: world.users[0] && user(world, world.users[0]),
  started_at: null,
  finished_at: null,
  committed_at: null,
  duration: 61,
  queued_duration: 3,
  coverage: null,
  detailed_status: { icon: 'status', text: one.status, label: one.status },
});

export const job = (world: World, of: Pipeline, one: Job) => ({
  id: one.id,
  status: one.status,
  stage: one.stage,
  name: one.name,
  ref: of.ref,
  tag: false,
  coverage: null,
  allow_failure: one.allow_failure,
  created_at: '2026-01-03T00:00:00.000Z',
  started_at: '2026-01-03T00:00:01.000Z',
  finished_at: null,
  erased_at: null,
  duration: 12.3,
  queued_duration: 0.5,
  user: world.users[0] && user(world, world.users[0]),
  commit: null,
  pipeline: shortPipeline(world, of),
  ...(one.failure_reason && { failure_reason: one.failure_reason }),
  web_url: `${world.url}/${of.project.path}/-/jobs/${one.id}`,
  project: { ci_job_token_scope_enabled: false },
  ...(one.artifacts.size > 0 && { artifacts_file: { filename: 'artifacts.zip', size: 1000 } }),
  artifacts: [],
  runner: null,
  artifacts_expire_at: null,
  archived: false,
  tag_list: [],
  ...(one.downstream && { downstream_pipeline: shortPipeline(world, one.downstream) }),
});

export const note = (world: World, one: Note) => ({
  id: one.id,
  type: one.position ? 'DiffNote' : null,
  body: one.body,
  author: user(world, one.author),
  created_at: one.at,
  updated_at: one.at,
  system: one.system,
  noteable_id: 1,
  noteable_type: 'Issue',
  resolvable: one.resolvable,
  ...(one.resolvable && { resolved: one.resolved }),
  ...(one.position && { position: one.position }),
  confidential: false,
  internal: false,
  imported: false,
  imported_from: 'none',
  noteable_iid: 1,
  commands_changes: {},
});

export const discussion = (world: World, one: Discussion) => ({
  id: one.id,
  individual_note: one.single,
  notes: one.notes.map((each) => note(world, each)),
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
