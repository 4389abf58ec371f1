import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { toolFor, ToolError, type ToolContext } from '../../kit/tool.ts';
import type { Api } from './client.ts';
import { idOrUrl, next, project, record } from './fields.ts';
import { atNumber, atProject, type GitLab } from './gitlab.ts';
import { job, jobLine, pipelineLine, pipelineRow, slim } from './shapes.ts';
import { refName } from './targets.ts';

const tool = toolFor<GitLab>();

const over = new Set(['success', 'failed', 'canceled', 'skipped', 'manual']);
const bridge = job.extend({ downstream_pipeline: pipelineRow.nullish() });
const tests = z.object({
  total: z.object({
    count: z.number(),
    success: z.number(),
    failed: z.number(),
    skipped: z.number(),
    error: z.number(),
  }),
});

export const pipelines = [
  tool({
    name: 'gitlab_pipelines',
    title: 'Pipelines',
    description: 'Recent pipelines of a project or ref; with pipeline, its jobs, child pipelines and tests.',
    effect: 'read',
    openWorld: true,
    untrusted: true,
    examples: ['how are the pipelines on main', 'show the jobs of pipeline 42'],
    input: z.object({
      project: project.optional(),
      pipeline: idOrUrl.optional(),
      ref: z.string().optional(),
      status: z.string().optional(),
      next,
    }),
    output: z.looseObject({ next }),
    async run({ project, pipeline, ref, status, next: cursor }, gitlab, ctx) {
      if (pipeline !== undefined) {
        const { api, id, iid } = await atNumber(gitlab, pipeline, 'pipeline', project, ctx);
        return shownPipeline(api, id, iid, cursor);
      }
      if (project === undefined)
        throw new ToolError('Give `project` to list pipelines, or `pipeline` to show one.');
      const { api, id } = await atProject(gitlab, project, ctx);
      const query = { ref: ref === undefined ? undefined : refName(ref), status };
      const page = await api.page(`projects/${id}/pipelines`, query, cursor);
      return { pipelines: page.items.map((one) => pipelineLine.parse(one)), next: page.next };
    },
  }),
  tool({
    name: 'gitlab_run_pipeline',
    title: 'Run, retry, play or cancel',
    description: 'Run a pipeline on ref; or retry, cancel, play the pipeline or job given.',
    effect: 'write',
    openWorld: true,
    untrusted: true,
    examples: ['run the pipeline on main', 'retry the failed jobs', 'start the deploy job'],
    input: z.object({
      project: project.optional(),
      ref: z.string().optional(),
      variables: z.array(z.string()).optional().describe('KEY=value'),
      pipeline: idOrUrl.optional(),
      job: idOrUrl.optional(),
      action: z.enum(['run', 'retry', 'cancel', 'play']),
    }),
    output: record,
    async run({ project, ref, variables, pipeline, job: jobId, action }, gitlab, ctx) {
      const pairs = variables?.map(pair);
      if (action === 'run') {
        if (project === undefined || ref === undefined)
          throw new ToolError('run needs `project` and `ref`: the branch or tag.');
        const { api, project: path } = await atProject(gitlab, project, ctx);
        const { pipelines } = await api.rest;
        return started(await pipelines.create(path, refName(ref), pairs && { variables: pairs }));
      }
      if (jobId !== undefined) {
        const { api, id, iid } = await atNumber(gitlab, jobId, 'job', project, ctx);
        const body = action === 'play' && pairs ? { job_variables_attributes: pairs } : {};
        return jobLine(job.parse(await api.send('POST', `projects/${id}/jobs/${iid}/${action}`, body)));
      }
      if (pipeline === undefined || action === 'play')
        throw new ToolError(`${action} needs \`${action === 'play' ? 'job' : 'pipeline` or `job'}\`.`);
      const { api, project: path, iid } = await atNumber(gitlab, pipeline, 'pipeline', project, ctx);
      const { pipelines } = await api.rest;
      return started(await (action === 'retry' ? pipelines.retry(path, iid) : pipelines.cancel(path, iid)));
    },
  }),
  tool({
    name: 'gitlab_wait_pipeline',
    title: 'Wait for a pipeline',
    description: 'Waits until a pipeline is over, with progress.',
    effect: 'read',
    openWorld: true,
    long: true,
    untrusted: true,
    examples: ['tell me when the pipeline is done'],
    input: z.object({ project: project.optional(), pipeline: idOrUrl }),
    output: z.looseObject({
      status: z.string().optional(),
      job: z.string().optional(),
      note: z.string().optional(),
    }),
    async run({ project, pipeline }, gitlab, ctx) {
      const { api, id, iid } = await atNumber(gitlab, pipeline, 'pipeline', project, ctx);
      for (let pause = 500; ; pause = Math.min(10_000, pause * 1.5)) {
        const shown = await shownPipeline(api, id, iid, undefined);
        tell(shown, ctx);
        if (over.has(String(shown['status']))) return shown;
        await sleep(pause, undefined, { signal: ctx.signal });
      }
    },
  }),
  tool({
    name: 'gitlab_lint_ci',
    title: 'Check CI configuration',
    description: 'Checks .gitlab-ci.yml: the text given, or the one on ref.',
    effect: 'read',
    openWorld: true,
    untrusted: true,
    examples: ['is my .gitlab-ci.yml valid'],
    input: z.object({ project, content: z.string().max(1_000_000).optional(), ref: z.string().optional() }),
    output: record,
    async run({ project, content, ref }, gitlab, ctx) {
      const { api, id } = await atProject(gitlab, project, ctx);
      const path = `projects/${id}/ci/lint`;
      const named = ref === undefined ? undefined : refName(ref);
      // It only reads, but read-only mode sends nothing but GET: it is not said to be a read there.
      const found =
        content === undefined
          ? await api.get(path, { content_ref: named })
          : await api.send('POST', path, { content, ref: named });
      const { valid, errors, warnings } = z
        .object({ valid: z.boolean(), errors: z.array(z.string()), warnings: z.array(z.string()).nullish() })
        .parse(found);
      return { valid, ...slim({ errors, warnings }) };
    },
  }),
];

