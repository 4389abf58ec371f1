import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { ToolError } from '../kit/tool.ts';
import type { Registry } from '../servers/sandbox/registry/registry.ts';
import { answering, git, judged, opened, published, tempHome } from './registry-kit.ts';

/** Refused with this message, and as an error that a model may see. */
async function refuses(work: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(work, (error) =>
    error instanceof ToolError && message.test(error.message) ? true : assert.fail(String(error)),
  );
}

/** A home on a small file system in memory, which only root can make. */
function smallDisk(t: TestContext, size: string): string | undefined {
  const home = tempHome(t, (home) => spawnSync('umount', ['-l', home]));
  if (
    process.getuid?.() === 0 &&
    spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'none', home]).status === 0
  ) {
    return home;
  }
  if (process.env['REQUIRE_REAL'] === '1') assert.fail('a tmpfs cannot be mounted here');
  t.skip('needs root, to mount a tmpfs');
  return undefined;
}

test('a full disk loses nothing, and there is room again, it goes on', async (t) => {
  const home = smallDisk(t, '2m');
  if (home === undefined) return;
  const registry = await opened(home);
  await published(registry, 'slugify', 1);
  const noise = () => randomBytes(300_000).toString('base64');
  const fill = async () => {
    for (let n = 0; n < 20; n++) await registry.save({ ...answering('big', n), code: `// ${noise()}` });
  };
  await refuses(
    fill(),
    /^The disk that holds \S+ is full\. Nothing is lost: free some space and try again\.$/,
  );
  assert.equal((await registry.program('slugify')).code, 'export default () => 1;\n');
  const { versions } = (await registry.list()).find(({ name }) => name === 'big') ?? { versions: 0 };
  assert.equal(spawnSync('mount', ['-o', 'remount,size=20m', home]).status, 0);
  await registry.save({ ...answering('big', 99), code: `// ${noise()}` });
  assert.equal((await registry.versions('big')).length, versions + 1);
  git(home, 'fsck', '--full', '--strict');
});

test('a registry that cannot be written is still read', async (t) => {
  const root = process.getuid?.() === 0;
  const home = root ? smallDisk(t, '20m') : tempHome(t);
  if (home === undefined) return;
  const registry = await opened(home);
  await published(registry, 'slugify', 1);
  const lock = (on: boolean) => {
    if (root) spawnSync('mount', ['-o', `remount,${on ? 'ro' : 'rw'}`, home]);
    else chmodSync(join(home, 'registry', '.git'), on ? 0o500 : 0o700);
  };
  lock(true);
  try {
    for (const one of [registry, await opened(home)]) {
      await refuses(one.save(answering('other', 1)), /read-only file system|may not read and write/);
      await refuses(one.retire('slugify'), /Nothing is lost/);
      assert.equal((await one.program('slugify')).code, 'export default () => 1;\n');
      assert.equal((await one.read('slugify')).status, 'production');
    }
  } finally {
    lock(false);
  }
  await registry.save(answering('other', 1));
});

test('what is no registry is left alone', async (t) => {
  const home = tempHome(t);
  const folder = join(home, 'registry');
  mkdirSync(folder);
  const registry = await opened(home);
  assert.deepEqual(
    [await registry.list(), registry.warnings()],
    [[], []],
    'an empty folder is an empty registry',
  );
  await published(registry, 'slugify', 1);
  await registry.close();

  rmSync(folder, { recursive: true });
  mkdirSync(folder);
  writeFileSync(join(folder, 'thesis.txt'), 'mine');
  const blocked = await opened(home);
  const message = /registry exists but is not a git repository: .* Move it away, or set KUZNIA_HOME/;
  assert.match(blocked.warnings().join(), message);
  assert.deepEqual(blocked.live(), []);
  await refuses(blocked.list(), message);
  await refuses(blocked.save(answering('slugify', 1)), message);
  rmSync(folder, { recursive: true });
  writeFileSync(folder, 'a file');
  await refuses(blocked.save(answering('slugify', 1)), message);
  assert.equal(readFileSync(folder, 'utf8'), 'a file');
  rmSync(folder);
  await published(blocked, 'slugify', 2);
  assert.deepEqual(blocked.warnings(), []);

  rmSync(folder, { recursive: true });
  spawnSync('git', ['init', '-q', '-b', 'main', folder]);
  git(home, 'commit', '--allow-empty', '-m', 'theirs');
  const foreign = await opened(home);
  await refuses(foreign.save(answering('slugify', 1)), /is a git repository, but no registry of Kuźnia/);
  assert.equal(git(home, 'rev-list', '--count', 'main'), '1');
});

