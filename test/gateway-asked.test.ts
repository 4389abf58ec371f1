import { InMemoryTransport, parseJSONRPCMessage } from '@modelcontextprotocol/client';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { doors } from '../host/mcp/doors.ts';
import type { Door } from '../host/mcp/link.ts';
import { connect as connectAll } from '../host/mcp/connections.ts';
import { openJournal, readJournal } from '../kit/journal.ts';
import { approves, connect } from './clients.ts';
import { every } from './fixtures/every.ts';
import { near, serveGateway } from './gateway-kit.ts';
import { hello, Message, serveHere, tempHome, until } from './support.ts';

const timeout = 60_000;
const json = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const allowErase = [{ tool: 'every_erase', effect: 'destroy' as const, policy: 'allow' as const }];

/** Somebody else's server over HTTP. */
const remote = (url: string, bearer?: string): Door[] =>
  doors([{ kind: 'url', name: 'far', url, headers: {}, transport: 'http', ...(bearer && { bearer }) }]);

test('gateway: of two clients at once each is asked what its own call led to', { timeout }, async (t) => {
  const { url: theirs } = await serveHere(t, every);
  const { url } = await serveGateway(t, { doors: () => remote(theirs), approve: allowErase });
  const people = await Promise.all([0, 1].map(() => connect(t, 'v1', { http: url }, { person: approves })));
  const erased = await Promise.all(people.map((one, at) => one.call('every_erase', { what: `file ${at}` })));
  assert.deepEqual(
    erased.map(({ value }) => value),
    [{ erased: 'file 0' }, { erased: 'file 1' }],
  );
  people.forEach(({ asked }, at) => {
    // By policy, since it destroys; then by its server.
    assert.equal(asked.length, 2);
    assert.match(asked[1] ?? '', new RegExp(`^far asks: Erase file ${at}\\?`));
  });
});

