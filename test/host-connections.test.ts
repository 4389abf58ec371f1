import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { connect, type Answer } from '../host/mcp/connections.ts';
import { inProcess } from '../host/mcp/doors.ts';
import { noJournal } from '../kit/journal.ts';
import { mountable } from '../kit/serve.ts';
import { ToolError, toolFor, type Catalogue, type ServerDefinition } from '../kit/tool.ts';

interface Deps {
  published: string[];
  listeners: Set<() => void>;
  aborted: number;
  ran: number;
}

const tool = toolFor<Deps>();
const any = z.object({ status: z.string(), job: z.string().optional(), note: z.string().optional() });

const tools = [
  tool({
    name: 'fake_fail',
    title: 'Fail',
    description: 'Fails.',
    effect: 'read',
    input: z.object({}),
    output: any,
    run: async () => {
      throw new ToolError('It is broken. Mend it.');
    },
  }),
  tool({
    name: 'fake_hang',
    title: 'Hang',
    description: 'Waits for its end.',
    effect: 'read',
    input: z.object({}),
    output: any,
    run: (_input, deps, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          deps.aborted += 1;
          reject(new Error('aborted'));
        });
      }),
  }),
  tool({
    name: 'fake_publish',
    title: 'Publish',
    description: 'Publishes a tool.',
    effect: 'write',
    input: z.object({ name: z.string() }),
    output: any,
    run: async ({ name }, deps) => {
      deps.published.push(name);
      for (const listener of deps.listeners) listener();
      return { status: 'live' };
    },
  }),
  tool({
    name: 'fake_long',
    title: 'Long',
    description: 'Takes long.',
    effect: 'read',
    long: true,
    input: z.object({ steps: z.number() }),
    output: any,
    run: async ({ steps }, _deps, ctx) => {
      for (let n = 1; n <= steps; n++) {
        await sleep(20);
        ctx.progress(n, steps, `step ${n}`);
      }
      return { status: 'done' };
    },
  }),
  tool({
    name: 'fake_drop',
    title: 'Drop',
    description: 'Asks first.',
    effect: 'destroy',
    input: z.object({ what: z.string() }),
    output: any,
    confirm: async ({ what }) => ({ message: `Drop ${what}?`, elsewhere: 'drop it by hand' }),
    run: async (_input, deps) => {
      deps.ran += 1;
      return { status: 'dropped' };
    },
  }),
];

function forged(deps: Deps): Catalogue {
  return {
    list: () =>
      deps.published.map((name) => {
        const any = { type: 'object' };
        return {
          name,
          title: name,
          description: name,
          inputSchema: any,
          outputSchema: any,
          effect: 'read' as const,
        };
      }),
    has: (name) => deps.published.includes(name),
    call: async () => ({ value: 1 }),
    onChange: (listener) => {
      deps.listeners.add(listener);
      return () => deps.listeners.delete(listener);
    },
  };
}

async function start(t: TestContext) {
  const deps: Deps = { published: [], listeners: new Set(), aborted: 0, ran: 0 };
  const definition: ServerDefinition<object, Deps> = {
    name: 'fake',
    title: 'Fake',
    instructions: '',
    config: z.object({}),
    open: async () => deps,
    close: async () => {},
    tools,
    resources: [],
    prompts: [],
    catalogue: forged,
  };
  const home = await mkdtemp(join(tmpdir(), 'kuznia-host-'));
  const runtime = { home, journal: noJournal, env: {} };
  const server = mountable(definition);
  const connections = await connect([inProcess('fake', async () => server)], runtime);
  t.after(async () => {
    await connections.close();
    await rm(home, { recursive: true, force: true });
  });
  return { connections, deps, signal: new AbortController().signal };
}

test('tools are listed with their effect, and which of them take long', async (t) => {
  const { connections, signal } = await start(t);
  const listed = (await connections.tools(signal)).map(({ name, effect, long, server }) => [
    name,
    effect,
    long,
    server,
  ]);
  assert.deepEqual(listed, [
    ['fake_fail', 'read', false, 'fake'],
    ['fake_hang', 'read', false, 'fake'],
    ['fake_publish', 'write', false, 'fake'],
    ['fake_long', 'read', true, 'fake'],
    ['fake_drop', 'destroy', false, 'fake'],
  ]);
});

test('a published tool is in the list at once, and can be called', async (t) => {
  const { connections, deps, signal } = await start(t);
  await connections.tools(signal);
  assert.ok((await connections.call('fake_publish', { name: 'forged_x' }, { signal })).ok);
  assert.ok((await connections.tools(signal)).some((one) => one.name === 'forged_x'));
  assert.deepEqual((await connections.call('forged_x', {}, { signal })).value, { value: 1 });
  // By somebody else: only the notification tells.
  deps.published.push('forged_y');
  for (const listener of deps.listeners) listener();
  await sleep(50);
  assert.ok((await connections.tools(signal)).some((one) => one.name === 'forged_y'));
});

test('a tool’s failure, wrong arguments and an unknown tool are results', async (t) => {
  const { connections, signal } = await start(t);
  assert.deepEqual(await connections.call('fake_fail', {}, { signal }), {
    ok: false,
    text: 'It is broken. Mend it.',
    content: [{ type: 'text', text: 'It is broken. Mend it.' }],
    value: undefined,
  });
  assert.match((await connections.call('fake_publish', {}, { signal })).text, /`name`/);
  const unknown = await connections.call('fake_publsh', {}, { signal });
  assert.equal(unknown.ok, false);
  assert.match(unknown.text, /no tool `fake_publsh`. Nearest: fake_publish/);
});

test('a long call is waited for to its end, with its progress', async (t) => {
  const { connections, signal } = await start(t);
  const notes: (string | undefined)[] = [];
  const onProgress = ({ note }: { note?: string }) => notes.push(note);
  const result = await connections.call('fake_long', { steps: 3 }, { signal, onProgress });
  assert.deepEqual(result.value, { status: 'done' });
  assert.deepEqual(notes, ['step 1', 'step 2', 'step 3']);
});

test('cancelling reaches the tool', async (t) => {
  const { connections, deps } = await start(t);
  const stop = new AbortController();
  const call = connections.call('fake_hang', {}, { signal: stop.signal });
  await sleep(30);
  const at = performance.now();
  stop.abort();
  await assert.rejects(call, { name: 'AbortError' });
  assert.ok(performance.now() - at < 5000);
  for (let n = 0; n < 50 && deps.aborted === 0; n++) await sleep(10);
  assert.equal(deps.aborted, 1);
});

test('a tool that asks runs after a yes only', async (t) => {
  const { connections, deps, signal } = await start(t);
  const questions: string[] = [];
  const asking = (answer: Answer) => async (question: string) => {
    questions.push(question);
    return answer;
  };
  const drop = (answer: Answer) =>
    connections.call('fake_drop', { what: 'all' }, { signal, ask: asking(answer) });
  assert.equal((await drop('no')).ok, false);
  assert.equal((await drop('unavailable')).ok, false);
  assert.match((await connections.call('fake_drop', { what: 'all' }, { signal })).text, /drop it by hand/);
  assert.equal(deps.ran, 0);
  assert.deepEqual((await drop('yes')).value, { status: 'dropped' });
  assert.equal(deps.ran, 1);
  assert.deepEqual(questions, ['Drop all?', 'Drop all?', 'Drop all?']);
});
