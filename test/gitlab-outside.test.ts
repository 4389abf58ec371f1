import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { keep } from './auth-kit.ts';
import { runFolder } from '../servers/gitlab/run-folder.ts';
import { startGitLab } from './doubles/gitlab/server.ts';
import { bench } from './gitlab-kit.ts';
import { tempHome } from './support.ts';

/* What strangers met: lost answers, large archives, arguments that mean nothing there. */

const P = 'group/forge';
const run = promisify(execFile);

async function changed(t: Parameters<typeof bench>[0]) {
  const found = await bench(t);
  const { project, double, root } = found;
  await project.repo.commit('fix', 'main', 'Fix', [
    { action: 'create', file_path: 'fix.txt', content: Buffer.from('x\n') },
  ]);
  double.world.mergeRequest(project, root, 'Fix', 'fix');
  const sha = (await project.repo.resolve('refs/heads/fix')) ?? assert.fail();
  const puts = () => double.sent.filter((one) => one.method === 'PUT' && one.path.endsWith('/merge')).length;
  return { ...found, sha, puts, at: { project: P, merge_request: 1, sha } };
}

test('a merge whose answer is lost: looked at, and said to be done where it was', async (t) => {
  const { value, double, project, at, puts } = await changed(t);
  double.faults.push({ method: 'PUT', path: /\/merge$/, times: 1, cut: true });
  const merged = await value('gitlab_merge', at);
  assert.equal(merged['state'], 'merged');
  assert.equal(merged['commit'], await project.repo.resolve('refs/heads/main'));
  assert.equal(puts(), 1);
});

test('a merge whose answer is lost, where looking does not help, is not sent twice', async (t) => {
  const { fault, double, project, at, puts } = await changed(t);
  const path = /\/merge_requests\/1/;
  double.faults.push({ method: 'PUT', path, times: 1, status: 504 });
  assert.match(await fault('gitlab_merge', at), /504.*may have done it: check/);
  assert.equal(project.mergeRequests[0]?.state, 'opened');
  double.faults.push({ method: 'PUT', path, times: 1, cut: true });
  double.faults.push({ method: 'GET', path, times: 9, after: 2, status: 500 });
  assert.match(await fault('gitlab_merge', at), /broke the connection.*may have done it: check/);
  assert.deepEqual([puts(), project.mergeRequests[0]?.state], [2, 'merged']);
});

test('a review whose server was killed half-way is gone on with; drafts of anything else are left alone', async (t) => {
  const { value, fault, project, root } = await changed(t);
  const mr = project.mergeRequests[0] ?? assert.fail();
  const comments = ['a', 'b', 'c'].map((text) => ({ file: 'fix.txt', line: 1, text }));
  const review = { project: P, merge_request: 1, comments };
  const refs = {
    base_sha: await project.repo.resolve('main'),
    start_sha: await project.repo.resolve('main'),
    head_sha: await project.repo.resolve('refs/heads/fix'),
  };
  const position = { position_type: 'text', ...refs, new_path: 'fix.txt', old_path: 'fix.txt', new_line: 1 };
  const draft = (id: number, note: string) => ({ id, note, author: root, position });
  // The end of it, as a publishing that stopped half-way leaves it: sent again, the beginning would be there twice.
  mr.drafts = [draft(8, 'b'), draft(9, 'c')];
  assert.match(await fault('gitlab_review', review), /2 unpublished draft comments.*not of this review/);
  mr.drafts = [draft(8, 'a'), draft(9, 'b')];
  assert.equal((await value('gitlab_review', review))['published'], 3);
  const said = mr.discussions.flatMap((one) => one.notes.map((note) => note.body));
  assert.deepEqual([said, mr.drafts], [['a', 'b', 'c'], []]);
});

test('a fork is changed, and its branch offered to the project it came from', async (t) => {
  const { value, fault, double, project } = await bench(t);
  await value('gitlab_create_project', { path: 'root/mine', fork_of: P });
  const fork = 'root/mine';
  await value('gitlab_commit', {
    project: fork,
    branch: 'idea',
    start_branch: 'main',
    message: 'An idea',
    actions: [{ action: 'create', path: 'idea.txt', content: 'x' }],
  });
  const made = await value('gitlab_write_merge_request', {
    project: fork,
    source_branch: 'idea',
    target_project: P,
  });
  assert.match(String(made['url']), /group\/forge\/-\/merge_requests\/1$/);
  const shown = await value('gitlab_show_merge_request', { project: P, merge_request: 1 });
  assert.match(JSON.stringify(await value('gitlab_diff', { project: P, merge_request: 1 })), /idea\.txt/);
  await value('gitlab_merge', { project: P, merge_request: 1, sha: shown['sha'] });
  assert.equal(String(await project.repo.blob('main', 'idea.txt')), 'x');
  assert.match(
    await fault('gitlab_write_merge_request', { project: P, merge_request: 1, target_project: fork }),
    /`target_project` is for a new/,
  );
  assert.ok(double.url);
});

