import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { bench } from './gitlab-kit.ts';

const P = 'group/forge';
const logs = new URL('fixtures/gitlab-logs/', import.meta.url);
const expected = z
  .record(z.string(), z.string())
  .parse(JSON.parse(readFileSync(new URL('expected.json', logs), 'utf8')));
const logOf = (name: string) => readFileSync(new URL(`${name}.log`, logs));

test('why it failed: the failing line of 84 logs of different tools, each in one call', async (t) => {
  const { value, double, project, root } = await bench(t);
  assert.equal(Object.keys(expected).length, 84);
  assert.deepEqual(
    readdirSync(logs)
      .filter((name) => name.endsWith('.log'))
      .sort(),
    Object.keys(expected)
      .map((name) => `${name}.log`)
      .sort(),
  );
  for (const [name, line] of Object.entries(expected)) {
    const pipeline = double.world.pipeline(project, 'main', 'a'.repeat(40), { status: 'failed' });
    double.world.job(pipeline, name, 'failed', { log: logOf(name) });
    const found = JSON.stringify(await value('gitlab_why_failed', { project: P, pipeline: pipeline.id }));
    assert.ok(found.includes(JSON.stringify(line).slice(1, -1)), `${name}: ${found}`);
    assert.doesNotMatch(found, /\\u001b|section_start/);
    assert.ok(found.length < 7000, `${name}: ${found.length} characters`);
  }
  assert.ok(root.id);
});

test('child and downstream pipelines, test cases, jobs that may fail, and every way to name it', async (t) => {
  const { value, fault, double, project, root } = await bench(t);
  const { world } = double;
  await project.repo.commit('fix', 'main', 'Fix', [
    { action: 'create', file_path: 'x', content: Buffer.from('x') },
  ]);
  world.mergeRequest(project, root, 'Fix', 'fix');
  const other = await world.project('group/deploy', root);
  const parent = world.pipeline(project, 'fix', 'b'.repeat(40), {
    status: 'failed',
    tests: [{ name: 'adds', status: 'failed', system_output: 'expected 1' }],
  });
  const child = world.pipeline(other, 'main', 'c'.repeat(40), { status: 'failed' });
  world.job(parent, 'lint', 'failed', { allow_failure: true, log: logOf('eslint') });
  world.job(parent, 'trigger', 'failed', { downstream: child });
  const failed = world.job(child, 'build', 'failed', { log: logOf('gcc') });
  const found = await value('gitlab_why_failed', { project: P, merge_request: 1 });
  const text = JSON.stringify(found);
  assert.match(text, /"name":"build".*undefined reference to `helper'/);
  assert.match(text, /"section":"step_script"/);
  assert.match(text, /"also_failed":\["lint \(\d+, may fail\)"\]/);
  assert.match(text, /"failed_tests":\[\{"name":"adds"/);
  assert.match(String(found['untrusted']), /never instructions/);
  assert.match(JSON.stringify(await value('gitlab_why_failed', { project: P, branch: 'fix' })), /helper/);
  assert.match(
    JSON.stringify(
      await value('gitlab_why_failed', { project: `${double.url}/${P}/-/pipelines/${parent.id}` }),
    ),
    /helper/,
  );
  assert.match(
    JSON.stringify(
      await value('gitlab_why_failed', { job: `${double.url}/group/deploy/-/jobs/${failed.id}` }),
    ),
    /helper/,
  );
  const newer = world.pipeline(project, 'fix', 'd'.repeat(40), { status: 'success' });
  assert.equal(
    (await value('gitlab_why_failed', { project: P, branch: 'fix' }))['note'],
    `A newer pipeline (${newer.id}) is success; this is the last that failed.`,
  );
  assert.match(
    await fault('gitlab_why_failed', { project: P, branch: 'main' }),
    /No pipeline has failed on main/,
  );
  const shown = JSON.stringify(await value('gitlab_pipelines', { project: P, pipeline: parent.id }));
  assert.match(shown, /"children":\[\{"name":"trigger","pipeline":\d+,"status":"failed"\}\].*"failed":1/);
});

test('pipelines are run, retried, cancelled; jobs played; waiting tells its progress', async (t) => {
  const { value, fault, client, double, project } = await bench(t);
  const { world } = double;
  const run = await value('gitlab_run_pipeline', {
    project: P,
    action: 'run',
    ref: 'main',
    variables: ['STAGE=test'],
  });
  assert.deepEqual(project.pipelines[0]?.variables, [{ key: 'STAGE', value: 'test' }]);
  const [pipeline] = project.pipelines;
  assert.ok(pipeline);
  const job = world.job(pipeline, 'deploy', 'manual');
  assert.equal(
    (await value('gitlab_run_pipeline', { project: P, action: 'play', job: job.id }))['status'],
    'running',
  );
  assert.match(
    await fault('gitlab_run_pipeline', { project: P, action: 'play', job: job.id }),
    /Unplayable Job/,
  );
  pipeline.script = ['running', 'success'];
  const steps: string[] = [];
  const waited = await client.call(
    'gitlab_wait_pipeline',
    { project: P, pipeline: run['pipeline'] },
    { onprogress: ({ message }) => void steps.push(message ?? '') },
  );
  assert.match(waited.text, /"status":"success"/);
  assert.ok(steps.includes('running: deploy'), steps.join());
  const broken = world.job(pipeline, 'lint', 'failed');
  const act = (action: string, what: Record<string, unknown>) =>
    value('gitlab_run_pipeline', { project: P, action, ...what });
  await act('retry', { pipeline: pipeline.id });
  // A job that is retried is a new one: the old one is no longer shown.
  const second = pipeline.jobs.at(-1);
  assert.ok(second);
  assert.deepEqual(
    [pipeline.status, broken.retried, second.name, second.status],
    ['running', true, 'lint', 'running'],
  );
  assert.match(
    await fault('gitlab_run_pipeline', { project: P, action: 'retry', job: broken.id }),
    /not retryable/,
  );
  await act('cancel', { job: second.id });
  assert.equal(second.status, 'canceled');
  const third = await act('retry', { job: second.id });
  assert.deepEqual([third['name'], third['status']], ['lint', 'running']);
  assert.notEqual(third['id'], second.id);
  await value('gitlab_run_pipeline', { project: P, action: 'cancel', pipeline: pipeline.id });
  assert.equal(pipeline.status, 'canceled');
  assert.match(
    JSON.stringify((await value('gitlab_pipelines', { project: P }))['pipelines']),
    /"status":"canceled"/,
  );
  assert.equal((await value('gitlab_lint_ci', { project: P }))['valid'], true);
  assert.match(
    JSON.stringify(await value('gitlab_lint_ci', { project: P, content: 'a: b' })),
    /"valid":false,"errors":\["jobs a config should be a hash/,
  );
});

test('a log is followed as it grows, read by lines, and offered as a resource', async (t) => {
  const { value, client, double, project } = await bench(t);
  const pipeline = double.world.pipeline(project, 'main', 'a'.repeat(40));
  const job = double.world.job(pipeline, 'build', 'running', {
    log: Buffer.from('one\n\u001b[31mtwo\u001b[0m\n'),
  });
  const first = await value('gitlab_job_log', { project: P, job: job.id });
  assert.deepEqual([first['text'], first['status']], ['one\ntwo', 'running']);
  job.log = Buffer.concat([job.log, Buffer.from('three\n')]);
  const second = await value('gitlab_job_log', { project: P, job: job.id, next: first['next'] });
  assert.equal(second['text'], 'three');
  assert.equal(
    (await value('gitlab_job_log', { project: P, job: job.id, next: second['next'] }))['text'],
    '',
  );
  assert.equal(
    (await value('gitlab_job_log', { project: P, job: job.id, lines: '2-3' }))['text'],
    'two\nthree',
  );
  assert.match(
    await client.read(`gitlab://${encodeURIComponent(P)}/jobs/${job.id}/log/1-2`),
    /^\(untrusted: .*\)\none\ntwo$/,
  );
  assert.match(await client.read(`gitlab://${encodeURIComponent(P)}/jobs/${job.id}/log`), /three/);
  assert.match(
    await client.read(`gitlab://${encodeURIComponent(P)}/files/main/README.md`),
    /^\(untrusted: [^\n]*\)\n# Forge\n\nAn example.\n$/,
  );
  assert.equal((await client.templates()).length, 6);
  assert.match(await client.prompt('fix_failing_pipeline', { pipeline: 'x' }), /gitlab_why_failed/);
});

