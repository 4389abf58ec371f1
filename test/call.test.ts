import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createRawServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { after, test } from 'node:test';
import { inspect } from 'node:util';
import { CallError, callFor } from '../kit/call.ts';
import type { CallOptions, Caller } from '../kit/call.ts';
import type { Journal, JournalEntry } from '../kit/journal.ts';

const token = 'tok-0123456789-secret';
const closers: (() => unknown)[] = [];
after(() => Promise.all(closers.map((close) => close())));

async function listen(server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  closers.push(() => (sockets.forEach((socket) => socket.destroy()), server.close()));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address);
  return `http://127.0.0.1:${address.port}`;
}

interface Upstream {
  caller: Caller;
  base: string;
  /** What arrived, as `METHOD url`. */
  seen: string[];
  entries: JournalEntry[];
}

/** A service on loopback whose answers the test gives, and a caller for it with a journal. */
async function upstream(
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
  options: Partial<CallOptions> = {},
): Promise<Upstream> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    answer(request, response, seen.push(`${request.method} ${request.url}`));
  });
  return { ...callerOf(await listen(server), options), seen };
}

function callerOf(base: string, options: Partial<CallOptions> = {}) {
  const entries: JournalEntry[] = [];
  const journal: Journal = {
    record: (entry) => entries.push(entry),
    child: () => journal,
    flush: async () => undefined,
  };
  const caller = callFor({
    name: 'GitLab',
    setting: 'GITLAB_URL',
    tokenSetting: 'GITLAB_TOKEN',
    baseUrl: `${base}/api/v4`,
    headers: { 'PRIVATE-TOKEN': token },
    backoffMs: 10,
    journal,
    ...options,
  });
  closers.push(() => caller.close());
  return { caller, base, entries };
}

const json = (response: ServerResponse, value: unknown, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));

async function failure(work: Promise<unknown>): Promise<CallError> {
  const error = await work.then(
    () => assert.fail('it should have failed'),
    (error: unknown) => error,
  );
  assert.ok(error instanceof CallError, inspect(error));
  // Nothing of the request may hang on an error, however deep it is looked into.
  assert.ok(
    !inspect(error, { depth: 10, showHidden: true }).includes('0123456789'),
    inspect(error, { depth: 10 }),
  );
  assert.equal(error.cause, undefined);
  return error;
}

test('JSON, text, bytes, nothing; query, body, headers; the journal without query values', async () => {
  const { caller, seen, entries } = await upstream((request, response) => {
    if (request.url?.endsWith('/text')) return response.end('żółw');
    if (request.method === 'DELETE') return response.writeHead(204).end();
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    return request.on('end', () =>
      json(response, {
        body,
        type: request.headers['content-type'],
        token: request.headers['private-token'],
      }),
    );
  });
  const posted = await caller.request('/projects/group%2Fname/issues/42', {
    method: 'post',
    query: { a: 'x&y', b: [1, 2], none: undefined, secret_search: 'hidden' },
    json: { t: 'ż' },
  });
  assert.deepEqual(posted.body, { body: '{"t":"ż"}', type: 'application/json', token });
  assert.equal(seen[0], 'POST /api/v4/projects/group%2Fname/issues/42?a=x%26y&b=1&b=2&secret_search=hidden');
  const text: string = (await caller.request('text', { expect: 'text' })).body;
  const bytes: Uint8Array = (await caller.request('/text', { expect: 'bytes' })).body;
  assert.deepEqual([text, Buffer.from(bytes).toString()], ['żółw', 'żółw']);
  const gone = await caller.request('/x', { method: 'DELETE', template: '/:x' });
  assert.deepEqual([gone.status, gone.body], [204, undefined]);
  const [first, ...rest] = entries;
  assert.match(first?.name ?? '', /^POST 127\.0\.0\.1:\d+\/api\/v4\/projects\/:id\/issues\/:id$/);
  assert.deepEqual(
    [first?.kind, first?.outcome, first?.detail, first?.bytes_out],
    ['http', 'ok', 'status 200', 10],
  );
  assert.ok((first?.ms ?? -1) >= 0 && (first?.bytes_in ?? 0) > 20);
  assert.match(rest.at(-1)?.name ?? '', /^DELETE 127\.0\.0\.1:\d+\/:x$/);
  assert.ok(!JSON.stringify(entries).includes('hidden'));
});

