import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Ollama } from 'ollama';
import { z } from 'zod';
import { ollamaDouble, type Asked, type Reply } from './doubles/ollama.ts';

// The double has to bear other people's clients, and to refuse what Ollama 0.24 refuses, in its words.

const double = await ollamaDouble({
  models: [
    { name: 'double:4b', capabilities: ['completion', 'tools', 'thinking'], contextLength: 8192 },
    { name: 'plain', capabilities: ['completion'] },
    { name: 'minilm:latest', capabilities: ['embedding'] },
  ],
  library: [{ name: 'new:1b' }],
  reply,
});
after(() => double.close());

function reply({ body }: Asked): Reply {
  const [tool] = body.tools ?? [];
  if (tool) return { calls: [{ name: tool.function.name, arguments: { a: 1 } }] };
  return { content: 'Hello there.', ...(body.think && { thinking: 'Hm.' }) };
}

const said = z.object({ error: z.string() });
const user = [{ role: 'user', content: 'Hi.' }];

async function post(path: string, body: unknown, method = 'POST') {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const answer = await fetch(double.url + path, { method, ...(method !== 'GET' && { body: text }) });
  return { status: answer.status, text: await answer.text() };
}

test('the JavaScript client: every call that it knows of models and answers', async () => {
  const client = new Ollama({ host: double.url });
  assert.equal((await client.version()).version, '0.24.0');
  assert.equal((await client.list()).models.length, 3);
  assert.deepEqual((await client.show({ model: 'plain' })).capabilities, ['completion']);
  const whole = await client.chat({ model: 'double:4b', messages: user, think: 'high' });
  assert.deepEqual([whole.message.content, whole.message.thinking], ['Hello there.', 'Hm.']);
  assert.ok(whole.prompt_eval_count > 0 && whole.done_reason === 'stop');
  let streamed = '';
  for await (const part of await client.chat({ model: 'double:4b', messages: user, stream: true }))
    streamed += part.message.content;
  assert.equal(streamed, 'Hello there.');
  const tools = [
    { type: 'function', function: { name: 'add', description: '', parameters: { type: 'object' } } },
  ];
  const called = await client.chat({ model: 'double:4b', messages: user, tools });
  assert.deepEqual(called.message.tool_calls?.[0]?.function.arguments, { a: 1 });
  assert.equal((await client.generate({ model: 'double:4b', prompt: 'Hi.' })).response, 'Hello there.');
  let generated = '';
  for await (const { response } of await client.generate({ model: 'plain', prompt: 'Hi.', stream: true }))
    generated += response;
  assert.equal(generated, 'Hello there.');
  assert.deepEqual((await client.embed({ model: 'minilm', input: ['a', 'b c'] })).embeddings, [
    [1, 1, 1],
    [3, 2, 1],
  ]);
  assert.deepEqual((await client.embeddings({ model: 'minilm', prompt: 'abc' })).embedding, [3, 1, 1]);
  assert.equal((await client.ps()).models.find(({ name }) => name === 'double:4b')?.model, 'double:4b');
  assert.equal((await client.pull({ model: 'new:1b' })).status, 'success');
  await client.delete({ model: 'new:1b' });
  assert.equal((await client.list()).models.length, 3);
});

const chat = (more: object) => ({ model: 'double:4b', messages: user, stream: false, ...more });
const withTool = (parameters: object) =>
  chat({ tools: [{ type: 'function', function: { name: 'f', parameters } }] });

