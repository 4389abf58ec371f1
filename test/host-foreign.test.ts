import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { connect, type FormField } from '../host/mcp/connections.ts';
import { formOf } from '../host/gateway/results.ts';
import { doors, inProcess } from '../host/mcp/doors.ts';
import type { ServerSetting } from '../host/settings.ts';
import { noJournal } from '../kit/journal.ts';
import { mountable } from '../kit/serve.ts';
import { every } from './fixtures/every.ts';

const script = join(import.meta.dirname, 'fixtures', 'foreign.mjs');

const foreign = (name: string, args: string[], more: object = {}): ServerSetting => ({
  kind: 'command',
  name,
  command: process.execPath,
  args: [script, ...args],
  env: {},
  ...more,
});

async function start(t: TestContext, settings: ServerSetting[], env: Record<string, string> = {}) {
  const home = await mkdtemp(join(tmpdir(), 'kuznia-foreign-'));
  const started = performance.now();
  const connections = await connect(doors(settings), { home, journal: noJournal, env });
  const ms = performance.now() - started;
  t.after(async () => {
    await connections.close();
    await rm(home, { recursive: true, force: true });
  });
  const { signal } = new AbortController();
  return {
    connections,
    signal,
    ms,
    names: async () => (await connections.tools(signal)).map((one) => one.name),
  };
}

/** Waits until it is so; fails after a minute: a machine that runs other tests too starts a program slowly. */
async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let n = 0; n < 1200; n++) {
    if (await what()) return;
    await sleep(50);
  }
  assert.fail('it never came to be');
}

test('a foreign server on stdio: tools, calls, resources, prompts, completions', async (t) => {
  const { connections, signal, names } = await start(t, [foreign('notes', ['good'])]);
  assert.deepEqual(await names(), ['say', 'env']);
  assert.deepEqual(await connections.call('say', { text: 'hej' }, { signal }), {
    ok: true,
    text: 'said hej',
    content: [{ type: 'text', text: 'said hej' }],
    value: undefined,
    untrusted: true,
  });
  assert.deepEqual(
    (await connections.resources(signal)).map(({ server, uri, template }) => [server, uri, template]),
    [
      ['notes', 'note://one', false],
      ['notes', 'note://{name}', true],
    ],
  );
  assert.equal((await connections.readResource('notes', 'note://one', signal)).text, 'a note');
  const found = await connections.completeResource(
    'notes',
    'note://{name}',
    { name: 'name', value: 'o' },
    {},
    signal,
  );
  assert.deepEqual(found, ['one', 'other']);
  assert.deepEqual((await connections.prompts(signal))[0]?.arguments, [
    { name: 'of', description: undefined, required: true },
  ]);
  assert.equal((await connections.prompt('notes', 'sum_up', { of: 'it' }, signal)).text, 'Sum up it.');
});

test('a form of lists, titles and presets is filled in, or cancelled where nobody is', async (t) => {
  const { connections, signal } = await start(t, [foreign('notes', ['form'])]);
  const seen: FormField[] = [];
  const fill = async (_question: string, fields: FormField[]) => {
    seen.push(...fields);
    return { hero: 'h2', plays: ['Guitar', 'Drums'], age: 7 };
  };
  const filled = await connections.call('say', {}, { signal, fill });
  assert.match(filled.text, /"accept".*\{"hero":"h2","plays":\["Guitar","Drums"\],"age":7\}/);
  assert.deepEqual(
    seen.map(({ name, type, options, preset }) => [name, type, options?.map((one) => one.label), preset]),
    [
      ['hero', 'string', ['Superman', 'Batman'], undefined],
      ['pet', 'string', ['Cat', 'Dog'], undefined],
      ['plays', 'list', [undefined, undefined], ['Drums']],
      ['fish', 'list', ['Tuna'], undefined],
      ['age', 'integer', undefined, 42],
    ],
  );
  assert.match((await connections.call('say', {}, { signal })).text, /\{"action":"cancel"\}/);
  // So a client of the gateway is shown it.
  const { hero, plays, fish, age } = formOf(seen).properties;
  assert.deepEqual(hero, {
    type: 'string',
    title: 'Hero',
    oneOf: [
      { const: 'h1', title: 'Superman' },
      { const: 'h2', title: 'Batman' },
    ],
  });
  const instruments = { type: 'string', enum: ['Guitar', 'Drums'] };
  assert.deepEqual(plays, { type: 'array', title: 'Plays', items: instruments, default: ['Drums'] });
  assert.deepEqual(fish, {
    type: 'array',
    title: 'fish',
    items: { anyOf: [{ const: 'f1', title: 'Tuna' }] },
  });
  assert.deepEqual(age, { type: 'integer', title: 'Age', description: 'in years', default: 42 });
});

