import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import { redeem } from '../kit/handles.ts';
import { nextCode, otp, otpSettings } from '../kit/secret-otp.ts';
import { SecretStore } from '../kit/secret-store.ts';
import { enrol } from '../servers/auth/enrol.ts';
import { base32, fromUri } from '../servers/auth/enrol-uri.ts';
import { fromMigration } from '../servers/auth/migration.ts';
import { authHome, handleOf, keep, openAuthServer } from './auth-kit.ts';
import { inline } from './support.ts';

const origin = 'https://login.example';
const seeds = {
  sha1: base32(Buffer.from('12345678901234567890')),
  sha256: base32(Buffer.from('12345678901234567890123456789012')),
  sha512: base32(Buffer.from('1234567890123456789012345678901234567890123456789012345678901234')),
};
const settings = (more: object = {}) => otpSettings.parse({ type: 'totp', secret: seeds.sha1, ...more });
const entry = (more: object = {}) => ({
  kind: 'otp' as const,
  value: JSON.stringify(settings(more)),
  origins: [origin],
});

test('RFC 4226 appendix D: HOTP', async () => {
  const wanted = '755224 287082 359152 969429 338314 254676 287922 162583 399871 520489'.split(' ');
  const got = await Promise.all(wanted.map((_, counter) => otp(settings({ type: 'hotp' }), counter)));
  assert.deepEqual(got, wanted);
});

test('RFC 6238 appendix B: TOTP of 8 digits in three hashes', async () => {
  const times = [59, 1111111109, 1111111111, 1234567890, 2000000000, 20000000000];
  const wanted = {
    sha1: '94287082 07081804 14050471 89005924 69279037 65353130',
    sha256: '46119246 68084774 67062674 91819424 90698825 77737706',
    sha512: '90693936 25091201 99943326 93441116 38618901 47863826',
  };
  for (const algorithm of ['sha1', 'sha256', 'sha512'] as const) {
    const one = settings({ secret: seeds[algorithm], algorithm, digits: 8 });
    const got = await Promise.all(times.map((time) => otp(one, Math.floor(time / 30))));
    assert.equal(got.join(' '), wanted[algorithm], algorithm);
  }
});

test('a seed of 100 bytes, which RFC 2104 hashes first', async () => {
  // By oathtool: --totp=SHA256 -d 6 -s 45s -N @5656386561
  const secret =
    'FOOUKPMU7VHD2N2QCHZ4WDZS7ZWZZHBXO67D5WSOEZGHJA6DOBC4OZDWHBNP3AUAJOIHNPUBILNKNXNN2XPMV2HA7JCKG6LFRY3K2RDDSG3FFUS7OUBPRME4FF3MI2G7WR75DQRTOIZKLVNUQSRLRTZ37FGBS4S2';
  const one = settings({ secret, algorithm: 'sha256' });
  assert.equal(await otp(one, Math.floor(5656386561 / 45)), '632428');
});

test('Steam: five letters of its alphabet, by the truncated number of the HOTP vectors', async () => {
  // RFC 4226 gives the truncated numbers; those in base 26, least digit first, are Steam's codes.
  const truncated = [1284755224, 1094287082, 137359152, 1726969429, 1640338314];
  const alphabet = '23456789BCDFGHJKMNPQRTVWXY';
  const wanted = truncated.map((number) =>
    [0, 1, 2, 3, 4].map((place) => alphabet[Math.floor(number / 26 ** place) % 26]).join(''),
  );
  const steam = settings({ steam: true, digits: 5 });
  assert.deepEqual(await Promise.all(wanted.map((_, counter) => otp(steam, counter))), wanted);
});

