import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { authHome, keep, openAuthServer } from './auth-kit.ts';
import { xoauth2 } from './doubles/mail-xoauth2.ts';
import { tempHome } from './support.ts';

test('a mailbox by a sign-in: the token of the store goes as XOAUTH2; a refused one is tried once', async (t) => {
  const token = 'kzcanary-access-token-1';
  const { tries, ...where } = await xoauth2(t, tempHome(t), token);
  const mailboxes = { google: { ...where, user: 'jan@example.com', oauth: 'google' } };
  const home = authHome(t);
  writeFileSync(join(home, 'kuznia.json'), JSON.stringify({ servers: { auth: { mailboxes } } }));
  const tokens = (access_token: string) => ({
    kind: 'oauth' as const,
    value: JSON.stringify({
      client: { issuer: 'https://accounts.example', client_id: 'c', scope: 's' },
      access_token,
    }),
  });
  await keep(home, { google: tokens(token) });
  const server = await openAuthServer(t, home);
  assert.match((await server.call('auth_status', { test: true })).text, /"ok":true,"note":"jan@example\.com/);
  await keep(home, { google: tokens('an-old-access-token') });
  const before = tries.length;
  for (const _ of [1, 2]) {
    const { text } = await server.call('auth_status', { test: true });
    assert.match(text, /refused user and password.*kuznia login google/);
    assert.ok(!text.includes('an-old-access-token'), text);
  }
  assert.equal(tries.length - before, 1);
});
