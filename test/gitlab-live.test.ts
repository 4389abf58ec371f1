import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { gitlab } from '../servers/gitlab/definition.ts';
import { approves, connect, type Driver } from './clients.ts';
import { startGitLab } from './doubles/gitlab/server.ts';
import { serveHere, tempHome } from './support.ts';

const { GITLAB_URL, GITLAB_TOKEN } = process.env;
const skip =
  GITLAB_URL && GITLAB_TOKEN ? false : 'opt-in: set GITLAB_URL and GITLAB_TOKEN of a GitLab to try it on';

test('the same cases on a real GitLab', { skip }, (t) =>
  everything(t, { GITLAB_URL: GITLAB_URL ?? '', GITLAB_TOKEN: GITLAB_TOKEN ?? '' }),
);

test('the cases for a real GitLab, on the double', async (t) => {
  const double = await startGitLab();
  t.after(() => double.close());
  double.world.token('glpat-live-0123456789abcd', double.world.user('root'));
  await everything(t, { GITLAB_URL: double.url, GITLAB_TOKEN: 'glpat-live-0123456789abcd' });
});

/** Works in a project that it creates and removes. */
async function everything(t: TestContext, env: { GITLAB_URL: string; GITLAB_TOKEN: string }): Promise<void> {
  const root = tempHome(t);
  const { url } = await serveHere(t, gitlab, { env: { ...env, GITLAB_ROOTS: root } });
  const client = await connect(t, 'v1', { http: url }, { person: approves });
  const value = async (tool: string, input: Record<string, unknown>) => {
    const { isError, text, value } = await client.call(tool, input);
    assert.ok(!isError, `${tool}: ${text}`);
    return z.record(z.string(), z.unknown()).parse(value);
  };
  const fault = async (tool: string, input: Record<string, unknown>) => {
    const { isError, text } = await client.call(tool, input);
    assert.ok(isError, `${tool} did not fail: ${text}`);
    return text;
  };
  const said = async (tool: string, input: Record<string, unknown>) =>
    JSON.stringify(await value(tool, input));
  const [me] = z
    .array(z.looseObject({ username: z.string() }))
    .parse((await value('gitlab_find', { what: 'me' }))['found']);
  assert.ok(me);

  const name = `kuznia-live-${Date.now()}`;
  const made = await value('gitlab_create_project', { path: name, readme: true });
  const project = String(made['path']);
  try {
    await work({ project, root, username: me.username, value, fault, said, call: client.call });
  } finally {
    const { status } = await fetch(`${env.GITLAB_URL}/api/v4/projects/${encodeURIComponent(project)}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${env.GITLAB_TOKEN}` },
    });
    assert.equal(status, 202);
  }
}

type Input = Record<string, unknown>;

interface Hands {
  project: string;
  root: string;
  username: string;
  value: (tool: string, input: Input) => Promise<Input>;
  fault: (tool: string, input: Input) => Promise<string>;
  said: (tool: string, input: Input) => Promise<string>;
  call: Driver['call'];
}

