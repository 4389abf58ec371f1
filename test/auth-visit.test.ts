import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Client } from '@modelcontextprotocol/client';
import { z } from 'zod';
import { oauthTokens } from '../kit/secret-oauth.ts';
import { SecretStore } from '../kit/secret-store.ts';
import { authHome, openAuthServer } from './auth-kit.ts';
import { provider } from './doubles/oauth-provider.ts';
import { MODERN } from './support.ts';

const asked = z.looseObject({ mode: z.literal('url'), message: z.string(), url: z.string() });

const eras = [
  ['2025-11-25', {}],
  [MODERN, { versionNegotiation: { mode: { pin: MODERN } } }],
] as const;

/** A client that opens addresses for its person, who does as the test says. */
async function visiting(
  t: TestContext,
  options: (typeof eras)[number][1],
  person: (code: string) => Promise<'accept' | 'decline' | 'cancel'>,
) {
  const issuer = await provider(t);
  const home = authHome(t, {
    oauth: { site: { issuer, client_id: 'kuznia', scope: 'openid offline_access' } },
  });
  const client = new Client(
    { name: 'opens', version: '0' },
    { capabilities: { elicitation: { url: {} } }, ...options },
  );
  const seen: z.output<typeof asked>[] = [];
  client.setRequestHandler('elicitation/create', async ({ params }) => {
    const one = asked.parse(params);
    seen.push(one);
    return { action: await person(/shows the code ([\w-]+)/.exec(one.message)?.[1] ?? '') };
  });
  const server = await openAuthServer(t, home, client);
  return { issuer, home, server, seen };
}

for (const [era, options] of eras) {
  test(`${era}: the address goes to the person by the client, and the answer says that it is done`, async (t) => {
    const { issuer, home, server, seen } = await visiting(t, options, async (code) => {
      assert.equal((await fetch(`${issuer}/test/approve?code=${code}`)).status, 200);
      return 'accept';
    });
    const answer = await server.call('auth_sign_in', { name: 'site' });
    assert.deepEqual(answer.value, { signed_in: true }, answer.text);
    assert.equal(seen.length, 1);
    assert.ok(seen[0]?.url.startsWith(issuer), seen[0]?.url);
    assert.match(
      seen[0]?.message ?? '',
      new RegExp(`Sign in to ${issuer} as site\\. Check that the page shows`),
    );
    const kept = oauthTokens.parse(JSON.parse((await new SecretStore(home).get('site'))?.value ?? '{}'));
    assert.ok(!JSON.stringify([answer, seen]).includes(kept.access_token));
    assert.match((await server.call('auth_status')).text, /"state":"signed in"/);
  });

  test(`${era}: who does not open it is not signed in, and nothing waits on`, async (t) => {
    for (const action of ['decline', 'cancel'] as const) {
      const { server } = await visiting(t, options, async () => action);
      assert.match(await server.fault('auth_sign_in', { name: 'site' }), /person did not open the page/);
      assert.match((await server.call('auth_status')).text, /"state":"signed out"/);
      await server.close();
    }
  });
}

test('a sign-in that the person declines at the provider is told with its reason', async (t) => {
  const { issuer, server } = await visiting(t, {}, async (code) => {
    await fetch(`${issuer}/test/approve?code=${code}&deny=1`);
    return 'accept';
  });
  assert.match(await server.fault('auth_sign_in', { name: 'site' }), /not completed: it was declined/);
});

test('a client that opens no addresses gets address and code as an answer; a dry run asks nobody', async (t) => {
  const { home, server, seen } = await visiting(t, {}, async () => 'accept');
  await server.value('auth_sign_in', { name: 'site', dry_run: true });
  assert.deepEqual(seen, []);
  const form = new Client({ name: 'forms', version: '0' }, { capabilities: { elicitation: {} } });
  const other = await openAuthServer(t, home, form);
  const answer = await other.value('auth_sign_in', { name: 'site' });
  assert.deepEqual(Object.keys(answer).sort(), ['code', 'until', 'url']);
});
