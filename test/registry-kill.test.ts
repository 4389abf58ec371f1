import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { openRegistry } from '../servers/sandbox/registry/registry.ts';
import { answering, bundledWorker, git, startWorker, tempHome } from './registry-kit.ts';

const rounds = Number(process.env['KUZNIA_KILLS'] ?? 5);
const real = process.env['REQUIRE_REAL'] === '1' || process.env['KUZNIA_REAL'] !== undefined;

/** The processes that `pid` started, and theirs. */
function descendants(pid: number): number[] {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`);
    const children = tasks.flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' '),
    );
    const pids = children.map(Number).filter((one) => one > 0);
    return pids.flatMap((one) => [one, ...descendants(one)]);
  } catch {
    return [];
  }
}

function fsck(home: string): string {
  const done = spawnSync('git', ['-C', join(home, 'registry'), 'fsck', '--full', '--strict'], {
    encoding: 'utf8',
  });
  return done.status === 0 ? '' : `${done.status}: ${done.stderr}`;
}

test(`killed at ${rounds} random moments, the registry opens with the old or the new state`, async (t) => {
  const worker = await bundledWorker(t);
  const home = tempHome(t);
  let acknowledged = 0;
  for (let round = 0; round < rounds; round++) {
    const name = `k${round % 4}`;
    const { child, lines, ended } = startWorker(worker, ['churn', home, name]);
    while (lines.length === 0 && child.exitCode === null) await pause(2);
    await pause(Math.random() * 350);
    // Every other time its git processes die with it, at the same instant.
    const gits = round % 2 === 1 ? descendants(child.pid ?? 0) : [];
    child.kill('SIGKILL');
    for (const pid of gits) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It was done already.
      }
    }
    assert.equal(await ended, null, 'the worker ended by itself');
    acknowledged += lines.length;

    const registry = await openRegistry(home);
    try {
      const steps = lines
        .map((line) => line.split(' '))
        .map(([step = '', version = '']) => ({ step, version }));
      const versions = await registry.versions(name);
      for (const { step, version } of steps) {
        const found = versions.find((one) => one.version === version);
        assert.ok(found, `round ${round}: ${step} ${version} was acknowledged and is gone`);
        if (step === 'verdict')
          assert.equal(found.passed, true, `round ${round}: the verdict on ${version} is gone`);
      }
      const last = steps.findLast(({ step }) => step === 'publish' || step === 'rollback');
      if (last) {
        const live = registry.live().find((one) => one.name === name)?.version;
        const next = steps.at(-1);
        // The step that was under way may have been done as well.
        const after =
          next?.step === 'verdict' ? next.version : next?.step === 'publish' ? 'rolled back' : undefined;
        const rolledBack = after === 'rolled back' && versions.some((one) => one.version === live);
        assert.ok(
          live === last.version || live === after || rolledBack,
          `round ${round}: ${live} is live, not ${last.version}`,
        );
        assert.match((await registry.program(name)).code, /export default/);
      }
      assert.deepEqual(registry.warnings(), []);
      await registry.save(answering(`w${round}`, round));
      assert.equal(fsck(home), '', `round ${round}`);
    } finally {
      await registry.close();
    }
  }
  assert.ok(acknowledged > rounds, 'hardly anything was done before the kills');
  const tags = git(home, 'tag', '--list').split('\n');
  for (const version of git(home, 'ls-tree', '-d', '--name-only', 'main', 'versions/k0/').split('\n')) {
    assert.ok(tags.includes(version.replace(/^versions\/(k0)\//, '$1/v')), `${version} has no tag`);
  }
  assert.equal(git(home, 'status', '--short'), '');
});

test('eight processes that save, test and publish at once lose nothing', { timeout: 240_000 }, async (t) => {
  const count = real ? 25 : 4;
  const worker = await bundledWorker(t);
  const home = tempHome(t);
  const started = performance.now();
  const workers = Array.from({ length: 8 }, (_, n) =>
    startWorker(worker, ['many', home, `p${n}`, String(count)]),
  );
  const codes = await Promise.all(workers.map(({ ended }) => ended));
  t.diagnostic(`8 x ${count} tools: ${Math.round(performance.now() - started)} ms`);
  assert.deepEqual(
    codes,
    codes.map(() => 0),
  );
  const registry = await openRegistry(home);
  try {
    const live = registry.live().map((one) => one.name);
    const wanted = workers.flatMap((_, n) => Array.from({ length: count }, (_, i) => `p${n}_${i}`));
    assert.deepEqual(live, wanted.toSorted());
    assert.equal(git(home, 'tag', '--list').split('\n').length, 8 * count);
    assert.equal(git(home, 'rev-list', '--count', 'main'), String(8 * count * 3));
    assert.equal(fsck(home), '');
  } finally {
    await registry.close();
  }
});
