import { user } from './json-user.ts';
import type { Job, Pipeline } from './model.ts';
import type { World } from './world.ts';

/* Pipelines and jobs as GitLab 18 gives them. */

export const shortPipeline = (world: World, one: Pipeline) => ({
  id: one.id,
  iid: one.iid,
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

/** Statuses of jobs that have ended. */
export const OVER = new Set(['success', 'failed', 'canceled', 'skipped']);
const BEGUN = new Set(['running', 'success', 'failed']);

/** A job with the commit that it is about: an object, as routes-refs.ts gives it. */
export const job = (world: World, of: Pipeline, one: Job, commit: unknown = null) => ({
  id: one.id,
  status: one.status,
  stage: one.stage,
  name: one.name,
  ref: of.ref,
  tag: false,
  coverage: null,
  allow_failure: one.allow_failure,
  created_at: '2026-01-03T00:00:00.000Z',
  started_at: BEGUN.has(one.status) ? '2026-01-03T00:00:01.000Z' : null,
  finished_at: OVER.has(one.status) ? '2026-01-03T00:00:13.300Z' : null,
  erased_at: null,
  duration: OVER.has(one.status) ? 12.3 : null,
  queued_duration: 0.5,
  user: world.users[0] && user(world, world.users[0]),
  commit,
  pipeline: shortPipeline(world, of),
  ...(one.failure_reason && { failure_reason: one.failure_reason }),
  web_url: `${world.url}/${of.project.path}/-/jobs/${one.id}`,
  project: { ci_job_token_scope_enabled: false },
  ...(one.artifacts.size > 0 && { artifacts_file: { filename: 'artifacts.zip', size: 1000 } }),
  artifacts: [
    ...(one.artifacts.size > 0
      ? [{ file_type: 'archive', size: 1000, filename: 'artifacts.zip', file_format: 'zip' }]
      : []),
    ...(one.log.length > 0
      ? [{ file_type: 'trace', size: one.log.length, filename: 'job.log', file_format: null }]
      : []),
  ],
  runner: null,
  artifacts_expire_at: null,
  archived: false,
  tag_list: [],
  ...(one.downstream && { downstream_pipeline: shortPipeline(world, one.downstream) }),
});
