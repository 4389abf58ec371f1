import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { SecretStore } from '../kit/secret-store.ts';
import { enterOnPage } from '../servers/auth/definition.ts';
import { authHome } from './auth-kit.ts';
import { cleanEnv, runnable, until } from './support.ts';

const main = join(import.meta.dirname, '..', 'host', 'main.ts');
const value = 'kzcanary-entered-on-the-page-1';
const uri = 'otpauth://totp/ACME:jan?secret=JBSWY3DPEHPK3PXP';

/** The command as a process; the address that it prints. */
async function opened(t: TestContext, home: string, ...words: string[]) {
  const child = spawn(process.execPath, [...runnable(main), 'secret', ...words], {
    env: cleanEnv(home),
    stdio: 'pipe',
  });
  t.after(() => void child.kill('SIGKILL'));
  const said = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said.err += chunk.toString()));
  const exit = once(child, 'exit').then(([code]: unknown[]) => code);
  const gone = exit.then(() => Promise.reject(new Error(said.err)));
  const shown = until('the address', () =>
    child.exitCode === null ? /http:\S+/.exec(said.err)?.[0] : 'none',
  );
  const url = await Promise.race([shown, gone]);
  return { url, said, exit, child };
}

/** As a browser sends the form. */
function send(url: string, fields: Record<string, string | Blob>, headers: Record<string, string> = {}) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.set(name, value);
  return fetch(url, { method: 'POST', body, headers: { origin: new URL(url).origin, ...headers } });
}

/** With headers that fetch does not let through. */
async function bare(url: string, options: { method?: string; headers?: Record<string, string> }) {
  const asked = httpRequest(url, options).end();
  const [answer] = z.array(z.looseObject({ statusCode: z.number() })).parse(await once(asked, 'response'));
  asked.destroy();
  return answer?.statusCode;
}

async function qr(text: string): Promise<Blob> {
  const { prepareZXingModule, writeBarcode } = await import('zxing-wasm/writer');
  const wasm = readFileSync(createRequire(import.meta.url).resolve('zxing-wasm/writer/zxing_writer.wasm'));
  await prepareZXingModule({ overrides: { wasmBinary: new Uint8Array(wasm).buffer }, fireImmediately: true });
  const { image } = await writeBarcode(text, { format: 'QRCode', scale: 6 });
  assert.ok(image);
  return image;
}

test(
  'a secret is entered on a page of this computer, once, and shown nowhere',
  { timeout: 40_000 },
  async (t) => {
    const home = authHome(t);
    const { url, said, exit } = await opened(
      t,
      home,
      'add',
      'token',
      '--page',
      '--origin',
      'https://a.example/x',
    );
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/[\w-]{22}$/);
    const shown = await fetch(url);
    const html = await shown.text();
    assert.equal(shown.status, 200);
    assert.equal(shown.headers.get('cache-control'), 'no-store');
    const policy = shown.headers.get('content-security-policy') ?? '';
    assert.match(
      policy,
      /^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'; frame-ancestors 'none'/,
    );
    assert.ok(!/<script|https?:|javascript:|\son\w+=/i.test(html.replace('https://a.example', '')), html);
    assert.match(html, /type="password"[^>]*autocomplete="off" spellcheck="false"/);
    assert.equal(
      await (await send(url, { value: '' })).text().then((text) => /Nothing was entered/.test(text)),
      true,
    );
    const kept = await send(url, { value, kind: 'secret' });
    const answer = await kept.text();
    assert.equal(kept.status, 200, answer);
    assert.match(answer, /secret:\/\/token.*close this page/s);
    assert.equal(await exit, 0, said.err);
    await assert.rejects(fetch(url), 'the page is gone');
    const entry = await new SecretStore(home).get('token');
    assert.deepEqual([entry?.value, entry?.kind, entry?.origins], [value, 'secret', ['https://a.example']]);
    assert.match(said.out, /^Kept\. Settings name it secret:\/\/token\n$/);
    assert.ok(!`${answer}${said.out}${said.err}`.includes(value));
  },
);