test('slow headers, a slow body and an endless wait end at the deadline', async () => {
  const { caller, entries } = await upstream((request, response) => {
    if (request.url?.includes('slow-body')) {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{');
      const drip = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(drip));
    }
  });
  for (const [path, said] of [
    ['slow-head', 'did not answer GET'],
    ['slow-body', 'did not finish its answer to GET'],
  ]) {
    const started = performance.now();
    const error = await failure(caller.request(`/${path}`, { timeoutMs: 200 }));
    const took = performance.now() - started;
    assert.ok(took >= 190 && took < 600, String(took));
    assert.equal(error.reason, 'deadline');
    assert.ok(
      error.message.startsWith(
        `GitLab ${said?.replace('answer GET', 'answer to GET').replace('answer to to', 'answer to')}`,
      ) || error.message.includes('within 200 ms'),
      error.message,
    );
  }
  assert.deepEqual(
    entries.map(({ outcome }) => outcome),
    ['timeout', 'timeout'],
  );
});

test('a half-open server, one that resets, one that speaks no HTTP', async () => {
  const open = callerOf(await listen(createRawServer(() => undefined)));
  assert.equal((await failure(open.caller.request('/x', { timeoutMs: 150 }))).reason, 'deadline');
  const reset = callerOf(
    await listen(createRawServer((socket) => socket.on('data', () => socket.resetAndDestroy()))),
    { retries: 2 },
  );
  const lost = await failure(reset.caller.request('/x'));
  assert.equal(lost.reason, 'connection_lost');
  assert.match(
    lost.message,
    /^GitLab \(http:.*\): the connection broke before it answered \(.+\)\. Try again/,
  );
  assert.equal(reset.entries.length, 3, 'a read is tried again');
  assert.equal(
    (await failure(reset.caller.request('/x', { method: 'POST', json: {} }))).reason,
    'connection_lost',
  );
  assert.equal(reset.entries.length, 4, 'a write is not');
  const odd = callerOf(await listen(createRawServer((socket) => socket.end('SSH-2.0-OpenSSH_9\r\n'))), {
    retries: 0,
  });
  assert.match(
    (await failure(odd.caller.request('/x'))).message,
    /is no HTTP \(HPE_.*Check GITLAB_URL: http or https/,
  );
  const half = callerOf(
    await listen(
      createRawServer((socket) =>
        socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{')),
      ),
    ),
    { retries: 0 },
  );
  assert.match((await failure(half.caller.request('/x'))).message, /broke in the middle of its answer/);
});

test('nobody listens, no such name: which setting to check', async () => {
  const server = createRawServer();
  const base = await listen(server);
  server.close();
  const error = await failure(callerOf(base, { retries: 1 }).caller.request('/x'));
  assert.equal(error.reason, 'connect');
  assert.match(
    error.message,
    /nobody answers there \(ECONNREFUSED\)\. Check GITLAB_URL and that the server is up\.$/,
  );
  const name = await failure(callerOf('http://no-such-host.invalid', { retries: 0 }).caller.request('/x'));
  assert.match(name.message, /cannot be resolved \((ENOTFOUND|EAI_AGAIN)\)/);
});

test('cancelling ends a call in every phase', async () => {
  const { caller, entries, seen } = await upstream(
    (request, response) => {
      if (request.url?.includes('busy')) response.writeHead(503, { 'retry-after': '5' }).end();
    },
    { concurrency: 1 },
  );
  const cancelled = async (path: string) => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error(token)), 100);
    const started = performance.now();
    const error = await failure(caller.request(path, { signal: stop.signal }));
    assert.deepEqual([error.reason, error.message], ['cancelled', `GET /api/v4/${path} was cancelled.`]);
    assert.ok(performance.now() - started < 400);
  };
  await Promise.all([cancelled('waits'), cancelled('in-line')]);
  await cancelled('busy');
  assert.deepEqual(seen, ['GET /api/v4/waits', 'GET /api/v4/busy']);
  await failure(caller.request('/before', { signal: AbortSignal.abort() }));
  assert.equal(entries.filter(({ outcome }) => outcome === 'cancelled').length, 3);
});