test('artifacts are listed and read one by one, and no path leads out of them', async (t) => {
  const { value, fault, double, project } = await bench(t);
  const pipeline = double.world.pipeline(project, 'main', 'a'.repeat(40));
  const artifacts = new Map([
    ['out/report.txt', Buffer.from('42 %\n')],
    ['out/app.bin', Buffer.from([0, 1])],
  ]);
  const job = double.world.job(pipeline, 'build', 'success', { artifacts });
  assert.deepEqual((await value('gitlab_artifacts', { project: P, job: job.id }))['files'], [
    { path: 'out/report.txt', bytes: 5 },
    { path: 'out/app.bin', bytes: 2 },
  ]);
  assert.equal(
    (await value('gitlab_artifacts', { project: P, job: job.id, path: 'out/report.txt' }))['text'],
    '42 %\n',
  );
  assert.match(
    String((await value('gitlab_artifacts', { project: P, job: job.id, path: 'out/app.bin' }))['note']),
    /Binary/,
  );
  for (const path of ['../../../secrets', 'out/../../x', 'out%2F..%2Fx'])
    assert.match(await fault('gitlab_artifacts', { project: P, job: job.id, path }), /no path inside/);
});

test('a long log costs no memory: its end is read alone', async (t) => {
  const { value, double, project } = await bench(t);
  const pipeline = double.world.pipeline(project, 'main', 'a'.repeat(40), { status: 'failed' });
  const line = Buffer.from(`${'x'.repeat(99)}\n`);
  const log = Buffer.concat([Buffer.alloc(60 * 1024 * 1024, line), logOf('gcc')]);
  const job = double.world.job(pipeline, 'build', 'failed', { log });
  const ask = async (named: string) =>
    JSON.stringify(await value('gitlab_why_failed', { project: named, pipeline: pipeline.id }));
  const before = process.memoryUsage.rss();
  const queries = () => double.sent.filter((one) => one.path === '/api/graphql').length;
  for (const named of [P, String(project.id)]) {
    const found = await ask(named);
    assert.match(found, /"section":"step_script".*undefined reference to `helper'/);
    assert.doesNotMatch(found, /<\/?(span|div|br)|section_(start|end)/);
  }
  assert.equal(queries(), 2);
  job.log = Buffer.concat([log, Buffer.from('a <b> &amp; c\n')]);
  const { text } = await value('gitlab_job_log', { project: P, job: job.id });
  assert.match(String(text), /the last 100 lines of a long log[^]*\na <b> &amp; c$/);
  // A GitLab that has no such field: the log is read through. One that serves ranges: only its end is sent.
  job.log = log;
  double.world.summaries = false;
  assert.match(await ask(P), /undefined reference to `helper'/);
  double.world.ranges = true;
  assert.match(await ask(P), /undefined reference to `helper'/);
  assert.ok(process.memoryUsage.rss() - before < 30 * 1024 * 1024);
});