test('a rebase is waited for: the answer has the sha to merge with, or why it did not do', async (t) => {
  const { value, fault, project, sha } = await changed(t);
  const add = (branch: string, file_path: string, text: string, start?: string) =>
    project.repo.commit(branch, start, file_path, [
      { action: 'create', file_path, content: Buffer.from(text) },
    ]);
  await add('main', 'other.txt', 'x');
  const shown = await value('gitlab_write_merge_request', { project: P, merge_request: 1, rebase: true });
  assert.equal(shown['rebase'], 'done');
  assert.notEqual(shown['sha'], sha);
  const merged = await value('gitlab_merge', { project: P, merge_request: 1, sha: shown['sha'] });
  assert.equal(merged['state'], 'merged');
  await add('clash', 'same.txt', 'ours', 'main');
  await add('main', 'same.txt', 'theirs');
  await value('gitlab_write_merge_request', { project: P, source_branch: 'clash' });
  assert.match(
    await fault('gitlab_write_merge_request', { project: P, merge_request: 2, rebase: true }),
    /Rebase failed.*Nothing was changed/,
  );
});

test('an archive of 200 MB is listed by its end; where parts are not served, it says what to give', async (t) => {
  const { value, fault, double, project } = await bench(t);
  const artifacts = new Map<string, Buffer>();
  const part = Buffer.alloc(10 * 1024 * 1024);
  for (let at = 0; at < 20; at++) artifacts.set(`out/part${at}.bin`, part);
  artifacts.set('report.txt', Buffer.from('All is well.\n'));
  const pipeline = double.world.pipeline(project, 'main', 'a'.repeat(40));
  const job = double.world.job(pipeline, 'build', 'success', { artifacts });
  const listed = await value('gitlab_artifacts', { project: P, job: job.id });
  assert.equal(listed['total'], 21);
  assert.match(JSON.stringify(listed['files']), /"out\/part19\.bin","bytes":10485760/);
  double.world.archiveParts = false;
  assert.match(
    await fault('gitlab_artifacts', { project: P, job: job.id }),
    /too large to be listed\. Give `path`/,
  );
  assert.match(
    await fault('gitlab_artifacts', { project: P, job: job.id, path: 'out/part0.bin' }),
    /larger than 4 MB.*Download it/,
  );
  const { text } = await value('gitlab_artifacts', { project: P, job: job.id, path: 'report.txt' });
  assert.equal(text, 'All is well.\n');
});

test('each error names the argument that is wrong, and what to give', async (t) => {
  const { fault } = await changed(t);
  const cases: [tool: string, input: Record<string, unknown>, said: RegExp][] = [
    [
      'gitlab_write_merge_request',
      { project: P, merge_request: 1, source_branch: 'x' },
      /`source_branch` is for a new/,
    ],
    [
      'gitlab_write_merge_request',
      { project: P, source_branch: 'fix', rebase: true },
      /`rebase` is for a merge request that/,
    ],
    ['gitlab_history', { project: P, search: 'x' }, /`search` looks at names of branches and tags/],
    ['gitlab_show_issue', { project: P }, /`issue`: missing: expected string/],
    ['gitlab_list_issues', { project: P, search: 'x'.repeat(100_000) }, /argument is too long.*Shorten/],
    ['gitlab_read_file', { project: P, path: 'x'.repeat(100_000) }, /^.{0,200}longer than a path can be/],
    ['gitlab_diff', { project: P, merge_request: 1, file: 'x'.repeat(9000) }, /^.{0,200}is not changed/],
    ['gitlab_list_issues', { project: P, type: 'rm -rf' }, /`type` is none that this GitLab has.*EPIC/],
    ['gitlab_create_project', { path: 'nobody/x' }, /no group or user `nobody`.*`path`.*gitlab_find/],
    ['gitlab_create_project', { path: 'x'.repeat(300) }, /too long/],
    ['gitlab_write_ref', { project: P, tag: 'v1', from: 'gone' }, /`from` is no branch.*gitlab_history/],
    ['gitlab_write_ref', { project: P, branch: 'v1', from: 'gone' }, /`from` is no branch.*gitlab_history/],
  ];
  for (const [tool, input, said] of cases) assert.match(await fault(tool, input), said, tool);
});

