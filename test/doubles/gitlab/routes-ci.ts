import * as ci from './json-ci.ts';
import { readCi } from './ci-file.ts';
import { isRecord, need, ok, paged, Raw, Refused, str, type Asked, type Route } from './routing.ts';
import type { Job, Pipeline } from './model.ts';
import { artifactRoutes } from './routes-artifacts.ts';
import { again, jobActions, shownJob } from './routes-jobs.ts';
import { yes } from './params.ts';

function pipelineOf({ project, params }: Asked): Pipeline {
  const one = project.pipelines.find((each) => each.id === Number(params['pipeline']));
  if (!one) throw new Refused(404, '404 Not found');
  return one;
}

function jobOf({ project, params }: Asked): { of: Pipeline; job: Job } {
  for (const of of project.pipelines) {
    const job = of.jobs.find((each) => each.id === Number(params['job']));
    if (job) return { of, job };
  }
  throw new Refused(404, '404 Not found');
}

/** docs.gitlab.com/api/pipelines, of those that are about statuses. */
const SCOPES: Record<string, (status: string) => boolean> = {
  running: (status) => status === 'running',
  pending: (status) => status === 'pending',
  finished: (status) => ci.OVER.has(status),
};

export const ciRoutes: Route[] = [
  [
    'GET',
    '/projects/:id/pipelines',
    (asked) => {
      const { query, project, world } = asked;
      const fits = (name: string, value: string) => [null, '', value].includes(query.get(name));
      const rows = project.pipelines.filter(
        (one) =>
          fits('ref', one.ref) &&
          fits('status', one.status) &&
          fits('sha', one.sha) &&
          fits('source', one.source) &&
          fits('username', world.users[0]?.username ?? '') &&
          (SCOPES[query.get('scope') ?? '']?.(one.status) ?? true),
      );
      if (query.get('sort') !== 'asc') rows.reverse();
      return paged(
        asked,
        rows.map((one) => ci.shortPipeline(world, one)),
        '/pipelines',
      );
    },
  ],
  [
    'POST',
    '/projects/:id/pipeline',
    async (asked) => {
      need(asked, 30);
      const { project, body, world } = asked;
      const ref = str(body['ref']);
      if (!ref) throw new Refused(400, { error: 'ref is missing' });
      const sha = await project.repo.resolve(ref);
      if (!sha) throw new Refused(400, { message: { base: ['Reference not found'] } });
      const file = (await project.repo.blob(sha, '.gitlab-ci.yml'))?.toString();
      if (file === undefined) throw new Refused(400, { message: { base: ['Missing CI config file'] } });
      const { errors, jobs } = readCi(file);
      if (errors.length > 0) throw new Refused(400, { message: { base: errors } });
      const made = world.pipeline(project, ref, sha, { source: 'api', variables: body['variables'] ?? null });
      for (const { name, stage, manual, allowFailure } of jobs.filter((one) => !one.bridge))
        world.job(made, name, manual ? 'manual' : 'created', {
          stage,
          allow_failure: allowFailure || manual,
        });
      return ci.pipeline(world, made);
    },
  ],
  [
    'GET',
    '/projects/:id/pipelines/latest',
    (asked) => {
      const ref = asked.query.get('ref') ?? 'main';
      const one = asked.project.pipelines.findLast((each) => each.ref === ref);
      if (!one) throw new Refused(404, '404 Not Found');
      return ci.pipeline(asked.world, one);
    },
  ],
  [
    'GET',
    '/projects/:id/pipelines/:pipeline/variables',
    (asked) => {
      const { variables } = pipelineOf(asked);
      return (Array.isArray(variables) ? variables : []).filter(isRecord).map((one) => ({
        variable_type: 'env_var',
        raw: false,
        ...one,
      }));
    },
  ],
  [
    'DELETE',
    '/projects/:id/pipelines/:pipeline',
    (asked) => {
      need(asked, 40);
      const gone = pipelineOf(asked);
      asked.project.pipelines = asked.project.pipelines.filter((one) => one !== gone);
      return undefined;
    },
  ],
  [
    'GET',
    '/projects/:id/jobs',
    async (asked) => {
      const scopes = [...asked.query.getAll('scope[]'), ...asked.query.getAll('scope')];
      const rows = asked.project.pipelines
        .flatMap((of) => of.jobs.map((job) => ({ of, job })))
        .filter(({ job }) => scopes.length === 0 || scopes.includes(job.status))
        .toReversed();
      return paged(
        asked,
        await Promise.all(rows.map(({ of, job }) => shownJob(asked, of, job))),
        `/projects/${asked.project.id}/jobs`,
      );
    },
  ],
  ['GET', '/projects/:id/pipeline_schedules', (asked) => paged(asked, [], '/pipeline_schedules')],
  [
    'GET',
    '/projects/:id/pipelines/:pipeline',
    (asked) => {
      const one = pipelineOf(asked);
      one.status = one.script.shift() ?? one.status;
      if (one.status === 'success') for (const job of one.jobs) job.status = 'success';
      return ci.pipeline(asked.world, one);
    },
  ],
  [
    'GET',
    '/projects/:id/pipelines/:pipeline/jobs',
    async (asked) => {
      const one = pipelineOf(asked);
      const scopes = [...asked.query.getAll('scope[]'), ...asked.query.getAll('scope')];
      const retried = yes(asked.query.get('include_retried'));
      const jobs = one.jobs.filter(
        (each) => (retried || !each.retried) && (scopes.length === 0 || scopes.includes(each.status)),
      );
      return paged(asked, await Promise.all(jobs.map((each) => shownJob(asked, one, each))), '/jobs');
    },
  ],
  [
    'GET',
    '/projects/:id/pipelines/:pipeline/bridges',
    (asked) => Promise.all(pipelineOf(asked).bridges.map((each) => shownJob(asked, pipelineOf(asked), each))),
  ],
  [
    'GET',
    '/projects/:id/pipelines/:pipeline/test_report_summary',
    (asked) => {
      const { tests } = pipelineOf(asked);
      const failed = tests.filter((one) => one.status === 'failed').length;
      return {
        total: {
          time: 1,
          count: tests.length,
          success: tests.length - failed,
          failed,
          skipped: 0,
          error: 0,
          suite_error: null,
        },
        test_suites: [],
      };
    },
  ],
  [
    'GET',
    '/projects/:id/pipelines/:pipeline/test_report',
    (asked) => {
      const { tests } = pipelineOf(asked);
      return {
        total_time: 1,
        total_count: tests.length,
        test_suites: [
          {
            name: 'test',
            test_cases: tests.map((one) => ({
              ...one,
              classname: 'Suite',
              execution_time: 0.1,
              stack_trace: null,
            })),
          },
        ],
      };
    },
  ],
  [
    'POST',
    '/projects/:id/pipelines/:pipeline/retry',
    (asked) => {
      const one = pipelineOf(asked);
      need(asked, 30);
      for (const job of one.jobs.filter((each) => !each.retried))
        if (['failed', 'canceled'].includes(job.status)) again(asked.world, one, job);
      return ci.pipeline(asked.world, one);
    },
  ],
  [
    'POST',
    '/projects/:id/pipelines/:pipeline/cancel',
    (asked) => {
      const one = pipelineOf(asked);
      need(asked, 30);
      one.status = 'canceled';
      for (const job of one.jobs) if (!ci.OVER.has(job.status)) job.status = 'canceled';
      return ci.pipeline(asked.world, one);
    },
  ],
  ['GET', '/projects/:id/jobs/:job', (asked) => shownJob(asked, jobOf(asked).of, jobOf(asked).job)],
  ...jobActions(jobOf),
  [
    'GET',
    '/projects/:id/jobs/:job/trace',
    (asked) => {
      const { log } = jobOf(asked).job;
      const range = /^bytes=(-?\d+)-?$/.exec(asked.headers.range ?? '')?.[1];
      if (range === undefined || log.length === 0 || !asked.world.ranges)
        return new Raw(log, { 'content-type': 'text/plain' });
      const from = range.startsWith('-') ? Math.max(0, log.length + Number(range)) : Number(range);
      if (from >= log.length) return new Raw('', { 'content-type': 'text/plain' }, 416);
      return new Raw(
        log.subarray(from),
        { 'content-type': 'text/plain', 'content-range': `bytes ${from}-${log.length - 1}/${log.length}` },
        206,
      );
    },
  ],
  ...artifactRoutes(jobOf),
  [
    'GET',
    '/projects/:id/ci/lint',
    async ({ project, query }) => {
      const content = await project.repo.blob(query.get('content_ref') ?? 'HEAD', '.gitlab-ci.yml');
      return lint(content?.toString());
    },
  ],
  ['POST', '/projects/:id/ci/lint', ({ body }) => ok(lint(str(body['content'])))],
];

const lint = (content: string | undefined) => {
  const errors = content ? readCi(content).errors : ['Please provide content of .gitlab-ci.yml'];
  return {
    valid: errors.length === 0,
    errors,
    warnings: [],
    merged_yaml: content || null,
    includes: [],
  };
};