test('gateway: a client says nothing of our turns, and its token goes nowhere', { timeout }, async (t) => {
  const seen: string[] = [];
  const front = createServer((req, res) => {
    seen.push(JSON.stringify(req.headers));
    res.writeHead(404).end();
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  t.after(() => front.close());
  const address = front.address();
  const theirs = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/mcp`;
  const { url, tokens, home, journal } = await serveGateway(t, {
    doors: () => [near(), ...remote(theirs, 'the one of that server')],
  });
  const token = (await tokens.add('ci', [])) ?? '';
  const bearer = { ...json, authorization: `Bearer ${token}` };
  const post = async (body: object, headers: Record<string, string> = {}) =>
    fetch(url, {
      method: 'POST',
      headers: { ...bearer, ...headers },
      body: JSON.stringify({ jsonrpc: '2.0', ...body }),
    });
  const opened = await post({ id: 0, method: 'initialize', params: hello() });
  await opened.text();
  const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
  const _meta = { 'kuznia/turn': 'somebody else’s', 'kuznia/untrusted': false };
  for (const [id, name] of ['every_say', 'model_list'].entries()) {
    const params = { name, arguments: name === 'every_say' ? { text: 'a' } : {}, _meta };
    await (await post({ id: id + 1, method: 'tools/call', params }, session)).text();
  }
  await until('the other server was reached', () => seen.length > 0);
  assert.ok(seen.every((headers) => headers.includes('the one of that server') && !headers.includes(token)));
  await journal.flush();
  let entries = 0;
  for await (const { turn } of readJournal(home)) {
    entries++;
    assert.equal(turn, undefined);
  }
  assert.ok(entries >= 3, `${entries} entries`);
});

test(
  'journal: a call is linked to the turn of our own host, also by a child of it',
  { timeout },
  async (t) => {
    const home = tempHome(t);
    const journal = openJournal(home);
    const isolated = doors([{ kind: 'own', name: 'sandbox', isolated: true }]);
    const runtime = { home, journal, env: { PATH: process.env['PATH'] } };
    const connections = await connectAll([near(), ...isolated], runtime);
    t.after(() => connections.close());
    await connections.started(20_000);
    const signal = AbortSignal.timeout(30_000);
    await connections.call('every_say', { text: 'a' }, { signal, turn: 'turn-7' });
    await connections.call('sandbox_list_tools', {}, { signal, turn: 'turn-8' });
    await connections.close();
    await journal.flush();
    const turns = [];
    for await (const { kind, name, turn } of readJournal(home)) if (kind === 'tool') turns.push([name, turn]);
    assert.deepEqual(turns, [
      ['every_say', 'turn-7'],
      ['sandbox_list_tools', 'turn-8'],
    ]);
  },
);

/** Somebody else's server by hand: `heard` gets what is said to it beside the first words, and how to say something. */
function byHand(heard: (message: Message, send: (message: object) => void) => void): Door {
  return {
    name: 'hand',
    foreign: true,
    async open() {
      const [transport, theirs] = InMemoryTransport.createLinkedPair();
      const send = (message: object) => void theirs.send(parseJSONRPCMessage({ jsonrpc: '2.0', ...message }));
      const tools = [{ name: 'ask', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } }];
      const serverInfo = { name: 'hand', version: '0' };
      Object.assign(theirs, {
        onmessage(raw: unknown) {
          const message = Message.parse(raw);
          const { id, method } = message;
          if (method === 'initialize') {
            send({ id, result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo } });
          } else if (method === 'tools/list') send({ id, result: { tools } });
          else if (id !== undefined) heard(message, send);
        },
      });
      await theirs.start();
      return { transport, close: () => theirs.close() };
    },
  };
}

test(
  'gateway: where a server does not say for which call it asks, one person is asked, and of two none',
  { timeout },
  async (t) => {
    let calls: Message['id'][] = [];
    const pair = byHand(({ id, method, result }, send) => {
      if (method === 'tools/call') {
        calls.push(id);
        if (calls.length < 2) return;
        // Both run: only now it asks, for each.
        const requestedSchema = { type: 'object', properties: { yes: { type: 'boolean' } } };
        for (const call of calls) {
          send({
            id: `about ${String(call)}`,
            method: 'elicitation/create',
            params: { message: 'Sure?', requestedSchema },
          });
        }
        calls = [];
      } else {
        const content = [{ type: 'text', text: String(result?.['action']) }];
        send({ id: Number(String(id).slice(6)), result: { content } });
      }
    });
    const { url } = await serveGateway(t, { doors: () => [pair] });
    const person = { person: approves };
    const [one, two] = [
      await connect(t, 'v1', { http: url }, person),
      await connect(t, 'v1', { http: url }, person),
    ];
    for (const { text } of await Promise.all([one.call('ask'), one.call('ask')]))
      assert.match(text, /^accept/);
    assert.equal(one.asked.length, 2);
    const mixed = await Promise.all([one.call('ask'), two.call('ask')]);
    for (const { text } of mixed) assert.match(text, /^cancel/);
    assert.deepEqual([one.asked.length, two.asked.length], [2, 0], 'nobody answers for another');
  },
);

test(
  'gateway: a server that asks for the model or for folders is told that there is none',
  { timeout },
  async (t) => {
    const answers: Message[] = [];
    let call: Message['id'];
    const asking = byHand((message, send) => {
      if (message.method === 'tools/call') {
        call = message.id;
        const messages = [{ role: 'user', content: { type: 'text', text: 'hi' } }];
        send({ id: 'model', method: 'sampling/createMessage', params: { messages, maxTokens: 5 } });
        send({ id: 'folders', method: 'roots/list' });
      } else if (answers.push(message) === 2) {
        send({ id: call, result: { content: [{ type: 'text', text: 'asked' }] } });
      }
    });
    const { url } = await serveGateway(t, { doors: () => [asking] });
    const client = await connect(t, 'v1', { http: url });
    assert.match((await client.call('ask')).text, /^asked/);
    assert.deepEqual(
      answers.map(({ id, error }) => [id, error?.code]),
      [
        ['model', -32601],
        ['folders', -32601],
      ],
    );
  },
);
