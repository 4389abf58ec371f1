import * as json from './json-ci.ts';
import { OVER } from './json-ci.ts';
import { need, ok, Refused, type Asked, type Route } from './routing.ts';
import { commit } from './routes-refs.ts';
import type { Job, Pipeline } from './model.ts';
import type { World } from './world.ts';

/** A job as the API shows it, with its commit where the repository has it. */
export async function shownJob(asked: Asked, of: Pipeline, job: Job) {
  const there = await of.project.repo.resolve(of.sha);
  return json.job(
    asked.world,
    of,
    job,
    there ? await commit({ ...asked, project: of.project }, there) : null,
  );
}

/** A retried job is a new one; the old one stays, and is listed only when asked for. */
export function again(world: World, of: Pipeline, job: Job): Job {
  job.retried = true;
  of.status = 'running';
  const { stage, allow_failure } = job;
  return world.job(of, job.name, 'running', { stage, allow_failure });
}

/** What can be done to a job (GitLab's lib/api/ci/jobs.rb and job_artifacts.rb). */
export function jobActions(jobOf: (asked: Asked) => { of: Pipeline; job: Job }): Route[] {
  const base = '/projects/:id/jobs/:job';
  const act = (change: (asked: Asked, of: Pipeline, job: Job) => Job) => (asked: Asked) => {
    need(asked, 30);
    const { of, job } = jobOf(asked);
    return shownJob(asked, of, change(asked, of, job));
  };
  const forbid = (why: string) => {
    throw new Refused(403, `403 Forbidden - ${why}`);
  };
  const play = act(({ body }, of, job) => {
    if (job.status !== 'manual') throw new Refused(400, '400 Bad request - Unplayable Job');
    job.status = 'running';
    of.status = 'running';
    job.variables = body['job_variables_attributes'] ?? null;
    return job;
  });
  return [
    ['POST', `${base}/play`, async (asked) => ok(await play(asked))],
    [
      'POST',
      `${base}/retry`,
      act(({ world }, of, job) => {
        if (job.retried || !OVER.has(job.status) || job.status === 'skipped') forbid('Job is not retryable');
        return again(world, of, job);
      }),
    ],
    [
      'POST',
      `${base}/cancel`,
      act((_, __, job) => {
        if (!OVER.has(job.status)) job.status = 'canceled';
        return job;
      }),
    ],
    [
      'POST',
      `${base}/erase`,
      act((_, __, job) => {
        if (!OVER.has(job.status) || (job.log.length === 0 && job.artifacts.size === 0))
          forbid('Job is not erasable!');
        job.log = Buffer.alloc(0);
        job.artifacts = new Map();
        return job;
      }),
    ],
    [
      'POST',
      `${base}/artifacts/keep`,
      async (asked) => {
        need(asked, 30);
        const { of, job } = jobOf(asked);
        if (job.artifacts.size === 0) throw new Refused(404, '404 Not found');
        return ok(await shownJob(asked, of, job));
      },
    ],
    [
      'DELETE',
      `${base}/artifacts`,
      (asked) => {
        need(asked, 40);
        jobOf(asked).job.artifacts = new Map();
        return undefined;
      },
    ],
  ];
}
