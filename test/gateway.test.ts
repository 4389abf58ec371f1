import { InMemoryTransport } from '@modelcontextprotocol/client';
import { Server } from '@modelcontextprotocol/server';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Door } from '../host/mcp/link.ts';
import { readJournal } from '../kit/journal.ts';
import { approves, CLIENTS, connect, declines } from './clients.ts';
import { far, near, odd, serveGateway } from './gateway-kit.ts';
import { until } from './support.ts';

const timeout = 60_000;

test('gateway: all servers as one, each name once, for every client', { timeout }, async (t) => {
  // All of the clients have one name, and so one share.
  const bounds = { burst: 1_000 };
  const { url } = await serveGateway(t, { doors: (home) => [near(), ...far(home), odd()], bounds });
  for (const kind of CLIENTS) {
    const client = await connect(t, kind, { http: url });
    const tools = await client.tools();
    assert.equal(new Set(tools).size, tools.length);
    for (const name of ['every_say', 'far_every_say', 'odd_form', 'model_generate', 'model_list']) {
      assert.ok(tools.includes(name), `${kind} ${name}`);
    }
    assert.deepEqual((await client.call('every_say', { text: 'near' })).value, { text: 'near' });
    assert.deepEqual((await client.call('far_every_say', { text: 'far' })).value, { text: 'far' });
    const failed = await client.call('far_every_fail', { how: 'told' });
    assert.deepEqual([failed.isError, failed.text], [true, 'You asked for it. Ask for something else.']);
    await assert.rejects(client.call('every_sya'), /no tool `every_sya`\. Nearest: /);
    assert.deepEqual(await client.templates(), ['every://notes/{name}/{part}']);
    assert.equal(await client.read('every://notes/first/body'), 'body of first');
    await assert.rejects(client.read('other://x'), /not found|other:/i);
    assert.equal(await client.prompt('far_every_greeting', { who: 'Ala' }), 'Say hello to Ala.');
    const names = await client.complete('every://notes/{name}/{part}', { name: 'name', value: 'f' });
    assert.deepEqual(names, ['first']);
  }
  const sse = await connect(t, 'v1', { sse: url.replace(/mcp$/, 'sse') });
  assert.deepEqual((await sse.call('far_every_say', { text: 'old' })).value, { text: 'old' });
});

test('gateway: list_changed from upstream reaches every client', { timeout }, async (t) => {
  const { url } = await serveGateway(t, {
    doors: (home) => far(home),
    approve: [{ tool: 'every_publish', policy: 'allow' }],
  });
  const [one, two] = await Promise.all([
    connect(t, 'v1', { http: url }),
    connect(t, 'v2 legacy', { http: url }),
  ]);
  await Promise.all([one.tools(), two.tools()]);
  const before = [one.changes(), two.changes()];
  await one.call('every_publish', { name: 'slug' });
  await until('both told', () => [one, two].every((client, at) => client.changes() > (before[at] ?? 0)));
  assert.ok((await two.tools()).includes('far_forged_slug'));
  assert.deepEqual((await two.call('far_forged_slug', { text: 'a' })).isError, false);
});

test(
  'gateway: policy asks the client, an answer counts for its call, deny is final',
  { timeout },
  async (t) => {
    const { url, home, journal } = await serveGateway(t, {
      doors: (home) => far(home),
      approve: [{ tool: 'every_seen', policy: 'deny' }],
    });
    for (const kind of CLIENTS) {
      const yes = await connect(t, kind, { http: url }, { person: approves });
      const done = await yes.call('every_publish', { name: 'a' });
      assert.equal(done.isError, false, done.text);
      assert.match(
        yes.asked[0] ?? '',
        /^Allow interop to call every_publish \(write, far\)\? Arguments: \{"name":"a"\}$/,
      );
      const no = await connect(t, kind, { http: url }, { person: declines });
      const refused = await no.call('every_publish', { name: 'a' });
      assert.deepEqual([refused.isError, no.asked.length], [true, 1]);
      assert.match(refused.text, /^A person declined it/);
      const denied = await yes.call('every_seen');
      assert.match(denied.text, /^every_seen is denied by `approve` in kuznia\.json/);
    }
    await journal.flush();
    const entries = [];
    for await (const entry of readJournal(home)) entries.push(entry);
    const mine = entries.filter((one) => one.server === 'gateway' && one.name === 'every_publish');
    assert.deepEqual(mine.map((one) => one.outcome).sort(), [
      ...CLIENTS.map(() => 'denied'),
      ...CLIENTS.map(() => 'ok'),
    ]);
    assert.ok(mine.every((one) => one.client === 'interop'));
  },
);

