import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { callFor } from '../kit/call.ts';
import { failure, json, listen, upstream } from './doubles/upstream.ts';

test('429, 502, 503 and 504 are tried again for reads, with Retry-After; writes only when marked', async () => {
  const { caller, seen, entries } = await upstream((request, response, count) => {
    const status = Number(/\d{3}/.exec(request.url ?? '')?.[0]);
    if (count % 2 === 1) response.writeHead(status, status === 429 ? { 'retry-after': '1' } : {}).end();
    else json(response, { count });
  });
  const started = performance.now();
  await caller.request('/429');
  assert.ok(performance.now() - started >= 990, 'Retry-After was waited for');
  for (const status of [502, 503, 504]) assert.equal((await caller.request(`/${status}`)).status, 200);
  assert.equal(seen.length, 8);
  assert.equal(entries[1]?.detail, 'status 200, try 2');
  for (const method of ['POST', 'PATCH', 'PUT', 'DELETE']) {
    const error = await failure(caller.request('/503', { method }));
    assert.deepEqual([error.reason, error.status], ['status', 503]);
    await caller.request('/503', { method });
  }
  assert.equal(seen.length, 16);
  await caller.request('/503', { method: 'PUT', idempotent: true, json: {} });
  assert.equal(seen.length, 18);
  assert.equal((await failure(caller.request('/500', { idempotent: true }))).status, 500);
  assert.equal(seen.length, 19, 'an internal error is not transient');
});

test('tries end, and waits grow', async () => {
  const { caller, seen } = await upstream((_, response) => response.writeHead(502).end('bad gateway'), {
    backoffMs: 40,
    breaker: { failures: 99 },
  });
  const started = performance.now();
  const error = await failure(caller.request('/x'));
  const took = performance.now() - started;
  assert.equal(seen.length, 4);
  assert.ok(took >= 140 && took < 5000, `half of 40 + 80 + 160 at least: ${took}`);
  assert.equal(error.message, 'GitLab answered 502 to GET /api/v4/x: bad gateway.');
});

test('a Retry-After past the deadline, as seconds or a date, fails at once and says when', async () => {
  const date = new Date(Date.now() + 90_000).toUTCString();
  const { caller, entries } = await upstream(
    (request, response) => {
      const after = request.url?.includes('date') ? date : request.url?.includes('odd') ? 'soon' : '120';
      response.writeHead(429, { 'retry-after': after }).end();
    },
    { retries: 1 },
  );
  const started = performance.now();
  const seconds = await failure(caller.request('/seconds', { timeoutMs: 5000 }));
  assert.equal(seconds.retryAfter, 120);
  assert.match(
    seconds.message,
    /^GitLab asks for a longer pause .*status 429\). Try again in 120 s \(at \d\d:\d\d:\d\d UTC\)\.$/,
  );
  // The host asked for quiet: the next call does not even knock.
  const next = await failure(caller.request('/date', { timeoutMs: 5000 }));
  assert.equal(next.reason, 'rate_limit');
  assert.match(next.message, /none was made\. Try again in 60 s/);
  assert.deepEqual(
    entries.map(({ outcome }) => outcome),
    ['error', 'refused'],
  );
  const fresh = await upstream((_, response) => response.writeHead(503, { 'retry-after': date }).end());
  const dated = await failure(fresh.caller.request('/x', { timeoutMs: 5000 }));
  assert.ok((dated.retryAfter ?? 0) >= 88 && (dated.retryAfter ?? 0) <= 91, String(dated.retryAfter));
  const posted = await upstream((_, response) =>
    response.writeHead(429, { 'retry-after': '7' }).end('{"message":"slow down"}'),
  );
  const post = await failure(posted.caller.request('/x', { method: 'POST' }));
  assert.match(
    post.message,
    /^GitLab answered 429 to POST \/api\/v4\/x: \{"message":"slow down"\}\. Try again in 7 s/,
  );
  const odd = await upstream((_, response, count) =>
    count === 1 ? response.writeHead(503, { 'retry-after': 'soon' }).end() : json(response, 1),
  );
  assert.equal((await odd.caller.request('/odd')).body, 1);
  assert.ok(performance.now() - started < 6000);
});

test('redirects: within the origin for reads, never with the token to another, no write turned into a read', async () => {
  const foreign: (string | undefined)[] = [];
  const elsewhere = await listen(
    createServer((request, response) => {
      foreign.push(String(request.headers['private-token']));
      response.end('{}');
    }),
  );
  const { caller, seen } = await upstream((request, response) => {
    const [, kind = '', status = '302'] = /\/(\w+?)(\d{3})?$/.exec(request.url ?? '') ?? [];
    const to = {
      away: `${elsewhere}/x?token=abc`,
      loop: request.url ?? '',
      here: '/api/v4/end',
      bad: 'http://[',
    }[kind];
    if (to === undefined) json(response, { method: request.method });
    else {
      response.writeHead(Number(status), { location: to });
      // A text that never ends: it is left, not read.
      if (request.method === 'HEAD') response.end();
      else response.write('x'.repeat(50_000));
    }
  });
  const away = await failure(caller.request('/away302'));
  assert.equal(away.reason, 'redirect');
  assert.ok(
    away.message.includes(`redirect to ${elsewhere}, which was not followed`) &&
      !away.message.includes('abc'),
    away.message,
  );
  assert.deepEqual(foreign, []);
  assert.deepEqual((await caller.request('/here301')).body, { method: 'GET' });
  assert.deepEqual((await caller.request('/here308', { method: 'PUT', json: {} })).body, { method: 'PUT' });
  assert.deepEqual((await caller.request('/here303', { method: 'POST', json: {} })).body, { method: 'GET' });
  const post = await failure(caller.request('/here301', { method: 'POST', json: {} }));
  assert.match(
    post.message,
    /answered POST with a redirect to another path \(status 301\), which was not followed\. Check GITLAB_URL/,
  );
  assert.match((await failure(caller.request('/loop302'))).message, /redirects in a circle/);
  assert.equal((await failure(caller.request('/bad302'))).reason, 'redirect');
  assert.equal(
    (await caller.request('/away302', { acceptStatus: [302], method: 'HEAD' })).headers.location,
    `${elsewhere}/x?token=abc`,
  );
  assert.ok(seen.length < 25);
});

