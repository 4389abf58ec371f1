import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { z } from 'zod';
import { Bounds } from '../host/gateway/bounds.ts';
import { readJournal } from '../kit/journal.ts';
import { scriptedModel } from '../kit/scripted.ts';
import { ToolIndex } from '../host/retrieval/index.ts';
import { approves, CLIENTS, connect } from './clients.ts';
import { far, near, odd, serveGateway } from './gateway-kit.ts';
import { envelope, hello, MODERN, Message, parsed, until } from './support.ts';

const timeout = 60_000;
const json = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

const post = (url: string, body: object, headers: Record<string, string> = {}) =>
  fetch(url, { method: 'POST', body: JSON.stringify(body), headers: { ...json, ...headers } });
const initialize = { jsonrpc: '2.0', id: 0, method: 'initialize', params: hello() };

test(
  'gateway: a token sees and calls its own tools only, and the journal names it',
  { timeout },
  async (t) => {
    const { url, tokens, home, journal } = await serveGateway(t, {
      doors: () => [near()],
      http: { token: 'the one for everything' },
    });
    const token = (await tokens.add('ci', ['every_s*', 'model_list'])) ?? '';
    for (const kind of CLIENTS) {
      const ci = await connect(t, kind, { http: url, token });
      assert.deepEqual((await ci.tools()).sort(), ['every_say', 'every_seen', 'every_stuck', 'model_list']);
      assert.deepEqual((await ci.call('every_say', { text: 'a' })).value, { text: 'a' });
      const hidden = ci.call('every_publish', { name: 'a' });
      await assert.rejects(hidden, ({ message }: Error) => {
        assert.match(message, /There is no tool `every_publish`\. Nearest: every_/);
        assert.doesNotMatch(message, /every_retire|every_count/);
        return true;
      });
      const all = await connect(t, kind, { http: url, token: 'the one for everything' });
      assert.ok((await all.tools()).includes('every_publish'));
    }
    await journal.flush();
    const clients = new Set<string>();
    for await (const { server, client = '' } of readJournal(home))
      if (server === 'gateway') clients.add(client);
    assert.deepEqual([...clients], ['token:ci']);
  },
);

test('gateway: a session belongs to its token; one that was removed is out', { timeout }, async (t) => {
  const { url, tokens } = await serveGateway(t, { doors: () => [near()] });
  const [ci, other] = [await tokens.add('ci', []), await tokens.add('other', [])];
  const bearer = (token: string | undefined) => ({ authorization: `Bearer ${token}` });
  const opened = await post(url, initialize, bearer(ci));
  await opened.text();
  const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
  const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
  assert.equal((await post(url, ping, { ...session, ...bearer(other) })).status, 404);
  assert.equal((await post(url, ping, { ...session, ...bearer(ci) })).status, 200);
  await tokens.remove('ci');
  assert.equal((await post(url, ping, { ...session, ...bearer(ci) })).status, 401);
  await tokens.remove('other');
  assert.equal((await post(url, initialize)).status, 401, 'the door that was shut stays so');
});

test('gateway: where a token is needed, metadata says how to come in (RFC 9728)', { timeout }, async (t) => {
  const { url, tokens } = await serveGateway(t, { doors: () => [] });
  const well = (path: string) => new URL(`/.well-known/oauth-protected-resource${path}`, url);
  const open = await fetch(well('/mcp'));
  assert.equal(open.status, 404);
  assert.match(Message.parse(await open.json()).error?.message ?? '', /No token is needed/);
  await tokens.add('ci', []);
  for (const path of ['', '/mcp']) {
    const answer = await fetch(well(path));
    assert.equal(answer.headers.get('content-type'), 'application/json');
    assert.deepEqual(await answer.json(), {
      resource: url,
      resource_name: 'Kuźnia',
      bearer_methods_supported: ['header'],
    });
  }
  assert.equal((await fetch(well('/mcp'), { method: 'POST' })).status, 405);
  const missing = await post(url, initialize);
  const wrong = await post(url, initialize, { authorization: 'Bearer kuz_wrong' });
  const at = `resource_metadata="${well('/mcp').href}"`;
  assert.equal(missing.headers.get('www-authenticate'), `Bearer realm="kuznia", ${at}`);
  assert.equal(wrong.headers.get('www-authenticate'), `Bearer realm="kuznia", error="invalid_token", ${at}`);
  assert.deepEqual([missing.status, wrong.status], [401, 401]);
});

