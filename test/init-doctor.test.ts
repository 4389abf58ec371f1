import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { connect } from '../host/mcp/connections.ts';
import { roleStates, secretState, serverStates } from '../host/doctor/around.ts';
import { programStates } from '../host/doctor/programs.ts';
import { doors } from '../host/mcp/doors.ts';
import { hostSettings } from '../host/settings.ts';
import { noJournal } from '../kit/journal.ts';
import { scriptedModel } from '../kit/scripted.ts';
import { cleanEnv, tempHome } from './support.ts';

const never = new AbortController().signal;

test('servers: each with its state, its tools, and why it is degraded', async (t) => {
  const home = tempHome(t);
  const mcpServers = { broken: { command: process.execPath, args: ['-e', 'process.exit(3)'] } };
  writeFileSync(join(home, 'kuznia.json'), JSON.stringify({ mcpServers }));
  const runtime = { home, journal: noJournal, env: cleanEnv(home) };
  const connections = await connect(doors(hostSettings(home).servers), runtime);
  t.after(() => connections.close());
  const states = await serverStates(connections, 10_000);
  const state = (name: string) => states.find((one) => one.name === name) ?? assert.fail(name);
  assert.equal(state('sandbox').state, 'ready');
  assert.ok(state('sandbox').tools > 10, 'they are counted');
  assert.equal(state('broken').state, 'degraded');
  assert.ok(state('broken').reason);
});

test('servers: one that hangs is told as starting when the time is over', async (t) => {
  const home = tempHome(t);
  const mcpServers = {
    sandbox: false,
    hanging: { command: process.execPath, args: ['-e', 'setInterval(() => {}, 1e6)'] },
  };
  writeFileSync(join(home, 'kuznia.json'), JSON.stringify({ mcpServers }));
  const settings = hostSettings(home).servers.filter(({ name }) => name === 'hanging');
  const connections = await connect(doors(settings), { home, journal: noJournal, env: cleanEnv(home) });
  t.after(() => connections.close());
  const started = performance.now();
  const [hanging] = await serverStates(connections, 100);
  assert.equal(hanging?.state, 'starting');
  assert.ok(performance.now() - started < 10_000);
});

test('roles: which model each gets and why, and what to do where none can', async (t) => {
  const home = tempHome(t);
  const config = { models: { small: 'tiny:1b' } };
  writeFileSync(join(home, 'kuznia.json'), JSON.stringify(config));
  const models = [
    { name: 'talker:7b', capabilities: ['completion', 'tools'], contextLength: 8_192, parameters: '7B' },
    { name: 'tiny:1b', capabilities: ['completion'], contextLength: 8_192, parameters: '1B' },
  ];
  const model = scriptedModel({ models, answers: [] });
  const states = await roleStates(model, { home, journal: noJournal, env: {} }, never);
  const of = (role: string) => states.find((one) => one.role === role) ?? assert.fail(role);
  assert.deepEqual(
    states.map(({ role }) => role),
    ['default', 'code', 'vision', 'small', 'embed'],
  );
  assert.equal(of('default').model, 'talker:7b');
  assert.deepEqual([of('small').model, /configured/.test(of('small').why)], ['tiny:1b', true]);
  for (const role of ['vision', 'embed']) {
    assert.equal(of(role).model, undefined);
    assert.match(of(role).why, /ollama pull/);
  }
});

test('secrets: none yet, and a store that cannot be read is told', async (t) => {
  const home = tempHome(t);
  assert.deepEqual(await secretState(home, {}), { folder: join(home, 'secrets'), count: 0 });
  mkdirSync(join(home, 'secrets'));
  const { secretStore } = await import('../kit/secret-store.ts');
  await secretStore(home, { KUZNIA_KEYRING: 'off' }).update((all) => {
    all['a'] = { kind: 'secret', value: 'value-of-a', origins: [], added: new Date().toISOString() };
  });
  const state = await secretState(home, {});
  assert.equal(state.count, 1);
  assert.ok(state.kept);
  assert.ok(!JSON.stringify(state).includes('value-of-a'));
  writeFileSync(join(home, 'secrets', 'store.age'), 'broken');
  assert.match((await secretState(home, {})).error ?? '', /\w/);
});

test('programs: where they are by absolute folders of PATH alone, with how to get each', (t) => {
  const home = tempHome(t);
  for (const [name, mode] of [
    ['glab', 0o755],
    ['docker', 0o644],
  ] as const) {
    writeFileSync(join(home, name), '');
    chmodSync(join(home, name), mode);
  }
  const states = programStates({ PATH: ['relative', home].join(delimiter) }, 'linux');
  const paths = states.map(({ name, path }) => [name, path]);
  assert.deepEqual(paths, [
    ['git', undefined],
    ['glab', join(home, 'glab')],
    ['docker', undefined],
  ]);
  assert.ok(states.every(({ get, use }) => /https:/.test(get) && z.string().min(5).safeParse(use).success));
});
