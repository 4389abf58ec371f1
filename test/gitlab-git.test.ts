import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bench, TOKEN } from './gitlab-kit.ts';
import { tempHome } from './support.ts';

const P = 'group/forge';

const git = (folder: string, ...args: string[]) =>
  execFileSync('git', ['-C', folder, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', GIT_CONFIG_GLOBAL: '/dev/null' },
  });

test('clone, branch, commit, push, pull: and the token is nowhere on disk', async (t) => {
  const root = tempHome(t);
  const { value, fault, project, double } = await bench(t, { GITLAB_ROOTS: root });
  const cloned = await value('git_clone', { project: P });
  const folder = join(root, 'forge');
  assert.deepEqual([cloned['folder'], cloned['branch'], cloned['changed']], [folder, 'main', []]);
  await value('git_branch', { folder: 'forge', branch: 'work', from: 'main' });
  writeFileSync(join(folder, 'new.txt'), 'new\n');
  writeFileSync(join(folder, 'README.md'), 'changed\n');
  assert.deepEqual((await value('git_status', { folder }))['changed'], [' M README.md', '?? new.txt']);
  assert.match(String((await value('git_diff', { folder }))['diff']), /\+changed/);
  const { sha } = await value('git_commit', { folder, message: 'Add new', paths: ['new.txt'] });
  assert.deepEqual((await value('git_status', { folder }))['changed'], [' M README.md']);
  assert.match(
    JSON.stringify((await value('git_push', { folder, dry_run: true }))['would_send']),
    /"push":"work"/,
  );
  assert.equal(await project.repo.resolve('work'), undefined);
  await value('git_push', { folder });
  assert.equal(await project.repo.resolve('work'), sha);
  assert.match(git(folder, 'log', '-1', '--format=%an <%ae>'), /Root <root@example.com>/);
  await project.repo.commit('work', undefined, 'From elsewhere', [
    { action: 'create', file_path: 'there.txt', content: Buffer.from('x') },
  ]);
  await value('git_pull', { folder });
  assert.ok(existsSync(join(folder, 'there.txt')));
  assert.match(
    JSON.stringify((await value('git_log', { folder }))['commits']),
    /From elsewhere.*Add new.*Begin/,
  );
  assert.match(await fault('git_clone', { project: P }), /not empty/);
  for (const file of readdirSync(join(folder, '.git'), { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, '.git', file);
    if (/config|HEAD|log/i.test(file) && !path.endsWith('logs')) {
      try {
        assert.ok(!readFileSync(path, 'utf8').includes(TOKEN), path);
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EISDIR')) throw error;
      }
    }
  }
  await value('git_branch', { folder, branch: 'main' }).catch(() => undefined);
  assert.ok(double.url);
});

test('a protected branch refuses, and a rejected push overwrites nothing', async (t) => {
  const root = tempHome(t);
  const { project, serve, double, anna } = await bench(t);
  double.world.token('glpat-annas-0123456789abcd', anna);
  // A developer's: maintainers may push to a protected branch.
  const { value, fault } = await serve({ GITLAB_ROOTS: root, GITLAB_TOKEN: 'glpat-annas-0123456789abcd' });
  await value('git_clone', { project: P });
  const folder = join(root, 'forge');
  writeFileSync(join(folder, 'x'), 'x');
  await value('git_commit', { folder, message: 'x' });
  assert.match(await fault('git_push', { folder }), /protected branch|refused the push/);
  await value('git_branch', { folder, branch: 'work', from: 'HEAD' });
  await project.repo.commit('work', 'main', 'first', [
    { action: 'create', file_path: 'y', content: Buffer.from('y') },
  ]);
  const theirs = await project.repo.resolve('work');
  assert.match(await fault('git_push', { folder }), /git_pull first/);
  assert.equal(await project.repo.resolve('work'), theirs);
  assert.match(await fault('git_pull', { folder }), /no fast-forward/);
  const maintainer = await serve({ GITLAB_ROOTS: root });
  await maintainer.value('git_branch', { folder, branch: 'main' });
  assert.equal((await maintainer.value('git_push', { folder }))['pushed'], 'main');
});

test('a hostile repository starts nothing and sends nothing', async (t) => {
  const root = tempHome(t);
  const { value, fault, double } = await bench(t, { GITLAB_ROOTS: root });
  await value('git_clone', { project: P });
  const folder = join(root, 'forge');
  const mark = join(root, 'ran');
  const program = join(root, 'evil.sh');
  writeFileSync(program, `#!/bin/sh\ntouch ${mark}\ncat\n`, { mode: 0o755 });
  for (const [key, text] of [
    ['core.fsmonitor', program],
    ['core.hooksPath', join(root, 'hooks')],
    ['filter.evil.clean', program],
    ['filter.evil.smudge', program],
    ['diff.evil.textconv', program],
    ['diff.external', program],
    ['core.pager', program],
    ['gpg.program', program],
    ['commit.gpgSign', 'true'],
    ['credential.helper', program],
    ['core.sshCommand', program],
    ['core.editor', program],
  ])
    git(folder, 'config', key ?? '', text ?? '');
  mkdirSync(join(root, 'hooks'));
  mkdirSync(join(folder, '.git', 'hooks'), { recursive: true });
  for (const hook of ['pre-commit', 'post-commit', 'post-checkout', 'pre-push', 'post-merge'])
    writeFileSync(join(root, 'hooks', hook), `#!/bin/sh\ntouch ${mark}\n`, { mode: 0o755 });
  writeFileSync(join(folder, '.git', 'hooks', 'pre-commit'), `#!/bin/sh\ntouch ${mark}\n`, { mode: 0o755 });
  writeFileSync(join(folder, '.gitattributes'), '* filter=evil diff=evil\n');
  writeFileSync(join(folder, 'README.md'), 'changed\n');
  await value('git_status', { folder });
  await value('git_diff', { folder });
  await value('git_branch', { folder, branch: 'work', from: 'HEAD' });
  await value('git_commit', { folder, message: 'All' });
  await value('git_push', { folder });
  await value('git_log', { folder });
  assert.equal(existsSync(mark), false, 'a program of the repository ran');
  git(folder, 'config', `url.http://127.0.0.1:9/.insteadOf`, `${double.url}/`);
  assert.match(await fault('git_push', { folder }), /\.git\/config .*sets url\..*insteadof/i);
  git(folder, 'config', '--unset', `url.http://127.0.0.1:9/.insteadOf`);
  git(folder, 'config', 'remote.origin.url', 'https://evil.example/group/forge.git');
  assert.match(await fault('git_push', { folder }), /evil.example is no GitLab of this configuration/);
  git(folder, 'config', 'remote.origin.url', `ext::sh -c touch% ${mark}`);
  assert.match(await fault('git_pull', { folder }), /no project|no GitLab/);
  assert.equal(existsSync(mark), false);
});

test('a remote that is named like the address, push options and other ways out of .git/config', async (t) => {
  const root = tempHome(t);
  const { value, fault, project, double } = await bench(t, { GITLAB_ROOTS: root });
  await value('git_clone', { project: P });
  const folder = join(root, 'forge');
  const mark = join(root, 'ran');
  const address = git(folder, 'config', 'remote.origin.url').trim();
  // git takes an address on its command line for the name of a remote first (git-fetch(1), "named remote").
  git(folder, 'config', `remote.${address}.url`, `ext::sh -c touch% ${mark}`);
  git(folder, 'config', 'protocol.ext.allow', 'always');
  git(folder, 'config', 'push.pushOption', 'ci.skip');
  git(folder, 'config', 'push.gpgSign', 'true');
  git(folder, 'config', 'push.followTags', 'true');
  await value('git_branch', { folder, branch: 'work', from: 'HEAD' });
  git(folder, '-c', 'user.name=x', '-c', 'user.email=x@x', 'tag', '-a', '-m', 'x', 'unasked');
  writeFileSync(join(folder, 'x'), 'x');
  const { sha } = await value('git_commit', { folder, message: 'x' });
  await value('git_push', { folder });
  await value('git_pull', { folder });
  assert.equal(existsSync(mark), false, 'a remote of .git/config was spoken to');
  assert.equal(await project.repo.resolve('work'), sha);
  assert.equal(await project.repo.resolve('refs/tags/unasked'), undefined, 'a tag was pushed unasked');
  for (const key of ['fetch.bundleURI', 'http.followRedirects', `http.${double.url}/.proxy`]) {
    git(folder, 'config', key, `${double.url}/bundle`);
    assert.match(await fault('git_pull', { folder }), /\.git\/config .*(fetch\.bundleuri|http\.)/i, key);
    git(folder, 'config', '--unset', key);
  }
  // A folder that is no repository of its own, but lends its configuration.
  writeFileSync(join(folder, '.git', 'commondir'), `${folder}/.git\n`);
  assert.match(await fault('git_status', { folder }), /commondir/);
});

test('a root that is a checkout itself: a clone goes where it was asked to', async (t) => {
  const root = tempHome(t);
  const { value, serve } = await bench(t, { GITLAB_ROOTS: root });
  await value('git_clone', { project: P });
  const inner = join(root, 'forge');
  const other = await serve({ GITLAB_ROOTS: inner });
  await other.value('git_branch', { folder: '.', branch: 'work', from: 'HEAD' });
  await other.value('git_clone', { project: P, folder: 'second' });
  assert.deepEqual((await other.value('git_status', { folder: '.' }))['branch'], 'work');
  const second = await other.value('git_status', { folder: 'second' });
  assert.deepEqual([second['branch'], second['changed']], ['main', []]);
});

test('folders outside the roots, links out of them, and refs that are options are refused', async (t) => {
  const root = tempHome(t);
  const outside = tempHome(t);
  const { value, fault } = await bench(t, { GITLAB_ROOTS: root });
  symlinkSync(outside, join(root, 'link'));
  symlinkSync(join(outside, 'nowhere'), join(root, 'dangling'));
  for (const folder of ['..', '../x', outside, 'link', 'link/x', 'dangling', '/etc'])
    assert.match(await fault('git_clone', { project: P, folder }), /not inside/, folder);
  await value('git_clone', { project: P });
  for (const ref of ['--output=/tmp/x', '-x', 'a..b', 'a b', 'HEAD@{1}', '']) {
    assert.match(await fault('git_log', { folder: 'forge', ref }), /no branch, tag or commit/, ref);
    assert.match(await fault('git_diff', { folder: 'forge', from: ref }), /no branch, tag or commit/, ref);
    assert.match(await fault('git_branch', { folder: 'forge', branch: ref, from: 'main' }), /no branch/, ref);
  }
  assert.match(await fault('git_diff', { folder: 'forge', path: '../x' }), /no path inside/);
  writeFileSync(join(root, 'linked'), '');
  mkdirSync(join(root, 'foreign'));
  writeFileSync(join(root, 'foreign', '.git'), `gitdir: ${join(root, 'forge', '.git')}\n`);
  assert.match(await fault('git_status', { folder: 'foreign' }), /no git repository of its own/);
});