test(
  'gateway: where nobody can be asked, the refusal names the command, and the decision counts once',
  { timeout },
  async (t) => {
    const { url, home } = await serveGateway(t, { doors: (home) => far(home) });
    const client = await connect(t, 'v1', { http: url });
    const { isError, text } = await client.call('every_publish', { name: 'b' });
    assert.equal(isError, true);
    const id = /kuznia approve ([0-9a-f]{8})/.exec(text)?.[1] ?? '';
    const { Approvals } = await import('../host/approvals/approvals.ts');
    await new Approvals(home).decide(id, true, 'ala');
    assert.equal((await client.call('every_publish', { name: 'c' })).isError, true, 'another call');
    assert.equal((await client.call('every_publish', { name: 'b' })).isError, false);
    assert.equal((await client.call('every_publish', { name: 'b' })).isError, true, 'once');
  },
);

test(
  'gateway: what an upstream server asks is put to the outside person, in the middle of one call',
  { timeout },
  async (t) => {
    const { url } = await serveGateway(t, {
      doors: (home) => [near(), odd(), ...far(home)],
      approve: [{ tool: 'far_*', effect: 'write', policy: 'allow' }],
    });
    for (const kind of CLIENTS) {
      const client = await connect(t, kind, { http: url }, { person: approves });
      assert.deepEqual((await client.call('every_erase', { what: 'x' })).value, { erased: 'x' });
      assert.match(client.asked[0] ?? '', /^near asks: Erase x\? 0 counts were begun\.$/);
      // Somebody else's destroy: by policy, then by its server.
      assert.deepEqual((await client.call('far_every_erase', { what: 'y' })).value, { erased: 'y' });
      assert.deepEqual(
        client.asked.slice(1).map((one) => one.split(' ')[0]),
        ['Allow', 'far'],
      );
      const no = await connect(t, kind, { http: url }, { person: declines });
      assert.equal((await no.call('every_erase', { what: 'x' })).isError, true);
      const form = await connect(
        t,
        kind,
        { http: url },
        {
          person: () => ({ action: 'accept', content: Object.fromEntries([['city', true]]) }),
        },
      );
      const filled = await form.call('odd_form');
      assert.match(filled.text, /^(accept \{"city":true\}|.*city)/);
      assert.match(form.asked[0] ?? '', /^odd asks: Where to\?/);
    }
    const nobody = await connect(t, 'v1', { http: url });
    const refused = await nobody.call('every_erase', { what: 'x' });
    assert.match(refused.text, /A person has to decide this\. Outside this client: every erase x/);
  },
);

test('gateway: cancel and progress pass, deadlines hold', { timeout }, async (t) => {
  const { url } = await serveGateway(t, { doors: (home) => far(home) });
  const client = await connect(t, 'v1', { http: url });
  const notes: string[] = [];
  const onprogress = ({ message = '' }) => void notes.push(message);
  await client.call('every_count', { to: 3, ms: 5 }, { onprogress });
  assert.deepEqual(notes, ['step 1', 'step 2', 'step 3']);
  const stop = new AbortController();
  const counting = client.call('every_count', { to: 1_000, ms: 10 }, { signal: stop.signal });
  await sleep(100);
  stop.abort();
  await assert.rejects(counting);
  await until('upstream stopped', async () => {
    const { value } = await client.call('every_seen');
    return JSON.stringify(value) === '{"started":2,"finished":1,"aborted":1}';
  });
  assert.match((await client.call('every_stuck')).text, /took over 0\.2 s and was cut/);
});

test('gateway: long calls of our servers come back as jobs', { timeout }, async (t) => {
  const { url } = await serveGateway(t, { doors: () => [near()] });
  const [client, other] = [await connect(t, 'v1', { http: url }), await connect(t, 'v2 auto', { http: url })];
  const begun = await client.call('every_job', { ms: 300, wait_s: 0.05 });
  const { job, status } = Object(begun.value);
  assert.equal(status, 'running', begun.text);
  assert.match((await client.call('every_count', { job, to: 1, ms: 1 })).text, /job/);
  const done = await other.call('every_job', { ms: 300, job, wait_s: 5 });
  assert.deepEqual(done.value, { status: 'done' });
  const failing = await client.call('every_job', { ms: 1, fail: true });
  assert.equal(failing.text, 'The job failed. Begin another.');
  assert.match((await client.call('every_job', { ms: 1, job: 'nope' })).text, /no such job/);
});