test(
  'the page takes a URI, an export and a QR picture; a picture without a code may be sent again',
  { timeout: 40_000 },
  async (t) => {
    const home = authHome(t);
    const enter = async (name: string, fields: Record<string, string | Blob>[], ...words: string[]) => {
      const { url, said, exit } = await opened(t, home, 'add', name, '--page', '--json', ...words);
      const statuses = [];
      for (const one of fields) {
        const answer = await send(url, one);
        const text = await answer.text();
        assert.ok(!/JBSWY3DP|SGVsbG8/.test(text), text);
        statuses.push(answer.status);
      }
      assert.equal(await exit, 0, said.err);
      assert.ok(!/JBSWY3DP/.test(said.out + said.err));
      return { statuses, added: JSON.parse(said.out) };
    };
    // 1x1 PNG
    const empty = Buffer.from(
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
      'base64',
    );
    const [byUri, byPicture, bySeed, byExport] = await Promise.all([
      enter('uri', [{ value: uri, kind: 'secret' }]),
      enter('picture', [
        { picture: new Blob([empty]), value: '' },
        { picture: await qr(uri), value: '' },
      ]),
      enter('seed', [{ value: '0189' }, { value: 'JBSWY3DPEHPK3PXP' }], '--totp'),
      enter('export', [{ value: 'otpauth-migration://offline?data=CggKBkhlbGxvIQ%3D%3D', kind: 'secret' }]),
    ]);
    assert.deepEqual(byUri, {
      statuses: [200],
      added: { added: [{ name: 'uri', issuer: 'ACME', account: 'jan' }] },
    });
    assert.deepEqual(byPicture.statuses, [400, 200]);
    assert.deepEqual(bySeed.statuses, [400, 200]);
    assert.deepEqual(byExport.statuses, [200]);
    const all = Object.values(await new SecretStore(home).all());
    assert.deepEqual(
      all.map(({ kind }) => kind),
      ['otp', 'otp', 'otp', 'otp'],
    );
  },
);

test(
  'other pages, names, paths and methods get nothing; a huge body is refused',
  { timeout: 40_000 },
  async (t) => {
    const entered: unknown[] = [];
    const stop = new AbortController();
    let url = '';
    const going = enterOnPage({
      name: 'token',
      origins: [],
      kinds: 'either',
      keep: async (given) => {
        entered.push(given);
        return 'kept';
      },
      show: (address) => (url = address),
      signal: stop.signal,
    });
    t.after(() => stop.abort());
    await until('the address', () => url || undefined);
    going.catch(() => undefined); // awaited below, unless a check fails first
    const { host, port, origin } = new URL(url);
    assert.equal(await bare(url, { headers: { host: `evil.test:${port}` } }), 403, 'DNS rebinding');
    assert.equal(await bare(url, { headers: { host: `localhost:${port}` } }), 403);
    assert.equal(await bare(url, { headers: { host } }), 200);
    for (const other of ['https://evil.test', 'null', `http://localhost:${port}`, `${origin}0`])
      assert.equal((await send(url, { value }, { origin: other })).status, 403, other);
    assert.equal(await bare(url, { method: 'POST' }), 403, 'no Origin');
    assert.equal((await fetch(`${origin}/`)).status, 404);
    assert.equal((await send(`${url}x`, { value })).status, 404);
    assert.equal((await send(url.slice(0, -1), { value })).status, 404);
    assert.equal((await fetch(url, { method: 'PUT', body: 'x', headers: { origin } })).status, 405);
    const broken = { origin, 'content-type': 'multipart/form-data; boundary=x' };
    assert.equal((await fetch(url, { method: 'POST', body: '--x\r\nbroken', headers: broken })).status, 400);
    const huge = new Blob([Buffer.alloc(21 * 1024 * 1024)]);
    const refused = await send(url, { picture: huge }).then(
      ({ status }) => status,
      () => 'cut',
    );
    assert.ok(refused === 413 || refused === 'cut', String(refused));
    assert.deepEqual(entered, []);
    // Of two at once one counts.
    const both = await Promise.all(
      [send(url, { value }), send(url, { value: `${value}-2` })].map((one) =>
        one.then(
          ({ status }) => status,
          () => 'cut',
        ),
      ),
    );
    assert.equal(await going, 'kept');
    assert.equal(entered.length, 1, both.join());
  },
);

test('a page that nobody uses closes by itself; one that is ended closes at once', async (t) => {
  const home = authHome(t);
  let url = '';
  const page = {
    name: 'token',
    origins: [],
    kinds: 'secret' as const,
    keep: async () => '',
    show: (address: string) => (url = address),
  };
  const { signal } = new AbortController();
  await assert.rejects(
    enterOnPage({ ...page, signal, openMs: 200 }),
    /page is closed.*kuznia secret add token --page/,
  );
  await assert.rejects(fetch(url));
  const { child, exit, said } = await opened(t, home, 'add', 'token', '--page');
  child.kill('SIGINT');
  assert.notEqual(await exit, 0);
  assert.match(said.err, /Nothing was kept/);
});

test('a name that is taken is told before the page opens', async (t) => {
  const home = authHome(t);
  await new SecretStore(home, {}).update((all) => {
    all['token'] = { kind: 'secret', value, origins: [], added: '' };
  });
  await assert.rejects(opened(t, home, 'add', 'token', '--page'), /there already/);
  const { url, exit } = await opened(t, home, 'rotate', 'token', '--page');
  assert.equal((await send(url, { value: `${value}-2` })).status, 200);
  assert.equal(await exit, 0);
  assert.equal((await new SecretStore(home).get('token'))?.value, `${value}-2`);
});
