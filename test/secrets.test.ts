import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addShort, redactShorts } from '../kit/secret-codes.ts';
import {
  SecretError,
  environmentSecrets,
  isSecretRef,
  redact,
  redactKnown,
  registerSecret,
  resolveSecret,
} from '../kit/secrets.ts';
import { cpuClock } from './pace.ts';

const value = 'p4ss/"wörd"+&=\nsecond line of it!';
registerSecret(value, { label: 'odd' });

test('a registered secret goes in plain and in every encoding', () => {
  const bytes = Buffer.from(value);
  const encoded: Record<string, string> = {
    plain: value,
    json: JSON.stringify({ a: value }),
    'json in json': JSON.stringify(JSON.stringify({ a: value })),
    'json with \\/ (PHP)': JSON.stringify(value).replaceAll('/', '\\/'),
    'json ascii (Python)': JSON.stringify(value).replaceAll('ö', '\\u00f6'),
    url: `?a=${encodeURIComponent(value)}&b=1`,
    'url lower case': encodeURIComponent(value).replace(/%../g, (hex) => hex.toLowerCase()),
    form: new URLSearchParams({ a: value }).toString(),
    hex: bytes.toString('hex'),
    HEX: bytes.toString('hex').toUpperCase(),
    base64url: bytes.toString('base64url'),
  };
  for (const before of ['', 'u', 'us', 'user:']) {
    for (const after of ['', 'x', 'xy']) {
      encoded[`base64 ${before}_${after}`] = Buffer.from(before + value + after).toString('base64');
      encoded[`base64url ${before}_${after}`] = Buffer.from(before + value + after).toString('base64url');
    }
  }
  for (const [how, text] of Object.entries(encoded)) {
    const clean = redact(`before ${text} after`);
    assert.match(clean, /\[secret:odd\]/, how);
    assert.match(clean, /^before .* after$/s, how);
    assert.ok(!clean.includes('second') && clean.length < 60, `${how}: ${clean}`);
  }
});

test('a key of several lines goes line by line too', () => {
  registerSecret('-----BEGIN X-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nEFAASCBKcwggSjAgEAAoIBAQ\n-----END X-----', {
    label: 'key',
  });
  assert.equal(
    redact('> MIIEvQIBADANBgkqhkiG9w0BAQ\n> EFAASCBKcwggSjAgEAAoIBAQ'),
    '> [secret:key]\n> [secret:key]',
  );
  assert.equal(redact('-----BEGIN X-----'), '-----BEGIN X-----');
});

test('a secret inside another, and labels like values, leave no rest', () => {
  registerSecret('hunter2', { label: 'short' });
  registerSecret('hunter2-and-more', { label: 'long' });
  assert.equal(redact('hunter2-and-more hunter2'), '[secret:long] [secret:short]');
  registerSecret('botword', { label: 'botword-1' });
  assert.equal(redact('my botword'), 'my [secret:botword-1]');
});

test('values that would be cut out of every word are not taken', () => {
  registerSecret('abc', { label: 'tiny' });
  registerSecret('', { label: 'none' });
  assert.equal(redact('abcdef'), 'abcdef');
});

