import { z } from 'zod';
import { toolFor, ToolError, type ToolContext } from '../../kit/tool.ts';
import type { Api } from './client.ts';
import { idOrUrl, project, record } from './fields.ts';
import { allow, atNumber, atProject, type GitLab } from './gitlab.ts';
import { logTail } from './logs.ts';
import { job, pipelineRow, slim } from './shapes.ts';
import { refName } from './targets.ts';
import { failureOf } from './failure.ts';

const tool = toolFor<GitLab>();

/** Jobs whose logs are read; the others are only named. */
const LOGS = 8;
/** Pipelines below pipelines. */
const DEPTH = 4;

const bridge = job.extend({ downstream_pipeline: pipelineRow.nullish() });
const report = z.object({
  test_suites: z.array(
    z.object({
      test_cases: z.array(
        z.object({
          name: z.string(),
          status: z.string(),
          classname: z.string().nullish(),
          system_output: z.unknown(),
        }),
      ),
    }),
  ),
});

interface FailedJob {
  project: string;
  pipeline: number;
  job: z.output<typeof job>;
  /** It lies in a project that the settings leave out. */
  hidden?: boolean;
}

export const whyFailed = [
  tool({
    name: 'gitlab_why_failed',
    title: 'Why did it fail',
    description:
      'Failed jobs of a pipeline, merge request, branch or job (child pipelines too), each with reason, error lines and end of log.',
    effect: 'read',
    openWorld: true,
    untrusted: true,
    examples: ['why did the pipeline fail', 'what broke the build of !7', 'why is main red'],
    input: z.object({
      project: project.optional(),
      pipeline: idOrUrl.optional(),
      merge_request: idOrUrl.optional(),
      job: idOrUrl.optional(),
      branch: z.string().optional(),
    }),
    output: record,
    async run(input, gitlab, ctx) {
      const { api, id, jobId, pipeline, since } = await find(input, gitlab, ctx);
      const failed: FailedJob[] = [];
      let head: Record<string, unknown> = {};
      if (jobId !== undefined) {
        failed.push({
          project: id,
          pipeline: 0,
          job: job.parse(await api.get(`projects/${id}/jobs/${jobId}`)),
        });
      } else if (pipeline !== undefined) {
        const raw = await api.get(`projects/${id}/pipelines/${pipeline}`);
        const row = pipelineRow.parse(raw);
        const errors = z.object({ yaml_errors: z.string().nullish() }).parse(raw).yaml_errors;
        head = slim({
          pipeline: row.id,
          status: row.status,
          ref: row.ref,
          sha: row.sha?.slice(0, 8),
          url: row.web_url,
          yaml_errors: errors,
        });
        await gather(api, id, pipeline, failed, 0);
      }
      const hard = failed.filter((one) => !one.job.allow_failure);
      const shown = (hard.length > 0 ? hard : failed).slice(0, LOGS);
      const jobs = [];
      for (const [index, one] of shown.entries()) {
        ctx.progress(index, shown.length, one.job.name);
        jobs.push(await explained(api, one, pipeline, shown.length));
      }
      const rest = failed
        .filter((one) => !shown.includes(one))
        .map((one) => `${one.job.name} (${one.job.id}${one.job.allow_failure ? ', may fail' : ''})`);
      const cases = pipeline === undefined || failed.length === 0 ? [] : await failedTests(api, id, pipeline);
      const note = failed.length === 0 ? 'No job has failed.' : since;
      return { ...head, jobs, ...slim({ also_failed: rest, failed_tests: cases, note }) };
    },
  }),
];

async function find(
  input: { project?: string; pipeline?: string; merge_request?: string; job?: string; branch?: string },
  gitlab: GitLab,
  ctx: ToolContext,
): Promise<{ api: Api; id: string; jobId?: number; pipeline?: number; since?: string | undefined }> {
  const { project } = input;
  // The address of a pipeline, merge request or job may stand where the project does.
  const place = project === undefined ? undefined : await atProject(gitlab, project, ctx);
  const { kind } = place?.target ?? {};
  const given = {
    job: input.job ?? (kind === 'job' ? project : undefined),
    pipeline: input.pipeline ?? (kind === 'pipeline' ? project : undefined),
    mr: input.merge_request ?? (kind === 'merge request' ? project : undefined),
  };
  if (given.job !== undefined) {
    const { api, id, iid } = await atNumber(gitlab, given.job, 'job', project, ctx);
    return { api, id, jobId: iid };
  }
  if (given.pipeline !== undefined) {
    const { api, id, iid } = await atNumber(gitlab, given.pipeline, 'pipeline', project, ctx);
    return { api, id, pipeline: iid };
  }
  if (given.mr !== undefined) {
    const { api, id, iid } = await atNumber(gitlab, given.mr, 'merge request', project, ctx);
    const shown = z
      .object({ head_pipeline: pipelineRow.nullish() })
      .parse(await api.get(`projects/${id}/merge_requests/${iid}`));
    if (!shown.head_pipeline)
      throw new ToolError(
        `!${iid} has no pipeline yet. Run one with gitlab_run_pipeline, or check that .gitlab-ci.yml has jobs for merge requests.`,
      );
    const { id: pipeline, project_id } = shown.head_pipeline;
    if (!project_id) return { api, id, pipeline };
    // Of a fork, where the merge request comes from one.
    await allow(api, String(project_id));
    return { api, id: String(project_id), pipeline };
  }
  if (!place) throw new ToolError('Give `pipeline`, `merge_request`, `job`, or `project` with `branch`.');
  const named = input.branch ?? place.target.ref;
  const query = { ref: named === undefined ? undefined : refName(named), per_page: 1 };
  const newest = async (status?: string) =>
    z
      .array(pipelineRow)
      .parse(await place.api.get(`projects/${place.id}/pipelines`, { ...query, status }))[0];
  const [last, latest] = await Promise.all([newest('failed'), newest()]);
  if (!last)
    throw new ToolError(
      `No pipeline has failed${named === undefined ? '' : ` on ${named}`}. gitlab_pipelines lists them.`,
    );
  const since =
    latest && latest.id > last.id
      ? `A newer pipeline (${latest.id}) is ${latest.status}; this is the last that failed.`
      : undefined;
  return { api: place.api, id: place.id, pipeline: last.id, since };
}