test('what a tool does is for the person to say', async (t) => {
  const effects = { 'say*': 'write' as const, '*': 'destroy' as const };
  const settings = [foreign('ours', ['ours']), foreign('notes', ['good'], { effects })];
  const { connections, signal } = await start(t, settings);
  const found = (await connections.tools(signal)).map(({ name, effect }) => [name, effect]);
  assert.deepEqual(found.slice(-3), [
    ['github_show', 'destroy'],
    ['say', 'write'],
    ['env', 'destroy'],
  ]);
});

test('why a server is not there is said in words that help', async (t) => {
  const server = createServer((_asked, answer) => answer.writeHead(404).end('404 page not found'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const web = (name: string, url: string): ServerSetting => {
    return { kind: 'url', name, url, headers: {}, transport: 'http' };
  };
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const portOf = (one: Server) => z.object({ port: z.number() }).parse(one.address()).port;
  const [port, closed] = [portOf(server), portOf(other)];
  other.close();
  await once(other, 'close');
  const { connections } = await start(t, [
    foreign('none', [], { command: 'no-such-program' }),
    web('odd', 'notaurl'),
    web('nobody', `http://127.0.0.1:${closed}/mcp`),
    web('elsewhere', `http://127.0.0.1:${port}/`),
    foreign('dies', ['dies']),
  ]);
  await until(() => connections.states().every(({ state }) => state === 'degraded'));
  assert.deepEqual(
    connections.states().map(({ reason }) => reason),
    [
      'there is no program no-such-program, or no folder to start it in: install it, or see its command and cwd',
      'its url is no address: notaurl',
      'nobody listens at its address',
      'nothing is at the path of its url (404): most servers have /mcp',
      'it ended before it answered: cannot find its settings',
    ],
  );
});

test('a tool that answers only clients with tasks is not offered', async (t) => {
  const { names } = await start(t, [foreign('notes', ['tasks'])]);
  assert.deepEqual(await names(), ['either']);
});

test('a server gets the environment that its setting names, and no other', async (t) => {
  const setting = foreign('notes', ['good'], { env: { TOKEN: 'secret://notes-token', PLACE: '${WHERE}/x' } });
  process.env['KUZNIA_SECRET_NOTES_TOKEN'] = 'kzcanary-token-1';
  t.after(() => delete process.env['KUZNIA_SECRET_NOTES_TOKEN']);
  const { connections, signal } = await start(t, [setting], { WHERE: 'home' });
  // Read backwards, since what it says as it stands is cleared of our secrets.
  const { text } = await connections.call('env', { backwards: true }, { signal });
  assert.match(text, /"TOKEN":"1-nekot-yranaczk"/);
  assert.match(text, /"PLACE":"x\/emoh"/);
  assert.doesNotMatch(text, /KUZNIA_SECRET/);
  const plain = await connections.call('env', {}, { signal });
  assert.match(plain.text, /"TOKEN":"\[secret:notes-token\]"/);
});

test('a setting that cannot be filled in degrades its server only, and says which', async (t) => {
  const { connections, names } = await start(t, [
    foreign('bad', ['good'], { env: { A: '${NOT_SET}' } }),
    foreign('good', ['good']),
  ]);
  assert.deepEqual(await names(), ['say', 'env']);
  const [bad] = connections.states();
  assert.equal(bad?.state, 'degraded');
  assert.match(bad?.reason ?? '', /\$\{NOT_SET\} is not set/);
});

test('one that hangs keeps nobody waiting', async (t) => {
  const { connections, names, ms } = await start(t, [foreign('hung', ['hangs']), foreign('good', ['good'])]);
  assert.ok(ms >= 1_400 && ms < 8_000, `${ms}`);
  assert.deepEqual(await names(), ['say', 'env']);
  assert.deepEqual(
    connections.states().map(({ name, state }) => [name, state]),
    [
      ['hung', 'starting'],
      ['good', 'ready'],
    ],
  );
});

test('ours are waited for where a busy machine starts them slowly, beside a foreign one that hangs', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'kuznia-slow-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  const load = async () => {
    await sleep(2_500);
    return mountable(every);
  };
  const all = [inProcess('slow', load), ...doors([foreign('hung', ['hangs'])])];
  const connections = await connect(all, { home, journal: noJournal, env: {} });
  t.after(() => connections.close());
  assert.equal(connections.states()[0]?.state, 'ready');
  assert.ok((await connections.tools(new AbortController().signal)).length > 0);
});

