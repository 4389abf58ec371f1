import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { connect } from 'node:net';
import { test } from 'node:test';
import { authHome, keep, openAuthServer } from './auth-kit.ts';
import { gammu } from './doubles/sms-gammu.ts';
import { missing, until } from './support.ts';

import { from, key, opened, origin } from './auth-sms-kit.ts';

const hex = (text: string) => createHmac('sha256', key).update(text).digest('hex');
const seconds = (offset = 0) => String(Math.floor(Date.now() / 1000) + offset);

test('SMS Gateway for Android: the same code, sent again, has the same messageId, and counts for the next login', async (t) => {
  const { expect, code, post } = await opened(t, { type: 'android', signing_key: 'secret://key' });
  for (const id of ['event-1', 'event-2']) {
    const ticket = await expect('ACME');
    const payload = { messageId: 'of-the-text', message: 'ACME code: 551826', sender: 'ACME' };
    const body = JSON.stringify({ event: 'sms:received', id, payload });
    const at = seconds();
    const sent = await post(body, { 'x-timestamp': at, 'x-signature': hex(body + at) });
    assert.equal(sent.status, 200);
    assert.equal(await code(ticket), '551826');
  }
});

test('status says when a source last gave a code, and whether its webhook can be reached at all', async (t) => {
  const { expect, code, post, server, port } = await opened(t, {
    type: 'android',
    signing_key: 'secret://key',
  });
  const tested = async () => (await server.call('auth_status', { test: true })).text;
  assert.match(await tested(), new RegExp(`"ok":true,"note":"webhook at 127.0.0.1:${port}/sms/phone"`));
  assert.ok(!(await tested()).includes('last_code'));
  const ticket = await expect('ACME');
  assert.match(await tested(), /"ok":true/, 'while somebody waits, too');
  const body = JSON.stringify({
    event: 'sms:received',
    id: 'e',
    payload: { message: 'ACME code: 551826', sender: 'ACME' },
  });
  const at = seconds();
  await post(body, { 'x-timestamp': at, 'x-signature': hex(body + at) });
  await code(ticket);
  assert.match(await tested(), /"last_code":"20\d\d-/);
  const { createServer } = await import('node:net');
  const taken = createServer();
  await until(
    'the listener is closed',
    () =>
      new Promise<boolean>((resolve) => {
        taken.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
      }),
  );
  t.after(() => void taken.close());
  assert.match(await tested(), /"ok":false,"note":"SMS cannot be received.*another program.*AUTH_LISTEN/);
});

test('SMS Gateway for Android: signature and time', async (t) => {
  const { expect, code, post } = await opened(t, { type: 'android', signing_key: 'secret://key' });
  const ticket = await expect('ACME');
  const body = JSON.stringify({
    deviceId: 'd',
    event: 'sms:received',
    id: 'e1',
    payload: {
      messageId: 'm1',
      message: '【ACME】验证码551826',
      phoneNumber: 'ACME',
      simNumber: 1,
      receivedAt: new Date().toISOString(),
    },
    webhookId: 'w',
  });
  const send = (at: string, mac = hex(body + at)) =>
    post(body, { 'content-type': 'application/json', 'x-timestamp': at, 'x-signature': mac });
  assert.equal((await send(seconds(-400))).status, 403, 'too old');
  assert.equal((await send(seconds(), 'ab'.repeat(32))).status, 403);
  assert.equal((await send(seconds())).status, 200);
  assert.equal(await code(ticket), '551826');
});

test('any other sender: signed with its time; replayed, huge, and a port scan get nothing', async (t) => {
  const { expect, code, post, port, url } = await opened(t, { type: 'webhook', secret: 'secret://key' });
  await assert.rejects(fetch(url, { method: 'POST' }), 'nobody waits: nothing listens');
  const ticket = await expect();
  const send = (text: string, at = seconds()) => {
    const body = JSON.stringify({ from: text.includes('now') ? from : '+1', text });
    return {
      at,
      go: () => post(body, { 'x-timestamp': at, 'x-signature': `sha256=${hex(`${at}.${body}`)}` }),
    };
  };
  const first = send('other 123123');
  assert.equal((await first.go()).status, 200);
  assert.equal((await first.go()).status, 403, 'replayed');
  assert.equal((await send('old', seconds(-301)).go()).status, 403);
  assert.equal((await send('no time', 'x').go()).status, 403);
  const huge = await post('x'.repeat(10 * 1024 * 1024), {}).catch(() => undefined);
  assert.ok(huge === undefined || huge.status === 413);
  assert.equal((await fetch(url)).status, 404);
  assert.equal((await fetch(url.replace('phone', 'other'), { method: 'POST' })).status, 404);
  for (const bytes of [
    '',
    'GET / HTTP/9\r\n\r\n',
    '\0\0\0',
    'POST /sms/phone HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n',
  ]) {
    connect(port, '127.0.0.1')
      .on('error', () => undefined)
      .write(bytes || '\n');
  }
  assert.equal((await send('Your code is 847261 now').go()).status, 200);
  assert.equal(await code(ticket), '847261');
});

test('a port that is in use is told, with the setting', async (t) => {
  const { expect, server, port } = await opened(t, { type: 'webhook', secret: 'secret://key' });
  await expect();
  const home = authHome(t, {
    sms: { phone: { type: 'webhook', secret: 'secret://key' } },
    listen: `127.0.0.1:${port}`,
  });
  await keep(home, { key: { value: key } });
  const other = await openAuthServer(t, home);
  assert.match(
    await other.fault('auth_expect_code', { origin, from }),
    /cannot be received at .*AUTH_LISTEN/,
  );
  assert.match(
    await server.fault('auth_expect_code', { origin, from, source: 'fax' }),
    /no source fax\. There are phone/,
  );
});

test(
  'a real gammu-smsd with its dummy modem',
  { skip: missing('KUZNIA_GAMMU_SMSD'), timeout: 60_000 },
  async (t) => {
    const modem = await gammu(t);
    const { expect, code } = await opened(t, { type: 'gammu', inbox: modem.inbox });
    const ticket = await expect();
    modem.arrive(from, 'Twój kod weryfikacyjny: 738291 — ważny 5 minut');
    assert.equal(await code(ticket), '738291', modem.log());
  },
);
