import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import { connect } from '../host/mcp/connections.ts';
import { doors } from '../host/mcp/doors.ts';
import { noJournal } from '../kit/journal.ts';
import { accessToken, oauthTokens } from '../kit/secret-oauth.ts';
import { SecretStore } from '../kit/secret-store.ts';
import { storeSecrets } from '../kit/secret-source.ts';
import { redact, resolveSecret } from '../kit/secrets.ts';
import { login, sources } from '../servers/auth/definition.ts';
import { authHome, keep, openAuthServer } from './auth-kit.ts';
import { startMcpHttp } from './doubles/mcp-http.ts';
import { provider } from './doubles/oauth-provider.ts';
import { inline, until } from './support.ts';

const settings = (issuer: string, more: object = {}) => ({
  oauth: { site: { issuer, client_id: 'kuznia', scope: 'openid offline_access', ...more } },
});
const kept = async (home: string) =>
  oauthTokens.parse(JSON.parse((await new SecretStore(home).get('site'))?.value ?? '{}'));
const approve = (issuer: string, code: unknown, how = '') =>
  fetch(`${issuer}/test/approve?code=${z.string().parse(code)}${how}`);
const signal = new AbortController().signal;

test('device flow: the model gets address and code, the store the token, nobody the token in an answer', async (t) => {
  const issuer = await provider(t);
  const home = authHome(t, settings(issuer));
  const server = await openAuthServer(t, home);
  const held = await server.value('auth_sign_in', { name: 'site', dry_run: true });
  assert.deepEqual(held['would_send'], { issuer, client_id: 'kuznia', scope: 'openid offline_access' });
  const begun = await server.value('auth_sign_in', { name: 'site' });
  assert.match((await server.call('auth_status')).text, /waiting for the person/);
  assert.equal((await approve(issuer, begun['code'])).status, 200);
  const status = await until(
    'signed in',
    async () => {
      const { text } = await server.call('auth_status');
      return text.includes('"state":"signed in"') && text;
    },
    15_000,
  );
  const token = await resolveSecret('secret://site', [storeSecrets(home)]);
  const tokens = await kept(home);
  assert.equal(token, tokens.access_token);
  assert.ok(tokens.refresh_token);
  assert.ok(!status.includes(token) && /"name":"site","kind":"oauth".*"expires"/.test(status), status);
  assert.equal(redact(`token ${token}`), 'token [secret:site]');
  // Revoked, then forgotten.
  assert.match(
    await server.fault('auth_sign_out', { name: 'site' }),
    /person has to decide.*kuznia login site --out/,
  );
});