async function shownPipeline(
  api: Api,
  project: string,
  pipeline: number,
  cursor: string | undefined,
): Promise<Record<string, unknown>> {
  const path = `projects/${project}/pipelines/${pipeline}`;
  const row = pipelineRow.parse(await api.get(path));
  const [jobs, bridges, report] = await Promise.all([
    api.page(`${path}/jobs`, { per_page: 100, include_retried: false }, cursor),
    api.maybe(`${path}/bridges`, { per_page: 100 }),
    api.maybe(`${path}/test_report_summary`),
  ]);
  const children = z.array(bridge).safeParse(bridges).data ?? [];
  const total = tests.safeParse(report).data?.total;
  return {
    ...slim({
      ...pipelineLine.parse({ ...row, created_at: undefined }),
      at: row.created_at,
      url: row.web_url,
    }),
    jobs: jobs.items.map((one) => jobLine(job.parse(one))),
    ...slim({
      children: children.map(({ name, downstream_pipeline: child }) =>
        slim({ name, pipeline: child?.id, status: child?.status }),
      ),
      tests: total && total.count > 0 ? total : undefined,
      next: jobs.next,
    }),
  };
}

const jobStates = z.array(z.looseObject({ name: z.string(), status: z.string() }));

function tell(shown: Record<string, unknown>, ctx: ToolContext): void {
  const jobs = jobStates.parse(shown['jobs']);
  const done = jobs.filter((one) => over.has(one.status)).length;
  const running = jobs.filter((one) => one.status === 'running').map((one) => one.name);
  ctx.progress(
    done,
    jobs.length,
    `${String(shown['status'])}${running.length > 0 ? `: ${running.slice(0, 5).join(', ')}` : ''}`,
  );
}

function started(raw: unknown): Record<string, unknown> {
  const row = pipelineRow.parse(raw);
  return slim({ pipeline: row.id, status: row.status, ref: row.ref, url: row.web_url });
}

function pair(text: string) {
  const at = text.indexOf('=');
  const key = text.slice(0, at);
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(key))
    throw new ToolError(`\`${text.slice(0, 40)}\` is no variable. One reads KEY=value.`);
  return { key, value: text.slice(at + 1) };
}