/** Failed jobs of a pipeline and of the pipelines that it started. */
async function gather(
  api: Api,
  project: string,
  pipeline: number,
  into: FailedJob[],
  depth: number,
): Promise<void> {
  const path = `projects/${project}/pipelines/${pipeline}`;
  const jobs = z.array(job).parse(await api.get(`${path}/jobs`, { 'scope[]': 'failed', per_page: 100 }));
  for (const one of jobs) into.push({ project, pipeline, job: one });
  const bridges = z.array(bridge).safeParse(await api.maybe(`${path}/bridges`, { per_page: 100 })).data ?? [];
  for (const one of bridges) {
    const child = one.downstream_pipeline;
    if (child?.status === 'failed' && depth < DEPTH) {
      const below = child.project_id ? String(child.project_id) : project;
      if (below !== project && !(await mayRead(api, below))) {
        into.push({ project, pipeline, job: one, hidden: true });
        continue;
      }
      const before = into.length;
      await gather(api, below, child.id, into, depth + 1);
      if (into.length > before) continue;
    }
    if (one.status === 'failed') into.push({ project, pipeline, job: one });
  }
}

/** Downstream pipelines may be in projects that the settings leave out. */
async function mayRead(api: Api, project: string): Promise<boolean> {
  try {
    await allow(api, project);
    return true;
  } catch (error) {
    if (error instanceof ToolError) return false;
    throw error;
  }
}

async function explained(
  api: Api,
  { project, pipeline, job, hidden }: FailedJob,
  top: number | undefined,
  count: number,
) {
  if (hidden) {
    const log_end = 'It started a pipeline in a project that this server may not use (GITLAB_PROJECTS).';
    return slim({ job: job.id, name: job.name, stage: job.stage, log_end, url: job.web_url });
  }
  const log = await logTail(api, project, job.id);
  const { section, errors, end } = failureOf(log, count > 3 ? { endLines: 12, errorLines: 8 } : {});
  return slim({
    job: job.id,
    name: job.name,
    stage: job.stage,
    pipeline: pipeline === top || pipeline === 0 ? undefined : pipeline,
    reason: job.failure_reason,
    meaning: meanings[job.failure_reason ?? ''],
    section,
    errors,
    log_end: end || 'The log is empty: the job did not run.',
    url: job.web_url,
  });
}

/** What GitLab's reasons mean where the log has nothing to say (docs.gitlab.com/api/jobs). */
const meanings: Record<string, string> = {
  runner_system_failure: 'the runner failed, not the script: retry the job',
  stuck_or_timeout_failure: 'no runner took the job or it hung: check runners and tags',
  job_execution_timeout: 'the job ran longer than its timeout',
  runner_unsupported: 'no runner can do this: check tags and runner version',
  stale_schedule: 'the job waited too long',
  unmet_prerequisites: 'an environment or cluster was not ready',
  scheduler_failure: 'GitLab could not hand the job to a runner: retry',
  data_integrity_failure: 'GitLab could not read the job: retry, then ask an administrator',
  missing_dependency_failure: 'artifacts of an earlier job are gone or expired: retry that job',
  downstream_pipeline_creation_failed:
    'the child pipeline could not be made: check its configuration and rights',
};

async function failedTests(api: Api, project: string, pipeline: number) {
  const found = report.safeParse(
    await api.maybe(`projects/${project}/pipelines/${pipeline}/test_report`),
  ).data;
  const cases = found?.test_suites.flatMap((suite) => suite.test_cases) ?? [];
  const bad = cases.filter((one) => one.status === 'failed' || one.status === 'error');
  return bad
    .slice(0, 10)
    .map(({ name, classname, system_output: output }) =>
      slim({ name, in: classname, output: typeof output === 'string' ? output.slice(0, 300) : undefined }),
    );
}