test('gateway: behind a proxy the public address is told, and let in', { timeout }, async (t) => {
  const { url } = await serveGateway(t, {
    doors: () => [],
    http: { token: 'x', publicUrl: 'https://forge.example/tools/mcp' },
  });
  const { request } = await import('node:http');
  const answer = await new Promise<string>((resolve, reject) => {
    const headers = { host: 'forge.example' };
    const asked = request(new URL('/.well-known/oauth-protected-resource', url), { headers }, (res) => {
      let text = '';
      res.on('data', (chunk: Buffer) => (text += chunk.toString())).on('end', () => resolve(text));
    });
    asked.on('error', reject).end();
  });
  assert.equal(Object(parsed(answer)).resource, 'https://forge.example/tools/mcp');
});

test(
  'gateway: calls at once and calls a minute are bound for each client, saying when to come again',
  { timeout },
  async (t) => {
    const { url, tokens } = await serveGateway(t, {
      doors: () => [near()],
      bounds: { concurrent: 2, rate: 60, burst: 6 },
    });
    const [a, b] = [await tokens.add('a', []), await tokens.add('b', [])];
    const one = await connect(t, 'v1', { http: url, token: a });
    const two = await connect(t, 'v2 auto', { http: url, token: b });
    const counts = [1, 2, 3].map(() => one.call('every_count', { to: 1, ms: 200 }));
    const over = (await Promise.all(counts)).filter((each) => each.isError);
    assert.equal(over.length, 1);
    assert.match(over[0]?.text ?? '', /^Not called: 2 calls of yours are running\. Call again when one/);
    const calls = [1, 2, 3, 4].map(() => one.call('every_say', { text: 'a' }).then(({ text }) => text));
    const refused = (await Promise.all(calls)).filter((text) => text.startsWith('Not called'));
    assert.ok(refused.length > 0);
    assert.match(refused.join(), /over 60 calls a minute \(6 at once\)\. Call again in 1 s\./);
    assert.equal((await two.call('every_say', { text: 'a' })).isError, false, 'the others have their own');
  },
);

test('bounds: a place is given back once, calls come back with time, names are not kept for ever', () => {
  let now = 0;
  const bounds = new Bounds({ concurrent: 1, rate: 30, burst: 2 }, () => now);
  const place = bounds.begin('a');
  assert.equal(typeof bounds.begin('a'), 'string');
  assert.equal(typeof bounds.begin('b'), 'function');
  if (typeof place === 'function') {
    place();
    place();
  }
  assert.equal(typeof bounds.begin('a'), 'function');
  assert.equal(typeof bounds.begin('a'), 'string', 'one place was given back, not two');
  assert.deepEqual([bounds.tooMany('c'), bounds.tooMany('c')], [undefined, undefined]);
  assert.match(bounds.tooMany('c') ?? '', /Call again in 2 s\./);
  now += 2_000;
  assert.equal(bounds.tooMany('c'), undefined);
  for (let i = 0; i < 2_000; i++) bounds.tooMany(`made up ${i}`);
  assert.equal(typeof bounds.begin('a'), 'string', 'who runs something is remembered');
});

const Found = z.object({ tools: z.array(z.object({ name: z.string(), arguments: z.looseObject({}) })) });