async function work({ project, root, username, value, fault, said, call }: Hands): Promise<void> {
  assert.match(
    await said('gitlab_find', { what: 'members', project }),
    new RegExp(`"username":"${username}"`),
  );

  const issue = await value('gitlab_write_issue', {
    project,
    title: 'Try it',
    labels: ['a'],
    assignees: ['me'],
  });
  const { iid } = issue;
  await value('gitlab_comment', { project, issue: iid, text: 'A comment.' });
  const second = await value('gitlab_write_issue', {
    project,
    title: 'Second',
    estimate: '2h',
    spent: '30m',
    link: iid,
  });
  const shownIssue = await value('gitlab_show_issue', { project, issue: second['iid'] });
  assert.deepEqual([shownIssue['estimate'], shownIssue['spent']], ['2h', '30m']);
  assert.match(JSON.stringify(shownIssue['links']), /Try it/);
  assert.match(await said('gitlab_show_issue', { project, issue: iid }), /A comment/);
  assert.match(await said('gitlab_list_issues', { project, labels: ['a'] }), /Try it/);
  assert.match(await said('gitlab_list_issues', { project, type: 'ISSUE' }), /Second/);
  await value('gitlab_write_issue', { project, issue: second['iid'], state: 'close' });
  assert.match(
    await fault('gitlab_write_issue', { project, title: 'x', milestone: 'none such' }),
    /no milestone/,
  );

  const ci = 'stages: [test]\nkuznia:\n  stage: test\n  script: [echo kuznia]\n';
  const actions = [
    { action: 'create', path: 'a.txt', content: 'one\ntwo\nthree\n' },
    { action: 'create', path: '.gitlab-ci.yml', content: ci },
  ];
  await value('gitlab_commit', { project, branch: 'work', start_branch: 'main', message: 'Add a', actions });
  const edit = { action: 'edit', path: 'a.txt', old_text: 'two', new_text: '2' };
  await value('gitlab_commit', { project, branch: 'work', message: 'Edit a', actions: [edit] });
  assert.equal(
    (await value('gitlab_read_file', { project, path: 'a.txt', ref: 'work', lines: '2' }))['text'],
    '2',
  );
  assert.match(
    await said('gitlab_read_file', { project, path: 'a.txt', ref: 'work', blame: true }),
    /Edit a/,
  );
  assert.match(await said('gitlab_history', { project, from: 'main', to: 'work' }), /Edit a/);
  assert.match(await fault('gitlab_read_file', { project, path: 'none.txt' }), /404/);
  assert.equal((await value('gitlab_lint_ci', { project, content: ci }))['valid'], true);
  assert.equal((await value('gitlab_lint_ci', { project, content: 'a: b' }))['valid'], false);

  const mr = await value('gitlab_write_merge_request', { project, source_branch: 'work', title: 'Work' });
  const merge_request = String(mr['url']);
  // GitLab makes the diff in the background.
  let diff = '';
  for (let tries = 0; tries < 20 && !diff.includes('+2 2'); tries++) {
    diff = (await call('gitlab_diff', { merge_request, file: 'a.txt' })).text;
    if (!diff.includes('+2 2')) await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  assert.match(
    await fault('gitlab_review', { merge_request, comments: [{ file: 'a.txt', line: 99, text: 'x' }] }),
    /Nothing was sent/,
  );
  await value('gitlab_review', {
    merge_request,
    summary: 'Nearly.',
    comments: [
      { file: 'a.txt', line: 2, text: 'Why?', suggestion: 'two' },
      { file: 'a.txt', line: 1, end_line: 3, text: 'All of it.' },
    ],
  });
  const shown = await value('gitlab_show_merge_request', { merge_request });
  const threads = JSON.stringify(shown['threads']);
  assert.match(threads, /Why\?/);
  for (const [, thread] of threads.matchAll(/"thread":"([0-9a-f]+)"/g))
    await value('gitlab_comment', { merge_request, thread, resolve: true });

  const run = await value('gitlab_run_pipeline', { project, action: 'run', ref: 'work', variables: ['A=b'] });
  assert.match(await said('gitlab_pipelines', { project, pipeline: run['pipeline'] }), /"name":"kuznia"/);
  await value('gitlab_run_pipeline', { project, action: 'cancel', pipeline: run['pipeline'] });

  await value('gitlab_write_ref', { project, tag: 'v1', from: 'work', message: 'First' });
  await value('gitlab_write_ref', { project, tag: 'v1', protect: true });
  await value('gitlab_write_ref', { project, tag: 'v1', protect: false });
  assert.match(await said('gitlab_history', { project, list: 'tags' }), /"v1"/);

  await value('git_clone', { project, folder: 'live', branch: 'work' });
  writeFileSync(join(root, 'live', 'b.txt'), 'b\n');
  await value('git_commit', { folder: 'live', message: 'Add b' });
  const { sha } = await value('git_push', { folder: 'live' });
  await value('git_pull', { folder: 'live' });
  assert.match(
    await fault('gitlab_merge', { merge_request, sha: String(shown['sha']) }),
    /no longer|cannot be merged now/,
  );
  // Whether it can be merged GitLab finds out in the background, too.
  let merged = '';
  for (let tries = 0; tries < 20 && !/"state":"merged"/.test(merged); tries++) {
    if (tries > 0) await new Promise((resolve) => setTimeout(resolve, 1000));
    merged = (await call('gitlab_merge', { merge_request, sha })).text;
  }
  assert.match(merged, /"state":"merged"/);
  await value('gitlab_delete_ref', { project, branch: 'work' });
  assert.match(await said('gitlab_read_file', { project, path: 'b.txt' }), /"text":"b/);
}
