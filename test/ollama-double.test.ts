import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Ollama } from 'ollama';
import { ollamaDouble, type Asked, type Reply } from './doubles/ollama.ts';

// The double has to bear other people's clients; what it takes and refuses is in ollama-table.test.ts.

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

const user = [{ role: 'user', content: 'Hi.' }];

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
  const { embeddings } = await client.embed({ model: 'minilm', input: ['a', 'b c'] });
  assert.deepEqual(
    embeddings.map((vector) => Math.hypot(...vector).toFixed(6)),
    ['1.000000', '1.000000'],
  );
  assert.deepEqual((await client.embeddings({ model: 'minilm', prompt: 'abc' })).embedding, [3, 1, 1]);
  assert.equal((await client.ps()).models.find(({ name }) => name === 'double:4b')?.model, 'double:4b');
  assert.equal((await client.pull({ model: 'new:1b' })).status, 'success');
  await client.delete({ model: 'new:1b' });
  assert.equal((await client.list()).models.length, 3);
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

test('an answer ends at num_predict and before a stop word, and says so', async (t) => {
  const server = await ollamaDouble({ reply: () => ({ content: 'One two three. STOP Four five six.' }) });
  t.after(() => server.close());
  const client = new Ollama({ host: server.url });
  const ask = async (options: object) => {
    const { message, done_reason, eval_count } = await client.chat({
      model: 'double:4b',
      messages: user,
      options,
    });
    return [message.content, done_reason, eval_count];
  };
  assert.deepEqual(await ask({ num_predict: 2 }), ['One two ', 'length', 2]);
  assert.deepEqual(await ask({ num_predict: -1, stop: ['STOP', 'five'] }), ['One two three. ', 'stop', 4]);
});

test('a model stays in memory as long as the request says, and after its removal', async (t) => {
  const server = await ollamaDouble({ reply: () => ({ content: 'ok' }) });
  t.after(() => server.close());
  const client = new Ollama({ host: server.url });
  const kept = async (keep_alive: string | number) => {
    await client.chat({ model: 'double:4b', messages: user, keep_alive });
    const [loaded] = (await client.ps()).models;
    return loaded && Math.round((new Date(loaded.expires_at).getTime() - Date.now()) / 1000);
  };
  assert.equal(await kept('1h30m'), 5400);
  assert.equal(await kept(60), 60);
  assert.ok(Number(await kept(-1)) > 1e9);
  assert.equal(await kept(0), undefined);
  await kept('5m');
  await client.delete({ model: 'double:4b' });
  assert.equal((await client.ps()).models.length, 1);
});
