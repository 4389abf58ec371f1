import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Tokens } from '../host/gateway/tokens.ts';
import type { Io } from '../host/terminal/io.ts';
import { command } from '../host/token.ts';
import { parsed, tempHome } from './support.ts';

function terminal(home: string): Io & { said: { out: string; err: string } } {
  const said = { out: '', err: '' };
  return {
    said,
    out: (text) => void (said.out += text),
    err: (text) => void (said.err += text),
    env: { KUZNIA_HOME: home },
    interactive: false,
    colour: false,
    columns: () => 80,
  };
}

async function run(home: string, ...argv: string[]) {
  const io = terminal(home);
  const code = await command.run(argv, io);
  return { code, ...io.said };
}

const digest = (text: string) => createHash('sha256').update(text).digest();

test('token: shown once, kept as a hash in a file of the owner alone', async (t) => {
  const home = tempHome(t);
  assert.match((await run(home)).out, /^No client has a token yet/);
  const { out, err, code } = await run(home, 'add', 'ci', '--tools', 'gitlab_list_*', '--tools', 'x_y');
  assert.equal(code, 0);
  assert.match(out, /^kuz_[\w-]{43}\n$/);
  assert.match(err, /^Token of ci, for gitlab_list_\*, x_y\. It is shown this once:/);
  const path = join(home, 'tokens.json');
  const kept = readFileSync(path, 'utf8');
  assert.ok(!kept.includes(out.trim()));
  assert.ok(kept.includes(digest(out.trim()).toString('hex')));
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const listed = await run(home, 'list');
  assert.match(listed.out, /^ci +since \d{4}-\d\d-\d\d {2}gitlab_list_\*, x_y\n$/);
  assert.ok(!listed.out.includes(digest(out.trim()).toString('hex')));
  const json = await run(home, 'add', 'all', '--json');
  assert.deepEqual(Object.keys(Object(parsed(json.out))), ['added', 'tools', 'token']);
  assert.match((await run(home, 'list', '--json')).out, /"name":"all","tools":\[\]/);
});

test('token: a name twice, an unknown one, words too many, bad patterns are told', async (t) => {
  const home = tempHome(t);
  await run(home, 'add', 'ci');
  const wrong: [string[], RegExp][] = [
    [['add', 'ci'], /ci has a token already\. For a new one: kuznia token rotate ci/],
    [['rm', 'cd'], /There is no token cd\. See kuznia token list/],
    [['add'], /A name is needed/],
    [['add', 'Ci/..'], /A name is needed/],
    [['add', 'a', 'b'], /Too many words/],
    [['list', 'a'], /Too many words/],
    [['show'], /expected add, rotate, rm or list/],
    [['rotate', 'cd'], /There is no token cd/],
    [['rotate', 'ci', '--days', '1'], /--days goes with add/],
    [['add', 'cd', '--days', '0'], /--days 0: expected a whole number from 1/],
    [['rm', 'ci', '--tools', 'a'], /--tools goes with add/],
    [['add', 'cd', '--tools', 'a b'], /expected a tool's name, or a pattern/],
    [['add', 'cd', '--tool', 'a'], /Did you mean --tools\?/],
  ];
  for (const [argv, says] of wrong) await assert.rejects(run(home, ...argv), says, argv.join(' '));
  assert.equal(new Tokens(home).list().length, 1);
  assert.equal((await run(home, 'rm', 'ci')).out, 'Removed ci.\n');
  assert.equal(new Tokens(home).any(), false);
});

test('token: found by its digest, allowed by its patterns; other processes are seen, two writers lose nothing', async (t) => {
  const home = tempHome(t);
  const [serving, other] = [new Tokens(home), new Tokens(home)];
  assert.equal(serving.any(), false);
  const added = await Promise.all([other.add('ci', ['gitlab_*', '*_list']), new Tokens(home).add('all', [])]);
  const [ci = '', all = ''] = added;
  assert.equal(serving.any(), true);
  assert.equal(serving.find(digest(ci)), 'ci');
  assert.equal(serving.find(digest(all)), 'all');
  assert.equal(serving.find(digest(`${ci} `)), undefined);
  const may = ['gitlab_show', 'vscode_list', 'vscode_show'].map((tool) => serving.allows('ci', tool));
  assert.deepEqual(may, [true, true, false]);
  assert.equal(serving.allows('all', 'anything'), true);
  assert.equal(serving.allows('constructor', 'anything'), false);
  await other.remove('ci');
  assert.equal(serving.find(digest(ci)), undefined);
  assert.equal(serving.allows('ci', 'gitlab_show'), false);
});

test('token: a file that got broken lets nobody in, and is told where it can be mended', async (t) => {
  const home = tempHome(t);
  const serving = new Tokens(home);
  const token = (await serving.add('ci', [])) ?? '';
  assert.equal(serving.find(digest(token)), 'ci');
  writeFileSync(join(home, 'tokens.json'), '{"clients": {"ci": {"hash": "nope"}}}');
  assert.equal(serving.find(digest(token)), undefined);
  assert.equal(serving.allows('ci', 'x'), false);
  assert.equal(serving.any(), true, 'a token is still needed');
  await assert.rejects(run(home, 'list'), /tokens\.json cannot be read\. Move it away/);
  await assert.rejects(run(home, 'add', 'b'), /tokens\.json cannot be read/);
});

test('token: rotated, it keeps its tools and lets only the new one in; after its days it lets nobody in', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.parse('2026-01-01T00:00:00Z') });
  const home = tempHome(t);
  const serving = new Tokens(home);
  const first = (await run(home, 'add', 'ci', '--tools', 'a_*', '--days', '30')).out.trim();
  assert.equal(serving.find(digest(first)), 'ci');
  const { out, err } = await run(home, 'rotate', 'ci');
  const second = out.trim();
  assert.match(err, /^New token of ci; the old one is refused from now on\./);
  assert.deepEqual([serving.find(digest(first)), serving.find(digest(second))], [undefined, 'ci']);
  assert.deepEqual([serving.allows('ci', 'a_b'), serving.allows('ci', 'b_a')], [true, false]);
  assert.match((await run(home, 'list')).out, /^ci +since 2026-01-01 {2}until 2026-01-31 {2}a_\*\n$/);
  t.mock.timers.tick(31 * 86_400_000);
  assert.equal(serving.find(digest(second)), undefined);
  assert.match((await run(home, 'list')).out, /expired 2026-01-31/);
  assert.equal(serving.any(), true, 'the door stays shut');
  const third = (await run(home, 'rotate', 'ci')).out.trim();
  assert.equal(serving.find(digest(third)), 'ci');
  assert.match((await run(home, 'list')).out, /until 2026-03-03/);
});
