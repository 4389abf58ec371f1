import { Raw, Refused, type Asked, type Route } from './routing.ts';
import type { Job } from './model.ts';
import { zip } from './zip.ts';

/** The newest job of a name whose pipeline on a ref went well: where the artifacts of a branch are looked for. */
function artifactsOf({ project, params, query }: Asked): Job['artifacts'] {
  if (!query.get('job')) throw new Refused(400, { error: 'job is missing' });
  const pipelines = project.pipelines.filter((one) => one.ref === params['ref'] && one.status === 'success');
  const jobs = pipelines.flatMap((one) => one.jobs);
  const found = jobs.findLast((one) => one.name === query.get('job') && one.status === 'success');
  if (!found || found.artifacts.size === 0) throw new Refused(404, '404 Not found');
  return found.artifacts;
}

/** Whole, or the part asked for, as Workhorse's ServeContent has it. */
function zipped({ headers: asked, world }: Asked, artifacts: Job['artifacts']): Raw {
  const all = zip(artifacts);
  const headers = {
    'content-type': 'application/zip',
    'content-disposition': 'attachment; filename="artifacts.zip"',
  };
  const end = Number(/^bytes=-(\d+)$/.exec(asked.range ?? '')?.[1]);
  if (!world.archiveParts || Number.isNaN(end)) return new Raw(all, headers);
  const from = Math.max(0, all.length - end);
  const range = `bytes ${from}-${all.length - 1}/${all.length}`;
  return new Raw(all.subarray(from), { ...headers, 'content-range': range }, 206);
}

/** As Workhorse sends one: the type by the name's end, and never shown in a browser. */
function oneOf(artifacts: Job['artifacts'], file: string): Raw {
  const content = artifacts.get(file);
  if (!content) throw new Refused(404, '404 Not found');
  const type = /\.html?$/.test(file)
    ? 'text/html; charset=utf-8'
    : file.endsWith('.txt')
      ? 'text/plain; charset=utf-8'
      : 'application/octet-stream';
  return new Raw(content, {
    'content-type': type,
    'content-disposition': `attachment; filename="${file.split('/').at(-1)}"`,
  });
}

/** Artifacts: all of a job, or one file, by the job's number or by branch and name. */
export const artifactRoutes = (jobOf: (asked: Asked) => { job: Job }): Route[] => [
  ['GET', '/projects/:id/jobs/artifacts/:ref/download', (asked) => zipped(asked, artifactsOf(asked))],
  [
    'GET',
    '/projects/:id/jobs/artifacts/:ref/raw/*file',
    (asked) => oneOf(artifactsOf(asked), asked.params['file'] ?? ''),
  ],
  [
    'GET',
    '/projects/:id/jobs/:job/artifacts',
    (asked) => {
      const { artifacts } = jobOf(asked).job;
      if (artifacts.size === 0) throw new Refused(404, '404 Not found');
      return zipped(asked, artifacts);
    },
  ],
  [
    'GET',
    '/projects/:id/jobs/:job/artifacts/*file',
    (asked) => oneOf(jobOf(asked).job.artifacts, asked.params['file'] ?? ''),
  ],
];