test('an endless body and a big one are cut off at the limit', async () => {
  let closed = 0;
  const { caller } = await upstream((request, response) => {
    response.on('close', () => closed++);
    const more = () =>
      void (response.destroyed || response.write('x'.repeat(65_536), () => setImmediate(more)));
    if (request.url?.includes('endless')) more();
    else response.end('"0123456789"');
  });
  const error = await failure(caller.request('/endless', { maxBytes: 1_000_000 }));
  assert.equal(error.reason, 'too_big');
  assert.match(
    error.message,
    /answered more than 1000000 bytes to GET \/api\/v4\/endless; it was cut off\. Ask for less/,
  );
  for (let i = 0; i < 40 && closed === 0; i++) await new Promise((resolve) => setTimeout(resolve, 25));
  assert.equal(closed, 1, 'the connection was dropped');
  assert.equal((await caller.request('/exact', { maxBytes: 12 })).body, '0123456789');
  assert.equal((await failure(caller.request('/over', { maxBytes: 11 }))).reason, 'too_big');
});

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
  assert.ok(took >= 140 && took < 900, `half of 40 + 80 + 160 at least: ${took}`);
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
  const other = callFor({ name: 'Chat', baseUrl: (await upstream(() => undefined)).base });
  assert.ok(other);
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
  assert.ok(performance.now() - started < 3000);
});

