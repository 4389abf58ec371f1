import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { Handles, redeem, type Use } from '../kit/handles.ts';
import { redact, redactKnown, registerCode } from '../kit/secrets.ts';
import { authHome, keep } from './auth-kit.ts';
import { inline, until } from './support.ts';
import { cpuClock } from './pace.ts';

const origin = 'https://login.example';
const use: Use = { purpose: 'two-factor', origin };
const code = (value: string) => ({ value, about: { label: 'test', expiresAt: Date.now() + 60_000, ...use } });

function issuer(t: TestContext, home: string, now?: () => number): Handles {
  const handles = new Handles(home, now);
  t.after(() => handles.close());
  return handles;
}

test('a handle is 128 random bits, over a socket that only this user can open', async (t) => {
  const home = authHome(t);
  const handles = issuer(t, home);
  const { value, about } = code('730114');
  const handle = await handles.issue(value, about);
  assert.match(handle, /^code:[0-9a-f]{12}\.[A-Za-z0-9_-]{22}$/);
  const [socket = ''] = readdirSync(join(home, 'run'));
  assert.equal(statSync(join(home, 'run', socket)).mode & 0o777, 0o600);
  assert.equal(statSync(join(home, 'run')).mode & 0o777, 0o700);
  assert.equal(await redeem(handle, use, home), '730114');
});

test('1,000 handles: spent twice, late, for another origin or purpose, guessed: none succeeds', async (t) => {
  const home = authHome(t);
  let now = Date.now();
  const handles = issuer(t, home, () => now);
  const attempts: Promise<boolean>[] = [];
  const attempt = (ref: string, how: Use = use) =>
    redeem(ref, how, home).then(
      () => true,
      () => false,
    );
  for (let i = 0; i < 200; i++) {
    const one = code(`9${String(i).padStart(5, '0')}`);
    const made = await Promise.all([0, 1, 2, 3].map(() => handles.issue(one.value, one.about)));
    const [twice = '', elsewhere = '', otherwise = ''] = made;
    assert.equal(await redeem(twice, use, home), one.value);
    attempts.push(attempt(twice), attempt(elsewhere, { ...use, origin: 'https://login.example.evil.test' }));
    attempts.push(attempt(otherwise, { ...use, purpose: 'password' }));
    attempts.push(attempt(`${twice.split('.')[0]}.${randomBytes(16).toString('base64url')}`));
    await Promise.all(attempts);
    // A wrong try spends it too.
    attempts.push(attempt(elsewhere));
    const late = await handles.issue(one.value, one.about);
    now += 121_000;
    attempts.push(attempt(late));
    await Promise.all(attempts);
  }
  assert.equal(attempts.length, 1200);
  assert.ok((await Promise.all(attempts)).every((succeeded) => !succeeded));
});

test('of two who redeem at once one gets it', async (t) => {
  const home = authHome(t);
  const handles = issuer(t, home);
  const { value, about } = code('645301');
  const handle = await handles.issue(value, about);
  const both = await Promise.allSettled([redeem(handle, use, home), redeem(handle, use, home)]);
  assert.equal(both.filter(({ status }) => status === 'fulfilled').length, 1);
});

test('plain text is typed as it stands; a mistyped reference is not', async (t) => {
  const home = authHome(t);
  assert.equal(await redeem('hello 123456', use, home), 'hello 123456');
  assert.equal(await redeem('code: 5', use, home), 'code: 5');
  for (const ref of ['secret://UPPER', 'totp://../x', 'code:0123456789ab.short']) {
    await assert.rejects(redeem(ref, use, home), /mistyped/);
  }
  await assert.rejects(redeem(`code:0123456789ab.${'A'.repeat(22)}`, use, home), /is gone/);
});

