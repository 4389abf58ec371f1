import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import { SecretStore } from '../kit/secret-store.ts';
import { storeSecrets } from '../kit/secret-source.ts';
import { environmentSecrets, redact, resolveSecret } from '../kit/secrets.ts';
import { command } from '../host/secret.ts';
import { authHome, keep } from './auth-kit.ts';
import { cleanEnv, inline } from './support.ts';

const store = (home: string) => new SecretStore(home, {});

test('what is kept is encrypted, private, and resolved by reference before the environment', async (t) => {
  const home = authHome(t);
  assert.deepEqual(await store(home).all(), {});
  await keep(home, { token: { value: 'kzcanary-token-9731' } });
  for (const file of ['store.age', 'identity.txt', 'store.json']) {
    const path = join(home, 'secrets', file);
    assert.equal(statSync(path).mode & 0o777, 0o600, file);
    assert.ok(!readFileSync(path, 'latin1').includes('kzcanary-token'), file);
  }
  assert.equal(statSync(join(home, 'secrets')).mode & 0o777, 0o700);
  const sources = [
    storeSecrets(home),
    environmentSecrets({ KUZNIA_SECRET_TOKEN: 'other', KUZNIA_SECRET_ENVIRON: 'from-env-123' }),
  ];
  assert.equal(await resolveSecret('secret://token', sources), 'kzcanary-token-9731');
  assert.equal(await resolveSecret('secret://environ', sources), 'from-env-123');
  assert.equal(redact('a kzcanary-token-9731'), 'a [secret:token]');
  await assert.rejects(
    resolveSecret('secret://none', sources),
    /not found in the secret store or the environment\. Add it: kuznia secret add none, or: Set KUZNIA_SECRET_NONE/,
  );
});

test('files that others may read are refused, with the command that mends them', async (t) => {
  const home = authHome(t);
  await keep(home, { token: { value: 'kzcanary-token-9731' } });
  for (const file of ['identity.txt', 'store.age']) {
    const path = join(home, 'secrets', file);
    chmodSync(path, 0o644);
    await assert.rejects(store(home).get('token'), {
      name: 'StoreError',
      message: new RegExp(`has mode 0644.*chmod 600 ${path}`),
    });
    chmodSync(path, 0o600);
  }
  assert.equal((await store(home).get('token'))?.value, 'kzcanary-token-9731');
});

test('a damaged file is refused and the last good state is beside it; a lost identity is told', async (t) => {
  const home = authHome(t);
  await keep(home, { one: { value: 'kzcanary-value-1' } });
  await keep(home, { two: { value: 'kzcanary-value-2' } });
  const path = join(home, 'secrets', 'store.age');
  truncateSync(path, 100);
  await assert.rejects(store(home).get('one'), new RegExp(`is damaged.*cp ${path}.last ${path}`));
  await assert.rejects(
    keep(home, { three: { value: 'kzcanary-value-3' } }),
    /is damaged/,
    'and never written over',
  );
  renameSync(`${path}.last`, path);
  assert.deepEqual(Object.keys(await store(home).all()), ['one']);
  rmSync(join(home, 'secrets', 'identity.txt'));
  await assert.rejects(
    store(home).get('one'),
    /identity is gone.*restore it from a backup, or begin anew: mv /,
  );
});

const writer = `import { SecretStore } from './kit/secret-store.ts';
  const [, home, who, rounds] = process.argv; const store = new SecretStore(home, {});
  for (let i = 0; i < Number(rounds); i++) {
    await store.update((all) => { all[who + '-' + i] = { kind: 'secret', value: 'kzcanary-' + who + i, origins: [], added: '' }; });
    process.stdout.write('.');
  }`;
const args = (...more: string[]) => [...inline(writer), ...more];

test("the age command's own files: an identity with comments, an armoured store, a second key", async (t) => {
  const home = authHome(t);
  await keep(home, { old: { value: 'of-another-store' } });
  // Made by age 1.1.1; the key opens nothing else.
  const key = ['AGE-SECRET-', 'KEY-1HPQM3WSWDLY9W6N2LVX55MFV2RGV32N5PYKSKMG3M7DECY3NX6LSW4468H'].join('');
  const armoured = `
-----BEGIN AGE ENCRYPTED FILE-----
YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBwUWN6bHpTU0pTRmJkQ2RN
eVFnK1h6OFZDYk42Y1JWUWRNZXN3UnRqUGtJCmNITkJ0UmF1QUwxaTBQdGd6NG9L
WkpMY09NNjFFeklCVWhSN3pic2RkblkKLS0tIEc1OTRnMCtNTTFFWmJkcHBBd0s2
SEJGRmJYM0ZHSG5NTjYxVzQxR1MwUFUKYRCYjJfGFfCLpj13mY3xrHaIwxOacv4D
HE2JLU+B/G1IVJI+KUQBBtCMjoveq6rtmlo8NMhENVtilmwj3HmFW+fsAfRgjfyr
dOeEE51TaAyEY06Zfj+6IVSygZxtLU+c+NB3sNtzEHvyzgOsx0OEF+FR2RLHTQ==
-----END AGE ENCRYPTED FILE-----
`;
  const at = (file: string) => join(home, 'secrets', file);
  const before = readFileSync(at('identity.txt'), 'utf8');
  writeFileSync(
    at('identity.txt'),
    `# created: 2026-11-28T17:22:44Z\n# public key: age1vs43yxyu2lpe54kj7lzy2gtftrpl5qj8q95rf3dww3d3n0c2fsrsqw65fm\n${key}\n`,
  );
  writeFileSync(at('store.age'), armoured.trimStart());
  assert.equal((await store(home).get('beta'))?.value, 'written-by-age');
  // With the old key beside it, what is written opens by either.
  writeFileSync(at('identity.txt'), `${key}\n${before}`);
  await keep(home, { gamma: { value: 'new' } });
  for (const one of [key, before]) {
    writeFileSync(at('identity.txt'), one);
    assert.deepEqual(Object.keys(await store(home).all()), ['beta', 'gamma']);
  }
});

