import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { accessToken, readTokens } from '../kit/secret-oauth.ts';
import { login, logout } from '../servers/auth/definition.ts';
import { authHome, keep } from './auth-kit.ts';
import { freePort } from './doubles/mail-dovecot.ts';
import { plainOauth } from './doubles/oauth-plain.ts';

const secret = 'kzcanary se:cr%et+/ą';

async function opened(t: TestContext, takes: ('basic' | 'post')[], more: object = {}) {
  const redirect_uri = `http://localhost:${await freePort()}/oauth/callback`;
  const provider = await plainOauth(t, { secret, redirect: redirect_uri, takes });
  const site = {
    issuer: provider.issuer,
    client_id: 'kuznia',
    client_secret: 'secret://client',
    redirect_uri,
  };
  const home = authHome(t, { oauth: { site: { ...site, scope: 'read', ...more } } });
  await keep(home, { client: { value: secret } });
  const signal = AbortSignal.timeout(10_000);
  const ended = new AbortController();
  const open = async (url: string) => {
    const page = await fetch(url);
    if (!page.ok) ended.abort(new Error(await page.text()));
  };
  const go = () =>
    login({ home, env: {} }, 'site', ({ url }) => void open(url), AbortSignal.any([signal, ended.signal]));
  return { home, go, provider };
}

test('a server without identities: RFC 8414 behind a front page for everything else, Basic alone, the exact redirect', async (t) => {
  const { home, go, provider } = await opened(t, ['basic']);
  await go();
  const tokens = await readTokens(home, 'site');
  assert.match(tokens.access_token, /^kzcanary-plain-/);
  assert.deepEqual([tokens.expires_at, tokens.refresh_token, provider.refused], [undefined, undefined, []]);
  assert.equal(await accessToken(home, 'site'), tokens.access_token);
  const { revoked, note } = await logout(home, 'site');
  assert.ok(!revoked && note?.includes('no revocation'), note);
});

test('a secret in the body where the server offers it; the other way where its client is registered so', async (t) => {
  const body = await opened(t, ['post']);
  await body.go();
  const other = await opened(t, ['basic', 'post']);
  await assert.rejects(
    other.go(),
    /client_id kuznia with this secret, or wants it sent otherwise \(servers\.auth\.oauth\.site\.client_auth/,
  );
  const told = await opened(t, ['basic', 'post'], { client_auth: 'basic' });
  await told.go();
  assert.deepEqual(
    [body.provider.refused, other.provider.refused, told.provider.refused],
    [[], ['client'], []],
  );
});

test('a redirect that is not of this computer, or whose port is taken', async (t) => {
  const away = await opened(t, ['basic'], { redirect_uri: 'http://evil.example/callback' });
  await assert.rejects(away.go(), /redirect_uri/);
  const { createServer } = await import('node:http');
  const port = await freePort();
  const holder = createServer().listen(port, '127.0.0.1');
  t.after(() => holder.close());
  const taken = await opened(t, ['basic'], { redirect_uri: `http://127.0.0.1:${port}/callback` });
  await assert.rejects(taken.go(), /cannot be taken at http:\/\/127\.0\.0\.1:\d+ .*End what listens there/);
});