test(
  'gateway --search: two tools find and call all the others, within their policies',
  { timeout },
  async (t) => {
    const { url, tokens } = await serveGateway(t, {
      doors: (home) => [near(), ...far(home)],
      search: { pinned: ['every_say', 'nothing'], index: new ToolIndex({ home: '' }) },
      approve: [{ tool: 'every_seen', policy: 'deny' }],
    });
    const token = await tokens.add('ci', ['every_*', 'find_tools', 'call_tool']);
    const all = await tokens.add('all', []);
    const ci = await connect(t, 'v1', { http: url, token });
    assert.deepEqual(await ci.tools(), ['find_tools', 'call_tool', 'every_say']);
    const found = Found.parse((await ci.call('find_tools', { task: 'count up, telling each step' })).value);
    assert.equal(found.tools[0]?.name, 'every_count');
    assert.ok(
      found.tools.every(({ name }) => name.startsWith('every_')),
      'nothing that it may not use',
    );
    const call = (name: string, args: object) => ci.call('call_tool', { name, arguments: args });
    assert.deepEqual((await call('every_count', { to: 2, ms: 0 })).value, { counted: 2 });
    assert.match((await call('every_count', { to: 'many' })).text, /^every_count was not called: .*ms/);
    assert.match((await call('far_every_say', { text: 'a' })).text, /^There is no tool `far_every_say`/);
    assert.match((await call('model_list', {})).text, /^There is no tool `model_list`/);
    assert.match((await call('every_seen', {})).text, /^every_seen is denied/);
    assert.match((await call('call_tool', { name: 'every_say' })).text, /^There is no tool `call_tool`/);
    assert.match((await ci.call('call_tool', { tool: 'x' })).text, /its arguments are `name`/);
    await assert.rejects(ci.call('every_count', { to: 1, ms: 0 }), /no tool `every_count`/);
    assert.deepEqual((await ci.call('every_say', { text: 'pinned' })).value, { text: 'pinned' });

    const person = await connect(t, 'v2 auto', { http: url, token: all }, { person: approves });
    const erased = await person.call('call_tool', { name: 'every_erase', arguments: { what: 'x' } });
    assert.deepEqual(erased.value, { erased: 'x' });
    assert.match(person.asked.join(), /^near asks: Erase x\?/);
    assert.equal(
      (await person.call('call_tool', { name: 'far_every_say', arguments: { text: 'a' } })).isError,
      false,
    );
  },
);

test('gateway: the model itself', { timeout }, async (t) => {
  const model = scriptedModel({
    models: [
      { name: 'talker:8b', capabilities: ['completion', 'tools'], contextLength: 8_192, parameters: '8B' },
      {
        name: 'qwen2.5-coder:7b',
        capabilities: ['completion', 'insert'],
        contextLength: 8_192,
        parameters: '7B',
      },
      { name: 'seer:7b', capabilities: ['completion', 'vision'], contextLength: 8_192, parameters: '7B' },
    ],
    answers: [
      { when: ['say hello'], answer: 'Hello there.' },
      { when: ['parse a date', 'in Rust'], answer: 'fn parse() {}' },
      { when: ['Describe this picture'], answer: 'A dot.' },
      { when: ['slowly'], answer: 'one two three four five six seven eight', again: true },
      { when: ['broken'], fault: { reason: 'unreachable', message: 'Ollama does not answer: start it.' } },
    ],
    paceMs: 30,
  });
  const { url } = await serveGateway(t, { doors: () => [], model });
  const client = await connect(t, 'v1', { http: url });
  const value = async (name: string, args: Record<string, unknown>) =>
    Object((await client.call(name, args)).value);
  const steps: string[] = [];
  const onprogress = ({ message = '' }) => void steps.push(message);
  await client.call('model_generate', { prompt: 'slowly' }, { onprogress });
  assert.equal(steps[0], 'talker:8b is asked');
  const hello = await value('model_generate', { prompt: 'say hello' });
  assert.deepEqual([hello.text, hello.model], ['Hello there.', 'talker:8b']);
  const code = await value('model_code', { task: 'parse a date', language: 'Rust' });
  assert.deepEqual([code.text, code.model], ['fn parse() {}', 'qwen2.5-coder:7b']);
  const image = `iVBORw0KGgo${'A'.repeat(13)}`;
  const seen = await value('model_describe_image', { image });
  assert.deepEqual([seen.text, seen.model], ['A dot.', 'seer:7b']);
  assert.deepEqual(model.asked.at(-1)?.messages[0]?.images, [image]);
  assert.match(
    (await client.call('model_describe_image', { image: 'bm90IGEgcGljdHVyZSBhdCBhbGw=' })).text,
    /no PNG, JPEG or WebP/,
  );
  const { models } = await value('model_list', {});
  assert.equal(models.length, 3);
  const { context_length: context } = await value('model_show', { name: 'seer:7b' });
  assert.equal(context, 8_192);
  assert.match((await client.call('model_show', { name: 'none' })).text, /no model none/);
  assert.equal(
    (await client.call('model_generate', { prompt: 'broken' })).text,
    'Ollama does not answer: start it.',
  );
  const begun = await value('model_generate', { prompt: 'slowly', wait_s: 0.05 });
  assert.equal(begun.status, 'running');
  const done = await value('model_generate', { prompt: 'slowly', job: begun.job });
  assert.match(done.text, /^one two/);
  const stop = new AbortController();
  const before = model.asked.length;
  const cancelled = client.call('model_generate', { prompt: 'slowly' }, { signal: stop.signal });
  await until('asked', () => model.asked.length > before);
  stop.abort();
  await assert.rejects(cancelled);
});