test('two processes write at once, and nothing is lost', async (t) => {
  const home = authHome(t);
  const run = promisify(execFile);
  await Promise.all(['a', 'b'].map((who) => run(process.execPath, args(home, who, '15'))));
  assert.equal(Object.keys(await store(home).all()).length, 30);
});

test('a writer that is killed at any instant leaves the old state or the new', async (t) => {
  const home = authHome(t);
  const rounds = Number(process.env['KUZNIA_KILLS'] ?? 3);
  for (let round = 0; round < rounds; round++) {
    const child = spawn(process.execPath, args(home, `r${round}`, '100000'), {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let done = 0;
    child.stdout.on('data', (dots: Buffer) => (done += dots.length));
    await once(child.stdout, 'data');
    await sleep(Math.random() * 40);
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    const kept = Object.keys(await store(home).all()).filter((name) => name.startsWith(`r${round}-`)).length;
    assert.ok(kept === done || kept === done + 1, `${kept} kept, ${done} told`);
  }
  await keep(home, { after: { value: 'kzcanary-after-1' } });
});

test('what killed writers left is swept by the next, keys first; who still waits for the lock is not disturbed', async (t) => {
  const home = authHome(t);
  await keep(home, { one: { value: 'x' } });
  const dead = 2 ** 22 + 1; // past any process id
  const left = [
    `identity.txt.${dead}.0123456789ab`,
    `store.age.${dead}.0123456789ab`,
    `lock.${dead}.0123456789abcdef`,
    'lock.dead.0123456789ab',
  ];
  const waiting = `lock.${process.ppid}.0123456789abcdef`;
  const folder = join(home, 'secrets');
  for (const name of [...left, waiting]) writeFileSync(join(folder, name), 'AGE-SECRET-', { mode: 0o600 });
  await keep(home, { two: { value: 'y' } });
  const there = readdirSync(folder);
  assert.deepEqual([left.filter((name) => there.includes(name)), there.includes(waiting)], [[], true]);
});

test('kuznia secret: values come by a pipe, are never shown, and lists hold none', async (t) => {
  const home = authHome(t);
  const code = `const { command } = await import('./host/secret.ts'); const { exitCode } = await import('./host/terminal/io.ts');
    const io = { out: (t) => process.stdout.write(t), err: (t) => process.stderr.write(t), env: process.env, interactive: false, colour: false, columns: () => 80 };
    try { process.exitCode = await command.run(process.argv.slice(1), io) } catch (e) { console.error(e.message); process.exitCode = exitCode(e) }`;
  const secret = async (words: string[], input = '') => {
    const child = spawn(process.execPath, [...inline(code), ...words], {
      env: cleanEnv(home),
      stdio: 'pipe',
    });
    let text = '';
    for (const pipe of [child.stdout, child.stderr])
      pipe.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stdin.end(input);
    const [exit] = z.array(z.unknown()).parse(await once(child, 'exit'));
    return { exit, text };
  };
  const [added, twice] = [
    await secret(['add', 'gitlab-token', '--origin', 'https://gitlab.example/x'], 'kzcanary-piped-1\n'),
    await secret(['add', 'gitlab-token'], 'x'),
  ];
  assert.deepEqual([added.exit, twice.exit], [0, 2], added.text + twice.text);
  assert.match(twice.text, /there already.*rotate gitlab-token/);
  const shown = await secret(['add', 'other', 'kzcanary-on-the-line']);
  assert.equal(shown.exit, 2);
  assert.match(shown.text, /Pipe it in/);
  const totp = await secret(['add', 'acme', '--totp'], 'otpauth://totp/ACME:jan?secret=JBSWY3DPEHPK3PXP');
  assert.equal(totp.exit, 0, totp.text);
  assert.equal((await secret(['allow', 'acme', 'https://acme.example/login'])).exit, 0);
  assert.equal((await secret(['rotate', 'gitlab-token'], 'kzcanary-piped-2')).exit, 0);
  assert.equal((await store(home).get('gitlab-token'))?.value, 'kzcanary-piped-2');
  const list = await secret(['list', '--json']);
  const names = z
    .object({
      identity: z.string(),
      secrets: z.array(z.object({ name: z.string(), origins: z.array(z.string()) })),
    })
    .parse(JSON.parse(list.text));
  assert.deepEqual(names, {
    identity: 'file',
    secrets: [
      { name: 'acme', origins: ['https://acme.example'] },
      { name: 'gitlab-token', origins: ['https://gitlab.example'] },
    ],
  });
  assert.equal((await secret(['rm', 'acme'])).exit, 0);
  const all = [added, twice, totp, list].map(({ text }) => text).join('');
  assert.ok(!/kzcanary-piped|JBSWY3DP/.test(all), all);
  assert.match(command.help, /kuznia secret/);
  writeFileSync(join(home, 'done'), '');
});
