import { startGitLab } from '../doubles/gitlab/server.ts';
import { connect, root } from './client.ts';
import { figure, median, spread, type Figure, type Scope } from './figure.ts';
import { rssMb } from './process.ts';

const server = `${root}dist/servers/gitlab/main.js`;
const TOKEN = 'glpat-bench-0123456789abcd';
const SMALL = 'group/small';
const LARGE = 'group/large';
const LOG_BYTES = 200 * 1024 * 1024;

/**
 * 10,000 files, 50,000 issues and a log of 200 MB beside small ones: the first answer, and what memory it takes. What the
 * double itself takes longer for the large ones is added to the small ones' time.
 */
export async function gitlabScale(scope: Scope): Promise<Figure[]> {
  const double = await startGitLab();
  const { world } = double;
  const user = world.user('root');
  world.token(TOKEN, user);
  const logs: Record<string, number> = {};
  for (const [path, files, issues, bytes] of [
    [SMALL, 100, 20, 2_000_000],
    [LARGE, 10_000, 50_000, LOG_BYTES],
  ] as const) {
    const project = await world.project(path, user, { 'README.md': '# Many\n' });
    for (let at = 0; at < issues; at++) world.issue(project, user, `Issue ${at}`);
    const lines = Array.from({ length: files }, (_one, at) => `M 100644 inline f${at}\ndata 1\nx\n`).join('');
    const input = `commit refs/heads/many\ncommitter R <r@example.com> 0 +0000\ndata 1\nx\n${lines}`;
    await project.repo.git(['fast-import', '--quiet'], { input });
    const pipeline = world.pipeline(project, 'main', 'a'.repeat(40), { status: 'failed' });
    const line = Buffer.from(`${'x'.repeat(99)}\n`);
    const log = Buffer.concat([
      Buffer.alloc(bytes, line),
      Buffer.from('Error: it broke here\nERROR: Job failed: exit code 1\n'),
    ]);
    world.job(pipeline, 'build', 'failed', { log });
    logs[path] = pipeline.id;
  }
  const home = await scope.folder('gitlab-scale');
  const connected = await connect(server, home, { GITLAB_URL: double.url, GITLAB_TOKEN: TOKEN });
  try {
    const cases: Record<string, (project: string) => Promise<unknown>> = {
      files: (project) => connected.must('gitlab_list_files', { project, ref: 'many' }),
      issues: (project) => connected.must('gitlab_list_issues', { project }),
      log: (project) => connected.must('gitlab_why_failed', { project, pipeline: `${logs[project]}` }),
    };
    const figures: Figure[] = [];
    for (const ask of Object.values(cases)) await ask(SMALL);
    const before = await rssMb(connected.pid);
    for (const [name, ask] of Object.entries(cases)) {
      const taken: Record<string, number[]> = { [SMALL]: [], [LARGE]: [] };
      const upstream: Record<string, number[]> = { [SMALL]: [], [LARGE]: [] };
      for (let round = 0; round < scope.rounds(9, 3); round++) {
        for (const project of [SMALL, LARGE]) {
          const first = double.sent.length;
          const begun = performance.now();
          await ask(project);
          const whole = performance.now() - begun;
          // The double is no GitLab: what it takes for the same requests is not ours.
          const again = performance.now();
          for (const { path: at, query } of double.sent.slice(first)) {
            const headers = { 'private-token': TOKEN, ...(name === 'log' && { range: 'bytes=-262144' }) };
            await (await fetch(`${double.url}${at}?${query.toString()}`, { headers })).arrayBuffer();
          }
          taken[project]?.push(whole);
          upstream[project]?.push(performance.now() - again);
        }
      }
      const [small, large] = [taken[SMALL] ?? [], taken[LARGE] ?? []];
      figures.push(
        figure({
          name: `gitlab.scale.${name}`,
          what: `${{ files: '10,000 files beside 100', issues: '50,000 issues beside 20', log: 'a log of 200 MB beside 2 MB' }[name]}, first answer`,
          unit: 'x',
          value:
            median(large) / (median(small) + median(upstream[LARGE] ?? []) - median(upstream[SMALL] ?? [])),
          bar: 2,
          details: {
            'large, ms': spread(large),
            'small, ms': spread(small),
            'of that the double, large': spread(upstream[LARGE] ?? []),
            'of that the double, small': spread(upstream[SMALL] ?? []),
          },
        }),
      );
    }
    const grown = (await rssMb(connected.pid)) - before;
    return [
      ...figures,
      figure({
        name: 'gitlab.scale.memory',
        what: 'memory grown by all of them',
        unit: 'MB',
        value: grown,
        bar: 30,
        details: {},
      }),
    ];
  } finally {
    await connected.close();
    await double.close();
  }
}
