import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { twilio } from './doubles/sms-twilio.ts';

import { from, key, opened, sid } from './auth-sms-kit.ts';

test('Twilio, asked every two seconds: only what came since, inbound, from that number', async (t) => {
  const double = await twilio(t, sid, key);
  double.arrive(from, 'Your code is 111111');
  await sleep(2100);
  const { expect, code, server } = await opened(t, {
    type: 'twilio',
    account_sid: sid,
    auth_token: 'secret://key',
    api: double.url,
  });
  const ticket = await expect();
  double.arrive(from, 'Your code is 222222', 'outbound-api');
  double.arrive('+48999999999', 'Your code is 333333');
  double.arrive('+48 123-456-789', 'Twój kod: 482 913');
  assert.equal(await code(ticket), '482913');
  const polls = double.polls();
  await sleep(2500);
  assert.equal(double.polls(), polls, 'nobody waits: nobody asks');
  assert.match((await server.call('auth_status', { test: true })).text, /"ok":true,"note":"Twilio account/);
});

test("Twilio's webhook: its signature over address and fields, one id once", async (t) => {
  const address = 'https://hooks.example/sms/phone';
  const { expect, code, post } = await opened(t, {
    type: 'twilio',
    account_sid: sid,
    auth_token: 'secret://key',
    public_url: address,
  });
  const ticket = await expect();
  const fields = { MessageSid: 'SM1', From: from, Body: 'Your code is 650031', To: '+1' };
  const signed = Object.keys(fields)
    .sort()
    .map((name) => name + new URLSearchParams(fields).get(name))
    .join('');
  const signature = createHmac('sha1', key)
    .update(address + signed)
    .digest('base64');
  const type = { 'content-type': 'application/x-www-form-urlencoded' };
  const body = new URLSearchParams(fields).toString();
  assert.equal(
    (await post(body.replace('650031', '650032'), { ...type, 'x-twilio-signature': signature })).status,
    403,
  );
  assert.equal((await post(body, type)).status, 403);
  const good = await post(body, { ...type, 'x-twilio-signature': signature });
  assert.deepEqual([good.status, await good.text()], [200, '<Response/>']);
  assert.equal(await code(ticket), '650031');
});

test("Twilio's webhook, as its own helpers check it: the port in the address or not, SHA-256 where a rule says so", async (t) => {
  const address = 'https://hooks.example/sms/phone?x=1';
  const { expect, code, post } = await opened(t, {
    type: 'twilio',
    account_sid: sid,
    auth_token: 'secret://key',
    public_url: address,
  });
  const send = (id: string, at: string, algorithm: string, headers: Record<string, string> = {}) => {
    const fields = { Body: `Your code is 65003${id}`, From: from, MessageSid: `SM${id}` };
    const text = at + Object.entries(fields).flat().join('');
    const signature = createHmac(algorithm, key).update(text).digest('base64');
    const type = 'application/x-www-form-urlencoded';
    return post(new URLSearchParams(fields).toString(), {
      'content-type': type,
      'x-twilio-signature': signature,
      ...headers,
    });
  };
  const rule = { 'x-twilio-webhooks-signature-settings': 'key=WK1,algorithm=HMAC_SHA256' };
  const withPort = 'https://hooks.example:443/sms/phone?x=1';
  for (const [id, at, algorithm, headers] of [
    ['1', withPort, 'sha1', {}],
    ['2', address, 'sha256', rule],
  ] as const) {
    const ticket = await expect();
    assert.equal((await send('9', 'https://hooks.example:444/sms/phone?x=1', 'sha1')).status, 403);
    assert.equal((await send('9', address, 'sha1', rule)).status, 403);
    assert.equal((await send(id, at, algorithm, headers)).status, 200);
    assert.equal(await code(ticket), `65003${id}`);
  }
});

test("Twilio's JSON (Event Streams): the digest of the body in the signed address, several events in one delivery", async (t) => {
  const address = 'https://hooks.example:8443/in/phone?tenant=1';
  const { expect, code, url } = await opened(t, {
    type: 'twilio',
    account_sid: sid,
    auth_token: 'secret://key',
    public_url: address,
  });
  const event = (messageSid: string, body: string, type = 'inbound-message.received') => ({
    specversion: '1.0',
    type: `com.twilio.messaging.${type}`,
    data: { messageSid, from, body, numMedia: 0 },
  });
  const send = async (events: unknown, change: { body?: string; query?: string; at?: string } = {}) => {
    const body = JSON.stringify(events);
    const query = `tenant=1&bodySHA256=${createHash('sha256').update(body).digest('hex')}`;
    const at = change.at ?? 'https://hooks.example:8443/in/phone';
    const signature = createHmac('sha1', key).update(`${at}?${query}`).digest('base64');
    const answer = await fetch(`${url}?${change.query ?? query}`, {
      method: 'POST',
      body: change.body ?? body,
      headers: {
        'content-type': 'application/json',
        'x-twilio-signature': signature,
        // A proxy's word is not asked: the address is the configured one.
        'x-forwarded-proto': 'http',
        'x-forwarded-host': 'evil.example',
      },
    });
    return answer.status;
  };
  const good = [event('SM1', 'Status'), event('SM2', 'Your code is 424242')];
  const ticket = await expect();
  assert.equal(await send(good, { body: JSON.stringify([event('SM2', 'Your code is 666666')]) }), 403);
  assert.equal(await send(good, { query: 'tenant=1' }), 403, 'no digest');
  assert.equal(await send(good, { at: 'https://evil.example/in/phone' }), 403);
  assert.equal(
    await send([event('SM3', 'Your code is 111111', 'message.delivered')]),
    200,
    'one of ours, sent',
  );
  assert.equal(await send({ specversion: '1.0' }), 400);
  assert.equal(await send(good, { at: 'https://hooks.example/in/phone' }), 200, 'signed without its port');
  assert.equal(await code(ticket), '424242');
  const second = await expect();
  assert.equal(await send(good), 403, 'a second time');
  assert.equal(await send(event('SM4', 'Your code is 424243')), 200, 'a single one');
  assert.equal(await code(second), '424243');
});

test("a form that repeats a field is signed as Twilio's helpers do: values sorted, each once", async (t) => {
  const address = 'https://hooks.example/sms/phone';
  const settings = { type: 'twilio', account_sid: sid, auth_token: 'secret://key', public_url: address };
  const { expect, code, post } = await opened(t, settings);
  const ticket = await expect();
  // By RequestValidator of twilio 9.13.0 (Python) with x = [b, a, a].
  const text = `${address}BodyYour code is 650031From${from}MessageSidSM1xaxb`;
  const answer = await post(
    new URLSearchParams([
      ['x', 'b'],
      ['MessageSid', 'SM1'],
      ['x', 'a'],
      ['From', from],
      ['x', 'a'],
      ['Body', 'Your code is 650031'],
    ]).toString(),
    {
      'content-type': 'application/x-www-form-urlencoded',
      'x-twilio-signature': createHmac('sha1', key).update(text).digest('base64'),
    },
  );
  assert.equal(answer.status, 200);
  assert.equal(await code(ticket), '650031');
});
