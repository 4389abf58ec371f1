import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bench } from './gitlab-kit.ts';
import { tempHome } from './support.ts';

test('a moved project is read under its old name by every tool, and written under its new one', async (t) => {
  const { value, fault, double, root, writes } = await bench(t, { GITLAB_ROOTS: tempHome(t) });
  const { world } = double;
  const old = 'group/old';
  const project = await world.project(old, root, { 'a.txt': 'a\n' });
  world.issue(project, root, 'One');
  await project.repo.commit('fix', 'main', 'Fix', [
    { action: 'update', file_path: 'a.txt', content: Buffer.from('b\n') },
  ]);
  world.mergeRequest(project, root, 'Fix', 'fix');
  const pipeline = world.pipeline(project, 'main', 'a'.repeat(40), { status: 'failed' });
  const artifacts = new Map([['out.txt', Buffer.from('42\n')]]);
  const job = world.job(pipeline, 'build', 'failed', { log: Buffer.from('error: boom\n'), artifacts });
  project.movedTo = 'group/new';
  const at = { project: old };
  for (const [tool, input, found] of [
    ['gitlab_find', { what: 'project' }, /group\/old/],
    ['gitlab_list_issues', {}, /One/],
    ['gitlab_show_issue', { issue: 1 }, /One/],
    ['gitlab_list_files', {}, /a\.txt/],
    ['gitlab_read_file', { path: 'a.txt' }, /"text":"a/],
    ['gitlab_history', { list: 'branches' }, /fix/],
    ['gitlab_show_merge_request', { merge_request: 1 }, /Fix/],
    ['gitlab_diff', { merge_request: 1 }, /\+1 b/],
    ['gitlab_pipelines', { pipeline: pipeline.id }, /build/],
    ['gitlab_why_failed', { pipeline: pipeline.id }, /error: boom/],
    ['gitlab_job_log', { job: job.id }, /error: boom/],
    ['gitlab_artifacts', { job: job.id }, /out\.txt/],
    ['gitlab_artifacts', { job: job.id, path: 'out.txt' }, /42/],
  ] as const)
    assert.match(JSON.stringify(await value(tool, { ...at, ...input })), found, tool);
  for (const [tool, input] of [
    ['gitlab_write_issue', { title: 'x' }],
    ['gitlab_write_issue', { issue: 1, state: 'close' }],
    ['gitlab_comment', { issue: 1, text: 'x' }],
    [
      'gitlab_commit',
      { branch: 'main', message: 'x', actions: [{ action: 'create', path: 'x', content: 'x' }] },
    ],
    ['gitlab_write_ref', { branch: 'b', from: 'main' }],
    ['gitlab_run_pipeline', { action: 'retry', job: job.id }],
    ['gitlab_review', { merge_request: 1, comments: [{ file: 'a.txt', line: 1, text: 'x' }] }],
    ['gitlab_delete_ref', { branch: 'fix' }],
  ] as const) {
    const before = writes().length;
    assert.match(await fault(tool, { ...at, ...input }), /has moved.*gitlab_find/, tool);
    assert.ok(writes().length - before <= 1, tool);
  }
  assert.equal(project.issues[0]?.state, 'opened');
  // The answer of a moved place on another host is not followed with the token.
  double.faults.push({
    path: /issues$/,
    times: 1,
    status: 301,
    headers: { location: 'http://127.0.0.1:9/api/v4/projects/1/issues' },
  });
  const said = await fault('gitlab_list_issues', { project: 'group/forge' });
  assert.match(said, /redirect|another|moved/i);
});

test('a token that expires while it is used: said as that, and a new one in its place works', async (t) => {
  const { value, fault, double, root } = await bench(t);
  const at = { project: 'group/forge' };
  await value('gitlab_list_issues', at);
  const token = [...double.world.tokens.values()][0];
  assert.ok(token);
  token.expired = true;
  for (const [tool, input] of [
    ['gitlab_list_issues', at],
    ['gitlab_read_file', { ...at, path: 'README.md' }],
    ['gitlab_list_issues', { ...at, type: 'TASK' }],
    ['gitlab_write_issue', { ...at, title: 'x' }],
    ['gitlab_find', { what: 'me' }],
  ] as const)
    assert.match(await fault(tool, input), /refuses the token \(401.*set GITLAB_TOKEN/, tool);
  token.expired = false;
  await value('gitlab_list_issues', at);
  assert.ok(root);
});
