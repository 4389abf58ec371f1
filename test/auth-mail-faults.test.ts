import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { z } from 'zod';
import { redeem } from '../kit/handles.ts';
import { authConfig } from '../servers/auth/config.ts';
import { mailSource } from '../servers/auth/mail.ts';
import { authHome, handleOf, keep, ticketOf } from './auth-kit.ts';
import { dovecot, written, type Mailbox } from './doubles/mail-dovecot.ts';
import { cleanEnv, command, missing, until } from './support.ts';

const skip = missing('KUZNIA_DOVECOT');
const from = 'noreply@acme.example';
const origin = 'https://acme.example';

/** A way to the server on which connections can fall silent without being closed, as behind a router that forgot them. */
async function way(t: TestContext, to: number) {
  const pairs: Socket[][] = [];
  const server = createServer((near) => {
    const far = connect(to, '127.0.0.1');
    near.pipe(far).pipe(near);
    pairs.push([near, far]);
    for (const one of [near, far]) one.on('error', () => [near, far].forEach((each) => each.destroy()));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    pairs.flat().forEach((one) => one.destroy());
    server.close();
  });
  return {
    port: z.object({ port: z.number() }).parse(server.address()).port,
    connections: () => pairs.length,
    freeze: () => pairs.flat().forEach((one) => one.unpipe().pause()),
  };
}

test(
  'a server that falls silent in the middle of IDLE is noticed, and its mail is not lost',
  { skip, timeout: 60_000 },
  async (t) => {
    const box = await dovecot(t);
    const between = await way(t, box.port);
    const { host, ca, user } = box;
    const { mailboxes } = authConfig.parse({
      mailboxes: { work: { host, ca, user, port: between.port, password: 'secret://mail' } },
    });
    assert.ok(mailboxes['work']);
    const source = mailSource('work', mailboxes['work'], async () => box.password, {
      idleMs: 1000,
      silenceMs: 2000,
    });
    const heard: string[] = [];
    const listening = await source.listen({
      since: Date.now(),
      signal: new AbortController().signal,
      wanted: () => true,
      heard: ({ text = '' }) => void heard.push(text.trim()),
      failed: (error) => void heard.push(`failed: ${error.message}`),
    });
    t.after(() => listening.close());
    box.deliver({ text: 'first' });
    await until('the first', () => heard.length === 1);
    between.freeze();
    box.deliver({ text: 'second' });
    await until('the second', () => heard.length === 2, 15_000);
    assert.deepEqual(heard, ['first', 'second']);
    assert.equal(between.connections(), 2);
    // Closing does not wait for a server that says nothing.
    between.freeze();
    const started = performance.now();
    await listening.close();
    assert.ok(performance.now() - started < 5000);
  },
);

/** The most memory that a process has had, in MB. */
const peakOf = (pid: number) =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

/** Written piece by piece, so that it is never whole in this process. */
function huge(path: string, head: string, tail: string): void {
  const file = openSync(path, 'w');
  writeSync(file, head);
  for (let i = 0; i < 50; i++) writeSync(file, `${'QUFB'.repeat(19)}\r\n`.repeat(13_500));
  writeSync(file, tail);
  closeSync(file);
}

test('mails of 50 MB and of 1,000 parts cost little memory', { skip, timeout: 60_000 }, async (t) => {
  const box = await dovecot(t);
  const { host, port, ca, user } = box;
  const home = authHome(t, { mailboxes: { work: { host, port, ca, user, password: 'secret://mail' } } });
  await keep(home, { mail: { value: box.password } });
  const transport = new StdioClientTransport({
    ...command(join(import.meta.dirname, '..', 'servers', 'auth', 'main.ts')),
    env: cleanEnv(home),
  });
  const client = new Client({ name: 'test', version: '0' });
  await client.connect(transport);
  t.after(() => client.close());
  const call = async (name: string, input: Record<string, unknown>) =>
    z
      .looseObject({ structuredContent: z.looseObject({}) })
      .parse(await client.callTool({ name, arguments: input })).structuredContent;
  const code = async (...mails: Parameters<Mailbox['deliver']>[0][]) => {
    const ticket = ticketOf(await call('auth_expect_code', { origin, from, within_s: 30 }));
    for (const mail of mails) box.deliver(mail);
    const value = await redeem(
      handleOf(await call('auth_wait_code', { ticket })),
      { purpose: 'two-factor', origin },
      home,
    );
    return value;
  };
  assert.equal(await code({ text: 'Your code is 201001.' }), '201001');
  const before = peakOf(transport.pid ?? 0);
  const head = (type: string) => written({}).replace(/Content-Type: .*\r\n/, `Content-Type: ${type}\r\n`);
  const text = '--x\r\nContent-Type: text/plain\r\n\r\nYour code is 201002.\r\n';
  const attached = '--x\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n';
  const big = join(home, 'big');
  huge(big, `${head('multipart/mixed; boundary=x')}${text}${attached}`, '--x--\r\n');
  const first = readFileSync(big, 'latin1');
  assert.ok(first.length > 50_000_000);
  assert.equal(await code(first), '201002', 'in front of what is attached');
  const big50 = peakOf(transport.pid ?? 0) - before;
  const many = '--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n'.repeat(1000);
  const last = text.replace('201002', '201003');
  const found = await code(
    `${head('text/plain')}${'no code here\r\n'.repeat(3_800_000)}`,
    `${head('multipart/mixed; boundary=x')}${many}${last}--x--\r\n`,
  );
  assert.equal(found, '201003', 'behind a mail without one, in the last of many parts');
  const both = peakOf(transport.pid ?? 0) - before;
  t.diagnostic(
    `beyond ${Math.round(before)} MB: ${Math.round(big50)} MB, with the text of 50 MB ${Math.round(both)} MB`,
  );
  assert.ok(big50 < 30, `an attachment of 50 MB: ${big50} MB`);
  assert.ok(both < 90, `a text of 50 MB: ${both} MB`);
});
