import { startGitLab, type Double } from '../doubles/gitlab/server.ts';
import { connect, root, type Connected } from './client.ts';
import { figure, median, spread, type Figure, type Scope } from './figure.ts';
import { hasProc, peakMb } from './process.ts';

const server = `${root}dist/servers/gitlab/main.js`;
const TOKEN = 'glpat-bench-0123456789abcd';
const SMALL = 'group/small';
const LARGE = 'group/large';
const SIZES = [
  { path: SMALL, files: 100, issues: 50, bytes: 300_000 },
  { path: LARGE, files: 10_000, issues: 50_000, bytes: 200 * 1024 * 1024 },
];
const WHAT = {
  files: '10,000 files beside 100',
  issues: '50,000 issues beside 50',
  log: 'a log of 200 MB beside 0.3 MB, sent whole as GitLab does',
};

/** 10,000 files, 50,000 issues and a log of 200 MB: the first answer beside that of small ones, and the memory it takes. */
export async function gitlabScale(scope: Scope): Promise<Figure[]> {
  const double = await startGitLab();
  const pipelines = await filled(double);
  const home = await scope.folder('gitlab-scale');
  const env = { GITLAB_URL: double.url, GITLAB_TOKEN: TOKEN };
  const asker = ({ must }: Pick<Connected, 'must'>): Record<keyof typeof WHAT, Ask> => ({
    files: (project) => must('gitlab_list_files', { project, ref: 'many' }),
    issues: (project) => must('gitlab_list_issues', { project }),
    log: (project) => must('gitlab_why_failed', { project, pipeline: pipelines.get(project) }),
  });
  const timed = async (work: () => Promise<unknown>) => {
    const begun = performance.now();
    await work();
    return performance.now() - begun;
  };
  // The double's git is warmed by another process: the one that is measured has seen nothing large.
  const other = await connect(server, home, env);
  for (const ask of Object.values(asker(other))) for (const { path } of SIZES) await ask(path);
  await other.close();
  const connected = await connect(server, home, env);
  const cases = asker(connected);
  try {
    const rounds = scope.rounds(15, 5);
    for (let round = 0; round < rounds; round++) for (const ask of Object.values(cases)) await ask(SMALL);
    // The most that it ever had, and again at the end: nothing is set back in between.
    const before = hasProc ? await peakMb(connected.pid) : Number.NaN;
    const figures: Figure[] = [];
    for (const name of ['files', 'issues', 'log'] as const) {
      const small: number[] = [];
      const large: number[] = [];
      for (let round = 0; round < rounds; round++) {
        small.push(await timed(() => cases[name](SMALL)));
        large.push(await timed(() => cases[name](LARGE)));
      }
      figures.push(
        figure({
          name: `gitlab.scale.${name}`,
          what: `${WHAT[name]}, first answer`,
          unit: 'x',
          value: median(large) / median(small),
          bar: 2,
          details: {
            'large, ms': spread(large),
            'small, ms': spread(small),
            'the very first, large / small, ms': [large[0], small[0]],
          },
        }),
      );
    }
    double.world.summaries = false;
    const through: number[] = [];
    const plain: number[] = [];
    for (let round = 0; round < scope.rounds(5, 2); round++) {
      through.push(await timed(() => cases.log(LARGE)));
      plain.push(await timed(() => readThrough(double)));
    }
    const after = hasProc ? await peakMb(connected.pid) : undefined;
    return [
      ...figures,
      figure({
        name: 'gitlab.scale.log-whole',
        what: 'a log of 200 MB read through (GitLab before 15.11), beside reading it and doing nothing',
        unit: 'x',
        value: median(through) / median(plain),
        bar: undefined,
        details: { 'ours, ms': spread(through), 'reading alone, ms': spread(plain) },
      }),
      figure({
        name: 'gitlab.scale.memory',
        what: "the process's peak over all of them, above its peak after the small ones",
        unit: 'MB',
        value: after === undefined ? undefined : after - before,
        bar: 30,
        details: { 'peak after the small ones, MB': before, 'peak at the end, MB': after },
      }),
    ];
  } finally {
    await connected.close();
    await double.close();
  }
}

type Ask = (project: string) => Promise<unknown>;

async function filled({ world }: Double): Promise<Map<string, number>> {
  const user = world.user('root');
  world.token(TOKEN, user);
  const pipelines = new Map<string, number>();
  for (const { path, files, issues, bytes } of SIZES) {
    const project = await world.project(path, user, { 'README.md': '# Many\n' });
    for (let at = 0; at < issues; at++) world.issue(project, user, `Issue ${at}`);
    const lines = Array.from({ length: files }, (_one, at) => `M 100644 inline f${at}\ndata 1\nx\n`).join('');
    const input = `commit refs/heads/many\ncommitter R <r@example.com> 0 +0000\ndata 1\nx\n${lines}`;
    await project.repo.git(['fast-import', '--quiet'], { input });
    const pipeline = world.pipeline(project, 'main', 'a'.repeat(40), { status: 'failed' });
    const line = Buffer.from(`${'x'.repeat(99)}\n`);
    const end = Buffer.from('Error: it broke here\nERROR: Job failed: exit code 1\n');
    world.job(pipeline, 'build', 'failed', { log: Buffer.concat([Buffer.alloc(bytes, line), end]) });
    pipelines.set(path, pipeline.id);
  }
  return pipelines;
}

/** The physical limit: the same bytes over the same loopback, thrown away. */
async function readThrough({ url, world }: Double): Promise<void> {
  const project = world.find(LARGE);
  const job = project?.pipelines[0]?.jobs[0];
  const answer = await fetch(`${url}/api/v4/projects/${project?.id}/jobs/${job?.id}/trace`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  for await (const _part of answer.body ?? []);
}