test('gateway: pictures pass, and answers without a value', { timeout }, async (t) => {
  const { url } = await serveGateway(t, { doors: () => [odd()] });
  const { Client } = await import('@modelcontextprotocol/client');
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  const client = new Client({ name: 'x', version: '0' });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  t.after(() => client.close());
  const { content, structuredContent } = await client.callTool({ name: 'odd_picture' });
  assert.equal(structuredContent, undefined);
  assert.deepEqual(content[1], { type: 'image', data: 'iVBORw0KGgoAAAAN', mimeType: 'image/png' });
});

test(
  'gateway: a server that dies takes its own tools away only, and brings them back',
  { timeout },
  async (t) => {
    const { url } = await serveGateway(t, { doors: (home) => [near(), ...far(home)] });
    const client = await connect(t, 'v1', { http: url });
    await client.call('far_every_fail', { how: 'die' });
    await until('gone', async () => !(await client.tools()).includes('far_every_say'));
    const away = await client.call('far_every_say', { text: 'a' });
    assert.equal(away.isError, true);
    assert.match(
      away.text,
      /^The server far, which has far_every_say, is away( \(.*\))?\. Try again in a moment/,
    );
    assert.equal((await client.call('every_say', { text: 'a' })).isError, false);
    assert.ok(client.changes() > 0);
    await until('back', async () => (await client.tools()).includes('far_every_say'), 15_000);
    assert.deepEqual((await client.call('far_every_say', { text: 'again' })).value, { text: 'again' });
  },
);

/** Somebody else's server with one tool that writes; `listing` is called at each listing of it. */
const plain = (listing: (server: Server) => void): Door => ({
  name: 'plain',
  foreign: true,
  async open() {
    const [transport, theirs] = InMemoryTransport.createLinkedPair();
    const capabilities = { tools: { listChanged: true } };
    const server = new Server({ name: 'plain', version: '0' }, { capabilities });
    server.setRequestHandler('tools/list', () => {
      listing(server);
      const annotations = { readOnlyHint: false, destructiveHint: false };
      return { tools: [{ name: 'touch', annotations, inputSchema: { type: 'object' as const } }] };
    });
    server.setRequestHandler('tools/call', () => ({
      content: [{ type: 'text' as const, text: 'done' }],
    }));
    await server.connect(theirs);
    return { transport, close: () => server.close() };
  },
});

test('gateway: a server of others is not listed anew after each call that writes', { timeout }, async (t) => {
  let lists = 0;
  const { url } = await serveGateway(t, {
    doors: () => [plain(() => lists++)],
    approve: [{ tool: 'touch', policy: 'allow' }],
  });
  const client = await connect(t, 'v1', { http: url });
  const before = lists;
  for (let i = 0; i < 5; i++) assert.match((await client.call('touch')).text, /^done/);
  assert.equal(lists, before);
});

test(
  'gateway: a server that tells of a change whenever it is listed is asked less and less often',
  { timeout },
  async (t) => {
    const lists: number[] = [];
    const restless = plain((server) => {
      lists.push(performance.now());
      setTimeout(() => void server.sendToolListChanged().catch(() => {}), 5);
    });
    const { url } = await serveGateway(t, { doors: () => [restless] });
    const client = await connect(t, 'v1', { http: url });
    await sleep(1_500);
    assert.ok(lists.length >= 3 && lists.length < 15, `${lists.length} times`);
    assert.ok((await client.tools()).includes('touch'));
  },
);

test(
  'gateway: who lists the tools at once gets those of a server that starts slowly too',
  { timeout },
  async (t) => {
    const slow = (door: Door, ms: number): Door => ({
      ...door,
      open: (runtime) => sleep(ms, undefined, { ref: false }).then(() => door.open(runtime)),
    });
    const { url } = await serveGateway(t, { doors: () => [near(), slow(odd(), 2_500)], atOnce: true });
    const client = await connect(t, 'v1', { http: url });
    assert.ok((await client.tools()).includes('odd_page'));
    assert.equal((await client.call('odd_picture')).isError, false);
    const { url: other } = await serveGateway(t, {
      doors: () => [near(), slow(odd(), 60_000)],
      atOnce: true,
    });
    const since = performance.now();
    assert.ok((await (await connect(t, 'v1', { http: other })).tools()).includes('every_say'));
    assert.ok(performance.now() - since < 20_000, 'one that hangs keeps nobody for long');
  },
);
