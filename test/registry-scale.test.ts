import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tidy } from '../servers/sandbox/registry/commits.ts';
import { openRegistry } from '../servers/sandbox/registry/registry.ts';
import { placeOf } from '../servers/sandbox/registry/repository.ts';
import { answering, git, opened, seeded, tempHome } from './registry-kit.ts';

test('a thousand published tools open about as fast as ten', async (t) => {
  const homes = { few: tempHome(t), many: tempHome(t) };
  await seeded(homes.few, 10);
  await seeded(homes.many, 1000);
  const opening = async (home: string) => {
    const [started, before] = [performance.now(), process.cpuUsage()];
    const registry = await openRegistry(home);
    const [ms, used] = [performance.now() - started, process.cpuUsage(before)];
    const { code } = await registry.program('seed_0007');
    assert.equal(code, 'export default () => 7;\n');
    await registry.close();
    return { ms, cpu: (used.user + used.system) / 1000, live: registry.live().length };
  };
  const times = { few: [0], many: [0], fewCpu: [0], manyCpu: [0] };
  for (let i = 0; i < 7; i++) {
    const [few, many] = [await opening(homes.few), await opening(homes.many)];
    assert.deepEqual([few.live, many.live], [10, 1000]);
    times.few.push(few.ms);
    times.many.push(many.ms);
    times.fewCpu.push(few.cpu);
    times.manyCpu.push(many.cpu);
  }
  const middle = (list: number[]) => list.toSorted((a, b) => a - b)[4] ?? 0;
  t.diagnostic(
    `open: ${middle(times.few).toFixed(1)} ms with 10 tools, ${middle(times.many).toFixed(1)} ms with 1,000`,
  );
  const added = middle(times.manyCpu) - middle(times.fewCpu);
  t.diagnostic(`1,000 tools add ${added.toFixed(1)} ms of CPU`);
  // A server needs some 250 ms of it to start itself: what 1,000 tools add must be lost in that.
  assert.ok(added < 60, `1,000 tools add ${added} ms of CPU`);
  const registry = await opened(homes.many);
  const started = performance.now();
  assert.equal((await registry.list()).length, 1001);
  t.diagnostic(`first list of 1,001 tools: ${(performance.now() - started).toFixed(0)} ms`);
  const again = performance.now();
  await registry.list();
  t.diagnostic(`list again: ${(performance.now() - again).toFixed(1)} ms`);

  // As many loose objects as weeks of work leave behind, packed while they are read.
  const [pack] = readdirSync(join(homes.many, 'registry', '.git', 'objects', 'pack')).filter((file) =>
    file.endsWith('.pack'),
  );
  const packs = join(homes.many, 'registry', '.git', 'objects', 'pack');
  renameSync(join(packs, pack ?? ''), join(homes.many, 'all.pack'));
  spawnSync('git', ['-C', join(homes.many, 'registry'), 'unpack-objects', '-q'], {
    input: readFileSync(join(homes.many, 'all.pack')),
  });
  const loose = () => Number(git(homes.many, 'count-objects').split(' ')[0]);
  assert.ok(loose() > 2000);
  const place = placeOf(homes.many);
  const [did] = await Promise.all([
    tidy(place, 4),
    ...[1, 2, 3].map((n) => registry.program(`seed_000${n}`)),
  ]);
  assert.equal(did, true);
  assert.equal(loose(), 0);
  assert.equal((await registry.program('seed_0999')).code, 'export default () => 999;\n');
  assert.equal((await registry.save(answering('after', 1))).version, '1.0.0');
});
