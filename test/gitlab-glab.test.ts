import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { bench, TOKEN } from './gitlab-kit.ts';
import { tempHome } from './support.ts';

const P = 'group/forge';

/**
 * Stands in for glab where it cannot be installed, with its rules: a login reads the token from stdin and keeps it in
 * GLAB_CONFIG_DIR; without one every command fails. It notes how it was called.
 */
const SCRIPT = `#!/bin/sh
echo "$@" >> "$0.calls"
env >> "$0.env"
if [ "$1 $2" = "auth login" ]; then
  case " $* " in *" --stdin "*) cat > "$GLAB_CONFIG_DIR/config.yml"; exit 0 ;; esac
  echo "no token on stdin" >&2; exit 1
fi
[ -s "$GLAB_CONFIG_DIR/config.yml" ] || { echo "glab: 401 Unauthorized. Run glab auth login" >&2; exit 1; }
[ "$2" = view ] && { echo "release v9 not found: $(cat "$GLAB_CONFIG_DIR/config.yml")" >&2; exit 1; }
echo "v1.0.0  First release"
`;

function installed(t: TestContext): string {
  const folder = tempHome(t);
  const path = process.env['PATH'] ?? '';
  writeFileSync(join(folder, 'glab'), SCRIPT, { mode: 0o755 });
  process.env['PATH'] = `${folder}${delimiter}${path}`;
  t.after(() => {
    process.env['PATH'] = path;
  });
  return join(folder, 'glab');
}

test('glab: signed in by stdin for one call, the token in no argument, environment, error or file left', async (t) => {
  const program = installed(t);
  const { serve, double } = await bench(t);
  const home = tempHome(t);
  const { value, fault } = await serve({}, undefined, home);
  const found = await value('gitlab_glab', { project: P, command: 'release list', args: ['--per-page=5'] });
  assert.equal(found['text'], 'v1.0.0  First release');
  const said = await fault('gitlab_glab', { project: P, command: 'release view', args: ['v9'] });
  assert.match(said, /release v9 not found.*Use the gitlab_ tools instead/s);
  const calls = readFileSync(`${program}.calls`, 'utf8');
  const { host } = new URL(double.url);
  assert.match(calls, new RegExp(`^auth login --hostname ${host} --api-protocol http .*--stdin$`, 'm'));
  assert.match(calls, /^release list --per-page=5 --repo group\/forge$/m);
  assert.ok(readFileSync(`${program}.env`, 'utf8').includes(`GITLAB_HOST=${host}`));
  for (const text of [calls, readFileSync(`${program}.env`, 'utf8'), said])
    assert.ok(!text.includes(TOKEN), text);
  assert.deepEqual(readdirSync(join(home, 'run')), []);
});

test('glab: only reading commands of that project, and no flag that leads elsewhere', async (t) => {
  installed(t);
  const { fault } = await bench(t);
  for (const arg of [
    '--repo=other/x',
    '-R',
    '-Rother/x',
    '--hostname=evil',
    '-w',
    '--web',
    '-g',
    '--group=x',
    '--output=/tmp/x',
    'https://evil.example/x',
    '--x',
    'a\nb',
  ])
    assert.match(
      await fault('gitlab_glab', { project: P, command: 'release list', args: [arg] }),
      /not allowed/,
      arg,
    );
  assert.match(await fault('gitlab_glab', { project: P, command: 'api' }), /command/);
  assert.match(await fault('gitlab_glab', { project: P, command: 'release delete' }), /command/);
});

test('glab: absent, its tool is not listed', async (t) => {
  const path = process.env['PATH'] ?? '';
  const { client } = await bench(t);
  if (path.split(delimiter).some((folder) => readable(folder).includes('glab')))
    return t.skip('glab is installed');
  assert.ok(!(await client.tools()).some((one) => one === 'gitlab_glab'));
});

function readable(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
