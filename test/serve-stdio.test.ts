import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import {
  Message,
  assertProtocolOnly,
  envelope,
  parsed,
  rssMb,
  start,
  startSession,
  told,
  type Process,
} from './support.ts';

const timeout = 60_000;

/** Calls a tool and gives what a model would read. */
async function call(process: Process, id: number, name: string, args: object = {}, meta?: object) {
  await process.send({
    id,
    method: 'tools/call',
    params: { name, arguments: args, ...(meta && { _meta: meta }) },
  });
  return told(await process.answer(id));
}

test('stdio: what is no message is answered, and the connection goes on', { timeout }, async (t) => {
  const server = await startSession(t, 'every-main');
  const refused = async (line: string, id: string | number | null, code: number, says: RegExp) => {
    await server.send(`${line}\n`);
    const { error } = await server.answer(id);
    assert.equal(error?.code, code, line);
    assert.match(error?.message ?? '', says);
  };
  await refused('hello', null, -32700, /^A line is no JSON\. Send one JSON-RPC message a line\.$/);
  await refused('{"jsonrpc":"2.0","id":1', null, -32700, /no JSON/);
  await refused('5', null, -32600, /no JSON-RPC 2\.0/);
  await refused('null', null, -32600, /no JSON-RPC 2\.0/);
  await refused('{"jsonrpc":"1.0","id":"a","method":"ping"}', 'a', -32600, /no JSON-RPC 2\.0/);
  await refused('{"jsonrpc":"2.0","id":7,"method":5}', 7, -32600, /no JSON-RPC 2\.0/);
  await refused('{"jsonrpc":"2.0","id":{},"method":"ping"}', null, -32600, /no JSON-RPC 2\.0/);
  await refused('[{"jsonrpc":"2.0","id":8,"method":"ping"}]', null, -32600, /batch/);
  await server.send('\n \r\n{"jsonrpc":"2.0","id":"crlf","method":"ping"}\r\n');
  assert.deepEqual((await server.answer('crlf')).result, {});
  await server.send({ id: 9, method: 'no/such' });
  assert.equal((await server.answer(9)).error?.code, -32601);
  const deep = `{"jsonrpc":"2.0","id":10,"method":"tools/call","params":{"name":"every_say","arguments":{"text":${'['.repeat(500_000)}${']'.repeat(500_000)}}}}`;
  await server.send(`${deep}\n`);
  assert.match((await server.answer(10)).error?.message ?? '', /nested over 1000 levels/);
  assert.equal((await call(server, 11, 'every_say', { text: 'still here' })).value?.['text'], 'still here');

  await server.send('{"jsonrpc":"2.0","id":12,"method":"pi');
  server.endInput();
  assert.equal(await server.exited, 0, 'half a line, then the end');
  assertProtocolOnly(server);
});

test(
  'stdio: a message past the limit is refused as it streams by, and never held',
  { timeout },
  async (t) => {
    const server = await startSession(t, 'every-main');
    assert.equal((await call(server, 1, 'every_say', { text: 'warm' })).isError, false);
    const before = rssMb(server.pid);
    let most = before;
    const flood = async (head: string, tail: string, megabytes: number) => {
      await server.send(head);
      const megabyte = Buffer.alloc(1024 * 1024, 'x');
      for (let i = 0; i < megabytes; i++) {
        await server.send(megabyte);
        most = Math.max(most, rssMb(server.pid));
      }
      await server.send(`${tail}\n`);
    };
    const says = /^A message over 10 MiB was refused\. Send less in one call\.$/;
    await flood('{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"', '"}}', 100);
    assert.match((await server.answer(2)).error?.message ?? '', says);
    // The first SDK's clients write the id last.
    await flood('{"method":"tools/call","params":{"name":"', '"},"jsonrpc":"2.0","id":"last"}', 11);
    assert.match((await server.answer('last')).error?.message ?? '', says);
    await flood('{"method":"tools/call","params":{"id":5,"name":"', '","id":6}}', 11);
    assert.match((await server.answer(null)).error?.message ?? '', says);
    t.diagnostic(`${(most - before).toFixed(0)} MB`);
    assert.ok(most - before < 80, `${most.toFixed(0)} MB, before ${before.toFixed(0)} MB`);

    // Just under the limit it is read.
    const text = 'y'.repeat(9 * 1024 * 1024);
    assert.match(
      (await call(server, 3, 'every_say', { text })).text,
      /The result of every_say has 9437195 characters; the limit is 1000000/,
    );
    assert.equal((await call(server, 4, 'every_say', { text: 'on we go' })).value?.['text'], 'on we go');
    assertProtocolOnly(server);
  },
);