test('the circuit opens after failures in a row, says so, and closes by one trial', async () => {
  let down = true;
  const { caller, seen, entries } = await upstream(
    (_, response) => (down ? response.writeHead(503).end() : setTimeout(() => json(response, 1), 50)),
    {
      retries: 0,
      breaker: { failures: 3, resetMs: 300 },
    },
  );
  for (let i = 0; i < 3; i++) assert.equal((await failure(caller.request('/x'))).reason, 'status');
  const open = await failure(caller.request('/x'));
  assert.equal(open.reason, 'circuit_open');
  assert.match(
    open.message,
    /failed 3 times in a row, so it is left alone for now\. Check GITLAB_URL and that the server is up\. Try again in 1 s/,
  );
  assert.equal(seen.length, 3);
  assert.equal(entries.at(-1)?.outcome, 'refused');
  await new Promise((resolve) => setTimeout(resolve, 320));
  assert.equal((await failure(caller.request('/x'))).status, 503, 'the trial fails');
  assert.equal((await failure(caller.request('/x'))).reason, 'circuit_open');
  await new Promise((resolve) => setTimeout(resolve, 320));
  down = false;
  const [trial, second] = await Promise.allSettled([caller.request('/x'), caller.request('/x')]);
  assert.deepEqual([trial.status, second.status], ['fulfilled', 'rejected'], 'one trial at a time');
  assert.equal((await caller.request('/x')).body, 1);
  assert.equal(seen.length, 6);
});

test('answers like 404 and 500 and cancelled calls do not open the circuit', async () => {
  const { caller } = await upstream(
    (request, response) => {
      if (!request.url?.includes('hang')) json(response, {}, request.url?.includes('404') ? 404 : 500);
    },
    { breaker: { failures: 2 } },
  );
  for (const path of ['404', '500', '404', '500']) await failure(caller.request(path));
  for (let i = 0; i < 3; i++) await failure(caller.request('/hang', { signal: AbortSignal.timeout(30) }));
  assert.equal((await failure(caller.request('/404'))).status, 404);
});

test('calls at once and calls a second are bounded', async () => {
  let now = 0;
  let most = 0;
  const slow = await upstream(
    (_, response) => {
      most = Math.max(most, ++now);
      setTimeout(() => (now--, json(response, 1)), 20);
    },
    { concurrency: 3 },
  );
  await Promise.all(Array.from({ length: 12 }, () => slow.caller.request('/x')));
  assert.equal(most, 3);
  const rated = await upstream((_, response) => json(response, 1), { rate: { perSecond: 20, burst: 2 } });
  const started = performance.now();
  await Promise.all(Array.from({ length: 8 }, () => rated.caller.request('/x')));
  const took = performance.now() - started;
  assert.ok(took >= 280 && took < 5000, `6 past the burst at 20/s: ${took}`);
  const calls = Array.from({ length: 30 }, () => rated.caller.request('/x', { timeoutMs: 200 }));
  const refused = (await Promise.allSettled(calls)).filter(({ status }) => status === 'rejected');
  assert.ok(refused.length >= 20 && refused.length < 30, String(refused.length));
});

test('paths stay inside the base address', async () => {
  const { caller, seen, base } = await upstream((_, response) => json(response, 1));
  for (const path of [
    '/projects/../../admin',
    '/%2e%2e/admin',
    '..\\..\\x',
    `${base}/other`,
    'http://evil.test/api/v4/x',
    'file:///etc/passwd',
  ]) {
    const error = await failure(caller.request(path));
    assert.equal(error.reason, 'refused');
    assert.match(error.message, /leads out of GITLAB_URL/);
  }
  assert.equal(seen.length, 0);
  await caller.request(`${base}/api/v4/next?page=2`);
  await caller.request('//evil.test/x');
  assert.deepEqual(seen, ['GET /api/v4/next?page=2', 'GET /api/v4/evil.test/x']);
  const unset = callFor({ name: 'GitLab', setting: 'GITLAB_URL' });
  assert.equal(
    (await failure(unset.request('/x'))).message,
    'GitLab: no address is set. Set GITLAB_URL, for example https://host.example.',
  );
  for (const baseUrl of ['gitlab', 'ftp://x', 'https://user:tok-0123456789@x']) {
    assert.match((await failure(callFor({ name: 'G', baseUrl }).request('/x'))).message, /is no web address/);
  }
});
