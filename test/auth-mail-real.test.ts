import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { redeem } from '../kit/handles.ts';
import { authHome, handleOf, keep, openAuthServer, ticketOf } from './auth-kit.ts';
import { dovecot, written, type Mailbox } from './doubles/mail-dovecot.ts';
import { missing } from './support.ts';

const skip = missing('KUZNIA_DOVECOT');
const origin = 'https://acme.example';
const from = 'noreply@acme.example';
const use = { purpose: 'two-factor', origin } as const;

async function opened(t: Parameters<typeof authHome>[0], box: Mailbox, more: object = {}) {
  const { host, port, ca, user } = box;
  const home = authHome(t, {
    mailboxes: { work: { host, port, ca, user, password: 'secret://mail', ...more } },
  });
  await keep(home, { mail: { value: box.password } });
  return { home, server: await openAuthServer(t, home) };
}

test(
  'a real Dovecot: codes, senders, hostile mails, lost connections',
  { skip, timeout: 90_000 },
  async (t) => {
    const box = await dovecot(t);

    await t.test('a code that comes while IDLE is there at once', async (t) => {
      const { home, server } = await opened(t, box);
      const ticket = ticketOf(await server.value('auth_expect_code', { origin, from }));
      const waiting = server.call('auth_wait_code', { ticket });
      await sleep(50);
      const begun = performance.now();
      box.deliver({ text: 'Your code is 482913.' });
      const answer = await waiting;
      const ms = performance.now() - begun;
      assert.ok(answer.ok && !answer.text.includes('482913'), answer.text);
      assert.ok(ms < 4000, `${ms} ms`);
      assert.equal(await redeem(handleOf(answer.value), use, home), '482913');
      assert.equal(box.seen(), 0, 'nothing was marked as read');
    });

    await t.test('mails that are deleted while a login waits do not hide the one that comes', async (t) => {
      for (let i = 0; i < 5; i++) box.deliver({ from: 'news@other.example', text: 'Hello.' });
      const { home, server } = await opened(t, box);
      const ticket = ticketOf(
        await server.value('auth_expect_code', { origin, from: '@acme.example', within_s: 12 }),
      );
      box.deliver({ from: 'news@other.example', text: 'Hello again.' });
      await sleep(800);
      box.empty();
      // Dovecot tells of what is gone within its own delay.
      await sleep(1500);
      box.deliver({ text: 'Your code is 310577.' });
      const answer = await server.call('auth_wait_code', { ticket });
      assert.ok(answer.ok, answer.text);
      assert.equal(await redeem(handleOf(answer.value), use, home), '310577');
    });

    await t.test(
      'only the sender asked for counts: look-alikes, display names, several authors, old and forwarded codes do not',
      async (t) => {
        box.deliver({ text: 'Your code is 111111.' });
        await sleep(1100);
        const { home, server } = await opened(t, box);
        const ticket = ticketOf(
          await server.value('auth_expect_code', { origin, from: 'acme.example', within_s: 20 }),
        );
        for (const wrong of [
          'noreply@acme.example.evil.test',
          '"noreply@acme.example" <a@evil.test>',
          'a@evilacme.example',
          'noreply@acme.example, a@evil.test',
        ]) {
          box.deliver({ from: wrong, text: 'Your code is 222222.' });
        }
        box.deliver({ text: 'See below.\n\n---------- Forwarded message ---------\nYour code is 333333.' });
        box.deliver({ from: 'Login <login@mail.acme.example>', html: '<p>Your code is <b>771204</b></p>' });
        const answer = await server.call('auth_wait_code', { ticket });
        assert.ok(answer.ok, answer.text);
        assert.equal(await redeem(handleOf(answer.value), use, home), '771204');
      },
    );

    await t.test('huge, deep and broken mails do not hide the code, nor cost much', async (t) => {
      const { home, server } = await opened(t, box, { mark_read: true });
      const ticket = ticketOf(await server.value('auth_expect_code', { origin, from, within_s: 30 }));
      const head = (subject: string, type: string) =>
        `From: ${from}\r\nSubject: ${subject}\r\nMIME-Version: 1.0\r\nContent-Type: ${type}\r\n\r\n`;
      box.deliver(
        head('parts', 'multipart/mixed; boundary=x') +
          '--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n'.repeat(1000),
      );
      box.deliver(
        `${head('deep', 'multipart/mixed; boundary=b0')}${Array.from({ length: 200 }, (_, i) => `--b${i}\r\nContent-Type: multipart/mixed; boundary=b${i + 1}\r\n\r\n`).join('')}`,
      );
      box.deliver(`${head('charset', 'text/plain; charset=utf-99')}no\u00ebl`);
      box.deliver(`From: ${from}\r\n\r\n\0\0\0`);
      box.deliver(
        `${written({ text: 'Your code is 558190.' })}${'x'.repeat(76).concat('\r\n').repeat(120_000)}`,
      );
      const answer = await server.call('auth_wait_code', { ticket });
      assert.ok(answer.ok, answer.text);
      assert.equal(await redeem(handleOf(answer.value), use, home), '558190');
      assert.ok(box.seen() > 0, 'marked as read, as configured');
    });

    await t.test('two logins at one mailbox: each its own sender, the same sender refused', async (t) => {
      const { home, server } = await opened(t, box);
      const one = ticketOf(await server.value('auth_expect_code', { origin, from }));
      const other = await openAuthServer(t, home);
      assert.match(
        await other.fault('auth_expect_code', { origin, from }),
        /Another login waits for a code from noreply@acme/,
      );
      const two = ticketOf(
        await other.value('auth_expect_code', { origin: 'https://b.example', from: 'b.example' }),
      );
      box.deliver({ from: 'x@b.example', text: 'Your code is 444444.' });
      box.deliver({ text: 'Your code is 555555.' });
      const [first, second] = await Promise.all([
        server.value('auth_wait_code', { ticket: one }),
        other.value('auth_wait_code', { ticket: two }),
      ]);
      assert.equal(await redeem(handleOf(first), use, home), '555555');
      assert.equal(await redeem(handleOf(second), { ...use, origin: 'https://b.example' }, home), '444444');
    });

    await t.test('two codes in one mail are not guessed between', async (t) => {
      const { server } = await opened(t, box);
      const ticket = ticketOf(await server.value('auth_expect_code', { origin, from }));
      box.deliver({ text: 'Your code is 616161.\nYour code is 727272.' });
      const answer = await server.call('auth_wait_code', { ticket });
      assert.match(answer.text, /"candidates":\[\{"handle":"code:.*"reason":"behind words/);
      assert.ok(!/616161|727272|"handle":"code:[^"]*","source"/.test(answer.text), answer.text);
    });

    await t.test('a sign-in link comes as a handle, for its own site', async (t) => {
      const { home, server } = await opened(t, box);
      const ticket = ticketOf(await server.value('auth_expect_code', { origin, from, link: true }));
      box.deliver({ text: 'Log in: https://acme.example/auth/magic?token=abcdefghijklmnop1234' });
      const answer = await server.call('auth_wait_code', { ticket });
      assert.ok(answer.ok && !answer.text.includes('abcdefghijklmnop1234'), answer.text);
      assert.equal(
        await redeem(handleOf(answer.value), { purpose: 'link', origin }, home),
        'https://acme.example/auth/magic?token=abcdefghijklmnop1234',
      );
    });

    await t.test('a server that goes away mid-IDLE and comes back loses no code', async (t) => {
      const { home, server } = await opened(t, box);
      const ticket = ticketOf(await server.value('auth_expect_code', { origin, from, within_s: 40 }));
      await box.stop();
      box.deliver({ text: 'Your code is 939393.' });
      await box.start();
      const answer = await server.call('auth_wait_code', { ticket });
      assert.ok(answer.ok, answer.text);
      assert.equal(await redeem(handleOf(answer.value), use, home), '939393');
    });

    await t.test(
      'STARTTLS works; a wrong CA and a wrong password are told at once, and tried once',
      async (t) => {
        const { server } = await opened(t, box, { port: box.plainPort, security: 'starttls' });
        await server.value('auth_expect_code', { origin, from });
        const status = await server.call('auth_status', { test: true });
        assert.match(status.text, /"ok":true,"note":"jan at localhost"/);
        const untrusting = await opened(t, box, { ca: undefined });
        assert.match(
          await untrusting.server.fault('auth_expect_code', { origin, from: 'z.example' }),
          /could not be opened: .*certificate.*PEM file: ca in servers\.auth\.mailboxes\.work/,
        );
        const wrong = await opened(t, box, { password: 'secret://wrong' });
        await keep(wrong.home, { wrong: { value: 'not-the-password' } });
        const refused = /refused user and password of the mailbox work.*kuznia secret rotate wrong/;
        assert.match(await wrong.server.fault('auth_expect_code', { origin, from }), refused);
        assert.match(await wrong.server.fault('auth_expect_code', { origin, from }), refused);
        assert.equal(box.log().split('auth failed, 1 attempts').length - 1, 1, box.log());
      },
    );

    await t.test('nothing comes: the wait ends at its time, and a cancel at once', async (t) => {
      const { server } = await opened(t, box);
      const ticket = ticketOf(
        await server.value('auth_expect_code', { origin, from: 'q.example', within_s: 5 }),
      );
      const stop = new AbortController();
      const cancelled = server.call('auth_wait_code', { ticket }, { signal: stop.signal });
      setTimeout(() => stop.abort(), 100);
      await assert.rejects(cancelled);
      assert.match(
        await server.fault('auth_wait_code', { ticket }),
        /No code came from q\.example within 5 s/,
      );
      assert.match(await server.fault('auth_wait_code', { ticket }), /no such ticket/);
    });
  },
);