test('a secret is typed only where a person said so', async (t) => {
  const home = authHome(t);
  await keep(home, {
    bank: { value: 'bank-password-1', origins: [origin] },
    api: { value: 'api-token-123' },
  });
  assert.equal(await redeem('secret://bank', { purpose: 'password', origin }, home), 'bank-password-1');
  await assert.rejects(
    redeem('secret://bank', { purpose: 'password', origin: 'https://evil.test' }, home),
    /only at https:\/\/login\.example, not at/,
  );
  await assert.rejects(
    redeem('secret://api', { purpose: 'password', origin }, home),
    /nowhere yet.*kuznia secret allow api/,
  );
  await assert.rejects(
    redeem('secret://none', { purpose: 'password', origin }, home),
    /There is no secret none/,
  );
});

test('a redeemed code is out of logs, and out of answers but for ids', async (t) => {
  const home = authHome(t);
  const handles = issuer(t, home);
  const { value, about } = code('918264');
  await redeem(await handles.issue(value, about), use, home);
  for (const text of [
    'code 918264 sent',
    '918-264',
    '918 264',
    'x=918264&y',
    Buffer.from('918264').toString('base64'),
    Buffer.from('918264').toString('hex'),
    '验证码918264',
    '%20918264',
    '\\n918264',
  ]) {
    assert.match(redact(text), /\[secret:test\]/, text);
  }
  assert.equal(
    redactKnown('{"text":"your code 918264","iid":918264,"id":"918264"}'),
    '{"text":"your code [secret:test]","iid":918264,"id":"918264"}',
  );
  for (const kept of [
    'https://gitlab.example/g/p/-/issues/918264',
    'closes #918264',
    'x1918264',
    '1918264',
    'a3f-918264-77be',
  ]) {
    assert.equal(redactKnown(kept), kept);
  }
  assert.match(redactKnown('@login.example #918264'), /\[secret:test\]/);
});

test('sockets of servers that were killed are swept; hostile peers get nothing', async (t) => {
  const home = authHome(t);
  const first = issuer(t, home);
  const { value, about } = code('551234');
  await first.issue(value, about);
  const [socket = ''] = readdirSync(join(home, 'run'));
  const dead = join(home, 'run', 'code-aaaaaaaaaaaa.sock');
  await new Promise<void>((resolve) => {
    const server = createServer().listen(dead, () => server.close(() => resolve()));
  });
  writeFileSync(dead, '', { flag: 'a' });
  await issuer(t, home).issue(value, about);
  const { connect } = await import('node:net');
  for (const text of ['\n', '{}\n', 'x'.repeat(10_000), '{"handle":1}\n']) {
    const answer = await new Promise<string>((resolve) => {
      let got = '';
      const peer = connect(join(home, 'run', socket), () => peer.write(text));
      peer
        .on('data', (chunk: Buffer) => (got += chunk.toString()))
        .on('close', () => resolve(got))
        .on('error', () => resolve(got));
    });
    assert.ok(!answer.includes('551234'), answer);
  }
  await first.close();
  assert.ok(!existsSync(join(home, 'run', socket)), 'a closed server takes its socket with it');
});

test('an answer that is full of what equals a code costs linear time', () => {
  registerCode('4471', { label: 'old', expiresAt: Date.now() });
  for (const text of [
    '{"a":"' + '4471 '.repeat(150_000) + '"}',
    `[${'4471,'.repeat(150_000)}1]`,
    '/4471'.repeat(150_000),
  ]) {
    const started = cpuClock();
    redactKnown(text);
    const ms = started();
    assert.ok(ms < 3000, `${text.slice(0, 12)} took ${ms} ms`);
  }
});

