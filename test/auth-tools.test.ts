import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import { z } from 'zod';
import { auth } from '../servers/auth/definition.ts';
import { authHome, handleOf, keep, openAuthServer, ticketOf } from './auth-kit.ts';
import { freePort } from './doubles/mail-dovecot.ts';

const origin = 'https://login.example';
const entry = {
  kind: 'otp' as const,
  value: JSON.stringify({ type: 'totp', secret: 'JBSWY3DPEHPK3PXP', period: 600 }),
  origins: [origin],
};

test('at most 12 tools that cost at most 2,200 tokens', async (t) => {
  const server = await openAuthServer(t, authHome(t, { reveal_codes: true }));
  const tools = await server.tools();
  const tokens = encode(JSON.stringify({ tools })).length;
  assert.ok(tools.length <= 12 && tokens <= 2200, `${tools.length} tools, ${tokens} tokens`);
});

test('codes are shown only where the configuration says so', async (t) => {
  const home = authHome(t);
  await keep(home, { app: entry });
  const names = async (server: Awaited<ReturnType<typeof openAuthServer>>) =>
    (await server.tools()).map(({ name }) => name);
  const closed = await openAuthServer(t, home);
  assert.ok(!(await names(closed)).includes('auth_reveal_code'));
  await assert.rejects(closed.call('auth_reveal_code', { handle: 'code:x', origin }));
  const open = authHome(t, { reveal_codes: true, check_clock: false });
  await keep(open, { app: entry });
  const server = await openAuthServer(t, open);
  const handle = handleOf(await server.value('auth_totp_code', { origin }));
  const { shown } = z
    .object({ shown: z.string() })
    .parse(await server.value('auth_reveal_code', { handle, origin }));
  assert.match(shown, /^\d( \d){5}$/);
  assert.match(await server.fault('auth_reveal_code', { handle, origin }), /spent already/);
});

test(
  'a mail server that never answers, or talks nonsense, is told within its time',
  { timeout: 40_000 },
  async (t) => {
    const silent = createServer((socket) => void socket.on('error', () => undefined)).listen(0, '127.0.0.1');
    const noise = createServer(
      (socket) => void socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    ).listen(0, '127.0.0.1');
    await Promise.all([silent, noise].map((server) => once(server, 'listening')));
    t.after(() => [silent, noise].forEach((server) => server.close()));
    const [a, b] = [silent, noise].map(
      (server) => z.object({ port: z.number() }).parse(server.address()).port,
    );
    const box = (port: number | undefined) => ({
      host: '127.0.0.1',
      port,
      user: 'jan',
      password: 'secret://mail',
    });
    const home = authHome(t, { mailboxes: { silent: box(a), noise: box(b), gone: box(1) } });
    await keep(home, { mail: { value: 'kzcanary-mail-1' } });
    const server = await openAuthServer(t, home);
    const { sources } = z
      .object({ sources: z.array(z.object({ name: z.string(), ok: z.boolean(), note: z.string() })) })
      .parse(await server.value('auth_status', { test: true }));
    for (const { name, ok, note } of sources) {
      assert.equal(ok, false, name);
      assert.match(
        note,
        new RegExp(`The mailbox ${name} .*could not be opened: .*servers.auth.mailboxes.${name}`),
      );
    }
    assert.match(
      await server.fault('auth_expect_code', { origin, from: 'a@b.example', source: 'gone' }),
      /could not be opened/,
    );
  },
);

test(
  'a source that is away does not keep a code from coming by another, and is told',
  { timeout: 30_000 },
  async (t) => {
    const [port, listen] = [await freePort(), await freePort()];
    const gone = { host: '127.0.0.1', port, user: 'jan', password: 'secret://mail' };
    const home = authHome(t, {
      mailboxes: { gone },
      sms: { phone: { type: 'android', signing_key: 'secret://key' } },
      listen: `127.0.0.1:${listen}`,
    });
    await keep(home, { mail: { value: 'kzcanary-mail-1' }, key: { value: 'kzcanary-key-1' } });
    const server = await openAuthServer(t, home);
    const begun = await server.value('auth_expect_code', { origin, from: 'ACME', within_s: 20 });
    assert.deepEqual(begun['sources'], ['phone']);
    assert.match(
      JSON.stringify(begun['away']),
      /"name":"gone","note":"The mailbox gone .*could not be opened/,
    );
    const body = JSON.stringify({
      event: 'sms:received',
      id: '1',
      payload: { message: 'ACME code: 551826', sender: 'ACME' },
    });
    const at = String(Math.floor(Date.now() / 1000));
    const signature = createHmac('sha256', 'kzcanary-key-1')
      .update(body + at)
      .digest('hex');
    const headers = { 'x-timestamp': at, 'x-signature': signature };
    assert.equal(
      (await fetch(`http://127.0.0.1:${listen}/sms/phone`, { method: 'POST', body, headers })).status,
      200,
    );
    assert.ok(handleOf(await server.value('auth_wait_code', { ticket: ticketOf(begun) })));
    // Nothing came, and one did not listen: both are said.
    const second = await server.value('auth_expect_code', { origin, from: 'ACME', within_s: 5 });
    assert.match(
      await server.fault('auth_wait_code', { ticket: ticketOf(second) }),
      /No code came from ACME within 5 s.*gone did not listen: The mailbox gone/,
    );
  },
);

test('a setting that holds a secret instead of its name is refused and not shown', () => {
  const mailboxes = { work: { host: 'h', user: 'u', password: 'kzcanary-plain-1' } };
  const parsed = auth.config.safeParse({ mailboxes });
  assert.ok(!parsed.success && !JSON.stringify(parsed.error.issues).includes('kzcanary-plain-1'));
  assert.match(JSON.stringify(parsed.error.issues), /secret:\/\/mail-password/);
});

test('without any source a login hears how a person adds one', async (t) => {
  const server = await openAuthServer(t, authHome(t));
  assert.match(
    await server.fault('auth_expect_code', { origin, from: 'a@b.example' }),
    /nowhere that codes arrive.*servers\.auth\.mailboxes/,
  );
  assert.match(
    await server.fault('auth_wait_code', { ticket: ticketOf({ ticket: 'ticket-x' }) }),
    /no such ticket/,
  );
  assert.match(
    await server.fault('auth_totp_code', { origin }),
    /No two-factor entry is for .*kuznia secret add NAME --totp/,
  );
});