test('stdio: errors name the next step, and leak nothing', { timeout }, async (t) => {
  const server = await startSession(t, 'every-main');
  const unknown = await call(server, 1, 'every_sey');
  assert.equal(unknown.error?.code, -32602);
  assert.match(unknown.error?.message ?? '', /^There is no tool `every_sey`\. Nearest: every_say/);
  assert.match((await call(server, 2, 'xyz')).error?.message ?? '', /List the tools to see what exists\.$/);
  const argument = await call(server, 3, 'every_say', { text: 'a', loud: true });
  assert.equal(argument.isError, true);
  assert.equal(
    argument.text,
    'every_say was not run: `loud`: no such argument. Its arguments are text, times. Correct them and call again.',
  );
  assert.match(
    (await call(server, 4, 'every_say')).text,
    /`text`: .*expected string.*Its arguments are text, times\./,
  );
  for (const [id, how] of [
    [5, 'crash'],
    [6, 'output'],
  ] as const) {
    const failed = await call(server, id, 'every_fail', { how });
    assert.equal(failed.isError, true);
    assert.match(
      failed.text,
      /^Internal error, id [0-9a-f]{8}; its cause is in the server's log\. Try again, or report it\.$/,
    );
    assert.match(server.stderr(), new RegExp(/id ([0-9a-f]{8})/.exec(failed.text)?.[1] ?? 'no id'));
  }
  assert.equal((await call(server, 7, 'every_fail', { how: 'stray' })).text, '{"text":"stray"}');
  assert.equal((await call(server, 8, 'every_fail', { how: 'print' })).text, '{"text":"print"}');
  await server.send({ id: 9, method: 'resources/read', params: { uri: 'every://notes/crash/a' } });
  assert.match((await server.answer(9)).error?.message ?? '', /^Internal error, id/);
  await server.send({ id: 10, method: 'resources/read', params: { uri: 'every://notes/lost/a' } });
  assert.match((await server.answer(10)).error?.message ?? '', /Notes are: first, second\.$/);
  const ref = { type: 'ref/resource', uri: 'every://notes/{name}/{part}' };
  await server.send({
    id: 11,
    method: 'completion/complete',
    params: { ref, argument: { name: 'name', value: 'crash' } },
  });
  assert.match((await server.answer(11)).error?.message ?? '', /^Internal error, id/);
  await server.send({ id: 12, method: 'prompts/get', params: { name: 'every_greeting' } });
  assert.equal((await server.answer(12)).error?.message, 'every_greeting needs who.');
  const key = '-----BEGIN PRIVATE KEY-----';
  assert.equal((await call(server, 13, 'every_say', { text: `${key} a" b` })).isError, false);
  assert.match(server.stderr(), /stray \[secret\]/);
  assert.doesNotMatch(server.stderr() + server.lines.join(''), /glpat-abc/);
  assertProtocolOnly(server);

  await server.send({
    id: 14,
    method: 'tools/call',
    params: { name: 'every_fail', arguments: { how: 'die' } },
  });
  assert.equal(await server.exited, 1, 'an error that nobody could catch ends it');
  assert.match(server.stderr(), /internal error, id \w+: Error: dead \[secret\]/);
  assert.doesNotMatch(server.stderr(), /glpat-abc/);
});

