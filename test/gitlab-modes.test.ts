import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bench } from './gitlab-kit.ts';

const P = 'group/forge';

test('a dry run sends nothing and says what it would send', async (t) => {
  const { value, writes } = await bench(t);
  const commit = await value('gitlab_commit', {
    project: P,
    branch: 'main',
    message: 'x',
    dry_run: true,
    actions: [{ action: 'edit', path: 'package.json', old_text: '1.0.0', new_text: '2.0.0' }],
  });
  assert.equal(commit['dry_run'], true);
  assert.match(JSON.stringify(commit['would_send']), /2\.0\.0/);
  assert.match(
    JSON.stringify(
      await value('gitlab_write_issue', { project: P, title: 'T', assignees: ['anna'], dry_run: true }),
    ),
    /"title":"T"/,
  );
  assert.match(
    JSON.stringify(await value('gitlab_write_ref', { project: P, branch: 'b', from: 'main', dry_run: true })),
    /repository\/branches/,
  );
  assert.match(
    JSON.stringify(
      await value('gitlab_run_pipeline', { project: P, action: 'run', ref: 'main', dry_run: true }),
    ),
    /"method":"POST".*pipeline/,
  );
  assert.match(
    JSON.stringify(await value('gitlab_delete_ref', { project: P, branch: 'b', dry_run: true })),
    /DELETE/,
  );
  assert.deepEqual(writes(), []);
});

test('read-only: no tool that writes is listed, and no request that writes is sent', async (t) => {
  const { client, fault, writes, value } = await bench(t, { GITLAB_READ_ONLY: 'true' });
  const tools = await client.tools();
  assert.ok(tools.includes('gitlab_show_issue'));
  for (const name of ['gitlab_write_issue', 'gitlab_commit', 'gitlab_merge', 'gitlab_delete_ref', 'git_push'])
    assert.ok(!tools.includes(name), name);
  assert.match(await fault('gitlab_lint_ci', { project: P, content: 'a: b' }), /read-only/);
  await value('gitlab_list_issues', { project: P, type: 'TASK' });
  assert.deepEqual(writes(), ['POST /api/graphql']);
});

test('toolsets choose what is listed', async (t) => {
  const { client, serve } = await bench(t, { GITLAB_TOOLSETS: 'core' });
  const core = await client.tools();
  assert.ok(
    core.includes('gitlab_commit') && !core.includes('gitlab_why_failed') && !core.includes('git_clone'),
  );
  const ci = await (await serve({ GITLAB_TOOLSETS: 'core,ci' })).client.tools();
  assert.ok(
    ci.includes('gitlab_why_failed') && ci.includes('gitlab_commit') && !ci.includes('gitlab_review'),
  );
  const all = await (await serve()).client.tools();
  assert.ok(all.length <= 34);
});
