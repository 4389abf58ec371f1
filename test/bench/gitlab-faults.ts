import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { startGitLab, type Fault } from '../doubles/gitlab/server.ts';
import { connect, root } from './client.ts';
import { figure, type Figure, type Scope } from './figure.ts';

const server = `${root}dist/servers/gitlab/main.js`;
const TOKEN = 'glpat-bench-0123456789abcd';
const logs = new URL('../fixtures/gitlab-logs/', import.meta.url);
const expected = z
  .record(z.string(), z.string())
  .parse(JSON.parse(readFileSync(new URL('expected.json', logs), 'utf8')));

/** Whether one call finds the failing line, and whether a write that meets a fault is sent once. */
export async function gitlabFaults(scope: Scope): Promise<Figure[]> {
  const double = await startGitLab();
  const { world } = double;
  const user = world.user('root');
  world.token(TOKEN, user);
  const project = await world.project('group/bench', user, { 'README.md': '# Bench\n' });
  const env = { GITLAB_URL: double.url, GITLAB_TOKEN: TOKEN };
  const connected = await connect(server, await scope.folder('gitlab-faults'), env);
  try {
    const missed: string[] = [];
    for (const [name, line] of Object.entries(expected)) {
      const pipeline = world.pipeline(project, 'main', 'a'.repeat(40), { status: 'failed' });
      world.job(pipeline, name, 'failed', { log: readFileSync(new URL(`${name}.log`, logs)) });
      const input = { project: project.path, pipeline: pipeline.id };
      const found = JSON.stringify(await connected.must('gitlab_why_failed', input));
      if (!found.includes(JSON.stringify(line).slice(1, -1))) missed.push(name);
    }
    const issue = world.issue(project, user, 'An issue');
    const path = /\/notes$/;
    const faults: Record<string, Fault> = {
      '502': { method: 'POST', path, times: 1, status: 502 },
      '429': { method: 'POST', path, times: 1, status: 429, headers: { 'retry-after': '1' } },
      'connection cut after it was sent': { method: 'POST', path, times: 1, cut: true },
    };
    const sent: Record<string, number> = {};
    const said: Record<string, string> = {};
    for (const [name, fault] of Object.entries(faults)) {
      double.faults.push(fault);
      const before = double.sent.length;
      const input = { project: project.path, issue: issue.iid, text: `After ${name}` };
      const answer = await connected.must('gitlab_comment', input).then(
        () => 'no error',
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
      sent[name] = double.sent.slice(before).filter((one) => one.method === 'POST').length;
      said[name] = answer;
    }
    // Where it is not known whether it was done, the answer must say so; where it is, it must not.
    const words = Object.entries(said).filter(
      ([name, text]) => /may have done it: check/.test(text) === (name === '429'),
    );
    double.faults.push({ method: 'GET', path: /\/issues$/, times: 1, status: 502 });
    const before = double.sent.length;
    await connected.must('gitlab_list_issues', { project: project.path });
    const reads = double.sent.slice(before).filter((one) => one.path.endsWith('/issues')).length;
    const wrong =
      Object.values(sent).filter((count) => count !== 1).length + words.length + (reads === 2 ? 0 : 1);
    return [
      figure({
        name: 'gitlab.why-failed',
        what: `logs whose failing line one call does not show, of ${Object.keys(expected).length}`,
        unit: 'logs',
        value: missed.length,
        bar: 0,
        details: { missed },
      }),
      figure({
        name: 'gitlab.faults',
        what: 'faults (502, 429, cut) after which a POST arrived other than once, or the answer says what is not so; GETs not tried again',
        unit: 'faults',
        value: wrong,
        bar: 0,
        details: { 'POSTs that arrived': sent, 'GETs after a 502': reads, said },
      }),
    ];
  } finally {
    await connected.close();
    await double.close();
  }
}