test('an issuer that is killed, before or in the middle of its answer: told, never waited for, and its socket is swept', async (t) => {
  const home = authHome(t);
  const script = `import { Handles } from './kit/handles.ts';
    const handles = new Handles(process.argv[1]);
    const about = { label: 'x', expiresAt: Date.now() + 60000, purpose: 'two-factor', origin: '${origin}' };
    for (let i = 0; i < 200; i++) console.log(await handles.issue('57' + String(i).padStart(4, '0'), about));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, [...inline(script), home], { stdio: ['ignore', 'pipe', 'inherit'] });
  const made: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) if (made.push(line) === 200) break;
  assert.equal(await redeem(made[0] ?? '', use, home), '570000');
  const gone = once(child, 'exit');
  const going = made.slice(1).map((ref) => redeem(ref, use, home));
  setTimeout(() => child.kill('SIGKILL'), 5);
  const started = performance.now();
  for (const [at, one] of (await Promise.allSettled(going)).entries()) {
    if (one.status === 'fulfilled') assert.equal(one.value, `57${String(at + 1).padStart(4, '0')}`);
    else
      assert.match(
        String(one.reason),
        /ToolError: The server that made this handle is gone.*Get a new handle/,
      );
  }
  assert.ok(performance.now() - started < 15_000);
  await gone;
  await assert.rejects(redeem(made[1] ?? '', use, home), /is gone/);
  // The next server takes the socket away that nobody listens on.
  const handles = issuer(t, home);
  const { value, about } = code('645301');
  await handles.issue(value, about);
  await until(
    'swept',
    () => readdirSync(join(home, 'run')).filter((name) => name.endsWith('.sock')).length === 1,
  );
});

test('a socket that answers with half a line, nonsense or without end is no issuer', async (t) => {
  const home = authHome(t);
  mkdirSync(join(home, 'run'));
  const path = join(home, 'run', 'code-0123456789ab.sock');
  const ref = `code:0123456789ab.${'A'.repeat(22)}`;
  for (const answer of ['{"value":"12', 'nonsense\n', '[]\n', '', 'x'.repeat(5_000_000)]) {
    const server = createServer((socket) => {
      socket.on('error', () => undefined).once('data', () => socket.end(answer));
    }).listen(path);
    await once(server, 'listening');
    await assert.rejects(redeem(ref, use, home), /ToolError: The server that made this handle is gone/);
    const closed = once(server, 'close');
    server.close();
    await closed;
  }
});

test('the folder of the sockets is closed to others, also where it was there before', async (t) => {
  const home = authHome(t);
  mkdirSync(join(home, 'run'), { mode: 0o755 });
  chmodSync(join(home, 'run'), 0o755);
  const { value, about } = code('730114');
  await issuer(t, home).issue(value, about);
  assert.equal(statSync(join(home, 'run')).mode & 0o777, 0o700);
});

test('an origin is compared as browsers compare it: no spelling of another one passes for it', async (t) => {
  const home = authHome(t);
  const handles = issuer(t, home);
  const tries = async (address: string) => {
    const { value, about } = code('730114');
    const handle = await handles.issue(value, about);
    // As a login tool has it: of the address that it is about to type into.
    return redeem(handle, { ...use, origin: new URL(address).origin }, home).then(
      () => true,
      () => false,
    );
  };
  for (const same of [
    'https://login.example/a/b?c#d',
    'HTTPS://LOGIN.example:443/',
    'https://user:word@login.example/',
    'https://login%2Eexample/',
    'https://ｌｏｇｉｎ.example/',
    'https://login\t.example',
  ])
    assert.equal(await tries(same), true, same);
  for (const other of [
    'http://login.example',
    'https://login.example:8443',
    'https://login.example.',
    'https://login.example@evil.test',
    'https://login.example%40evil.test.evil.test',
    'https://login.example.evil.test',
    'https://evil.test/https://login.example',
    'https://evil.test#login.example',
    'https://l\u043egin.example',
    'https://www.login.example',
    'https://example',
  ].filter((address) => URL.canParse(address)))
    assert.equal(await tries(other), false, other);
});

test('a flood of guesses succeeds nowhere, and does not keep who has the handle from it', async (t) => {
  const home = authHome(t);
  const handles = issuer(t, home);
  const { value, about } = code('645301');
  const handle = await handles.issue(value, about);
  const [stem = ''] = handle.split('.');
  const guesses = Array.from({ length: 300 }, () =>
    redeem(`${stem}.${randomBytes(16).toString('base64url')}`, use, home),
  );
  const [own, ...others] = await Promise.allSettled([redeem(handle, use, home), ...guesses]);
  assert.ok(others.every(({ status }) => status === 'rejected'));
  assert.deepEqual(own, { status: 'fulfilled', value: '645301' });
});