test('an otpauth URI in its many ways, and what cannot be one', () => {
  const uri =
    'otpauth://totp/ACME%20Co:jan@example.com?secret=JBSWY3DPEHPK3PXP&issuer=ACME%20Co&algorithm=SHA256&digits=8&period=60';
  assert.deepEqual(fromUri(uri), {
    type: 'totp',
    secret: 'JBSWY3DPEHPK3PXP',
    algorithm: 'sha256',
    digits: 8,
    period: 60,
    counter: 0,
    steam: false,
    issuer: 'ACME Co',
    account: 'jan@example.com',
  });
  assert.equal(fromUri('jbsw y3dp-ehpk 3pxp').secret, 'JBSWY3DPEHPK3PXP');
  assert.equal(fromUri('otpauth://totp/a?secret=GE======').secret, 'GE', 'a seed of one byte');
  assert.equal(fromUri('otpauth://hotp/a?secret=GEZDGNBV&counter=7').counter, 7);
  assert.equal(fromUri('otpauth://totp/Steam:a?secret=GEZDGNBV&encoder=steam').steam, true);
  // As Bitwarden, pyotp and WinAuth write Steam's.
  for (const uri of [
    'steam://GEZDGNBV',
    'otpauth://totp/Steam:a?secret=GEZDGNBV&issuer=Steam&digits=10',
    'otpauth://totp/Steam:a?secret=GEZDGNBV&issuer=Steam&digits=5',
  ])
    assert.deepEqual([fromUri(uri).steam, fromUri(uri).digits, fromUri(uri).secret], [true, 5, 'GEZDGNBV']);
  assert.equal(fromUri('otpauth://totp/Steam:a?secret=GEZDGNBV&issuer=Steam').steam, false);
  const odd = fromUri('otpauth://totp/a?secret=GEZDGNBV&algorithm=HmacSHA256&digits=&period=');
  assert.deepEqual([odd.algorithm, odd.digits, odd.period], ['sha256', 6, 30]);
  const secret = 'KZCANARYSECRET23';
  for (const bad of [
    `otpauth://totp/a?secret=${secret}&period=999999999`,
    `otpauth://totp/a?secret=${secret}&period=1e9`,
    `otpauth://totp/a?secret=${secret}&digits=60`,
    `otpauth://totp/a?secret=${secret}&algorithm=MD5`,
    `otpauth://motp/a?secret=${secret}`,
    `otpauth://hotp/a?secret=${secret}`,
    'otpauth://totp/a',
    'not a seed: 0189!',
    '',
  ]) {
    assert.throws(
      () => fromUri(bad),
      (error: Error) => {
        assert.match(error.message, /cannot be enrolled/);
        assert.ok(!error.message.includes(secret), 'the seed is not shown');
        return true;
      },
    );
  }
});

test('an export of Google Authenticator: each entry, and cut short', () => {
  const parts = (bytes: Buffer, name: string, type: number, digits: number) =>
    Buffer.concat([
      field(1, bytes),
      field(2, Buffer.from(name)),
      field(3, Buffer.from('ACME')),
      Buffer.from([0x20, 1, 0x28, digits, 0x30, type]),
    ]);
  const field = (number: number, bytes: Buffer) =>
    Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes]);
  const two = Buffer.concat([
    field(1, parts(Buffer.from('12345678901234567890'), 'ACME:jan', 2, 1)),
    field(1, parts(Buffer.from('short'), 'ola', 1, 2)),
    // Version 1; a batch id of -1 (ten bytes, as half of all exports have one); a fixed 64 and 32 of later versions.
    Buffer.from([0x10, 1, 0x28, ...Array.from({ length: 9 }, () => 0xff), 1]),
    Buffer.from([0x49, 1, 2, 3, 4, 5, 6, 7, 8, 0x55, 1, 2, 3, 4]),
  ]);
  const uri = (data: Buffer) =>
    `otpauth-migration://offline?data=${encodeURIComponent(data.toString('base64'))}`;
  const [jan, ola] = fromMigration(uri(two));
  assert.deepEqual([jan?.secret, jan?.account, jan?.type, jan?.digits], [seeds.sha1, 'jan', 'totp', 6]);
  assert.deepEqual([ola?.type, ola?.digits, ola?.issuer], ['hotp', 8, 'ACME']);
  for (const cut of [20, two.length - 1])
    assert.throws(() => fromMigration(uri(two.subarray(0, cut))), /cannot be read/);
});