test('tokens of a known shape go although nobody registered them', () => {
  const leaks = [
    ['glpat-AbCdEfGhIjKlMnOpQrSt', 'AbCdEf'],
    ['glpat-AbCdEfGhIjKlMnOpQrSt.01.1234567', '01.12'],
    ['ghp_0123456789abcdefghijABCDEFGHIJ012345', '0123'],
    ['github_pat_11ABCDEFG0123456789_abcdefghij', 'ABCD'],
    ['Authorization: Basic dXNlcjpwYXNz', 'dXNl'],
    ['authorization=Token abc', 'abc'],
    ['{"authorization":"Bearer eyJhbGciOiJIUzI1NiJ9.x.y","a":1}', 'eyJ'],
    ['{\\"Authorization\\":\\"Bearer short\\"}', 'short'],
    ["headers: { 'PRIVATE-TOKEN': 'tok' }", "'tok'"],
    ['sent Bearer abcdefghijklmnop.qrst', 'abcd'],
    ['Cookie: sid=12345; other=67890', '67890'],
    ['https://user:pa:ss@host/path', 'pa:ss'],
    ['https://oauth2token@host/path', 'oauth2token'],
    ['GET /x?private_token=abcd&page=2', 'abcd'],
    ['{"authToken": "9HqLlyZOugoStsXCUfD_0YdwnNnunAJF8V47U3QHXSq"}', '9Hq'],
    ['-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----', 'MIIabc'],
  ];
  for (const [text = '', secret = ''] of leaks) {
    const clean = redact(text);
    assert.ok(clean.includes('[secret]') && !clean.includes(secret), `${text} -> ${clean}`);
    assert.equal(redact(clean), clean, 'redacting twice changes nothing');
  }
  assert.equal(redact('GET /x?private_token=abcd&page=2'), 'GET /x?private_token=[secret]&page=2');
});

test('ordinary text stays', () => {
  for (const text of [
    'ssh://git@gitlab.example/group/project.git and git@host:path',
    'jan@example.com wrote: use a Bearer token, basic authentication works',
    'https://example.com/a@b?page=2',
    'prompt_tokens: 12, "tokens": 5',
    'error: pathspec did not match',
  ]) {
    assert.equal(redact(text), text);
  }
});

test('a label survives in a header', () => {
  registerSecret('abcdefgh12345678', { label: 'chat' });
  assert.equal(redact('Authorization: Bearer abcdefgh12345678'), 'Authorization: Bearer [secret:chat]');
  assert.equal(redact('Cookie: a=abcdefgh12345678; b=rest'), 'Cookie: [secret]');
});

test('hostile and long text costs linear time', () => {
  const texts = [
    'a-'.repeat(200_000),
    'a://'.repeat(100_000),
    'a:'.repeat(200_000) + '@',
    'cookie'.repeat(60_000),
    `authorization:${' '.repeat(300_000)}`,
    '-----BEGIN PRIVATE KEY-----'.repeat(10_000),
    'https://'.repeat(50_000) + 'x'.repeat(100_000),
    'plain words of a log line '.repeat(20_000),
  ];
  for (const text of texts) {
    const started = cpuClock();
    redact(text);
    const ms = started();
    assert.ok(ms < 400, `${text.slice(0, 20)} took ${ms} ms`);
  }
});

test('a reference is resolved from the environment, and registered', async () => {
  const source = environmentSecrets({ KUZNIA_SECRET_GITLAB_TOKEN: 'tok-from-env-1' });
  assert.equal(await resolveSecret('secret://gitlab-token', [source]), 'tok-from-env-1');
  assert.equal(redact('x tok-from-env-1'), 'x [secret:gitlab-token]');
  assert.ok(isSecretRef('secret://x') && !isSecretRef('glpat-x'));
});

test('the first source that knows a name wins', async () => {
  const store = { name: 'the store', how: (name: string) => `Add ${name}`, get: async () => 'from-store-1' };
  assert.equal(await resolveSecret('secret://a', [environmentSecrets({}), store]), 'from-store-1');
});

test('a missing secret says how to add it; a token in place of a reference is not shown', async () => {
  await assert.rejects(resolveSecret('secret://chat.bot-1', [environmentSecrets({})]), {
    name: 'SecretError',
    message:
      'secret://chat.bot-1 was not found in the environment. Set KUZNIA_SECRET_CHAT_BOT_1 in the environment.',
  });
  for (const ref of ['my-raw-token', 'secret://UPPER', 'secret://../x']) {
    await assert.rejects(resolveSecret(ref, []), (error) => {
      assert.ok(error instanceof SecretError && !error.message.includes(ref), ref);
      assert.match(error.message, /One reads secret:\/\/name/);
      return true;
    });
  }
});

