import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noJournal } from '../kit/journal.ts';
import { Api } from '../servers/gitlab/client.ts';
import { gitlabConfig } from '../servers/gitlab/config.ts';
import { closeGitLab, openGitLab } from '../servers/gitlab/gitlab.ts';
import { bench, TOKEN } from './gitlab-kit.ts';
import { tempHome } from './support.ts';

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

test('the HTTP client itself refuses what writes in read-only mode, mutations of GraphQL always', async (t) => {
  const { double, project } = await bench(t);
  const home = tempHome(t);
  const open = (read_only: boolean) =>
    openGitLab(gitlabConfig.parse({ url: double.url, token: TOKEN, read_only }), {
      env: {},
      home,
      journal: noJournal,
    });
  const ctx = { signal: AbortSignal.timeout(20_000), journal: noJournal };
  const [reader, writer] = [await open(true), await open(false)];
  t.after(() => Promise.all([closeGitLab(reader), closeGitLab(writer)]));
  const [first] = reader.instances;
  const [second] = writer.instances;
  assert.ok(first && second);
  const api = new Api(first, ctx);
  for (const method of ['POST', 'PUT', 'DELETE'] as const)
    await assert.rejects(api.send(method, `projects/${project.id}/issues`, { title: 'x' }), /read-only/);
  const { issues } = await api.rest;
  await assert.rejects(issues.create(project.id, 'x'), /read-only/);
  for (const document of [
    'mutation { createNote(input: {}) { errors } }',
    'query a { currentUser { id } } mutation b { x }',
    '# a comment\nmutation{x}',
    'subscription { x }',
  ])
    for (const one of [first, second])
      await assert.rejects(new Api(one, ctx).graphql(document, {}), /only queries/);
  assert.deepEqual(
    double.sent.filter((one) => one.method !== 'GET'),
    [],
  );
  assert.ok(await api.graphql('query { currentUser { username } }', {}));
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