test('an export with several entries opens none of them at the one site given', async (t) => {
  const home = authHome(t);
  const data = Buffer.from('0a0c0a0573686f727412016130020a0c0a0573686f72741201623002', 'hex');
  const text = `otpauth-migration://offline?data=${encodeURIComponent(data.toString('base64'))}`;
  const added = await enrol(home, 'phone', { text }, [origin]);
  assert.deepEqual(
    added.map(({ name, account }) => [name, account]),
    [
      ['phone', 'a'],
      ['phone-2', 'b'],
    ],
  );
  const all = await new SecretStore(home).all();
  assert.deepEqual(
    Object.values(all).map(({ origins }) => origins),
    [[], []],
  );
});

test('a QR picture is enrolled; one without a code is told', async (t) => {
  const home = authHome(t);
  const { prepareZXingModule, writeBarcode } = await import('zxing-wasm/writer');
  const { createRequire } = await import('node:module');
  const wasm = readFileSync(createRequire(import.meta.url).resolve('zxing-wasm/writer/zxing_writer.wasm'));
  const wasmBinary = new Uint8Array(wasm).buffer;
  await prepareZXingModule({ overrides: { wasmBinary }, fireImmediately: true });
  const { image } = await writeBarcode('otpauth://totp/ACME:jan?secret=JBSWY3DPEHPK3PXP', {
    format: 'QRCode',
    scale: 6,
  });
  assert.ok(image);
  const png = join(home, 'qr.png');
  writeFileSync(png, Buffer.from(await image.arrayBuffer()));
  assert.deepEqual(await enrol(home, 'acme', { picture: png }, [origin]), [
    { name: 'acme', issuer: 'ACME', account: 'jan' },
  ]);
  assert.equal((await new SecretStore(home).get('acme'))?.kind, 'otp');
  // 1x1 PNG
  const empty =
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
  writeFileSync(png, Buffer.from(empty, 'base64'));
  await assert.rejects(enrol(home, 'other', { picture: png }, []), /no QR code in .*qr\.png/);
  await assert.rejects(
    enrol(home, 'other', { picture: `${png}.none` }, []),
    /qr\.png\.none cannot be opened/,
  );
  // A phone's HEIC, WebP and SVG are none that can be read, and that is said: the code in them may be sharp.
  for (const other of ['no picture', '\0\0\0 ftypheic', 'RIFF\0\0\0\0WEBPVP8 ', '<svg/>', '\x89PNG cut']) {
    writeFileSync(png, other, 'latin1');
    await assert.rejects(
      enrol(home, 'other', { picture: png }, []),
      other.startsWith('\x89') ? /no QR code|no picture/ : /qr\.png is no picture that can be read/,
    );
  }
});