test('a secret goes in whatever escapes and encodings it is written, mixed and nested', () => {
  const value = 'Qz9+of escapes/Value ą"x\\y';
  registerSecret(value, { label: 'esc' });
  const bytes = Buffer.from(value);
  const hex = bytes.toString('hex');
  const wide = Buffer.from(value, 'utf16le');
  const html = value.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  const json = (text: string) => JSON.stringify(text).slice(1, -1);
  const written = {
    'in JSON, four deep': json(json(json(json(value)))),
    'percent-encoded twice': encodeURIComponent(encodeURIComponent(value)),
    'percent-encoded but for what may stand in a path': encodeURI(value),
    'every byte percent-encoded': [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
    'a percent-encoding in JSON in JSON': json(json(encodeURI(value))),
    'as Python shows it': value.replaceAll('\\', '\\\\'),
    'as bytes of Python': [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join(''),
    HTML: html,
    'HTML by numbers': Array.from(value, (c) => `&#${c.codePointAt(0)};`).join(''),
    'hex in capitals and small letters': hex.replaceAll(/./g, (c, at: number) =>
      at % 3 === 0 ? c.toUpperCase() : c,
    ),
    'hex, byte by byte': hex.replaceAll(/..(?=.)/g, '$& '),
    'hex with colons': hex.toUpperCase().replaceAll(/..(?=.)/g, '$&:'),
    'a Buffer in JSON': JSON.stringify(bytes),
    'a Buffer, indented': JSON.stringify(bytes, null, 1),
    'UTF-16': wide.toString('latin1'),
    'UTF-16 in base64': wide.toString('base64'),
    'behind other text in UTF-16, in base64': Buffer.from(`iex ${value}`, 'utf16le').toString('base64'),
    decomposed: value.normalize('NFD'),
  };
  for (const [how, text] of Object.entries(written)) {
    for (const clear of [redact, redactKnown])
      assert.match(clear(`before ${text} after`), /^before .*\[secret:esc\].* after$/s, how);
  }
  // What stands around it stays as it was written.
  assert.equal(
    redactKnown(`%41%2f&amp;\\\\n${encodeURI(value)}%42\\u0105ł`),
    '%41%2f&amp;\\\\n[secret:esc]%42\\u0105ł',
  );
  const other = '{"a":"\\\\server\\\\share %41 &amp; \\u0105 54:7a:39:2b:73:65:63:72 1,2,3,4,5,6,7,8"}';
  assert.equal(redactKnown(other), other);
});

test('escapes cost linear time', () => {
  registerSecret('a-secret-to-look-for/1', { label: 'linear' });
  for (const piece of ['%41', '\\\\', '&amp;', '\\u0105', '%25', '&#37;41', '54:7a:', '84,122,']) {
    const text = piece.repeat(300_000);
    const started = cpuClock();
    redactKnown(text);
    const ms = started();
    assert.ok(ms < 5_000, `${piece} took ${ms} ms`);
  }
});

test('letters without lines, as in base64, cost no more than words', () => {
  registerSecret('a-secret-to-look-for/1', { label: 'linear' });
  const cost = (text: string) => {
    const started = cpuClock();
    redactKnown(text);
    return started();
  };
  const words = cost('aB3d '.repeat(800_000));
  const letters = cost('aB3d'.repeat(1_000_000));
  assert.ok(letters < Math.max(4 * words, 300), `${letters} ms, words ${words} ms`);
});

test('a code is out of everything until ten minutes after it expired, and then a number as others', () => {
  const expiresAt = Date.now() + 60_000;
  addShort('664209', 'old', expiresAt);
  const text = 'it was 664209 there';
  const at = (now: number) => redactShorts(text, { ids: false, now });
  assert.equal(at(expiresAt), 'it was [secret:old] there');
  assert.equal(at(expiresAt + 599_000), 'it was [secret:old] there');
  assert.equal(at(expiresAt + 601_000), text);
  // Made again, it is one again.
  addShort('664209', 'new', expiresAt + 700_000);
  assert.equal(at(expiresAt + 601_000), 'it was [secret:new] there');
});
