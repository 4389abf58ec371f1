import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { deflateSync } from 'node:zlib';
import type { Registry } from '../servers/sandbox/registry/registry.ts';
import { answering, git, judged, opened, published, tempHome } from './registry-kit.ts';

async function until(done: () => boolean, ms = 30_000): Promise<boolean> {
  const end = performance.now() + ms;
  while (!done() && performance.now() < end) await pause(5);
  return done();
}

/** Changes catalogue.json as somebody would who edits it and commits. */
function commitCatalogue(home: string, change: (text: string) => string): void {
  const file = join(home, 'registry', 'catalogue.json');
  git(home, 'checkout', '-f', 'main');
  writeFileSync(file, change(readFileSync(file, 'utf8')));
  git(home, 'commit', '-am', 'by hand');
}

const codeOf = async (registry: Registry, name: string) => (await registry.program(name)).code;

test('a catalogue that was committed by hand is refused, told, and put right by the next publish', async (t) => {
  const home = tempHome(t);
  const registry = await opened(home);
  await published(registry, 'slugify', 1);
  await published(registry, 'slugify', 2);
  await published(registry, 'other', 3);
  await registry.close();
  const [running, fresh] = [await opened(home), await opened(home)];
  commitCatalogue(home, (text) =>
    text.replace('"Answers 2."', '"Answers everything."').replace('"name":"other"', '"name":"third"'),
  );
  assert.ok(await until(() => running.warnings().length > 0), 'nothing was said');
  const [warning = ''] = running.warnings();
  assert.match(warning, /does not carry this registry's signature/);
  assert.match(warning, /other: removed; slugify: description; third: added/);
  assert.match(warning, /The last good one stays in use \(2 tools\)/);
  assert.deepEqual(
    running.live().map((one) => `${one.name}: ${one.description}`),
    ['other: Answers 3.', 'slugify: Answers 2.'],
  );

  const restarted = await opened(home);
  assert.deepEqual(restarted.live(), running.live(), 'found by going back through main');
  assert.deepEqual(restarted.warnings(), running.warnings());
  assert.equal(await codeOf(restarted, 'slugify'), 'export default () => 2;\n');

  assert.equal((await fresh.publish('slugify')).version, '1.0.1', 'publishing what is live writes it anew');
  assert.ok(await until(() => running.warnings().length === 0));
  assert.deepEqual(
    running.live().map((one) => one.name),
    ['other', 'slugify'],
  );
  assert.match(git(home, 'show', 'main:catalogue.json'), /"Answers 2\."/);
});

test('a main that was set back by hand does not take back what is live', async (t) => {
  const home = tempHome(t);
  const registry = await opened(home);
  await published(registry, 'slugify', 1);
  const back = git(home, 'rev-parse', 'main');
  await published(registry, 'slugify', 2);
  git(home, 'reset', '--hard', '-q', back);
  assert.ok(await until(() => registry.warnings().length > 0), 'nothing was said');
  assert.match(
    registry.warnings()[0] ?? '',
    /main was set back to [0-9a-f]{10}, whose catalogue is older \(differs in: slugify: /,
  );
  assert.equal(registry.live()[0]?.version, '1.0.1');
  assert.equal(await codeOf(registry, 'slugify'), 'export default () => 2;\n');
  // 1.0.1 is gone from main; its tag is not, and no number is given twice.
  assert.equal((await registry.save(answering('slugify', 3))).version, '1.0.2');
  await judged(registry, 'slugify');
  await registry.publish('slugify');
  assert.deepEqual(registry.warnings(), []);
  assert.equal(await codeOf(registry, 'slugify'), 'export default () => 3;\n');
});

test('a tag that was moved stops that tool, and nothing else, also in a process that runs it already', async (t) => {
  const home = tempHome(t);
  const registry = await opened(home);
  await published(registry, 'slugify', 1);
  await published(registry, 'other', 2);
  const right = git(home, 'rev-parse', 'slugify/v1.0.0');
  await registry.save(answering('slugify', 666));
  assert.equal(await codeOf(registry, 'slugify'), 'export default () => 1;\n');
  git(home, 'tag', '-f', 'slugify/v1.0.0', 'slugify/v1.0.1');
  for (const one of [registry, await opened(home)]) {
    await assert.rejects(one.program('slugify'), (error: Error) => {
      assert.match(
        error.message,
        /slugify 1\.0\.0 is refused: its tag slugify\/v1\.0\.0 was moved to [0-9a-f]{10}/,
      );
      assert.match(error.message, /where tool\.js, tool\.json, tool\.test\.json differ/);
      assert.ok(error.message.endsWith(`update-ref refs/tags/slugify/v1.0.0 ${right}`), error.message);
      return true;
    });
    assert.equal(await codeOf(one, 'other'), 'export default () => 2;\n');
  }
  await assert.rejects(
    registry.publish('slugify', '1.0.0').then(() => judged(registry, 'slugify', { version: '1.0.0' })),
    /was moved/,
  );
  git(home, 'update-ref', 'refs/tags/slugify/v1.0.0', right);
  assert.equal(await codeOf(registry, 'slugify'), 'export default () => 1;\n');
  git(home, 'tag', '-d', 'slugify/v1.0.0');
  assert.equal(
    await codeOf(registry, 'slugify'),
    'export default () => 1;\n',
    'without its tag it is the approved commit',
  );
  await judged(registry, 'slugify', { version: '1.0.0' });
  assert.equal(git(home, 'rev-parse', 'slugify/v1.0.0'), right, 'the tag was made again');
});

test('an object that was changed on disk stops that tool, and saving it again mends it', async (t) => {
  const home = tempHome(t);
  const registry = await opened(home);
  await published(registry, 'slugify', 1);
  await published(registry, 'other', 2);
  assert.equal(await codeOf(registry, 'slugify'), 'export default () => 1;\n');
  const id = git(home, 'rev-parse', 'main:tools/slugify/tool.js');
  const file = join(home, 'registry', '.git', 'objects', id.slice(0, 2), id.slice(2));
  const change = (bytes: Buffer | string) => {
    chmodSync(file, 0o644);
    writeFileSync(file, bytes);
  };
  // git reads this without complaint: only the digest tells.
  change(deflateSync('blob 24\0export default () => 9;\n'));
  for (const one of [registry, await opened(home)]) {
    await assert.rejects(
      one.program('slugify'),
      /slugify 1\.0\.0 is refused: its stored files have digest sha256:\w+, approved was sha256:\w+/,
    );
    assert.equal(await codeOf(one, 'other'), 'export default () => 2;\n');
    assert.equal(one.live().length, 2);
  }
  change('garbage');
  await assert.rejects(
    registry.program('slugify'),
    /tool\.js of slugify 1\.0\.0 \([0-9a-f]{40}\) is damaged or missing/,
  );
  await assert.rejects(
    registry.program('slugify'),
    new RegExp(`delete ${file} and save the same tool again`),
  );
  await registry.save(answering('third', 3));
  unlinkSync(file);
  await registry.save(answering('slugify', 1));
  assert.equal(await codeOf(registry, 'slugify'), 'export default () => 1;\n');
});

test('a file that was edited by hand stops the publish of that tool; an old one is mended silently', async (t) => {
  const home = tempHome(t);
  const registry = await opened(home);
  await published(registry, 'slugify', 1);
  await registry.save(answering('slugify', 2));
  await judged(registry, 'slugify');
  await published(registry, 'other', 3);
  const file = join(home, 'registry', 'tools', 'slugify', 'tool.js');
  writeFileSync(file, 'export default () => "mine";\n');
  await assert.rejects(registry.publish('slugify'), (error: Error) => {
    assert.match(error.message, /tools\/slugify\/tool\.js in \S+ was edited by hand/);
    assert.match(
      error.message,
      /Save the edit as a new version of the tool, or undo it with: git -C \S+ restore --source=main tools\/slugify\/tool\.js/,
    );
    return true;
  });
  assert.equal(await published(registry, 'other', 5), '1.0.1', 'another tool is not stopped');
  await registry.save(answering('slugify', 4));
  assert.equal(readFileSync(file, 'utf8'), 'export default () => "mine";\n', 'an edit is never overwritten');
  await registry.save({ ...answering('slugify', 4), code: 'export default () => "mine";\n' });
  await judged(registry, 'slugify');
  await registry.publish('slugify');
  assert.equal(await codeOf(registry, 'slugify'), 'export default () => "mine";\n');

  writeFileSync(file, 'export default () => 1;\n');
  assert.equal((await registry.rollback('slugify')).version, '1.0.0', 'an old version is no edit');
  await registry.close();
  assert.equal(git(home, 'status', '--short'), '');
  assert.equal(readFileSync(file, 'utf8'), 'export default () => "mine";\n');

  const again = await opened(home);
  const catalogue = join(home, 'registry', 'catalogue.json');
  writeFileSync(catalogue, readFileSync(catalogue, 'utf8').replace('Answers', 'Knows'));
  await assert.rejects(again.retire('slugify'), /catalogue\.json in \S+ was edited by hand/);
  assert.deepEqual(
    again.live().map((one) => one.description),
    ['Answers 5.', 'Answers 1.'],
  );
});

test('a verdict that somebody wrote is none, and an approval is for the content that was tested', async (t) => {
  const home = tempHome(t);
  const registry = await opened(home);
  await registry.save(answering('slugify', 1));
  await judged(registry, 'slugify', { passed: false });
  await registry.close();
  const file = join(home, 'registry', 'verdicts', 'slugify', '1.0.0.json');
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll('"passed": false', '"passed": true'));
  git(home, 'commit', '-am', 'passed, honestly');
  const again = await opened(home);
  assert.equal((await again.read('slugify')).status, 'draft');
  await assert.rejects(again.publish('slugify'), /does not carry this registry's signature\. Test it again/);

  await judged(again, 'slugify');
  await again.close();
  git(home, 'reset', '--hard', '-q', 'main');
  writeFileSync(
    join(home, 'registry', 'versions', 'slugify', '1.0.0', 'tool.js'),
    'export default () => 2;\n',
  );
  git(home, 'commit', '-am', 'other code in the same version');
  const third = await opened(home);
  await assert.rejects(third.publish('slugify'), /is refused: its tag slugify\/v1\.0\.0 was moved/);
  writeFileSync(join(home, 'registry', 'tools', 'slugify', 'tool.js'), 'export default () => 2;\n');
  git(home, 'commit', '-am', 'and in the other place');
  git(home, 'tag', '-f', 'slugify/v1.0.0', 'main');
  await assert.rejects(
    third.publish('slugify'),
    /is refused: what was approved is sha256:\w+… at [0-9a-f]{10}, what is there/,
  );
  assert.deepEqual(third.live(), []);
});

test('a replace ref does not put other code under an approved id', async (t) => {
  const home = tempHome(t);
  const registry = await opened(home);
  await published(registry, 'slugify', 1);
  await registry.save(answering('slugify', 2));
  git(home, 'replace', 'slugify/v1.0.0', 'slugify/v1.0.1');
  const again = await opened(home);
  assert.equal(await codeOf(again, 'slugify'), 'export default () => 1;\n');
});

test('a program that .git/config names as a filter or to fetch what is missing is never run', async (t) => {
  const home = tempHome(t);
  const first = await opened(home);
  await published(first, 'slugify', 1);
  await first.close();
  const [dotGit, ran] = [join(home, 'registry', '.git'), join(home, 'ran')];
  const settings = {
    'filter.evil.clean': `touch ${ran}; cat`,
    'filter.evil.smudge': `touch ${ran}; cat`,
    'remote.evil.url': dotGit,
    'remote.evil.promisor': 'true',
    'remote.evil.uploadpack': `touch ${ran}; false`,
    'protocol.file.allow': 'always',
  };
  for (const [key, value] of Object.entries(settings)) git(home, 'config', key, value);
  mkdirSync(join(dotGit, 'info'), { recursive: true });
  writeFileSync(join(dotGit, 'info', 'attributes'), '* filter=evil\n');

  const file = (name: string) => join(home, 'registry', 'tools', 'slugify', name);
  const again = await opened(home);
  await published(again, 'other', 2);
  rmSync(file('tool.js'));
  await again.save(answering('other', 3));
  await again.close();
  assert.ok(!existsSync(ran), 'a filter was run');
  assert.equal(readFileSync(file('tool.js'), 'utf8'), 'export default () => 1;\n', 'mended all the same');

  const third = await opened(home);
  writeFileSync(file('tool.js'), 'export default () => "mine";\n');
  // Whether the store knows what somebody wrote into it is asked of git, which would fetch what it does not know.
  writeFileSync(join(home, 'registry', 'catalogue.json'), 'mine');
  await assert.rejects(
    third.publish('slugify', '1.0.0').then(() => third.retire('slugify')),
    /edited by hand/,
  );
  await third.diff('other', '1.0.0', '1.0.1');
  await third.history('other');
  await third.close();
  assert.ok(!existsSync(ran), 'what is missing was fetched');
  git(home, 'config', '--remove-section', 'filter.evil');
  assert.equal(git(home, 'status', '--short'), 'M catalogue.json\n M tools/slugify/tool.js');
});