test('a code comes as a handle that a login field redeems; it is nowhere else', async (t) => {
  const home = authHome(t, { check_clock: false });
  await keep(home, { acme: entry({ period: 600 }) });
  const server = await openAuthServer(t, home);
  const answer = await server.call('auth_totp_code', { origin: `${origin}/users/sign_in` });
  const code = await otp(settings(), Math.floor(Date.now() / 600_000));
  assert.ok(answer.ok && !answer.text.includes(code), answer.text);
  assert.equal(await redeem(handleOf(answer.value), { purpose: 'two-factor', origin }, home), code);
  const status = await server.call('auth_status');
  assert.ok(status.ok && !status.text.includes(seeds.sha1), status.text);
  assert.match(status.text, /"name":"acme","kind":"otp"/);
  // By whichever server, and after a restart.
  const other = await openAuthServer(t, home);
  assert.match((await other.call('auth_status')).text, /"name":"acme".*"last_used":"20\d\d-/);
});

test('another origin gets no code, and hears what a person may do', async (t) => {
  const home = authHome(t, { check_clock: false });
  await keep(home, { acme: entry() });
  const server = await openAuthServer(t, home);
  const why = await server.fault('auth_totp_code', {
    origin: 'https://login.example.evil.test',
    name: 'acme',
  });
  assert.match(why, /only at https:\/\/login\.example, not at .*kuznia secret allow acme/);
  assert.match(await server.fault('auth_totp_code', { origin: 'http://login.example' }), /no https address/);
  assert.match(
    await server.fault('auth_totp_code', { origin, name: 'gone' }),
    /no two-factor entry gone.*Enrolled: acme/,
  );
  await assert.rejects(
    redeem('totp://acme', { purpose: 'two-factor', origin: 'https://evil.test' }, home),
    /only at/,
  );
});

test('a step is given once: the second code is the next step, also in another process', async (t) => {
  const home = authHome(t);
  await keep(home, { acme: entry({ period: 2 }) });
  const script = `import { nextCode } from './kit/secret-otp.ts';
    const { code } = await nextCode(process.argv[1], 'acme'); console.log(code);`;
  const run = promisify(execFile);
  const env = { ...process.env, KUZNIA_KEYRING: 'off' };
  const others = [1, 2, 3].map(async () => {
    const { stdout } = await run(process.execPath, [...inline(script), home], { env });
    return stdout.trim();
  });
  const codes = await Promise.all([...others, nextCode(home, 'acme').then(({ code }) => code)]);
  assert.equal(new Set(codes).size, 4, codes.join(' '));
  assert.ok(readdirSync(join(home, 'secrets', 'steps', 'acme')).length <= 6, 'old steps are swept');
});

test('with under three seconds left the next step is waited for; a used long step is told with its wait', async (t) => {
  const home = authHome(t);
  await keep(home, { acme: entry(), slow: entry({ period: 3600 }) });
  let now = 1_700_000_010_000 - 100;
  const begun = Date.now();
  const code = await nextCode(home, 'acme', { now: () => now + (Date.now() - begun) });
  assert.equal(code.code, await otp(settings(), Math.floor(1_700_000_010 / 30)), 'that of the next step');
  now = 3600_000 * 500_000 + 1;
  await nextCode(home, 'slow', { now: () => now });
  await assert.rejects(nextCode(home, 'slow', { now: () => now }), /already given out.*in 3600 s/);
});

test('HOTP counts on, whoever asks', async (t) => {
  const home = authHome(t);
  await keep(home, { token: entry({ type: 'hotp' }) });
  const codes = await Promise.all([1, 2, 3].map(() => nextCode(home, 'token')));
  assert.deepEqual(codes.map(({ code }) => code).sort(), ['287082', '359152', '755224']);
});

test('a clock that is ten minutes off is told, and the code is right for the site', async (t) => {
  const site = createServer((_request, response) => {
    response.setHeader('date', new Date(Date.now() + 600_000).toUTCString()).end();
  });
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  t.after(() => site.close());
  const { port } = z.object({ port: z.number() }).parse(site.address());
  const here = `http://127.0.0.1:${port}`;
  const home = authHome(t);
  await keep(home, { acme: { ...entry({ period: 600 }), origins: [here] } });
  const server = await openAuthServer(t, home);
  const value = await server.value('auth_totp_code', { origin: here });
  assert.ok(Math.abs(Number(value['clock_off_s']) + 600) <= 2, JSON.stringify(value));
  const code = await redeem(handleOf(value), { purpose: 'two-factor', origin: here }, home);
  const steps = [599, 600, 601].map((s) => Math.floor((Date.now() + s * 1000) / 600_000));
  assert.ok((await Promise.all(steps.map((step) => otp(settings(), step)))).includes(code));
});
