import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ToolError } from '../kit/tool.ts';
import { openRegistry } from '../servers/sandbox/registry/registry.ts';
import { Signer } from '../servers/sandbox/registry/signing.ts';
import { answering, git, judged, opened, published, tempHome } from './registry-kit.ts';
import { inline } from './support.ts';

test('opening writes nothing, and a registry that is not there is empty', async (t) => {
  const home = tempHome(t);
  const registry = await opened(home);
  assert.deepEqual(registry.live(), []);
  assert.deepEqual(await registry.list(), []);
  await assert.rejects(registry.read('slugify'), /There is no tool slugify\. List the tools/);
  await assert.rejects(registry.publish('slugify'), /There is no tool slugify/);
  await registry.close();
  assert.ok(!existsSync(join(home, 'registry', '.git', 'refs', 'heads', 'main')));
  const untouched = tempHome(t);
  await (await openRegistry(untouched)).close();
  assert.deepEqual(readdirSync(untouched), []);
});

test('the life of a tool: draft, testing, approved, production, retired', async (t) => {
  const home = tempHome(t);
  const registry = await opened(home);
  const status = async () => (await registry.read('slugify')).status;
  assert.deepEqual(await registry.save(answering('slugify', 1)), {
    name: 'slugify',
    version: '1.0.0',
    status: 'draft',
    created: true,
  });
  assert.equal(
    (await registry.save(answering('slugify', 1))).created,
    false,
    'the same again is no new version',
  );
  await assert.rejects(registry.publish('slugify'), /slugify 1\.0\.0 was not tested yet\. Test it/);
  await judged(registry, 'slugify', { passed: false });
  assert.equal(await status(), 'draft');
  await assert.rejects(registry.publish('slugify'), /did not pass its gates \(tests\)/);
  await assert.rejects(
    registry.approve('slugify', '1.0.0', { who: 'ala', how: 'terminal' }),
    /its gates did not pass/,
  );
  await judged(registry, 'slugify', { approval: 'person' });
  assert.equal(await status(), 'testing');
  await assert.rejects(
    registry.publish('slugify'),
    /waits for a person's approval: kuznia approve slugify 1\.0\.0/,
  );
  await registry.refuse('slugify', '1.0.0', { who: 'ala', how: 'terminal' }, 'no');
  await assert.rejects(registry.publish('slugify'), /was refused by ala/);
  await registry.approve('slugify', '1.0.0', { who: 'ala\nid: x', how: 'terminal' });
  assert.equal(await status(), 'approved');
  assert.deepEqual(await registry.publish('slugify'), { version: '1.0.0' });
  assert.equal(await status(), 'production');
  assert.deepEqual(
    registry.live().map(({ name, version }) => `${name} ${version}`),
    ['slugify 1.0.0'],
  );
  assert.equal((await registry.program('slugify')).code, 'export default () => 1;\n');

  assert.equal((await registry.save(answering('slugify', 2))).version, '1.0.1');
  await assert.rejects(
    registry.publish('slugify'),
    /1\.0\.1 was not tested/,
    'without a version it is the newest',
  );
  await judged(registry, 'slugify');
  assert.deepEqual(await registry.publish('slugify'), { version: '1.0.1', previous: '1.0.0' });
  assert.equal((await registry.program('slugify')).code, 'export default () => 2;\n');
  assert.deepEqual(await registry.rollback('slugify'), { version: '1.0.0', previous: '1.0.1' });
  await assert.rejects(registry.rollback('slugify'), /No version of slugify was live before 1\.0\.0/);
  assert.equal((await registry.program('slugify')).code, 'export default () => 1;\n');
  assert.equal((await registry.rollback('slugify', '1.0.1')).version, '1.0.1');
  assert.equal((await registry.retire('slugify')).version, '1.0.1');
  assert.equal(await status(), 'retired');
  assert.deepEqual(registry.live(), []);
  await assert.rejects(registry.program('slugify'), /not published/);
  await assert.rejects(registry.retire('slugify'), /nothing to retire/);
  assert.equal((await registry.rollback('slugify')).version, '1.0.1', 'retiring is undone');
  assert.equal((await registry.rollback('slugify')).version, '1.0.0');
  const [newest] = await registry.list('approved');
  assert.deepEqual([newest?.version, newest?.live, newest?.status], ['1.0.1', '1.0.0', 'approved']);
  assert.equal((await registry.list('production')).length, 1);
  assert.equal((await registry.list('retired')).length, 0);
  assert.equal(await registry.list(), await registry.list(), 'nothing changed: the same list');
  const events = (await registry.history('slugify')).map(({ event, version }) => `${event} ${version}`);
  assert.deepEqual(
    events.slice(-3),
    ['approve 1.0.0', 'refuse 1.0.0', 'verdict 1.0.0', 'verdict 1.0.0', 'save 1.0.0'].slice(2),
  );
  assert.equal(events[0], 'rollback 1.0.0');
  assert.ok((await registry.history('slugify')).some(({ note }) => note === 'by ala id: x (terminal)'));
  assert.match(
    await registry.diff('slugify', '1.0.0', '1.0.1'),
    /-export default \(\) => 1;\n\+export default \(\) => 2;/,
  );
  await registry.close();
  assert.equal(git(home, 'status', '--short'), '', 'what people see is what main says');
  assert.equal(git(home, 'tag', '--list'), 'slugify/v1.0.0\nslugify/v1.0.1');
});

