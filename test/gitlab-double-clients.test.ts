import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import { startGitLab } from './doubles/gitlab/server.ts';
import { tempHome } from './support.ts';

/* What GitLab's own clients (python-gitlab, client-go, gitbeaker, glab, git) rely on, asked for as they ask. */

const run = promisify(execFile);
const row = z.record(z.string(), z.unknown());
const rows = z.array(row);

async function met(t: TestContext) {
  const double = await startGitLab();
  t.after(() => double.close());
  const { world } = double;
  const [root, anna] = [world.user('root'), world.user('anna')];
  world.token('glpat-root', root);
  world.token('glpat-anna', anna);
  const project = await world.project('group/forge', root, {
    'README.md': '# F\n',
    'src/a.ts': 'a\n',
    '.gitlab-ci.yml': 'test:\n  script: [echo]\n',
  });
  project.members.set(anna.id, 30);
  const ask = async (method: string, path: string, body?: unknown, token = 'glpat-root') => {
    const answer = await fetch(`${double.url}/api/v4/${path}`, {
      method,
      headers: {
        'private-token': token,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    const json: unknown = /^[[{]/.test(text) ? JSON.parse(text) : undefined;
    return { status: answer.status, headers: answer.headers, json, text };
  };
  const one = async (...args: Parameters<typeof ask>) => row.parse((await ask(...args)).json);
  const many = async (...args: Parameters<typeof ask>) => rows.parse((await ask(...args)).json);
  const create = (branch: string, file: string, content: string, start?: string) =>
    ask('POST', `${F}/repository/commits`, {
      branch,
      ...(start && { start_branch: start }),
      commit_message: `Add ${file}`,
      actions: [{ action: 'create', file_path: file, content }],
    });
  return { double, world, project, root, anna, ask, one, many, create };
}

const F = 'projects/group%2Fforge';
const MR = `${F}/merge_requests`;

test('a rebase makes the commits anew, in the background; one that does not fit says why', async (t) => {
  const { ask, one, create, project } = await met(t);
  await create('fix', 'fix.txt', '1\n', 'main');
  await create('main', 'main.txt', '1\n');
  const made = await one('POST', MR, { source_branch: 'fix', target_branch: 'main', title: 'Fix' });
  const rebased = async (iid: unknown) => {
    const started = await ask('PUT', `${MR}/${String(iid)}/rebase`);
    assert.deepEqual([started.status, started.json], [202, { rebase_in_progress: true }]);
    const query = 'include_rebase_in_progress=true&include_diverged_commits_count=True';
    for (let tries = 0; ; tries++) {
      const shown = await one('GET', `${MR}/${String(iid)}?${query}`);
      if (!shown['rebase_in_progress'] || tries > 200) return shown;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const shown = await rebased(made['iid']);
  assert.notEqual(shown['sha'], made['sha']);
  assert.deepEqual([shown['diverged_commits_count'], shown['merge_error']], [0, null]);
  assert.equal(shown['sha'], await project.repo.resolve('refs/heads/fix'));
  assert.ok(await project.repo.blob('fix', 'main.txt'));

  await create('clash', 'same.txt', 'ours\n', 'main');
  await create('main', 'same.txt', 'theirs\n');
  const clash = await one('POST', MR, { source_branch: 'clash', target_branch: 'main', title: 'C' });
  assert.match(String((await rebased(clash['iid']))['merge_error']), /Rebase failed/);
});

test('the diff stays what it was while others commit to the target; places of older versions stay good', async (t) => {
  const { ask, one, many, create } = await met(t);
  await create('fix', 'fix.txt', '1\n', 'main');
  const made = await one('POST', MR, { source_branch: 'fix', target_branch: 'main', title: 'Fix' });
  await create('main', 'main.txt', '1\n');
  assert.deepEqual((await one('GET', `${MR}/1`))['diff_refs'], made['diff_refs']);
  const place = { position_type: 'text', new_path: 'fix.txt', old_path: 'fix.txt', new_line: 1 };
  const position = { ...row.parse(made['diff_refs']), ...place };
  const comment = () => ask('POST', `${MR}/1/discussions`, { body: 'Why?', position });
  assert.equal((await comment()).status, 201);
  await create('fix', 'more.txt', '1\n');
  assert.equal((await comment()).status, 201);
  const versions = await many('GET', `${MR}/1/versions`);
  assert.equal(versions.length, 2);
  const old = await one('GET', `${MR}/1/versions/${String(versions[1]?.['id'])}`);
  assert.deepEqual(
    rows.parse(old['diffs']).map((each) => each['new_path']),
    ['fix.txt'],
  );
  const bare = { ...position, head_sha: '0'.repeat(40) };
  assert.equal((await ask('POST', `${MR}/1/discussions`, { body: 'x', position: bare })).status, 400);
});

test('a fork asks for its branch to be merged into the project it came from', async (t) => {
  const { ask, one, project, world } = await met(t);
  const fork = await one('POST', `${F}/fork`, { path: 'mine' });
  assert.equal(row.parse(fork['forked_from_project'])['path_with_namespace'], 'group/forge');
  const G = `projects/${String(fork['id'])}`;
  const actions = [{ action: 'create', file_path: 'f', content: 'f' }];
  await ask('POST', `${G}/repository/commits`, {
    branch: 'f',
    start_branch: 'main',
    commit_message: 'F',
    actions,
  });
  const values = { source_branch: 'f', target_branch: 'main', title: 'F' };
  const made = await one('POST', `${G}/merge_requests`, { ...values, target_project_id: project.id });
  assert.deepEqual(
    [made['source_project_id'], made['target_project_id'], made['project_id']],
    [fork['id'], project.id, project.id],
  );
  const merged = await one('PUT', `${MR}/${String(made['iid'])}/merge`, { sha: made['sha'] });
  assert.equal(merged['state'], 'merged');
  assert.equal(String(await project.repo.blob('main', 'f')), 'f');
  const other = await world.project('other/other', project.mergeRequests[0]?.author ?? assert.fail(), {
    a: 'a',
  });
  const refused = await ask('POST', `${G}/merge_requests`, { ...values, target_project_id: other.id });
  assert.equal(refused.status, 422);
});

test('a merge keeps the message given, and squashes into a commit that is named', async (t) => {
  const { ask, one, many, create, project } = await met(t);
  await create('two', 'one', '1', 'main');
  await create('two', 'two', '2');
  await one('POST', MR, { source_branch: 'two', target_branch: 'main', title: 'Both' });
  // What takes git, and is for one alone, is in no list.
  const [line = {}] = await many('GET', MR);
  for (const name of ['diff_refs', 'changes_count', 'head_pipeline', 'merge_error', 'user'])
    assert.ok(!(name in line), name);
  const merged = await one('PUT', `${MR}/1/merge`, { squash: true, merge_commit_message: 'Mine' });
  assert.ok(merged['squash_commit_sha']);
  assert.equal((await project.repo.git(['log', '-1', '--format=%s', 'main'])).trim(), 'Mine');
  const missing = await ask('POST', MR, { source_branch: 'two', target_branch: 'nope', title: 'x' });
  assert.deepEqual(
    [missing.status, missing.json],
    [400, { message: ['Target branch "nope" does not exist'] }],
  );
});

test('threads hold a merge up only where the project says so; who resolved one is told', async (t) => {
  const { ask, one, many, create } = await met(t);
  await create('b', 'b', 'b', 'main');
  await one('POST', MR, { source_branch: 'b', target_branch: 'main', title: 'B' });
  const thread = await one('POST', `${MR}/1/discussions`, { body: 'Why?' });
  const status = async () => (await one('GET', `${MR}/1`))['detailed_merge_status'];
  assert.equal(await status(), 'mergeable');
  await ask('PUT', F, { only_allow_merge_if_all_discussions_are_resolved: true });
  assert.equal(await status(), 'discussions_not_resolved');
  assert.equal((await ask('PUT', `${MR}/1/merge`, {})).status, 405);
  const draft = { note: 'So.', in_reply_to_discussion_id: thread['id'], resolve_discussion: true };
  const made = await one('POST', `${MR}/1/draft_notes`, draft);
  assert.deepEqual([made['discussion_id'], made['resolve_discussion']], [thread['id'], true]);
  assert.equal((await ask('PUT', `${MR}/1/draft_notes/${String(made['id'])}/publish`)).status, 204);
  const { notes } = await one('GET', `${MR}/1/discussions/${String(thread['id'])}`);
  const [first = {}, answer = {}] = rows.parse(notes);
  assert.deepEqual([first['resolved'], answer['body']], [true, 'So.']);
  assert.equal(row.parse(first['resolved_by'])['username'], 'root');
  assert.equal(await status(), 'mergeable');
  assert.equal((await many('GET', `${MR}/1/notes`)).length, 2);
});

test('protection is by pattern and by level, for the API and for git', async (t) => {
  const { double, ask, one, create } = await met(t);
  const rule = await one('POST', `${F}/protected_branches`, {
    name: 'rel-*',
    push_access_level: 40,
    merge_access_level: 30,
  });
  assert.equal(rows.parse(rule['merge_access_levels'])[0]?.['access_level'], 30);
  await create('rel-1', 'r', 'r', 'main');
  assert.equal((await one('GET', `${F}/repository/branches/rel-1`))['protected'], true);
  assert.equal((await ask('DELETE', `${F}/repository/branches/rel-1`)).status, 403);
  const actions = [{ action: 'create', file_path: 'z', content: 'z' }];
  const values = { branch: 'rel-1', commit_message: 'z', actions };
  assert.equal((await ask('POST', `${F}/repository/commits`, values, 'glpat-anna')).status, 403);

  const work = tempHome(t);
  const git = async (token: string, ...args: string[]) => {
    const url = double.url.replace('//', `//x:${token}@`);
    const who = ['-c', 'user.name=x', '-c', 'user.email=x@y.z'];
    const env = { ...process.env, GIT_TERMINAL_PROMPT: '0', LC_ALL: 'C' };
    try {
      await run('git', [...who, ...args.map((one) => one.replace('URL', url))], { cwd: work, env });
      return 'done';
    } catch (error) {
      return error instanceof Error ? error.message : '';
    }
  };
  assert.equal(await git('glpat-anna', 'clone', '-q', 'URL/group/forge.git', 'c'), 'done');
  const at = ['-C', join(work, 'c')];
  await git('glpat-anna', ...at, 'checkout', '-q', 'rel-1');
  await git('glpat-anna', ...at, 'commit', '-q', '--allow-empty', '-m', 'x');
  const push = (token: string, ...args: string[]) =>
    git(token, ...at, 'push', ...args.slice(0, -1), 'URL/group/forge.git', ...args.slice(-1));
  assert.match(await push('glpat-anna', 'rel-1'), /not allowed to push code to protected branches/);
  assert.equal(await push('glpat-root', 'rel-1'), 'done');
  assert.match(await push('glpat-root', '--force', 'main:rel-1'), /not allowed to force push/);
  assert.match(await push('glpat-root', ':main'), /only delete protected branches using the web/);
  assert.equal(await push('glpat-anna', 'rel-1:refs/heads/free'), 'done');
});

test('lists come in the order asked for, what was changed last first, and filtered', async (t) => {
  const { many, ask, world, root } = await met(t);
  for (const name of ['a', 'b', 'c']) await world.project(`many/${name}`, root);
  const paths = async (query: string) =>
    (await many('GET', `projects?${query}`)).map((one) => String(one['path']));
  assert.deepEqual(await paths(''), ['c', 'b', 'a', 'forge']);
  assert.deepEqual(await paths('order_by=path&sort=asc'), ['a', 'b', 'c', 'forge']);
  assert.deepEqual(await paths('visibility=public'), []);
  assert.ok(!('visibility' in ((await many('GET', 'projects?simple=True'))[0] ?? {})));
  for (const title of ['One', 'Two', 'Three']) await ask('POST', `${F}/issues`, { title, labels: title });
  const iids = async (query: string) =>
    (await many('GET', `${F}/issues?${query}`)).map((one) => Number(one['iid']));
  await ask('PUT', `${F}/issues/1`, { state_event: 'close' });
  assert.deepEqual(await iids(''), [3, 2, 1]);
  assert.deepEqual(await iids('order_by=updated_at'), [1, 3, 2]);
  assert.deepEqual(await iids('order_by=created_at&sort=asc'), [1, 2, 3]);
  assert.deepEqual(await iids('not[labels]=Two'), [3, 1]);
  assert.deepEqual(await iids('created_after=2099-01-01'), []);
  const [closed = {}] = await many('GET', `${F}/issues?state=closed`);
  assert.equal(row.parse(closed['closed_by'])['username'], 'root');
  assert.notEqual(closed['updated_at'], closed['created_at']);
  const tree = await many('GET', `${F}/repository/tree`);
  assert.deepEqual(
    tree.map((one) => one['name']),
    ['src', '.gitlab-ci.yml', 'README.md'],
  );
  const commits = await ask('GET', `${F}/repository/commits`);
  assert.deepEqual([commits.headers.get('x-total'), commits.headers.get('x-page')], [null, '1']);
});

test('what GitLab would refuse is refused: paths, branches that are not there, names', async (t) => {
  const { ask, create, project } = await met(t);
  for (const path of ['../x', 'a/../x', '/x', '.git/config', 'a//b'])
    assert.equal((await create('main', path, 'x')).status, 400, path);
  assert.equal(
    (await ask('POST', `${F}/repository/files/..%2Fx`, { branch: 'main', content: 'x', commit_message: 'x' }))
      .status,
    400,
  );
  assert.equal((await create('nowhere', 'x', 'x')).status, 400);
  assert.equal((await create('new', 'x', 'x', 'nowhere')).status, 400);
  assert.equal((await create('a..b', 'x', 'x', 'main')).status, 400);
  assert.deepEqual((await project.repo.git(['branch', '--format=%(refname:short)'])).trim(), 'main');
  for (const name of ['-x', 'refs/heads/x', 'HEAD']) {
    const tag = await ask('POST', `${F}/repository/tags`, { tag_name: name, ref: 'main', message: 'm' });
    const branch = await ask('POST', `${F}/repository/branches`, { branch: name, ref: 'main' });
    assert.deepEqual([tag.status, branch.status], [400, 400], name);
  }
  const number = await ask('POST', `${F}/issues`, { title: 42 });
  assert.equal(number.status, 201);
  const nul = await ask('POST', `${F}/issues`, { title: 'a\0b' });
  assert.deepEqual([nul.status, nul.text], [400, 'Bad Request']);
  assert.equal((await ask('POST', 'projects', { name: 'x', path: '-x' })).status, 400);
  const { json } = await ask('POST', 'projects', { name: 'Fresh One' });
  assert.deepEqual([row.parse(json)['path'], row.parse(json)['name']], ['fresh-one', 'Fresh One']);
});

test('tags, compares, blame and jobs tell all that a typed client reads', async (t) => {
  const { one, many, create, ask, world, project } = await met(t);
  const tag = await one('POST', `${F}/repository/tags`, { tag_name: 'v1', ref: 'main', message: 'First' });
  assert.equal(tag['message'], 'First');
  assert.notEqual(tag['target'], row.parse(tag['commit'])['id']);
  assert.ok(Number.isFinite(Date.parse(String(tag['created_at']))));
  await create('b', 'x', '1', 'main');
  await create('b', 'y', '2');
  const compared = await one('GET', `${F}/repository/compare?from=main&to=b`);
  assert.deepEqual(
    rows.parse(compared['commits']).map((each) => each['title']),
    ['Add x', 'Add y'],
  );
  assert.equal(row.parse(compared['commit'])['title'], 'Add y');
  const [diff = {}] = rows.parse(compared['diffs']);
  assert.deepEqual([diff['a_mode'], diff['b_mode']], ['0', '100644']);
  assert.equal((await one('GET', `${F}/repository/branches/b`))['merged'], false);
  const [part = {}] = await many('GET', `${F}/repository/files/README.md/blame?ref=main`);
  const blamed = row.parse(part['commit']);
  assert.ok(blamed['author_email'] && blamed['committed_date']);

  const pipeline = await one('POST', `${F}/pipeline`, { ref: 'main' });
  assert.equal(pipeline['iid'], 1);
  const [job = {}] = await many('GET', `${F}/pipelines/${String(pipeline['id'])}/jobs`);
  assert.equal(row.parse(job['commit'])['id'], pipeline['sha']);
  assert.deepEqual(await many('GET', `${F}/pipelines?sha=${'0'.repeat(40)}`), []);
  const [made] = project.pipelines;
  assert.ok(made);
  Object.assign(made, { status: 'success' });
  Object.assign(made.jobs[0] ?? {}, { status: 'success', artifacts: new Map([['a.txt', Buffer.from('A')]]) });
  const file = await ask('GET', `${F}/jobs/artifacts/main/raw/a.txt?job=test`);
  assert.equal(file.text, 'A');
  assert.equal((await ask('GET', `${F}/jobs/artifacts/main/download?job=test`)).status, 200);
  assert.equal((await ask('GET', `${F}/jobs/artifacts/main/download?job=other`)).status, 404);
  const member = await one('GET', `${F}/members/all/${world.users[1]?.id}`);
  assert.equal(member['username'], 'anna');
});