test('stdio: progress, cancel, deadline, jobs', { timeout }, async (t) => {
  const server = await startSession(t, 'every-main');
  await call(server, 1, 'every_count', { to: 5, ms: 1 }, { progressToken: 'p' });
  const steps = server.lines
    .map((line) => Message.parse(parsed(line)).params?.['progress'])
    .filter((one) => one !== undefined);
  assert.deepEqual(steps, [1, 2, 3, 4, 5]);

  await server.send({
    id: 2,
    method: 'tools/call',
    params: { name: 'every_count', arguments: { to: 1000, ms: 20 } },
  });
  await sleep(50);
  await server.send({ method: 'notifications/cancelled', params: { requestId: 2, reason: 'enough' } });
  await sleep(50);
  assert.deepEqual((await call(server, 3, 'every_seen')).value, { started: 2, finished: 1, aborted: 1 });
  assert.ok(!server.lines.some((line) => /"id":2[,}]/.test(line)), 'a cancelled call is not answered');

  const stuck = await call(server, 4, 'every_stuck');
  assert.equal(stuck.text, 'every_stuck took over 0.2 s and was cut. Ask for less, or try again.');

  const begun = await call(server, 5, 'every_job', { ms: 300, wait_s: 0.05 }, { progressToken: 'j' });
  assert.deepEqual(begun.value, { status: 'running', job: begun.value?.['job'], note: 'half way' });
  const { job } = z.object({ job: z.string() }).parse(begun.value);
  assert.equal((await call(server, 6, 'every_job', { job })).value?.['status'], 'done');
  assert.equal(
    (await call(server, 7, 'every_job', { job })).value?.['status'],
    'done',
    'it can be asked for again',
  );
  const none = await call(server, 8, 'every_job', { job: 'nope' });
  assert.match(none.text, /^every_job has no job `nope` .*Call every_job again without `job`\.$/);
  assert.match(
    (await call(server, 9, 'every_job', { job: 5 })).text,
    /`job` the text that a call of every_job gave/,
  );
  assert.match((await call(server, 10, 'every_job', { wait_s: 1 })).text, /`ms`: .*expected number/);
  assert.match(
    (await call(server, 11, 'every_job', { ms: 1, fail: true })).text,
    /^The job failed\. Begin another\.$/,
  );

  const long = await call(server, 12, 'every_job', { ms: 60_000, wait_s: 0 });
  await server.send({
    id: 13,
    method: 'tools/call',
    params: { name: 'every_job', arguments: { job: long.value?.['job'] } },
  });
  await sleep(20);
  await server.send({ method: 'notifications/cancelled', params: { requestId: 13 } });
  await sleep(20);
  assert.equal(
    (await call(server, 14, 'every_seen')).value?.['aborted'],
    2,
    'cancelling the wait ends the job',
  );
  assertProtocolOnly(server);
});

test(
  'stdio: a person is asked where the client can, and an answer counts for its question only',
  { timeout },
  async (t) => {
    const [mute, server] = [await startSession(t, 'every-main'), start(t, 'every-main')];
    const elsewhere = 'A person has to decide this. Outside this client: every erase x';
    assert.equal((await call(mute, 1, 'every_erase', { what: 'x' })).text, elsewhere);

    const erase = async (id: number, capabilities: object, params: object = {}) => {
      const args = {
        name: 'every_erase',
        arguments: { what: 'x' },
        _meta: envelope(capabilities),
        ...params,
      };
      await server.send({ id, method: 'tools/call', params: args });
      return server.answer(id);
    };
    assert.equal(told(await erase(1, {})).text, elsewhere);
    assert.equal(
      told(await erase(2, { elicitation: { url: {} } })).text,
      elsewhere,
      'a client that only opens pages',
    );
    const can = { elicitation: {} };
    const asked = (await erase(3, can)).result;
    assert.equal(asked?.['resultType'], 'input_required');
    assert.match(JSON.stringify(asked), /Erase x\? 0 counts were begun\./);
    const { requestState } = z.object({ requestState: z.string() }).parse(asked);
    const yes = { inputResponses: { decision: { action: 'accept', content: { approve: true } } } };
    const again = async (id: number, params: object) => (await erase(id, can, params)).result?.['resultType'];
    assert.equal(await again(4, yes), 'input_required', 'an answer to nothing');
    assert.equal(
      await again(5, { ...yes, requestState, arguments: { what: 'y' } }),
      'input_required',
      'other arguments',
    );
    const no = { inputResponses: { decision: { action: 'accept', content: { approve: false } } } };
    assert.match(told(await erase(6, can, { ...no, requestState })).text, /^A person declined it\./);
    assert.deepEqual(told(await erase(7, can, { ...yes, requestState })).value, { erased: 'x' });
    await server.send({
      id: 8,
      method: 'tools/call',
      params: { name: 'every_count', arguments: { to: 1, ms: 1 }, _meta: envelope() },
    });
    await server.answer(8);
    assert.equal(
      await again(9, { ...yes, requestState }),
      'input_required',
      'things changed since it was asked',
    );
    assertProtocolOnly(server);
  },
);
