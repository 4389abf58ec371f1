import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { acquire } from '../servers/sandbox/registry/lock.ts';
import { openRegistry } from '../servers/sandbox/registry/registry.ts';
import { answering, git, judged, opened, published, tempHome } from './registry-kit.ts';

test('locks: a dead holder is replaced at once, a living one is named, a stale one of git is removed', async (t) => {
  const home = tempHome(t);
  const registry = await opened(home);
  await registry.save(answering('slugify', 1));
  const path = join(home, 'registry.lock');
  const sleeper = spawn('sleep', ['60']);
  t.after(() => sleeper.kill());
  const holder = (pid: number, start: string) =>
    JSON.stringify({ pid, start, nonce: 'x', since: '2026-01-01' });
  const start = readFileSync(`/proc/${sleeper.pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[19] ?? '';
  writeFileSync(path, holder(sleeper.pid ?? 0, start));
  await assert.rejects(
    acquire(path, 100),
    new RegExp(`is busy: ${path} was not free.*process ${sleeper.pid} has held it since 2026-01-01`),
  );
  const dead = spawnSync('true').pid;
  for (const [what, text] of [
    ['its process is gone', holder(dead, start)],
    ['its process id belongs to another now', holder(sleeper.pid ?? 0, '1')],
    ['it is half written', '{"pid":'],
    ['it is empty', ''],
  ]) {
    writeFileSync(path, text ?? '');
    const started = performance.now();
    const lock = await acquire(path, 60_000);
    assert.ok(performance.now() - started < 10_000, what);
    assert.equal(lock.tookOver, true, what);
    await lock.release();
    assert.ok(!existsSync(path), what);
  }
  writeFileSync(path, holder(sleeper.pid ?? 0, start));
  const old = Date.now() / 1000 - 3600;
  utimesSync(path, old, old);
  await registry.save(answering('slugify', 2));

  const theirs = join(home, 'registry', '.git', 'refs', 'heads', 'main.lock');
  writeFileSync(theirs, '');
  utimesSync(theirs, old, old);
  writeFileSync(join(home, 'registry', '.git', 'index.lock'), '');
  await registry.save(answering('slugify', 3));
  await judged(registry, 'slugify');
  await registry.publish('slugify');
  assert.ok(!existsSync(theirs));

  const both = await Promise.all(
    Array.from({ length: 6 }, () => acquire(join(home, 'l'), 50).catch(() => undefined)),
  );
  assert.equal(both.filter((one) => one !== undefined).length, 1, 'one of six has it');
});

test('two writers that both believe they hold the lock lose nothing', async (t) => {
  const home = tempHome(t);
  const registries = await Promise.all(Array.from({ length: 3 }, () => openRegistry(home)));
  const path = join(home, 'registry.lock');
  const thief = setInterval(() => rmSync(path, { force: true }), 3);
  try {
    await Promise.all(
      registries.map(async (one, n) => {
        for (let i = 0; i < 4; i++) await published(one, `t${n}_${i}`, i);
      }),
    );
  } finally {
    clearInterval(thief);
    await Promise.all(registries.map((one) => one.close()));
  }
  const registry = await opened(home);
  assert.equal(registry.live().length, 12);
  git(home, 'fsck', '--full', '--strict');
  assert.equal(git(home, 'tag', '--list').split('\n').length, 12);
});