test('a refusal outlasts a failed test of the same content, until a person approves', async (t) => {
  const registry = await opened(tempHome(t));
  const ala = { who: 'ala', how: 'terminal' };
  await registry.save(answering('slugify', 1));
  await judged(registry, 'slugify');
  await registry.refuse('slugify', '1.0.0', ala, 'no');
  await judged(registry, 'slugify', { passed: false });
  await judged(registry, 'slugify');
  assert.equal((await registry.read('slugify')).decision?.approved, false);
  await assert.rejects(registry.publish('slugify'), /was refused by ala/);
  await registry.approve('slugify', '1.0.0', ala);
  await judged(registry, 'slugify', { passed: false });
  await assert.rejects(registry.publish('slugify'), /did not pass its gates/, 'approved, but it fails');
  await judged(registry, 'slugify');
  assert.equal((await registry.publish('slugify')).version, '1.0.0');
});

test('a test under a laxer policy does not take the approval from a person', async (t) => {
  const registry = await opened(tempHome(t));
  await registry.save(answering('slugify', 1));
  await judged(registry, 'slugify');
  await judged(registry, 'slugify', { approval: 'person' });
  await judged(registry, 'slugify', { passed: false });
  await judged(registry, 'slugify');
  assert.equal((await registry.read('slugify')).verdict?.approval, 'person');
  await assert.rejects(registry.publish('slugify'), /waits for a person's approval/);
});

test('what the policy approved waits for a person where the caller wants one', async (t) => {
  const registry = await opened(tempHome(t));
  const strict = { needsPerson: () => true };
  const lax = { needsPerson: (grants: string[]) => grants.length > 0 };
  const message = (version: string) =>
    new RegExp(
      `^slugify ${version} was approved by policy, but here a person approves: kuznia approve slugify ${version}$`,
    );
  const refused = (work: Promise<unknown>, version: string) =>
    assert.rejects(work, (error) => error instanceof ToolError && message(version).test(error.message));
  await registry.save(answering('slugify', 1));
  await judged(registry, 'slugify');
  await refused(registry.publish('slugify', undefined, strict), '1.0.0');
  await registry.publish('slugify', undefined, lax);
  await published(registry, 'slugify', 2);
  await refused(registry.rollback('slugify', undefined, strict), '1.0.0');
  await refused(registry.rollback('slugify', '1.0.0', strict), '1.0.0');
  assert.equal(registry.live()[0]?.version, '1.0.1');
  await registry.approve('slugify', '1.0.0', { who: 'ala', how: 'terminal' });
  assert.equal((await registry.rollback('slugify', undefined, strict)).version, '1.0.0');
  await refused(registry.publish('slugify', '1.0.1', strict), '1.0.1');
});

test('what cannot be saved or published is refused with the reason', async (t) => {
  const registry = await opened(tempHome(t));
  for (const name of [
    '',
    '../x',
    'a/b',
    'Slug',
    '1st',
    'sługa',
    'сору',
    'a-b',
    'a'.repeat(49),
    'a\n',
    '-x',
    'x.lock',
  ]) {
    await assert.rejects(
      registry.save(answering(name, 1)),
      /cannot be the name of a tool: use lower-case ASCII/,
    );
    await assert.rejects(registry.read(name), ToolError);
  }
  const big = { ...answering('big', 1), code: '/'.repeat(2 * 1024 * 1024) };
  await assert.rejects(registry.save(big), /tool\.js has 2097152 bytes, the limit is 1048576/);
  await registry.save(answering('fetcher', 1, { grants: ['fetch:example.org'] }));
  await judged(registry, 'fetcher');
  await assert.rejects(
    registry.publish('fetcher'),
    /asks for fetch:example\.org, which no lane can give yet/,
  );
  await assert.rejects(registry.read('fetcher', '9.9.9'), /fetcher has no version 9\.9\.9\. It has 1\.0\.0/);
  await assert.rejects(registry.read('fetcher', 'v1;rm'), /has no version v1;rm/);
  const { digest } = await registry.read('fetcher');
  await registry.save(answering('fetcher', 2));
  const stale = { digest, passed: true, approval: 'policy' as const, gates: [], at: '' };
  await assert.rejects(
    registry.putVerdict('fetcher', '1.0.1', stale),
    /other files than were saved\. Test it again/,
  );
});

test('TypeScript is kept with what was compiled from it', async (t) => {
  const registry = await opened(tempHome(t));
  const count = { type: 'object', properties: { count: { type: 'number' } }, required: ['count'] };
  const tool = answering('typed', 1, { language: 'typescript', output_schema: count });
  await registry.save({
    ...tool,
    code: 'export default (): number => 1;',
    compiled: 'export default () => 1;',
  });
  await judged(registry, 'typed');
  await registry.publish('typed');
  assert.equal((await registry.read('typed')).code, 'export default (): number => 1;');
  const { code, outputSchema } = await registry.program('typed');
  assert.deepEqual([code, outputSchema], ['export default () => 1;', count]);
  await registry.save(answering('typed', 1));
  assert.equal((await registry.read('typed')).version, '2.0.0', 'another output');
  assert.equal((await registry.read('typed')).compiled, undefined, 'tool.ts is gone');
});

test('a publish is seen at once by whoever else has the registry open, packed refs or not', async (t) => {
  const home = tempHome(t);
  const [writer, reader] = [await opened(home), await opened(home)];
  const seen: { at: number; names: string[] }[] = [];
  reader.onChange((names) => seen.push({ at: performance.now(), names }));
  await published(writer, 'slugify', 0);
  const lags: { whole: number; after: number }[] = [];
  for (let n = 1; n <= 10; n++) {
    if (n === 5) git(home, 'pack-refs', '--all');
    if (n === 8) git(home, 'gc', '--quiet');
    await writer.save(answering('slugify', n));
    await judged(writer, 'slugify');
    const started = performance.now();
    seen.length = 0;
    await writer.publish('slugify');
    const done = performance.now();
    while (seen.length === 0 && performance.now() - started < 5000) await pause(1);
    const at = seen[0]?.at ?? Number.POSITIVE_INFINITY;
    lags.push({ whole: at - started, after: at - done });
    assert.deepEqual(seen[0]?.names, ['slugify']);
    assert.equal((await reader.program('slugify')).code, `export default () => ${n};\n`);
  }
  const p50 = (list: number[]) => list.toSorted((a, b) => a - b)[5] ?? Number.POSITIVE_INFINITY;
  const [whole, after] = [p50(lags.map((lag) => lag.whole)), p50(lags.map((lag) => lag.after))];
  t.diagnostic(
    `publish -> seen by another: p50 ${whole.toFixed(1)} ms; after it was acknowledged: ${after.toFixed(1)} ms`,
  );
  assert.ok(after < 50, `p50 is ${after} ms`);
  const before = reader.live();
  await writer.save(answering('other', 1));
  await pause(100);
  assert.equal(reader.live(), before, 'a draft changes nothing in production');
});

test('processes that need a key at the same moment agree on one', async (t) => {
  const home = tempHome(t);
  const signers = Array.from({ length: 8 }, () => new Signer(home));
  const signatures = await Promise.all(signers.map((signer) => signer.sign('verdict', 'text')));
  assert.equal(new Set(signatures).size, 1, 'Ed25519 is deterministic: one key, one signature');
  const [signature = ''] = signatures;
  assert.ok(await new Signer(home).verify('verdict', 'text', signature));
  assert.ok(!(await new Signer(home).verify('catalogue', 'text', signature)), 'it is for one purpose');
  assert.ok(!(await new Signer(home).verify('verdict', 'texts', signature)));
  assert.ok(!(await new Signer(home).verify('verdict', 'text', 'nonsense')));
  assert.deepEqual(readdirSync(join(home, 'keys')).toSorted(), ['registry.key', 'registry.pub']);
});

test('an open registry keeps no process alive', (t) => {
  const home = tempHome(t);
  const code = `import { openRegistry } from './servers/sandbox/registry/registry.ts';
    const registry = await openRegistry(${JSON.stringify(home)}); console.log((await registry.list()).length);`;
  const done = spawnSync(process.execPath, inline(code), { encoding: 'utf8', timeout: 20_000 });
  assert.deepEqual([done.stdout, done.status], ['0\n', 0], done.stderr);
});
