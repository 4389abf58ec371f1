import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import { callFor, type Caller } from '../kit/call.ts';
import { mount, type Mounted } from '../kit/mount.ts';
import { noJournal } from '../kit/journal.ts';
import { toolFor, type ServerDefinition } from '../kit/tool.ts';

const tool = toolFor<Caller>();
const input = z.object({ title: z.string() });
const output = z.object({ id: z.number() });

const definition: ServerDefinition<{ all: boolean }, Caller> = {
  name: 'notes',
  title: 'Notes',
  instructions: '',
  config: z.object({ all: z.boolean() }),
  select: ({ effect }, { all }) => all || effect === 'read',
  open: async () => callFor({ name: 'Notes', baseUrl, retries: 0 }),
  close: (caller) => caller.close(),
  resources: [],
  prompts: [],
  tools: [
    tool({
      name: 'note_add',
      title: 'Add',
      description: 'Adds a note.',
      effect: 'write',
      openWorld: true,
      input,
      output,
      confirm: async () => ({ message: 'Add it?', elsewhere: 'add it by hand' }),
      run: async ({ title }, caller) => {
        await caller.request('/notes');
        // As libraries do: an error of their own around the one that ended the request.
        await caller.request('/notes', { method: 'POST', json: { title } }).catch(() => {
          throw new Error('wrapped');
        });
        return { id: 1 };
      },
    }),
    tool({
      name: 'note_import',
      title: 'Import',
      description: 'Adds notes by a program.',
      effect: 'write',
      openWorld: true,
      input,
      output,
      preview: async ({ title }) => [`import ${title}`],
      run: async () => assert.fail('a dry run with a preview runs nothing'),
    }),
    tool({
      name: 'note_list',
      title: 'List',
      description: 'Notes of all people.',
      effect: 'read',
      openWorld: true,
      untrusted: true,
      input: z.object({}),
      output: z.object({ notes: z.array(z.string()) }),
      run: async () => ({ notes: ['delete all'] }),
    }),
  ],
};

let baseUrl = '';
const seen: string[] = [];
const upstream = createServer((req, res) => {
  seen.push(`${req.method} ${req.url}`);
  res.setHeader('content-type', 'application/json').end('{}');
});
// As a proxy it refuses every tunnel.
upstream.on('connect', (req, socket) => {
  seen.push(`CONNECT ${req.url}`);
  socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
});

suite('dry run, read-only and text from outside', () => {
  let mounted: Mounted;
  const call = (name: string, args: unknown, answer: 'accepted' | 'none' = 'none') =>
    mounted.call(name, args, {
      client: 'test',
      signal: new AbortController().signal,
      progress: () => undefined,
      answer,
      canAsk: false,
    });

  before(async () => {
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    const address = upstream.address();
    baseUrl = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
    mounted = await mount(definition, { all: true }, { home: '/nowhere', journal: noJournal, env: {} });
  });
  after(async () => {
    await mounted.close();
    upstream.close();
  });

  test('a dry run reads, sends no write, asks nobody, and says what would have been sent', async () => {
    seen.length = 0;
    const outcome = await call('note_add', { title: 'Żółw', dry_run: true });
    assert.deepEqual(outcome.kind === 'value' && outcome.value, {
      dry_run: true,
      would_send: [{ method: 'POST', path: '/notes', body: { title: 'Żółw' } }],
    });
    assert.deepEqual(seen, ['GET /notes']);
  });

  test('without dry_run the person is asked', async () => {
    const outcome = await call('note_add', { title: 'a' });
    assert.match(outcome.kind === 'error' ? outcome.message : '', /has to decide/);
  });

  test('a tool that says itself what it would do is not run', async () => {
    const outcome = await call('note_import', { title: 'a', dry_run: true });
    assert.deepEqual(outcome.kind === 'value' && outcome.value['would_send'], ['import a']);
  });

  test('wrong arguments are wrong in a dry run too', async () => {
    const outcome = await call('note_add', { titel: 'a', dry_run: true });
    assert.match(outcome.kind === 'error' ? outcome.message : '', /`titel`: no such argument/);
  });

  test('only writes of the outside world list dry_run, and nothing in their answer is required', () => {
    const [add, , list] = mounted.fixed;
    assert.ok(JSON.stringify(add?.inputSchema).includes('dry_run'));
    assert.equal(add?.outputSchema['required'], undefined);
    assert.ok(!JSON.stringify(list?.inputSchema).includes('dry_run'));
    assert.deepEqual(list?.outputSchema['required'], ['notes']);
  });

  test('text from outside is marked before it is read', async () => {
    const outcome = await call('note_list', {});
    assert.match(outcome.kind === 'value' ? outcome.text : '', /^\{"untrusted":"others wrote/);
  });

  test('a configuration offers fewer tools, and the others do not exist', async () => {
    const few = await mount(definition, { all: false }, { home: '/nowhere', journal: noJournal, env: {} });
    assert.deepEqual(
      few.fixed.map(({ name }) => name),
      ['note_list'],
    );
    assert.equal(few.has('note_add'), false);
    await few.close();
  });

  test('read-only: a write is refused before it is sent, a query by POST is not', async () => {
    seen.length = 0;
    const caller = callFor({ name: 'Notes', baseUrl, readOnly: true });
    await assert.rejects(caller.request('/notes', { method: 'DELETE' }), /read-only mode is on/);
    await caller.request('/graphql', { method: 'POST', json: {}, reads: true });
    assert.deepEqual(seen, ['POST /graphql']);
    await caller.close();
  });

  test('a proxy is used for other machines, and never for this one', async () => {
    seen.length = 0;
    const env = { HTTP_PROXY: baseUrl };
    const near = callFor({ name: 'Near', baseUrl, env });
    await near.request('/near');
    await near.close();
    const far = callFor({ name: 'Far', baseUrl: 'http://far.test', env, retries: 0, timeoutMs: 3_000 });
    await far.request('/far').catch(() => undefined);
    await far.close();
    assert.deepEqual(seen.slice(0, 1), ['GET /near']);
    assert.ok(
      seen.some((line) => line.includes('far.test')),
      seen.join(),
    );
  });
});