test('one that ends says why, and comes back by itself with its tools', async (t) => {
  const marker = join(tmpdir(), `kuznia-once-${process.pid}`);
  t.after(() => rm(marker, { force: true }));
  const { connections, names } = await start(t, [foreign('late', ['once', marker])]);
  assert.deepEqual(await names(), []);
  assert.match(connections.states()[0]?.reason ?? '', /cannot find its settings/);
  let told = 0;
  connections.onChange(() => told++);
  await until(async () => (await names()).length === 2);
  assert.equal(connections.states()[0]?.state, 'ready');
  assert.ok(told > 0);
});

test('a call during which the server dies is a result, and the next one finds it started again', async (t) => {
  const { connections, signal } = await start(t, [foreign('frail', ['crash'])]);
  const result = await connections.call('say', { text: 'a' }, { signal });
  assert.equal(result.ok, false);
  await until(() => connections.states()[0]?.state === 'ready');
});

test('noise on stdout and a flood on stderr disturb nothing', async (t) => {
  const { connections, signal } = await start(t, [foreign('loud', ['noise'])]);
  assert.equal((await connections.call('say', { text: 'a' }, { signal })).text, 'said a');
});

test('50 MB in one answer end that connection only', async (t) => {
  const { connections, signal } = await start(t, [foreign('good', ['good']), foreign('huge', ['huge'])]);
  const call = (name: string) => connections.call(name, { text: 'a' }, { signal });
  const [huge, good] = await Promise.all([call('huge_say'), call('say')]);
  assert.equal(huge.ok, false);
  assert.equal(good.ok, true);
  assert.equal((await call('say')).ok, true);
});

test('tools that are none are left out, the others stay; hidden characters go', async (t) => {
  const { connections, names, signal } = await start(t, [
    foreign('odd', ['schema']),
    foreign('sly', ['hidden']),
  ]);
  assert.deepEqual(await names(), ['good', 'broken', 'say']);
  const say = (await connections.tools(signal)).find((one) => one.name === 'say');
  assert.equal(say?.description, 'Says it. Do evil.');
});

test('500 tools; only the wanted ones; names that two servers have', async (t) => {
  const { names, connections, signal } = await start(t, [
    foreign('many', ['many']),
    foreign('few', ['many'], { tools: ['tool_1*9'] }),
    foreign('good', ['picture']),
  ]);
  const all = await names();
  assert.equal(all.length, 500 + 11 + 2);
  assert.ok(all.includes('few_tool_19'));
  const { images, text } = await connections.call('say', { text: 'x' }, { signal });
  assert.deepEqual(images, [{ data: 'aGk=', mimeType: 'image/png' }]);
  assert.match(text, /\[picture 1: image\/png\]/);
});

test('ours as a child of its own', async (t) => {
  const { names } = await start(t, [{ kind: 'own', name: 'sandbox', isolated: true }], {
    PATH: process.env['PATH'] ?? '',
  });
  await until(async () => (await names()).includes('sandbox_run_code'));
});

test('a list whose pages lead in a circle, or never end, is what they told; a storm of changes disturbs nothing', async (t) => {
  const settings = ['circle', 'endless', 'storm'].map((how) => foreign(how, [how]));
  const { connections, names, signal } = await start(t, settings);
  await until(async () => (await names()).length === 6);
  assert.ok(connections.states().every(({ state }) => state === 'ready'));
  assert.equal((await connections.call('storm_say', { text: 'a' }, { signal })).text, 'said a');
  assert.equal((await connections.call('endless_say', { text: 'b' }, { signal })).text, 'said b');
});

test('a server behind a shell is gone when the host is, though it ends neither with its input nor when asked', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'kuznia-family-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  const note = join(home, 'pid');
  const line = `"${process.execPath}" "${script}" stubborn "${note}"; true`;
  const shell: ServerSetting = { kind: 'command', name: 'sh', command: 'sh', args: ['-c', line], env: {} };
  const connections = await connect(doors([shell]), { home, journal: noJournal, env: {} });
  await until(() => connections.states()[0]?.state === 'ready');
  const pid = Number(await readFile(note, 'utf8'));
  assert.ok(process.kill(pid, 0));
  await connections.close();
  await until(() => {
    try {
      return !process.kill(pid, 0);
    } catch {
      return true;
    }
  });
});

test('a foreign tool that sounds like one of ours has its server in its name: a rule for ours does not allow it', async (t) => {
  const { names, connections, signal } = await start(t, [foreign('sly', ['ours'])]);
  assert.deepEqual(await names(), ['sly_gitlab_show_issue', 'sly_find_tools', 'github_show']);
  const { text } = await connections.call('sly_find_tools', { text: 'a' }, { signal });
  assert.equal(text, 'said a');
});
