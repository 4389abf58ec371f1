import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Window } from '../host/turn/window.ts';
import type { HostTool } from '../host/mcp/connections.ts';
import { turn, type TurnEvent, type TurnOptions } from '../host/turn/loop.ts';
import { complete, ollamaModel, type ChatMessage, type ModelError } from '../kit/ollama.ts';
import { ollamaDouble } from './doubles/ollama.ts';

const never = new AbortController().signal;
/** One token to the gauge, two to the double. */
const long = (n: number) => 'letters '.repeat(n);

type Options = Partial<Parameters<typeof ollamaDouble>[0]>;

async function start(t: TestContext, options: Options = {}) {
  const double = await ollamaDouble({
    models: [{ name: 'double:4b', contextLength: 4096 }],
    reply: ({ body, n }) => {
      if (body.tools && n === 1) return { calls: [{ name: 'find_tools', arguments: { need: 'the date' } }] };
      return { content: body.messages.at(-1)?.content.startsWith('Sum up') ? 'short' : 'ok' };
    },
    ...options,
  });
  t.after(() => double.close());
  return { double, model: ollamaModel({ host: double.url }) };
}

async function play(options: Pick<TurnOptions, 'model' | 'messages'> & Partial<TurnOptions>) {
  const info = await options.model.show('double:4b', never);
  const events: TurnEvent[] = [];
  const connections = { tools: async () => [], call: async () => ({ ok: true, text: '' }) };
  const base = { connections, approve: async () => 'no' as const, allowed: [], signal: never };
  for await (const event of turn({ ...base, info, ...options })) events.push(event);
  const notices = events.flatMap((event) => (event.type === 'notice' ? [event.text] : []));
  const end = events.at(-1);
  assert.ok(end?.type === 'end');
  return { events, notices, answer: end.answer };
}

const earlier = (content: string): ChatMessage[] => [
  { role: 'user', content: 'Read it.' },
  { role: 'assistant', content: '', tool_calls: [{ name: 'read', arguments: {} }] },
  { role: 'tool', content, tool_name: 'read' },
  { role: 'assistant', content: 'Done.' },
  { role: 'user', content: 'And now?' },
];

test('a prompt that Ollama refuses as too long is made shorter and sent again: nothing is cut unseen', async (t) => {
  const { double, model } = await start(t);
  const { notices, answer } = await play({ model, messages: earlier(long(2500)) });
  assert.equal(answer, 'ok');
  assert.deepEqual(notices, ['Summarised 1 older tool result to make room.']);
  const last = double.chats.at(-1)?.messages.map(({ content }) => content);
  assert.equal(last?.[3], '[summary of a longer result] short');
  assert.ok(double.chats.every((chat) => !chat.truncate));
});

test('a message that alone is longer than the context is refused with the reason, not answered in part', async (t) => {
  const { model } = await start(t);
  const messages: ChatMessage[] = [{ role: 'user', content: long(6000) }];
  await assert.rejects(
    play({ model, messages }),
    (error: ModelError) => error.reason === 'too_long' && /shorten it, or use a model/.test(error.message),
  );
});

test('a server that cuts all the same is told of, with what it gives', async (t) => {
  const { model } = await start(t, { old: true, serves: 1000 });
  const { notices } = await play({ model, messages: earlier(long(1200)) });
  assert.match(notices.join(), /^The model read \d+ of about \d+ tokens: .* cut off .* \(context 4096\)\.$/);
});

test('a server that counts only what its cache did not hold, or nothing, accuses nobody and teaches nothing', async (t) => {
  for (const counts of [() => 30, () => 0]) {
    const { model } = await start(t, { counts, models: [{ name: 'double:4b', contextLength: 16_384 }] });
    const window = new Window();
    const { notices, events } = await play({ model, window, messages: earlier(long(3000)) });
    assert.deepEqual(notices, []);
    assert.ok(!window.gauge.knows('double:4b'));
    const context = events.find((event) => event.type === 'context');
    assert.ok(context?.type === 'context' && context.used > 3000, 'the meter shows the estimate');
  }
});

test('num_ctx does not change to and fro: forge, chat and other programs share what is loaded', async (t) => {
  const { double, model } = await start(t, { models: [{ name: 'double:4b' }] });
  const ask = (messages: ChatMessage[]) => play({ model, messages, window: new Window() });
  const hi = () => [{ role: 'user' as const, content: 'Hi.' }];
  await ask(hi()); // 4,096
  await complete(model, { model: 'double:4b', messages: hi() }, never); // the forge: 8,192
  await ask(hi());
  await ask(hi());
  assert.equal(double.loads, 2);
  // Another process finds it loaded so, and takes it as it is.
  const other = ollamaModel({ host: double.url });
  await play({ model: other, messages: hi() });
  assert.equal(double.loads, 2);
  // But not past what its settings allow.
  const small = new Window(undefined, { context: 4096 });
  await play({ model: ollamaModel({ host: double.url }), messages: hi(), window: small });
  assert.equal(double.chats.at(-1)?.options.num_ctx, 4096);
});

test('tools that would fill the context are left out from the end, and that is said', async (t) => {
  const { double, model } = await start(t);
  const pinned = ['sandbox_run_code', 'sandbox_execute_task', 'sandbox_forge_tool', 'sandbox_improve_tool'];
  const tool = (name: string): HostTool => ({
    name,
    server: 'fake',
    title: name,
    description: 'Tells the time. '.repeat(250),
    inputSchema: { type: 'object' },
    effect: 'read',
    long: false,
    foreign: false,
    openWorld: false,
  });
  const tools = [...pinned.map(tool), tool('other')];
  const connections = { tools: async () => tools, call: async () => ({ ok: true, text: '' }) };
  const { notices, answer } = await play({
    model,
    connections,
    messages: [{ role: 'user', content: 'Which time is it?' }],
  });
  assert.equal(answer, 'ok');
  assert.match(notices.join(), /^Left out \d of \d tools to make room\.$/);
  // Later rounds know what a token is here, and have room for more.
  const told = double.chats[0]?.tools?.map((one) => one.function.name);
  assert.equal(told?.[0], 'sandbox_run_code');
  assert.equal(told.at(-1), 'find_tools');
});

test('what a picture takes is learned from the first one', async (t) => {
  const { model } = await start(t, {
    models: [{ name: 'double:4b', contextLength: 32_768, capabilities: ['completion', 'vision'] }],
    counts: (tokens) => tokens + 2500,
  });
  const window = new Window();
  const word = { role: 'user' as const, content: long(200) };
  window.gauge.learn('double:4b', { messages: [word] }, 200);
  const picture: ChatMessage = { ...word, images: [Buffer.from('png').toString('base64')] };
  const before = window.gauge.estimate('double:4b', { messages: [picture] });
  await play({ model, window, messages: [picture] });
  const after = window.gauge.estimate('double:4b', { messages: [picture] });
  assert.ok(before < 1200 && after > 2500, `${before}, then ${after}`);
});
