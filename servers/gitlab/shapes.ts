import { z } from 'zod';
import { cut } from './text.ts';

/*
 * What is kept of GitLab's answers. Its JSON of one issue has 2,500 characters; a model needs 300. Fields that say
 * nothing (null, empty lists) are left out.
 */

const name = z.object({ username: z.string() }).transform((user) => user.username);
const names = z.array(name).nullish();
const nothing = (value: unknown) =>
  value === undefined ||
  value === null ||
  value === '' ||
  value === false ||
  (Array.isArray(value) && value.length === 0);

/** Without the fields that say nothing. */
export function slim(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => !nothing(one)));
}

/** GitLab keeps titles short; what says it is GitLab may not. */
const title = z.string().transform((text) => cut(text, 500));
const day = z.string().transform((at) => at.slice(0, 10));
const minute = z.string().transform((at) => `${at.slice(0, 16)}Z`);

const issueRow = z.object({
  iid: z.number(),
  title,
  state: z.string(),
  author: name.nullish(),
  assignees: names,
  labels: z.array(z.string()).nullish(),
  milestone: z
    .object({ title: z.string() })
    .transform((one) => one.title)
    .nullish(),
  updated_at: day,
  user_notes_count: z.number().optional(),
});

const referenced = z.object({ references: z.object({ full: z.string() }) });

/** The project that an issue or merge request is in, in a list over many. */
export const projectOf = (one: unknown) =>
  referenced.safeParse(one).data?.references.full.replace(/[#!]\d+$/, '');

/** A line of a list of issues. */
export const issueLine = issueRow.transform(
  ({ user_notes_count: comments, updated_at: updated, state, ...rest }) =>
    slim({
      ...rest,
      state: state === 'opened' ? undefined : state,
      comments: comments || undefined,
      updated,
    }),
);

export const issueWhole = issueRow
  .extend({
    description: z.string().nullish(),
    web_url: z.string(),
    confidential: z.boolean().nullish(),
    due_date: z.string().nullish(),
    created_at: day,
    time_stats: z
      .object({ human_time_estimate: z.string().nullish(), human_total_time_spent: z.string().nullish() })
      .nullish(),
  })
  .transform(
    ({
      web_url: url,
      time_stats: time,
      user_notes_count: _count,
      created_at: created,
      updated_at: updated,
      description,
      ...rest
    }) => ({
      description: description || undefined,
      ...slim({
        ...rest,
        created,
        updated,
        estimate: time?.human_time_estimate,
        spent: time?.human_total_time_spent,
      }),
      url,
    }),
  );

const mrRow = z.object({
  iid: z.number(),
  title,
  state: z.string(),
  draft: z.boolean().nullish(),
  author: name.nullish(),
  assignees: names,
  reviewers: names,
  labels: z.array(z.string()).nullish(),
  source_branch: z.string(),
  target_branch: z.string(),
  updated_at: day,
});

/** A line of a list of merge requests. */
export const mergeRequestLine = mrRow.transform(
  ({ source_branch, target_branch, updated_at: updated, state, ...rest }) =>
    slim({
      ...rest,
      state: state === 'opened' ? undefined : state,
      from: source_branch,
      to: target_branch,
      updated,
    }),
);

export const mergeRequestWhole = mrRow.extend({
  description: z.string().nullish(),
  web_url: z.string(),
  sha: z.string().nullish(),
  detailed_merge_status: z.string().nullish(),
  has_conflicts: z.boolean().nullish(),
  merge_error: z.string().nullish(),
  diverged_commits_count: z.number().nullish(),
  changes_count: z.string().nullish(),
  merge_commit_sha: z.string().nullish(),
  project_id: z.number(),
  head_pipeline: z.object({ id: z.number(), status: z.string() }).nullish(),
  diff_refs: z
    .object({
      base_sha: z.string().nullable(),
      head_sha: z.string().nullable(),
      start_sha: z.string().nullable(),
    })
    .nullish(),
});

/** Of a note in a discussion. */
export const note = z.object({
  id: z.number(),
  body: z.string(),
  author: name.nullish(),
  created_at: minute,
  system: z.boolean().optional(),
  resolvable: z.boolean().nullish(),
  resolved: z.boolean().nullish(),
  position: z
    .object({
      new_path: z.string().nullish(),
      old_path: z.string().nullish(),
      new_line: z.number().nullish(),
      old_line: z.number().nullish(),
    })
    .nullish(),
});

export const discussion = z.object({
  id: z.string(),
  individual_note: z.boolean().nullish(),
  notes: z.array(note),
});

export const projectLine = z
  .object({
    id: z.number(),
    path_with_namespace: z.string(),
    description: z.string().nullish(),
    default_branch: z.string().nullish(),
    visibility: z.string().nullish(),
    archived: z.boolean().nullish(),
  })
  .transform(({ path_with_namespace: path, description, ...rest }) =>
    slim({ path, ...rest, description: description?.slice(0, 120) }),
  );

export const projectWhole = z
  .object({
    id: z.number(),
    path_with_namespace: z.string(),
    web_url: z.string(),
    description: z.string().nullish(),
    default_branch: z.string().nullish(),
    visibility: z.string().nullish(),
    archived: z.boolean().nullish(),
    empty_repo: z.boolean().nullish(),
    open_issues_count: z.number().nullish(),
    http_url_to_repo: z.string().nullish(),
    merge_method: z.string().nullish(),
    topics: z.array(z.string()).nullish(),
  })
  .transform(({ path_with_namespace: path, web_url: url, ...rest }) => ({ ...slim({ path, ...rest }), url }));

export const commitLine = z
  .object({
    short_id: z.string(),
    title,
    author_name: z.string().nullish(),
    committed_date: minute.nullish(),
  })
  .transform(({ short_id: sha, title, author_name: by, committed_date: at }) => slim({ sha, title, by, at }));

export const pipelineRow = z.object({
  id: z.number(),
  status: z.string(),
  ref: z.string().nullish(),
  sha: z.string().nullish(),
  source: z.string().nullish(),
  created_at: minute.nullish(),
  duration: z.number().nullish(),
  web_url: z.string().nullish(),
  project_id: z.number().nullish(),
});

export const pipelineLine = pipelineRow.transform(
  ({ sha, created_at: at, web_url: _url, project_id: _id, ...rest }) =>
    slim({ ...rest, sha: sha?.slice(0, 8), at }),
);

export const job = z.object({
  id: z.number(),
  name: z.string(),
  stage: z.string().nullish(),
  status: z.string(),
  allow_failure: z.boolean().nullish(),
  failure_reason: z.string().nullish(),
  duration: z.number().nullish(),
  web_url: z.string().nullish(),
  artifacts_file: z.object({ filename: z.string(), size: z.number().nullish() }).nullish(),
});

/** A line of a pipeline's jobs. */
export const jobLine = ({
  id,
  name,
  stage,
  status,
  allow_failure,
  failure_reason,
  duration,
  artifacts_file,
}: z.output<typeof job>) =>
  slim({
    id,
    name,
    stage,
    status,
    allow_failure,
    reason: failure_reason,
    seconds: typeof duration === 'number' ? Math.round(duration) : undefined,
    artifacts: artifacts_file ? true : undefined,
  });
