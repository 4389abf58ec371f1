import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { delimiter, dirname } from 'node:path';
import { test, type TestContext } from 'node:test';
import { bench, TOKEN } from './gitlab-kit.ts';
import { missing, real, tempHome } from './support.ts';

const P = 'group/forge';
const skip = missing('KUZNIA_GLAB');

/** The real glab on the PATH, as `gitlab_glab` looks for it. */
async function start(t: TestContext) {
  const path = process.env['PATH'] ?? '';
  process.env['PATH'] = `${dirname(real('KUZNIA_GLAB'))}${delimiter}${path}`;
  t.after(() => {
    process.env['PATH'] = path;
  });
  return bench(t);
}

test('glab itself reads what the API tools do not show', { skip, timeout: 60_000 }, async (t) => {
  const { value, fault, double, project, root, serve } = await start(t);
  const { world } = double;
  world.label(project, 'needs-care', '#ff0000', 'Look twice');
  world.issue(project, root, 'The site is down', { type: 'INCIDENT', description: 'Since noon.' });
  await project.repo.git(['update-ref', 'refs/tags/v1.0.0', 'refs/heads/main']);
  project.releases.push({
    tag: 'v1.0.0',
    name: 'First',
    description: 'It works.',
    author: root,
    at: '2026-02-01T00:00:00.000Z',
  });
  const said = async (command: string, args: string[] = []) =>
    String((await value('gitlab_glab', { project: P, command, args }))['text']);
  assert.match(await said('release list'), /First\s+v1\.0\.0/);
  assert.match(await said('release view', ['v1.0.0']), /It works\./);
  assert.match(await said('label list', ['--per-page=5']), /needs-care/);
  assert.match(await said('incident list'), /#1\s+The site is down/);
  assert.match(await said('incident view', ['1']), /Since noon\./);
  assert.match(await said('repo contributors'), /Root/);
  assert.match(await said('schedule list'), /No schedules|Showing|^$/i);
  assert.match(await fault('gitlab_glab', { project: P, command: 'release view', args: ['v9'] }), /v9|404/);
  // Another GitLab is another login.
  world.token('kzcanary-another-0123456789', root, ['read_api']);
  const home = tempHome(t);
  const other = await serve({ GITLAB_TOKEN: 'kzcanary-another-0123456789' }, undefined, home);
  const text = await other.value('gitlab_glab', { project: P, command: 'label list' });
  assert.match(String(text['text']), /needs-care/);
  assert.deepEqual(readdirSync(`${home}/run`), [], 'no login is left');
  const asked = double.sent.map((one) => one.path);
  assert.ok(asked.includes('/api/v4/projects/group%2Fforge/releases'));
  assert.ok(double.sent.every((one) => !JSON.stringify([one.path, [...one.query]]).includes(TOKEN)));
});

test(
  'glab itself: a token that GitLab refuses is told, and is nowhere',
  { skip, timeout: 60_000 },
  async (t) => {
    const { serve } = await start(t);
    const home = tempHome(t);
    const { fault } = await serve({ GITLAB_TOKEN: 'kzcanary-expired-0123456789' }, undefined, home);
    const said = await fault('gitlab_glab', { project: P, command: 'label list' });
    assert.match(said, /401/);
    assert.ok(!said.includes('kzcanary-expired'));
  },
);