const refusals: [what: string, path: string, body: unknown, status: number, error: RegExp][] = [
  ['no body', '/api/chat', '', 400, /^missing request body$/],
  ['no JSON', '/api/chat', '{x', 400, /^invalid character/],
  [
    'wrong type',
    '/api/chat',
    chat({ messages: 'x' }),
    400,
    /^json: cannot unmarshal string into Go .*messages/,
  ],
  ['no model', '/api/chat', { messages: user }, 400, /^model is required$/],
  ['unknown model', '/api/chat', chat({ model: 'nope' }), 404, /^model 'nope' not found$/],
  ['unknown model', '/api/generate', { model: 'nope', prompt: 'x' }, 404, /^model 'nope' not found$/],
  [
    'unknown model',
    '/api/embeddings',
    { model: 'nope', prompt: 'x' },
    404,
    /^model "nope" not found, try pulling/,
  ],
  [
    'tools of a model without',
    '/api/chat',
    { ...withTool({}), model: 'plain' },
    400,
    /plain:latest does not support tools$/,
  ],
  [
    'thinking of a model without',
    '/api/chat',
    chat({ model: 'plain', think: true }),
    400,
    /^"plain" does not support thinking$/,
  ],
  ['thinking of its own kind', '/api/chat', chat({ think: 'huge' }), 400, /^invalid think value: "huge"/],
  ['chat of an embedding model', '/api/chat', chat({ model: 'minilm' }), 400, /does not support chat$/],
  [
    'a boolean schema',
    '/api/chat',
    withTool({ type: 'object', properties: { q: true } }),
    400,
    /cannot unmarshal bool/,
  ],
  [
    'a list of root types',
    '/api/chat',
    withTool({ type: ['object', 'null'] }),
    400,
    /cannot unmarshal array/,
  ],
  [
    'required that is no list',
    '/api/chat',
    withTool({ type: 'object', required: true }),
    400,
    /cannot unmarshal bool/,
  ],
  [
    'arguments as a text',
    '/api/chat',
    chat({ messages: [{ role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: '{}' } }] }] }),
    400,
    /cannot unmarshal string/,
  ],
  [
    'a picture that is none',
    '/api/chat',
    chat({ messages: [{ role: 'user', images: ['???'] }] }),
    400,
    /cannot unmarshal/,
  ],
  ['a format that is none', '/api/chat', chat({ format: 'yaml' }), 500, /^invalid format/],
  [
    'too long, where it may not cut',
    '/api/chat',
    chat({ messages: [{ role: 'user', content: 'x'.repeat(40_000) }], truncate: false }),
    400,
    /^the input length exceeds the context length$/,
  ],
  ['removal of what is not there', '/api/delete', { model: 'nope' }, 404, /^model 'nope' not found$/],
];
for (const [what, path, body, status, error] of refusals) {
  test(`it refuses as Ollama does: ${what} at ${path}`, async () => {
    const answer = await post(path, body, path === '/api/delete' ? 'DELETE' : 'POST');
    assert.equal(answer.status, status, answer.text);
    assert.match(said.parse(JSON.parse(answer.text)).error, error);
  });
}

test('routes and methods', async () => {
  assert.deepEqual(await post('/api/nope', '{}'), { status: 404, text: '404 page not found' });
  assert.deepEqual(await post('/api/chat', '', 'GET'), { status: 405, text: '405 method not allowed' });
  assert.deepEqual(await post('/', '', 'GET'), { status: 200, text: 'Ollama is running' });
  assert.equal((await fetch(`${double.url}/api/tags`, { method: 'HEAD' })).status, 200);
});

test('a prompt past the context loses its front: the oldest messages, then the system’s words', async (t) => {
  const seen: string[] = [];
  const server = await ollamaDouble({
    reply: ({ text }) => {
      seen.push(text);
      return { content: 'ok' };
    },
  });
  t.after(() => server.close());
  const client = new Ollama({ host: server.url });
  const system = { role: 'system', content: 'SYSTEM' };
  const ask = async (last: string) => {
    const messages = [system, { role: 'user', content: 'OLD' }, { role: 'user', content: last }];
    return client.chat({ model: 'double:4b', messages, options: { num_ctx: 100 } });
  };
  const some = await ask('x'.repeat(320));
  assert.match(seen[0] ?? '', /^SYSTEM\nx+$/);
  assert.ok(some.prompt_eval_count <= 100);
  const all = await ask(`${'x'.repeat(900)} END`);
  assert.match(seen[1] ?? '', /^x{396} END$/);
  assert.equal(all.prompt_eval_count, 100);
});