test('gateway: requests of the newest revision, bare, with a token', { timeout }, async (t) => {
  const { url, tokens } = await serveGateway(t, { doors: () => [odd()] });
  const token = await tokens.add('ci', ['odd_*']);
  const client = new Client({ name: 'x', version: '0' }, { versionNegotiation: { mode: { pin: MODERN } } });
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
  t.after(() => client.close());
  const { tools } = await client.listTools();
  assert.deepEqual(
    tools.map(({ name, outputSchema }) => [name, outputSchema]),
    [
      ['odd_picture', undefined],
      ['odd_form', undefined],
      ['odd_page', undefined],
      ['odd_post', undefined],
      ['odd_grow', undefined],
    ],
  );
  const _meta = envelope();
  const params = { name: 'model_list', arguments: {}, _meta };
  const headers = {
    authorization: `Bearer ${token}`,
    'mcp-protocol-version': MODERN,
    'mcp-method': 'tools/call',
    'mcp-name': 'model_list',
  };
  const answer = await post(url, { jsonrpc: '2.0', id: 1, method: 'tools/call', params }, headers);
  assert.match(await answer.text(), /There is no tool `model_list`/);
});

test(
  'gateway: a token with tools of its own has no way round them by resources and prompts',
  { timeout },
  async (t) => {
    const { url, tokens } = await serveGateway(t, { doors: () => [near(), odd()] });
    const [some, all] = [await tokens.add('some', ['every_say']), await tokens.add('all', [])];
    const note = 'every://notes/first/body';
    for (const kind of CLIENTS) {
      const limited = await connect(t, kind, { http: url, token: some });
      assert.deepEqual(await limited.templates(), []);
      await assert.rejects(limited.read(note), /not found|every:/i);
      await assert.rejects(limited.prompt('every_greeting', { who: 'Ala' }), /no prompt `every_greeting`/);
      const names = { name: 'name', value: 'f' };
      assert.deepEqual(await limited.complete('every://notes/{name}/{part}', names), []);
      const whole = await connect(t, kind, { http: url, token: all });
      assert.equal(await whole.read(note), 'body of first');
    }
  },
);

test('gateway: resources and prompts count, and stand in the journal', { timeout }, async (t) => {
  const bounds = { rate: 60, burst: 3 };
  const { url, home, journal } = await serveGateway(t, { doors: () => [near()], bounds });
  const client = await connect(t, 'v1', { http: url });
  const note = 'every://notes/first/body';
  for (let i = 0; i < 3; i++) assert.equal(await client.read(note), 'body of first');
  await assert.rejects(client.read(note), /over 60 calls a minute/);
  await assert.rejects(client.prompt('every_greeting', { who: 'Ala' }), /over 60 calls a minute/);
  await journal.flush();
  const seen = [];
  for await (const { server, name, client: who, outcome } of readJournal(home))
    if (server === 'gateway') seen.push(`${who} ${name} ${outcome}`);
  assert.deepEqual(seen, [
    ...Array.from({ length: 3 }, () => 'interop resources/read ok'),
    'interop resources/read denied',
    'interop prompts/get denied',
  ]);
});