test('a registry of a newer Kuźnia is left alone', async (t) => {
  const home = tempHome(t);
  const registry = await opened(home);
  await published(registry, 'slugify', 1);
  await registry.close();
  writeFileSync(join(home, 'registry', 'format.json'), '{"format":2,"more":true}\n');
  git(home, 'commit', '-am', 'from the future');
  const at = git(home, 'rev-parse', 'main');
  const older = await opened(home);
  const message = /was written by a newer Kuźnia \(format 2; this one knows 1\)\. Update Kuźnia/;
  assert.match(older.warnings().join(), message);
  await refuses(older.save(answering('slugify', 2)), message);
  await refuses(older.read('slugify'), message);
  assert.equal(git(home, 'rev-parse', 'main'), at);
});

test('damaged HEAD, damaged branch, registry gone: told how to mend it, what is in memory runs on', async (t) => {
  const home = tempHome(t);
  const registry = await opened(home);
  await published(registry, 'slugify', 1);
  const runsOn = async () =>
    assert.equal((await registry.program('slugify')).code, 'export default () => 1;\n');
  await runsOn();
  const dotGit = join(home, 'registry', '.git');
  const at = git(home, 'rev-parse', 'main');
  const broken = async (one: Registry, message: RegExp) => {
    await refuses(one.save(answering('other', 1)), message);
    await refuses(one.read('slugify'), message);
    assert.match(one.warnings().join(), message);
  };
  writeFileSync(join(dotGit, 'HEAD'), 'garbage');
  const head = /If \S+HEAD does not say `ref: refs\/heads\/main`, write that into it/;
  await broken(await opened(home), head);
  await runsOn();
  writeFileSync(join(dotGit, 'HEAD'), 'ref: refs/heads/main\n');
  await registry.save(answering('other', 1));

  const last = git(home, 'rev-parse', 'main');
  assert.notEqual(last, at);
  writeFileSync(join(dotGit, 'refs', 'heads', 'main'), '');
  const branch = new RegExp(
    `The branch main in \\S+ is damaged or gone.* restore it with: git -C \\S+ update-ref refs/heads/main ${last}`,
  );
  await broken(await opened(home), branch);
  await runsOn();
  rmSync(join(dotGit, 'refs', 'heads', 'main'));
  git(home, 'update-ref', 'refs/heads/main', last);
  await registry.save(answering('other', 2));
  assert.equal((await registry.versions('other')).length, 2);

  rmSync(join(home, 'registry'), { recursive: true });
  assert.deepEqual(await registry.list(), []);
  assert.match(registry.warnings().join(), /main is gone/);
  assert.equal(registry.live().length, 1);
});

test('without git it says so, and nothing breaks', async (t) => {
  const home = tempHome(t);
  const registry = await opened(home);
  await published(registry, 'slugify', 1);
  await registry.close();
  const path = process.env['PATH'];
  process.env['PATH'] = '/nonexistent';
  try {
    const message = /The registry needs git, which is not in PATH: install it/;
    const blind = await opened(home);
    assert.match(blind.warnings().join(), message);
    await refuses(blind.save(answering('slugify', 2)), message);
    const empty = await opened(tempHome(t));
    await refuses(empty.save(answering('slugify', 2)), message);
    process.env['PATH'] = path;
    await blind.save(answering('slugify', 2));
    assert.equal((await blind.publish('slugify', '1.0.0')).version, '1.0.0');
    assert.deepEqual(blind.warnings(), []);
  } finally {
    process.env['PATH'] = path;
  }
});

test('a reader whose git dies goes on with another; a lost key is told', async (t) => {
  const home = tempHome(t);
  const registry = await opened(home);
  await published(registry, 'slugify', 1);
  const children = spawnSync('ps', ['-o', 'pid=,args=', '--ppid', String(process.pid)], {
    encoding: 'utf8',
  }).stdout;
  const pids = children
    .split('\n')
    .filter((line) => line.includes('cat-file'))
    .map((line) => Number.parseInt(line, 10));
  assert.ok(pids.length > 0);
  const reads = Array.from({ length: 20 }, () => registry.read('slugify'));
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  assert.equal((await Promise.all(reads)).length, 20);
  assert.equal((await registry.read('slugify')).version, '1.0.0');

  assert.equal(statSync(join(home, 'keys', 'registry.key')).mode & 0o777, 0o600);
  rmSync(join(home, 'keys', 'registry.key'));
  const keyless = await opened(home);
  assert.equal(keyless.live().length, 1, 'the public key is enough to read');
  await keyless.save(answering('slugify', 2));
  await refuses(
    judged(keyless, 'slugify'),
    /registry\.key is missing, while .* Restore the key, or move registry\.pub away/,
  );
});
