import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { bench } from './gitlab-kit.ts';
import { tempHome } from './support.ts';

const P = 'group/forge';

const git = (folder: string, ...args: string[]) =>
  execFileSync('git', ['-C', folder, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', GIT_CONFIG_GLOBAL: '/dev/null' },
  });

/** A checkout, and a program that leaves a mark when it is run. */
async function checkout(t: TestContext) {
  const root = tempHome(t);
  const found = await bench(t, { GITLAB_ROOTS: root });
  await found.value('git_clone', { project: P });
  const folder = join(root, 'forge');
  const mark = join(root, 'ran');
  const program = join(root, 'evil.sh');
  writeFileSync(program, `#!/bin/sh\necho "$0 $*" >> ${mark}\ncat\n`, { mode: 0o755 });
  const ran = () => (existsSync(mark) ? readFileSync(mark, 'utf8') : '');
  /** All that git tools do, changes and remotes included; refusals are answers too. */
  const everything = async () => {
    const said: string[] = [];
    const calls: [string, Record<string, unknown>][] = [
      ['git_status', {}],
      ['git_diff', {}],
      ['git_log', {}],
      ['git_branch', { branch: `b${Math.random().toString(36).slice(2, 10)}`, from: 'HEAD' }],
      ['git_commit', { message: 'x' }],
      ['git_push', {}],
      ['git_pull', {}],
      ['git_branch', { branch: 'main' }],
    ];
    for (const [tool, input] of calls) {
      const { text } = await found.client.call(tool, { folder, ...input });
      said.push(text);
    }
    return said.join('\n');
  };
  return { ...found, root, folder, program, mark, ran, everything };
}

