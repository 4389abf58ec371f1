import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, request as forward } from 'node:http';
import { createServer as createSecure } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitlab } from '../servers/gitlab/definition.ts';
import { connect } from './clients.ts';
import { keep } from './auth-kit.ts';
import { bench, TOKEN } from './gitlab-kit.ts';
import { serveHere, tempHome } from './support.ts';

const P = 'group/forge';

/** A certificate that nobody else knows; undefined without openssl. */
function certificate(home: string) {
  const [key, file] = [join(home, 'key.pem'), join(home, 'ca.pem')];
  const names = [
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=DNS:localhost,IP:127.0.0.1',
    '-days',
    '2',
  ];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  try {
    execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', file, ...names], {
      stdio: 'ignore',
    });
  } catch {
    return undefined;
  }
  return { file, options: { key: readFileSync(key), cert: readFileSync(file) } };
}

test('a login page with status 200 is no data', async (t) => {
  const page = createServer((_request, response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!DOCTYPE html><title>Sign in</title>'),
  );
  await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
  t.after(() => page.close());
  const address = page.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const { url } = await serveHere(t, gitlab, {
    env: { GITLAB_URL: `http://127.0.0.1:${port}`, GITLAB_TOKEN: TOKEN },
  });
  const client = await connect(t, 'v1', { http: url });
  assert.match(
    (await client.call('gitlab_find', { what: 'me' })).text,
    /web page, not data.*Check GITLAB_URL/,
  );
});

test("a certificate of one's own is trusted by the setting ca, and by nothing else", async (t) => {
  const made = certificate(tempHome(t));
  if (!made) return t.skip('openssl is not installed');
  const secure = createSecure(made.options, (_request, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":1,"username":"root"}'),
  );
  await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
  t.after(() => secure.close());
  const address = secure.address();
  const env = {
    GITLAB_URL: `https://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
    GITLAB_TOKEN: TOKEN,
  };
  const without = await connect(t, 'v1', { http: (await serveHere(t, gitlab, { env })).url });
  assert.match((await without.call('gitlab_list_issues', { project: P })).text, /no trusted TLS connection/);
  const own = await connect(t, 'v1', {
    http: (await serveHere(t, gitlab, { env: { ...env, GITLAB_CA: made.file } })).url,
  });
  assert.match(
    (await own.call('gitlab_find', { what: 'users', query: 'x' })).text,
    /something else than a list/,
  );
});

test('a GitLab with a certificate of its own: the API and git trust it, by a file or by its text', async (t) => {
  const { double, root, serve } = await bench(t);
  const home = tempHome(t);
  const made = certificate(home);
  if (!made) return t.skip('openssl is not installed');
  const { origin: plain } = new URL(double.url);
  const front = createSecure(made.options, (request, response) => {
    const { method, url, headers } = request;
    const behind = forward(`${plain}${url}`, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    request.pipe(behind);
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    front.closeAllConnections();
    front.close();
  });
  const address = front.address();
  const url = `https://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
  double.world.url = url;
  for (const ca of [made.file, readFileSync(made.file, 'utf8')]) {
    const { value } = await serve({ GITLAB_URL: url, GITLAB_CA: ca, GITLAB_ROOTS: tempHome(t) });
    assert.match(JSON.stringify(await value('gitlab_find', { what: 'me' })), /"username":"root"/);
    const cloned = await value('git_clone', { project: P });
    await value('git_branch', { folder: 'forge', branch: 'work', from: 'main' });
    await value('git_pull', { folder: 'forge' }).catch(() => undefined);
    assert.deepEqual((await value('git_push', { folder: 'forge' }))['pushed'], 'work');
    assert.ok(cloned['sha']);
  }
  const untrusting = await serve({ GITLAB_URL: url, GITLAB_ROOTS: tempHome(t) });
  assert.match(await untrusting.fault('git_clone', { project: P }), /no trusted TLS connection/);
  assert.ok(root);
});

test('without settings it starts, lists its tools, and a call names the setting', async (t) => {
  const { url } = await serveHere(t, gitlab);
  const client = await connect(t, 'v1', { http: url });
  assert.ok((await client.tools()).length > 30);
  assert.match((await client.call('gitlab_find', { what: 'me' })).text, /Set GITLAB_URL/);
  const half = await serveHere(t, gitlab, { env: { GITLAB_URL: 'http://127.0.0.1:9' } });
  const other = await connect(t, 'v1', { http: half.url });
  assert.match(
    (await other.call('gitlab_find', { what: 'me' })).text,
    /No GitLab token is set.*GITLAB_TOKEN/,
  );
});

test('the token of a sign-in, by reference: fresh from the store, and a dead one says who can mend it', async (t) => {
  const { double, serve, root } = await bench(t);
  const home = tempHome(t);
  const OAUTH = 'oauth-access-0123456789';
  double.world.token(OAUTH, root);
  const client = { issuer: 'http://127.0.0.1:9', client_id: 'kuznia', scope: 'api' };
  const signIn = (expires_at: number) => ({
    kind: 'oauth' as const,
    value: JSON.stringify({ client, access_token: OAUTH, expires_at }),
  });
  await keep(home, { site: signIn(Date.now() + 3_600_000), old: signIn(Date.now() - 1000) });
  const good = await serve({ GITLAB_TOKEN: 'secret://site' }, undefined, home);
  assert.match(JSON.stringify(await good.value('gitlab_find', { what: 'me' })), /"username":"root"/);
  assert.equal(double.sent.at(-1)?.authorization, `Bearer ${OAUTH}`);
  const old = await serve({ GITLAB_TOKEN: 'secret://old' }, undefined, home);
  assert.match(await old.fault('gitlab_find', { what: 'me' }), /sign-in old has expired.*kuznia login old/);
  const none = await serve({ GITLAB_TOKEN: 'secret://nobody' }, undefined, home);
  assert.match(
    await none.fault('gitlab_find', { what: 'me' }),
    /secret:\/\/nobody.*kuznia secret add nobody/,
  );
});
