import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer as createRawServer } from 'node:net';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { callerOf, failure, json, listen, token, upstream } from './doubles/upstream.ts';
import { inline } from './support.ts';

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
  for (const [path = '', said = ''] of [
    ['slow-head', 'GitLab did not answer GET /api/v4/slow-head within 200 ms.'],
    ['slow-body', 'GitLab did not finish its answer to GET /api/v4/slow-body within 200 ms.'],
  ]) {
    const started = performance.now();
    const error = await failure(caller.request(path, { timeoutMs: 200 }));
    const took = performance.now() - started;
    assert.ok(took >= 190 && took < 5000, String(took));
    assert.equal(error.reason, 'deadline');
    assert.ok(error.message.startsWith(said), error.message);
  }
  assert.deepEqual(
    entries.map(({ outcome }) => outcome),
    ['timeout', 'timeout'],
  );
});

/** A server below HTTP: `answer` is what it does when something arrives. */
const raw = (answer: (socket: Socket) => unknown) =>
  listen(createRawServer((socket) => socket.on('data', () => answer(socket))));

test('a half-open server, one that resets, one that speaks no HTTP', async () => {
  const open = callerOf(await raw(() => undefined));
  assert.equal((await failure(open.caller.request('/x', { timeoutMs: 150 }))).reason, 'deadline');
  const reset = callerOf(await raw((socket) => socket.resetAndDestroy()), { retries: 2 });
  const lost = await failure(reset.caller.request('/x'));
  assert.equal(lost.reason, 'connection_lost');
  assert.match(
    lost.message,
    /^GitLab \(http:.*\): the connection broke before it answered \(.+\)\. Try again/,
  );
  assert.equal(reset.entries.length, 3, 'a read is tried again');
  const write = await failure(reset.caller.request('/x', { method: 'POST', json: {} }));
  assert.equal(write.reason, 'connection_lost');
  assert.equal(reset.entries.length, 4, 'a write is not');
  const ssh = callerOf(await raw((socket) => socket.end('SSH-2.0-OpenSSH_9\r\n')), { retries: 0 });
  const odd = await failure(ssh.caller.request('/x'));
  assert.match(odd.message, /is no HTTP \(.+\)\. Check GITLAB_URL: http or https/);
  const plain = await raw((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
  assert.equal((await failure(callerOf(plain.replace('http', 'https')).caller.request('/x'))).reason, 'tls');
  const head = 'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{';
  const half = callerOf(await raw((socket) => socket.end(head)), { retries: 0 });
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
      if (request.url?.includes('slow')) setTimeout(() => json(response, 1), 200);
    },
    { concurrency: 1, timeoutMs: 9000 },
  );
  const cancelled = async (path: string, after = 100) => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error(token)), after);
    const started = performance.now();
    const error = await failure(caller.request(path, { signal: stop.signal }));
    assert.deepEqual([error.reason, error.message], ['cancelled', `GET /api/v4/${path} was cancelled.`]);
    assert.ok(performance.now() - started < 4000);
  };
  await Promise.all([cancelled('waits'), cancelled('in-line', 50)]);
  await Promise.all([caller.request('/slow'), cancelled('in-line', 50)]);
  await cancelled('busy');
  assert.deepEqual(seen, ['GET /api/v4/waits', 'GET /api/v4/slow', 'GET /api/v4/busy']);
  await failure(caller.request('/before', { signal: AbortSignal.abort() }));
  assert.equal(entries.filter(({ outcome }) => outcome === 'cancelled').length, 4);
});

test('an endless body and a big one are cut off at the limit', async () => {
  const dropped: Promise<unknown>[] = [];
  const { caller } = await upstream((request, response) => {
    dropped.push(once(response, 'close'));
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
  await dropped[0];
  assert.equal((await caller.request('/exact', { maxBytes: 12 })).body, '0123456789');
  assert.equal((await failure(caller.request('/over', { maxBytes: 11 }))).reason, 'too_big');
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

test('undici is loaded by the first call, and a process that has called ends by itself', async () => {
  const { base } = await upstream((_, response) => json(response, 1));
  const script = `import { callFor } from './kit/call.ts'; import { createRequire } from 'node:module';
    const loaded = () => Object.keys(createRequire(import.meta.url).cache).some((file) => file.includes('undici'));
    const caller = callFor({ name: 'x', baseUrl: ${JSON.stringify(base)} });
    console.log(loaded(), (await caller.request('/x')).body, loaded());`;
  const child = spawn(process.execPath, inline(script), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const output = child.stdout.toArray();
  const late = setTimeout(() => child.kill(), 8000);
  const [code] = await once(child, 'close');
  clearTimeout(late);
  assert.equal(code, 0, 'its idle connection does not keep it');
  assert.equal((await output).join(''), 'false 1 true\n');
});