test('no setting of a repository starts a program, leads elsewhere or reads another configuration', async (t) => {
  const { folder, root, program, everything, ran, double, fault } = await checkout(t);
  const other = join(root, 'other.config');
  writeFileSync(other, `[core]\n\tfsmonitor = ${program}\n\tsshCommand = ${program}\n`);
  const include = /\.git\/config .*sets (include|includeif)/i;
  const elsewhere = /\.git\/config .*sets/;
  const settings: [key: string, value: string, refused?: RegExp][] = [
    ['core.fsmonitor', program],
    ['core.sshCommand', program],
    ['core.editor', program],
    ['core.pager', program],
    ['core.askPass', program],
    ['core.gitProxy', program, elsewhere],
    ['core.alternateRefsCommand', program, elsewhere],
    ['core.attributesFile', join(root, 'attributes')],
    ['core.worktree', root, elsewhere],
    ['sequence.editor', program],
    ['credential.helper', `!${program}`],
    [`credential.${double.url}.helper`, `!${program}`],
    ['gpg.program', program],
    ['gpg.ssh.program', program],
    ['gpg.format', 'ssh'],
    ['user.signingKey', '/dev/null'],
    ['commit.gpgSign', 'true'],
    ['log.showSignature', 'true'],
    ['alias.status', `!${program}`],
    ['alias.log', `!${program}`],
    ['diff.external', program],
    ['diff.evil.command', program],
    ['diff.evil.textconv', program],
    ['filter.evil.clean', program],
    ['filter.evil.smudge', program],
    ['filter.evil.process', program],
    ['filter.evil.required', 'true'],
    ['merge.evil.driver', program],
    ['merge.default', 'evil'],
    ['interactive.diffFilter', program],
    ['trailer.x.cmd', program],
    ['protocol.allow', 'always'],
    ['protocol.ext.allow', 'always'],
    ['protocol.file.allow', 'always'],
    ['remote.origin.pushurl', `ext::${program}`],
    ['remote.origin.uploadpack', program, elsewhere],
    ['remote.origin.receivepack', program, elsewhere],
    ['remote.origin.vcs', 'ext', elsewhere],
    ['remote.origin.proxy', 'http://127.0.0.1:9', elsewhere],
    ['remote.pushDefault', 'evil'],
    ['remote.evil.url', `ext::${program}`],
    ['branch.main.remote', 'evil'],
    ['branch.main.pushRemote', 'evil'],
    ['url.http://127.0.0.1:9/.insteadOf', `${double.url}/`, elsewhere],
    ['url.http://127.0.0.1:9/.pushInsteadOf', `${double.url}/`, elsewhere],
    ['http.proxy', 'http://127.0.0.1:9', elsewhere],
    ['http.sslVerify', 'false', elsewhere],
    ['http.cookieFile', '/etc/passwd', elsewhere],
    [`http.${double.url}/.extraHeader`, 'X: y', elsewhere],
    ['include.path', other, include],
    ['includeIf.gitdir:/.path', other, include],
    ['includeIf.onbranch:main.path', other, include],
    ['fetch.recurseSubmodules', 'true'],
    ['submodule.recurse', 'true'],
    ['push.recurseSubmodules', 'on-demand'],
    ['submodule.evil.update', `!${program}`],
    ['submodule.evil.url', `ext::${program}`],
    ['uploadpack.packObjectsHook', program, elsewhere],
    ['extensions.worktreeConfig', 'true', elsewhere],
  ];
  writeFileSync(join(root, 'attributes'), '* filter=evil diff=evil merge=evil\n');
  writeFileSync(join(folder, '.gitattributes'), '* filter=evil diff=evil merge=evil\n');
  const config = join(folder, '.git', 'config');
  const clean = readFileSync(config, 'utf8');
  const put = (key: string, value: string) => git(folder, 'config', '--file', config, key, value);
  // All that are overruled at once, and what each tool does meanwhile.
  for (const [key, value, refused] of settings) if (!refused) put(key, value);
  appendFileSync(join(folder, 'README.md'), 'more\n');
  const said = await everything();
  assert.equal(ran(), '');
  assert.doesNotMatch(said, elsewhere);
  assert.match(said, /"pushed":"b/);
  // Those that cannot be: one by one, and nothing is done.
  for (const [key, value, refused] of settings) {
    if (!refused) continue;
    writeFileSync(config, clean);
    put(key, value);
    for (const tool of ['git_status', 'git_push']) assert.match(await fault(tool, { folder }), refused, key);
    assert.equal(ran(), '', key);
  }
});

test('submodules, hooks and links in the repository lead nowhere', async (t) => {
  const { folder, program, everything, ran, project, value, fault } = await checkout(t);
  const outside = tempHome(t);
  writeFileSync(join(outside, 'secret.txt'), 'SECRET\n');
  rmSync(join(folder, '.git', 'hooks'), { recursive: true, force: true });
  mkdirSync(join(folder, '.git', 'hooks'));
  for (const hook of ['pre-commit', 'post-checkout', 'post-merge', 'pre-push', 'reference-transaction'])
    writeFileSync(join(folder, '.git', 'hooks', hook), `#!/bin/sh\nexec ${program} </dev/null\n`, {
      mode: 0o755,
    });
  writeFileSync(
    join(folder, '.gitmodules'),
    `[submodule "x"]\n\tpath = x\n\turl = ext::${program}\n\tupdate = !${program}\n`,
  );
  git(folder, 'update-index', '--add', '--cacheinfo', `160000,${'a'.repeat(40)},x`);
  symlinkSync(outside, join(folder, 'link'));
  symlinkSync(join(outside, 'secret.txt'), join(folder, 'secret'));
  const said = await everything();
  assert.equal(ran(), '');
  assert.doesNotMatch(said, /SECRET/);
  assert.doesNotMatch(
    JSON.stringify(await value('git_diff', { folder, path: 'link/secret.txt' }).catch(() => '')),
    /SECRET/,
  );

  // A branch that brings a file below a link writes into the checkout, or nowhere.
  await project.repo.commit('below', 'main', 'x', [
    { action: 'create', file_path: 'link/new.txt', content: Buffer.from('x') },
  ]);
  await value('git_pull', { folder }).catch(() => undefined);
  await value('git_branch', { folder, branch: 'below-here', from: 'refs/remotes/origin/below' }).catch(
    () => undefined,
  );
  assert.deepEqual(readdirSync(outside), ['secret.txt']);

  // Parts of .git that lie elsewhere: what would be written there is not ours.
  for (const part of ['refs', 'objects', 'logs', 'config', 'HEAD', 'index', 'info']) {
    const [own, away] = [join(folder, '.git', part), join(outside, part)];
    if (!existsSync(own)) continue;
    renameSync(own, away);
    symlinkSync(away, own);
    assert.match(await fault('git_status', { folder }), /leads out of/, part);
    rmSync(own);
    renameSync(away, own);
  }
  const lent = join(folder, '.git', 'objects', 'info', 'alternates');
  mkdirSync(join(folder, '.git', 'objects', 'info'), { recursive: true });
  writeFileSync(lent, `${outside}\n`);
  assert.match(await fault('git_log', { folder }), /objects\/info\/alternates.*leads out of/);
  rmSync(lent);
  assert.ok((await value('git_status', { folder }))['branch']);
});
