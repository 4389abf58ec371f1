import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ollamaHost } from '../kit/ollama-http.ts';
import { complete, ModelError, ollamaModel, type ChatRequest } from '../kit/ollama.ts';
import { scriptedModel } from '../kit/scripted.ts';
import { oddSchemas } from './fixtures/odd-schemas.ts';
import { ollamaDouble, type Asked, type DoubleModel, type Reply } from './doubles/ollama.ts';

const never = new AbortController().signal;
const ask = (content: string, more: Partial<ChatRequest> = {}): ChatRequest => {
  return { model: 'double:4b', messages: [{ role: 'user', content }], ...more };
};
const tool = { name: 'add', description: 'Adds.', parameters: { type: 'object', properties: {} } };

async function start(
  t: TestContext,
  reply: (asked: Asked) => Reply,
  more: {
    models?: DoubleModel[];
    loadMs?: number;
    library?: DoubleModel[];
    chunk?: number;
    paceMs?: number;
    old?: boolean;
    deadlineMs?: number;
  } = {},
) {
  const double = await ollamaDouble({ ...more, reply });
  t.after(() => double.close());
  return { double, model: ollamaModel({ host: double.url, deadlineMs: more.deadlineMs }) };
}

async function fault(work: Promise<unknown>): Promise<ModelError> {
  const error: unknown = await work.then(
    (value) => assert.fail(`no error but ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ModelError, `a ModelError, not ${String(error)}`);
  assert.doesNotMatch(error.message, /\n|undefined|\[object/);
  return error;
}

test('OLLAMA_HOST is read as Ollama reads it', () => {
  const forms = {
    '': 'http://127.0.0.1:11434',
    'example.test': 'http://example.test:11434',
    'example.test:1234': 'http://example.test:1234',
    ':1234': 'http://127.0.0.1:1234',
    '0.0.0.0': 'http://127.0.0.1:11434',
    '0.0.0.0:5000': 'http://127.0.0.1:5000',
    '[::]:5000': 'http://127.0.0.1:5000',
    '[::1]': 'http://[::1]:11434',
    '[::1]:1': 'http://[::1]:1',
    '::1': 'http://[::1]:11434',
    'http://example.test': 'http://example.test:80',
    'https://example.test': 'https://example.test:443',
    'https://example.test/ollama/': 'https://example.test:443/ollama',
    'http://example.test:1/': 'http://example.test:1',
    ' "10.0.0.1:99" ': 'http://10.0.0.1:99',
    'example.test:99999': 'http://example.test:11434',
    'example.test:': 'http://example.test:11434',
    'ollama.com': 'https://ollama.com:443',
  };
  for (const [text, url] of Object.entries(forms)) assert.equal(ollamaHost(text), url, text);
});

test('an answer streams whole, wherever its bytes are cut', async (t) => {
  const text = 'Zażółć gęślą jaźń — 日本語 👍 "end"\nnext';
  for (const chunk of [1, 2, 3, 7, 64]) {
    const { model } = await start(t, () => ({ content: text, thinking: 'Hm. ż' }), { chunk });
    const events = [];
    for await (const event of model.chat(ask('hi'), never)) events.push(event);
    const answer = events.map((event) => (event.type === 'text' ? event.text : '')).join('');
    assert.equal(answer, text);
    assert.ok(events.filter((event) => event.type === 'text').length > 4, 'in several events');
    assert.deepEqual(events[0], { type: 'thinking', text: 'Hm. ż' });
    const end = events.at(-1);
    assert.ok(end?.type === 'done' && end.reason === 'stop' && end.promptTokens > 0 && end.ms > 0);
  }
});

test('tool calls come with their arguments, and go back with their names', async (t) => {
  const { double, model } = await start(t, () => ({ calls: [{ name: 'add', arguments: { a: 1 } }] }));
  const answer = await complete(model, ask('1+1', { tools: [tool] }), never);
  assert.deepEqual(answer.toolCalls, [{ id: 'call_0x', name: 'add', arguments: { a: 1 } }]);
  const call = { id: 'call_0x', name: 'add', arguments: { a: 1 } };
  const messages: ChatRequest['messages'] = [
    { role: 'assistant', content: '', tool_calls: [call] },
    { role: 'tool', content: '2', tool_name: 'add', tool_call_id: 'call_0x' },
  ];
  await complete(model, ask('', { messages, tools: [tool] }), never);
  assert.deepEqual(double.chats[1]?.messages, [
    {
      role: 'assistant',
      content: '',
      tool_calls: [{ id: 'call_0x', function: { name: 'add', arguments: { a: 1 } } }],
    },
    { role: 'tool', content: '2', tool_name: 'add', tool_call_id: 'call_0x' },
  ]);
  assert.equal(double.chats[1]?.tools?.[0]?.function.name, 'add');
});

test('arguments that came as a text are read; what is no object at all is none', async (t) => {
  const given = ['{"a":1}', '{"a":', 'x', [1], 7, null, { a: { b: 'x'.repeat(1_000_000) } }];
  const { model } = await start(t, () => ({
    calls: given.map((one) => ({ name: 'add', arguments: one })),
  }));
  const { toolCalls } = await complete(model, ask('Add.', { tools: [tool] }), never);
  assert.deepEqual(
    toolCalls.map((call) => call.arguments),
    [{ a: 1 }, {}, {}, {}, {}, {}, given.at(-1)],
  );
});

test('num_ctx is always sent, grows with the prompt, never shrinks, and ends at the model’s length', async (t) => {
  const { double, model } = await start(t, () => ({ content: 'ok' }), {
    models: [{ name: 'double:4b', contextLength: 20_000 }],
  });
  const contexts = [];
  for (const length of [10, 30_000, 10, 50_000]) {
    const { done } = await complete(model, ask('x'.repeat(length)), never);
    contexts.push(done.context);
  }
  assert.deepEqual(contexts, [8192, 16_384, 16_384, 20_000]);
  assert.deepEqual(
    double.chats.map((chat) => chat.options.num_ctx),
    contexts,
  );
  assert.equal(double.loads, 3, 'loaded anew only where it had to grow');
});

test('an old server cuts what passes num_ctx, and the figures show it', async (t) => {
  let read = '';
  const old = { old: true };
  const { model } = await start(
    t,
    ({ text }) => {
      read = text;
      return { content: 'ok' };
    },
    old,
  );
  const messages: ChatRequest['messages'] = [
    { role: 'system', content: 'SYSTEM' },
    { role: 'user', content: `OLDEST ${'x'.repeat(20_000)}` },
    { role: 'user', content: 'LAST' },
  ];
  const { done } = await complete(model, ask('', { messages, options: { num_ctx: 2048 } }), never);
  assert.match(read, /SYSTEM[^]*LAST/);
  assert.doesNotMatch(read, /OLDEST/);
  assert.ok(done.promptTokens < done.measured / 2, `${done.promptTokens} of ${done.measured}`);
});

test('thinking is asked only of a model that can', async (t) => {
  const { double, model } = await start(t, () => ({ content: 'ok' }), {
    models: [{ name: 'double:4b' }, { name: 'thinker', capabilities: ['completion', 'thinking'] }],
  });
  await complete(model, ask('x', { think: true }), never);
  await complete(model, ask('x', { model: 'thinker', think: false }), never);
  assert.deepEqual(
    double.chats.map((chat) => chat.think),
    [undefined, false],
  );
});

test('a schema goes to the grammar without what it cannot take', async (t) => {
  const { double, model } = await start(t, () => ({ content: '{}' }));
  const format = {
    type: 'object',
    properties: {
      code: { type: 'string', maxLength: 200_000, pattern: 'x+' },
      short: { type: 'array', maxItems: 6, items: { type: 'string', maxLength: 80 } },
      pattern: { type: 'string' },
    },
  };
  await complete(model, ask('x', { format }), never);
  assert.deepEqual(double.chats[0]?.format, {
    type: 'object',
    properties: {
      code: { type: 'string' },
      short: { type: 'array', maxItems: 6, items: { type: 'string', maxLength: 80 } },
      pattern: { type: 'string' },
    },
  });
});

for (const [what, schema] of Object.entries(oddSchemas)) {
  test(`a grammar can be made of any argument: ${what}`, async (t) => {
    const { model } = await start(t, () => ({ content: '{}' }));
    const format = { type: 'object', properties: { a: schema }, required: ['a'] };
    assert.equal((await complete(model, ask('x', { format }), never)).text, '{}');
  });
}

test('list, show, embed and version', async (t) => {
  const { model } = await start(t, () => ({}), {
    models: [
      { name: 'double:4b', contextLength: 4000, parameters: '4B' },
      { name: 'vectors', capabilities: ['embedding'] },
    ],
  });
  assert.deepEqual(
    (await model.list(never)).map(({ name, parameters, family, quantization }) => {
      return [name, parameters, family, quantization];
    }),
    [
      ['double:4b', '4B', 'double', 'Q4_K_M'],
      ['vectors:latest', '4B', 'double', 'Q4_K_M'],
    ],
  );
  const info = {
    name: 'double:4b',
    capabilities: ['completion', 'tools'],
    contextLength: 4000,
    parameters: '4B',
    bytesPerToken: undefined,
  };
  assert.deepEqual(await model.show('double:4b', never), info);
  const [first, second] = await model.embed('vectors', ['a b', 'c'], never);
  assert.deepEqual([first?.length, Math.round(Math.hypot(...(second ?? [])) * 1e6)], [3, 1e6]);
  assert.deepEqual(await model.reachable(never), { ok: true, version: '0.24.0' });
});

test('a model is pulled with its progress, is loaded, and is removed', async (t) => {
  const { double, model } = await start(t, () => ({ content: 'ok' }), {
    models: [],
    library: [{ name: 'new:1b', contextLength: 16_384 }],
    chunk: 17,
  });
  const steps = [];
  for await (const step of model.pull('new:1b', never)) steps.push(step);
  assert.equal(steps[0]?.status, 'pulling manifest');
  assert.deepEqual(
    steps
      .filter((step) => step.total)
      .map((step) => step.done ?? 0)
      .at(-1),
    3e9,
  );
  assert.equal(steps.at(-1)?.status, 'success');
  assert.deepEqual(await model.running(never), []);
  await complete(model, ask('x', { model: 'new:1b' }), never);
  const [loaded] = await model.running(never);
  assert.deepEqual([loaded?.name, loaded?.vram, loaded?.context], ['new:1b', 1e9, 8192]);
  await model.remove('new:1b', never);
  assert.deepEqual(await model.list(never), []);
  assert.equal((await fault(model.show('new:1b', never))).reason, 'no_model', 'not answered from memory');
  assert.equal((await fault(model.remove('new:1b', never))).reason, 'no_model');
  assert.equal(double.cancelled, 0);
});

test('a download that is not there, that fails, or that is cancelled ends in one sentence', async (t) => {
  const { double, model } = await start(t, () => ({}), { library: [{ name: 'big' }], paceMs: 50 });
  const pull = async (name: string, signal = never) => {
    for await (const { done = 0 } of model.pull(name, signal)) if (done > 0) stop.abort();
  };
  const stop = new AbortController();
  const missing = await fault(pull('nope:7b'));
  assert.equal(missing.reason, 'no_model');
  assert.match(missing.message, /No model nope:7b is offered.*ollama\.com\/library/);
  assert.equal((await fault(pull('big', stop.signal))).reason, 'cancelled');
  for (let n = 0; n < 50 && double.cancelled === 0; n++) await sleep(10);
  assert.equal(double.cancelled, 1, 'the server stops too');
});

test('an image goes as its bytes, and a text in its place opens no file', async (t) => {
  const { double, model } = await start(t, () => ({ content: 'ok' }));
  const image = Buffer.from('not really a picture').toString('base64');
  const path = fileURLToPath(import.meta.url);
  const messages = [{ role: 'user' as const, content: 'x', images: [image, path] }];
  await complete(model, ask('', { messages }), never);
  const [sent, text = ''] = double.chats[0]?.messages[0]?.images ?? [];
  assert.equal(sent, image);
  assert.ok(Buffer.from(text, 'base64').length < path.length, 'what base64 the path happens to be');
});

test('cancelling ends the call at once and lets the server know, also before the headers', async (t) => {
  const wait = { loadMs: 10_000 };
  const slow = await start(t, () => ({ content: 'late' }), wait);
  const talking = await start(t, () => ({ raw: '{"message":{"content":"one "}}\n', end: 'silent' }));
  for (const { double, model } of [slow, talking]) {
    const stop = new AbortController();
    const pending = fault(complete(model, ask('x'), stop.signal));
    while (double.chats.length === 0) await sleep(5);
    await sleep(30);
    const at = performance.now();
    stop.abort();
    assert.equal((await pending).reason, 'cancelled');
    assert.ok(performance.now() - at < 5000, `${performance.now() - at} ms`);
    for (let n = 0; n < 50 && double.cancelled === 0; n++) await sleep(10);
    assert.equal(double.cancelled, 1, 'the connection was closed');
  }
});

test('an answer that is not read to its end stops at the server too', async (t) => {
  const { double, model } = await start(t, () => ({
    raw: '{"message":{"content":"one "}}\n',
    end: 'silent',
  }));
  for await (const event of model.chat(ask('x'), never)) {
    assert.deepEqual(event, { type: 'text', text: 'one ' });
    break;
  }
  for (let n = 0; n < 50 && double.cancelled === 0; n++) await sleep(10);
  assert.equal(double.cancelled, 1);
});

test('silence ends at the deadline, before and after the headers; a slow answer does not', async (t) => {
  const deadlineMs = 400;
  const mute = await start(t, () => ({ silent: true }), { deadlineMs });
  const half = await start(t, () => ({ raw: '{"message":{"content":"one"}}\n', end: 'silent' }), {
    deadlineMs,
  });
  for (const { model } of [mute, half]) {
    const { reason, message } = await fault(complete(model, ask('x'), never));
    assert.equal(reason, 'timeout');
    assert.match(message, /sent nothing.*smaller model/);
  }
  const slow = await start(t, () => ({ content: 'w '.repeat(40) }), { deadlineMs, paceMs: 15 });
  const at = performance.now();
  assert.equal((await complete(slow.model, ask('x'), never)).text.length, 80);
  assert.ok(performance.now() - at > deadlineMs, 'longer than the deadline on the whole');
});

test('every fault is one sentence with the next step', async (t) => {
  const cases: [Reply, ModelError['reason'], RegExp][] = [
    [
      { status: 500, error: 'llama runner process has terminated: signal: killed' },
      'server',
      /terminated.*ask again/,
    ],
    [{ status: 503, error: 'server busy, please try again.' }, 'server', /busy: try again/],
    [
      { status: 500, error: `error parsing tool call: raw='{"a": }', err=invalid` },
      'tool_parse',
      /could not read.*raw='{"a": }'/,
    ],
    [
      { content: 'Let me ', fails: `error parsing tool call: raw='{', err=eof` },
      'tool_parse',
      /could not read/,
    ],
    [
      { content: 'Half ', fails: 'an error was encountered while running the model' },
      'server',
      /while running the model/,
    ],
    [
      { raw: '<html><title>Sign in</title>', type: 'text/html', end: 'end' },
      'bad_answer',
      /text\/html.*OLLAMA_HOST/,
    ],
    [
      { raw: '<html>502 Bad Gateway', type: 'text/html', status: 502, end: 'end' },
      'bad_answer',
      /HTML with status 502/,
    ],
    [{ raw: '{"message":{"content":"half a str', end: 'cut' }, 'cut', /in the middle.*ask again/],
    [{ raw: '{"message":{"content":"half a str', end: 'end' }, 'cut', /in the middle/],
    [{ raw: '{"message":{"content":"no end"}}\n', end: 'end' }, 'cut', /in the middle/],
    [{ raw: 'this is { no json\n', end: 'end' }, 'bad_answer', /no JSON \(this is/],
    [{ raw: '{"message":{"content":7}}\n', end: 'end' }, 'bad_answer', /message\.content/],
    [{ raw: '{"message":{"tool_calls":[{"function":{"name":7}}]}}\n', end: 'end' }, 'bad_answer', /name/],
  ];
  for (const [reply, reason, words] of cases) {
    const { model } = await start(t, () => reply);
    const error = await fault(complete(model, ask('x'), never));
    assert.equal(error.reason, reason, `${JSON.stringify(reply)}: ${error.message}`);
    assert.match(error.message, words);
  }
});

test('a missing model, tools for a model without them, no server, another server', async (t) => {
  const { model } = await start(t, () => ({}), { models: [{ name: 'plain', capabilities: ['completion'] }] });
  const missing = await fault(complete(model, ask('x', { model: 'nope:7b' }), never));
  assert.equal(missing.reason, 'no_model');
  assert.match(missing.message, /ollama pull nope:7b/);
  const toolless = await fault(complete(model, ask('x', { model: 'plain', tools: [tool] }), never));
  assert.equal(toolless.reason, 'no_tools');
  const gone = ollamaModel({ host: '127.0.0.1:9' });
  const { reason, message } = await fault(complete(gone, ask('x'), never));
  assert.equal(reason, 'unreachable');
  assert.equal(message, 'No Ollama at http://127.0.0.1:9: start it with `ollama serve`, or set OLLAMA_HOST.');
  assert.deepEqual(await gone.reachable(never), { ok: false, reason: message });
  const foreign = createServer((_req, res) => res.end('{"hello":1}')).listen(0, '127.0.0.1');
  t.after(() => foreign.close());
  await sleep(10);
  const address = foreign.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const other = await ollamaModel({ host: `http://127.0.0.1:${port}` }).reachable(never);
  assert.ok(!other.ok && /no Ollama: check OLLAMA_HOST/.test(other.reason), JSON.stringify(other));
});

test('nothing is written to the console, whatever the server answers', async (t) => {
  const written: unknown[] = [];
  for (const name of ['log', 'warn', 'error', 'info'] as const) {
    t.mock.method(console, name, (...words: unknown[]) => written.push(words));
  }
  for (const reply of [
    { raw: 'no json\n', end: 'end' },
    { raw: '<html>', type: 'text/html', status: 500, end: 'end' },
    { raw: 'no json', type: 'application/json', status: 500, end: 'end' },
  ] as const) {
    const { model } = await start(t, () => reply);
    await fault(complete(model, ask('x'), never));
  }
  assert.deepEqual(written, []);
});

test('the scripted twin answers what it was asked, once each, and fails when asked anything else', async () => {
  const model = scriptedModel({
    answers: [
      { when: ['add'], last: ['sum'], calls: [{ name: 'add', arguments: { a: 1 } }] },
      { last: ['schema'], answer: { ok: true } },
      { last: ['broken'], fault: { reason: 'tool_parse', message: 'bad' } },
      { unless: ['sum'], answer: 'two words', again: true },
    ],
  });
  const sum = await complete(model, ask('sum', { tools: [tool] }), never);
  assert.deepEqual(sum.toolCalls, [{ id: 'call_1', name: 'add', arguments: { a: 1 } }]);
  assert.equal((await complete(model, ask('schema'), never)).text, '{"ok":true}');
  assert.equal((await fault(complete(model, ask('broken'), never))).reason, 'tool_parse');
  assert.equal((await complete(model, ask('else'), never)).text, 'two words');
  assert.match(
    (await fault(complete(model, ask('sum', { tools: [tool] }), never))).message,
    /no answer to this user message: sum/,
  );
  assert.equal(model.asked.length, 5);
  assert.equal(model.left().length, 1);
});