test("git's words become ours: names that are not there", async (t) => {
  const { value, fault } = await bench(t, { GITLAB_ROOTS: tempHome(t) });
  assert.match(await fault('git_clone', { project: P, branch: 'gone' }), /knows no `gone`.*gitlab_history/);
  await value('git_clone', { project: P });
  const folder = 'forge';
  assert.match(await fault('git_log', { folder, ref: 'gone' }), /knows no `gone`/);
  assert.match(await fault('git_diff', { folder, from: 'gone' }), /knows no `gone`/);
  assert.match(await fault('git_branch', { folder, branch: 'new', from: 'gone' }), /knows no `gone`/);
  assert.match(
    await fault('git_commit', { folder, message: 'x', paths: ['gone.txt'] }),
    /no file `gone\.txt`.*git_status/,
  );
});

test('a pull says what is missing: a branch on GitLab, or any branch here', async (t) => {
  const { value, fault } = await bench(t, { GITLAB_ROOTS: tempHome(t) });
  const { folder: path } = await value('git_clone', { project: P });
  const folder = 'forge';
  await value('git_branch', { folder, branch: 'mine', from: 'main' });
  assert.match(await fault('git_pull', { folder }), /mine is not on GitLab.*git_push/);
  await run('git', ['-C', String(path), 'checkout', '--quiet', '--detach']);
  assert.match(await fault('git_pull', { folder }), /No branch is checked out.*git_branch/);
});

test('a server killed while git ran leaves the token on disk no longer than to the next start', async (t) => {
  const { serve } = await bench(t);
  const home = tempHome(t);
  const ours = await runFolder(home, 'askpass');
  // A process that has ended: its id names nobody.
  const gone = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(gone, 'close');
  const dead = ours.folder.replace(`-${process.pid}-`, `-${gone.pid}-`);
  mkdirSync(dead);
  writeFileSync(join(dead, 'token'), 'x');
  await serve({}, undefined, home);
  assert.deepEqual([dead, ours.folder].map(existsSync), [false, true]);
  // The auth server's socket stands there too, for as long as that runs.
  const socket = join(home, 'run', 'code-a1b2c3d4.sock');
  writeFileSync(socket, '');
  const yesterday = Date.now() / 1000 - 86_400;
  for (const path of [socket, ours.folder]) utimesSync(path, yesterday, yesterday);
  await serve({}, undefined, home);
  assert.deepEqual([ours.folder, socket].map(existsSync), [false, true]);
});

test('two GitLabs, one by a sign-in that is kept, one by a token: each gets its own', async (t) => {
  const { double, serve } = await bench(t);
  const home = tempHome(t);
  const other = await startGitLab();
  t.after(() => other.close());
  const ola = other.world.user('ola');
  other.world.token('oauth-of-the-other-1', ola);
  await other.world.project('team/site', ola, { 'a.txt': 'theirs\n' });
  const client = { issuer: 'http://127.0.0.1:9', client_id: 'kuznia', scope: 'api' };
  const kept = { client, access_token: 'oauth-of-the-other-1', expires_at: Date.now() + 3_600_000 };
  await keep(home, { work: { kind: 'oauth', value: JSON.stringify(kept) } });
  const instances = [{ name: 'work', url: other.url, token: 'secret://work' }];
  writeFileSync(join(home, 'kuznia.json'), JSON.stringify({ servers: { gitlab: { instances } } }));
  const { value } = await serve({}, undefined, home);
  const read = async (project: string, path: string) =>
    (await value('gitlab_read_file', { project, path }))['text'];
  assert.equal(await read('work:team/site', 'a.txt'), 'theirs\n');
  assert.equal(await read(`${other.url}/team/site`, 'a.txt'), 'theirs\n');
  assert.match(String(await read(P, 'README.md')), /Forge/);
  assert.deepEqual([...new Set(other.sent.map((one) => one.authorization))], ['Bearer oauth-of-the-other-1']);
  assert.ok(double.sent.every((one) => one.authorization !== 'Bearer oauth-of-the-other-1'));
});