test('an MCP server of the configuration gets the token of a sign-in, renewed before it expires, in the same session', async (t) => {
  const issuer = await provider(t, 16);
  // As kuznia.json has it, with the host's own reading of it.
  const seen: string[] = [];
  class Living extends Set<string> {
    override has(token: string): boolean {
      if (token !== seen.at(-1)) seen.push(token);
      return token !== '';
    }
  }
  const server = await startMcpHttp({ tokens: new Living() });
  t.after(() => server.stop());
  const home = authHome(t, settings(issuer));
  const shown: string[] = [];
  const going = login({ home, env: {} }, 'site', ({ code = '' }) => void shown.push(code), signal);
  await approve(issuer, await until('the code', () => shown[0]));
  await going;
  process.env['KUZNIA_HOME'] = home;
  t.after(() => delete process.env['KUZNIA_HOME']);
  const setting = {
    kind: 'url' as const,
    name: 'remote',
    url: server.url,
    headers: {},
    transport: 'http' as const,
  };
  const connections = await connect(doors([{ ...setting, bearer: 'secret://site' }]), {
    home,
    journal: noJournal,
    env: {},
  });
  t.after(() => connections.close());
  await connections.started(20_000);
  const say = () => connections.call('say', { text: 'a' }, { signal });
  assert.equal((await say()).ok, true);
  assert.equal((await say()).ok, true);
  assert.deepEqual(seen, [(await kept(home)).access_token]);
  // As doctor tells.
  const [told] = await sources({ home, env: {} }, signal);
  assert.match(
    JSON.stringify(told),
    /"name":"site","kind":"sign-in","ok":true,"note":"its token is good until 20/,
  );
  // It lives for 16 s and is renewed at half its time.
  await new Promise((resolve) => setTimeout(resolve, 8200));
  assert.deepEqual(await Promise.all([say(), say(), say()]).then((all) => all.map(({ ok }) => ok)), [
    true,
    true,
    true,
  ]);
  const { access_token } = await kept(home);
  assert.deepEqual([seen.length, seen[1]], [2, access_token]);
  const body = new URLSearchParams({ token: access_token, client_id: 'kuznia' });
  const alive = await (await fetch(`${issuer}/token/introspection`, { method: 'POST', body })).json();
  assert.equal(z.object({ active: z.boolean() }).parse(alive).active, true);
  assert.equal(Number(await (await fetch(`${issuer}/test/refreshes`)).text()), 1);
  assert.equal(server.sessions.size, 1, 'the session goes on');
  // Signed out: told with what to do, and nothing is sent.
  await new SecretStore(home).update((all) => void delete all['site']);
  const out = await say();
  const [gone] = await sources({ home, env: {} }, signal);
  assert.match(JSON.stringify(gone), /"ok":false,"note":"Nobody has signed in to site.*kuznia login site/);
  assert.ok(!out.ok && /kuznia login site|kuznia secret add site/.test(out.text), out.text);
});

test('a provider that is away for a while: the token that there is does, until it has expired', async (t) => {
  const home = authHome(t);
  const client = { issuer: 'http://127.0.0.1:9', client_id: 'kuznia', scope: 'openid', extra: {} };
  const sign = (seconds: number) =>
    keep(home, {
      site: {
        kind: 'oauth',
        value: JSON.stringify({
          client,
          access_token: 'kzcanary-held-1',
          refresh_token: 'kzcanary-refresh-1',
          expires_at: Date.now() + seconds * 1000,
        }),
      },
    });
  await sign(30);
  assert.equal(await accessToken(home, 'site'), 'kzcanary-held-1');
  await sign(1);
  await assert.rejects(accessToken(home, 'site'), /127\.0\.0\.1:9 did not describe itself/);
});

test('a sign-in that is declined says so', async (t) => {
  const issuer = await provider(t);
  const home = authHome(t, settings(issuer));
  const shown: string[] = [];
  const going = login({ home, env: {} }, 'site', ({ code = '' }) => void shown.push(code), signal);
  await until('the code', () => shown[0]);
  await approve(issuer, shown[0], '&deny=1');
  await assert.rejects(going, /site was not completed: it was declined/);
});

test('authorization code with PKCE over loopback; the refresh is done once by two processes; revoked tokens are dead', async (t) => {
  const issuer = await provider(t, 16);
  const home = authHome(t, settings(issuer, { flow: 'browser' }));
  const going = login({ home, env: {} }, 'site', ({ url }) => void browse(url), signal);
  // Another page that calls the port is not listened to.
  async function browse(url: string): Promise<void> {
    const redirect = new URL(url).searchParams.get('redirect_uri') ?? '';
    assert.equal((await fetch(`${redirect}?code=evil&state=wrong`)).status, 404);
    const jar = new Map<string, string>();
    for (let next = url, hops = 0; hops < 12; hops++) {
      const answer = await fetch(next, {
        redirect: 'manual',
        headers: { cookie: [...jar].map((pair) => pair.join('=')).join('; ') },
      });
      for (const cookie of answer.headers.getSetCookie()) {
        const [name = '', value = ''] = (cookie.split(';')[0] ?? '').split('=');
        jar.set(name, value);
      }
      const to = answer.headers.get('location');
      if (to === null) return;
      next = new URL(to, next).href;
    }
  }
  await going;
  const first = await kept(home);
  // It lives for 16 s and is renewed at half its time.
  await new Promise((resolve) => setTimeout(resolve, 8200));
  const script = `import { accessToken } from './kit/secret-oauth.ts'; process.stdout.write((await accessToken(process.argv[1], 'site')).slice(2));`;
  const other = () => promisify(execFile)(process.execPath, [...inline(script), home]);
  const both = await Promise.all([
    accessToken(home, 'site'),
    accessToken(home, 'site'),
    // Without its first letters, by which a secret that comes out is found.
    other().then(({ stdout }) => `kz${stdout}`),
  ]);
  assert.equal(new Set(both).size, 1);
  assert.ok(!both.includes(first.access_token));
  const refreshes = Number(await (await fetch(`${issuer}/test/refreshes`)).text());
  assert.equal(refreshes, 1);
  const { logout } = await import('../servers/auth/definition.ts');
  const last = await kept(home);
  assert.deepEqual(await logout(home, 'site'), { revoked: true });
  const body = new URLSearchParams({ token: last.access_token, client_id: 'kuznia' });
  const dead = await (await fetch(`${issuer}/token/introspection`, { method: 'POST', body })).json();
  assert.deepEqual(dead, { active: false });
  await assert.rejects(accessToken(home, 'site'), /Nobody has signed in to site.*kuznia login site/);
});

test('an issuer that calls itself otherwise, is in the open or gone is refused', async (t) => {
  const evil = createServer((_request, response) => {
    response
      .setHeader('content-type', 'application/json')
      .end(JSON.stringify({ issuer: 'https://accounts.example', token_endpoint: 'https://evil.test/token' }));
  }).listen(0, '127.0.0.1');
  await once(evil, 'listening');
  t.after(() => evil.close());
  const { port } = z.object({ port: z.number() }).parse(evil.address());
  for (const [issuer, why] of [
    [`http://127.0.0.1:${port}`, /did not describe itself/],
    ['http://accounts.example', /is not https/],
    ['http://127.0.0.1:1', /did not describe itself/],
  ] as const) {
    const home = authHome(t, settings(issuer));
    await assert.rejects(
      login({ home, env: {} }, 'site', () => undefined, signal),
      why,
    );
  }
  const server = await openAuthServer(t, authHome(t));
  assert.match(
    await server.fault('auth_sign_in', { name: 'nowhere' }),
    /no provider nowhere.*servers\.auth\.oauth\.nowhere/,
  );
});