test('an error that repeats the token does not show it, nor does the journal', async () => {
  const { caller, entries } = await upstream((request, response) => {
    const sent = String(request.headers['private-token']);
    json(
      response,
      {
        error: 'bad token',
        got: sent,
        basic: Buffer.from(`x:${sent}`).toString('base64'),
        url: 'https://u:pass@h/',
      },
      401,
    );
  });
  const error = await failure(caller.request('/x'));
  assert.match(
    error.message,
    /^GitLab answered 401 to GET \/api\/v4\/x: \{"error":"bad token",.* Check GITLAB_TOKEN\.$/,
  );
  for (const text of [error.body, error.stack ?? '', JSON.stringify(entries)]) {
    assert.ok(
      !text.includes(token) &&
        !text.includes('u:pass') &&
        !text.includes(Buffer.from(token).toString('base64').slice(4, 20)),
      text,
    );
  }
  assert.match(error.body, /\[secret:private-token\]/);
});

test('a token that cannot be a header is refused without being shown', async () => {
  const { caller, seen } = await upstream((_, response) => json(response, 1), {
    headers: { 'PRIVATE-TOKEN': `${token}\nx: y` },
  });
  const error = await failure(caller.request('/x'));
  assert.equal(error.reason, 'refused');
  assert.match(error.message, /Look for line breaks in the token/);
  assert.equal(seen.length, 0);
});

test('a login page with status 200, and other things that are no JSON', async () => {
  const { caller } = await upstream((request, response) => {
    if (request.url?.includes('login'))
      response
        .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
        .end('<html><head><title>Sign in · GitLab</title>');
    else if (request.url?.includes('untyped')) response.end('<!DOCTYPE html><p>hi');
    else if (request.url?.includes('empty'))
      response.writeHead(200, { 'content-type': 'application/json' }).end();
    else response.writeHead(200, { 'content-type': 'application/json' }).end('{"half":');
  });
  const page = await failure(caller.request('/login'));
  assert.deepEqual([page.reason, page.status], ['web_page', 200]);
  assert.equal(
    page.message,
    'GitLab answered GET /api/v4/login with a web page, "Sign in · GitLab", probably a login page: check GITLAB_URL.',
  );
  assert.equal((await failure(caller.request('/untyped'))).reason, 'web_page');
  assert.match(
    (await failure(caller.request('/half'))).message,
    /something that is no JSON \(application\/json\): \{"half":/,
  );
  assert.equal((await caller.request('/empty')).body, undefined);
  assert.match((await caller.request('/login', { expect: 'text' })).body, /Sign in/);
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
    else response.writeHead(Number(status), { location: to }).end();
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
    (await caller.request('/away302', { acceptStatus: [302], expect: 'text' })).headers.location,
    `${elsewhere}/x?token=abc`,
  );
  assert.ok(seen.length < 25);
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
  assert.ok(took >= 280 && took < 1000, `6 past the burst at 20/s: ${took}`);
  const calls = Array.from({ length: 30 }, () => rated.caller.request('/x', { timeoutMs: 200 }));
  const refused = (await Promise.allSettled(calls)).filter(({ status }) => status === 'rejected');
  assert.ok(refused.length >= 20 && refused.length < 30, String(refused.length));
});

test('a stream comes as it is made, holds the deadline, and can be left', async () => {
  const { caller, entries } = await upstream(
    (request, response) => {
      response.write('one\n');
      if (request.url?.includes('ends')) setTimeout(() => response.end('two\n'), 100);
      if (request.url?.includes('breaks')) setTimeout(() => response.destroy(), 50);
    },
    { concurrency: 1 },
  );
  const read = async (path: string, timeoutMs = 5000) => {
    const chunks: string[] = [];
    const { body } = await caller.request(path, { expect: 'stream', timeoutMs });
    for await (const chunk of body) chunks.push(Buffer.from(chunk).toString());
    return chunks;
  };
  assert.deepEqual(await read('/ends'), ['one\n', 'two\n']);
  assert.equal((await failure(read('/hangs', 150))).reason, 'deadline');
  assert.equal((await failure(read('/breaks'))).reason, 'connection_lost');
  const { body } = await caller.request('/hangs', { expect: 'stream' });
  for await (const chunk of body) {
    assert.equal(Buffer.from(chunk).toString(), 'one\n');
    break;
  }
  // One nobody reads gives its place back at its deadline.
  await caller.request('/hangs', { expect: 'stream', timeoutMs: 100 });
  assert.deepEqual(await read('/ends'), ['one\n', 'two\n']);
  assert.deepEqual(
    entries.map(({ outcome }) => outcome),
    ['ok', 'timeout', 'error', 'ok', 'timeout', 'ok'],
  );
});

test('headers made anew for each call; what they throw is told as it is', async () => {
  let calls = 0;
  const { caller } = await upstream((request, response) => json(response, request.headers['x-n']), {
    headers: async () => {
      if (++calls > 2) throw new RangeError('no such secret');
      return { 'x-n': String(calls) };
    },
  });
  assert.equal((await caller.request('/x')).body, '1');
  assert.equal((await caller.request('/x', { headers: { 'x-n': 'own' } })).body, 'own');
  await assert.rejects(caller.request('/x'), { name: 'RangeError', message: 'no such secret' });
});

test('a process that has called ends by itself, and undici is not loaded before', async () => {
  const { base } = await upstream((_, response) => json(response, 1));
  const script = `import { callFor } from './kit/call.ts';
    const caller = callFor({ name: 'x', baseUrl: ${JSON.stringify(base)} });
    console.log((await caller.request('/x')).body);`;
  const child = await import('node:child_process').then(({ spawn }) =>
    spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  const started = performance.now();
  const [[code]] = await Promise.all([once(child, 'close'), child.stdout.toArray()]);
  assert.equal(code, 0);
  assert.ok(performance.now() - started < 3500);
  const light = spawnSync(
    process.execPath,
    [
      '--import',
      'tsx',
      '--input-type=module',
      '-e',
      `await import('./kit/call.ts'); console.log(process.moduleLoadList.length > 0, performance.getEntriesByType('resource').length);
     const { createRequire } = await import('node:module'); console.log(Object.keys(createRequire(import.meta.url).cache).filter((f) => f.includes('undici')).length);`,
    ],
    { encoding: 'utf8' },
  );
  assert.match(light.stdout, /\n0\n$/);
});
