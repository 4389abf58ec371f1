import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { extractCode } from '../servers/auth/extract.ts';
import { readMail } from '../servers/auth/mime.ts';
import { cpuClock } from './pace.ts';

const say = 'Your login code is 481516.\r\n';
const german = 'Ihr Bestätigungscode für die Anmeldung lautet 481516.';
const mail = (type: string, body: string | Buffer, more = '') =>
  Buffer.concat([
    Buffer.from(`From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: ${type}\r\n${more}\r\n`),
    Buffer.from(body),
  ]);
const part = (type: string, body: string, more = '') =>
  `--x\r\nContent-Type: ${type}\r\n${more}\r\n${body}\r\n`;
const mixed = (...parts: string[]) => mail('multipart/mixed; boundary=x', `${parts.join('')}--x--\r\n`);
const codeIn = async (source: Buffer) => {
  const found = extractCode(await readMail(source));
  return found.kind === 'code' ? found.code : found.kind;
};

test('charset lies: what is no such charset is read all the same', async () => {
  const lies: Record<string, Buffer> = {
    'UTF-8 called US-ASCII': mail('text/plain; charset=us-ascii', german),
    'UTF-8 called "ASCII"': mail('text/html; charset="ASCII"', `<p>${german}`),
    'Latin-1 called UTF-8': mail('text/plain; charset=utf-8', Buffer.from(german, 'latin1')),
    'Latin-1 called nothing': mail('text/plain', Buffer.from(german, 'latin1')),
    'a charset that is none': mail('text/plain; charset=utf-99', say),
    'another charset in the HTML': mail('text/html; charset=utf-8', `<meta charset=utf-16><p>${say}`),
    'an encoding that is none': mail('text/plain', say, 'Content-Transfer-Encoding: x-none\r\n'),
  };
  for (const [how, source] of Object.entries(lies)) assert.equal(await codeIn(source), '481516', how);
});

test('mails as another program wrote them, in thirteen charsets and encodings', async () => {
  const box = readFileSync(new URL('fixtures/codes/charsets.mbox', import.meta.url), 'latin1');
  const mails = box.split(/^From .*\n/m).slice(1);
  assert.equal(mails.length, 13);
  for (const one of mails) {
    const [, code = ''] = /^X-Code: (.*)$/m.exec(one) ?? [];
    const got = await codeIn(Buffer.from(one.replaceAll('\n', '\r\n'), 'latin1'));
    assert.equal(got, code === '-' ? 'none' : code.replace(' ', ''), one.slice(0, 400));
  }
});

test('the HTML counts, and the plain text beside it where the HTML shows no code', async () => {
  const both = (html: string, text: string) =>
    mail(
      'multipart/alternative; boundary=x',
      `${part('text/plain', text)}${part('text/html', html)}--x--\r\n`,
    );
  assert.equal(await codeIn(both('<p>Your login code:</p><img src="cid:1" alt="">', say)), '481516');
  assert.equal(await codeIn(both(`<p>${say}</p>`, 'Your login code is 111111.')), '481516');
  assert.equal(await codeIn(both('<p>Hello.</p>', 'Hello.')), 'none');
});

test('broken MIME: cut, without its boundary, without an end, with headers past any limit', async () => {
  const base64 = 'Content-Transfer-Encoding: base64\r\n';
  const broken: Record<string, Buffer> = {
    'no boundary': mail('multipart/mixed', part('text/plain', say)),
    'another boundary': mail('multipart/alternative; boundary=y', part('text/plain', say)),
    'no end': mail('multipart/alternative; boundary=x', part('text/plain', say)),
    'base64 cut and spoilt': mail(
      'text/plain',
      `${Buffer.from(say).toString('base64').slice(0, -3)}*`,
      base64,
    ),
    'quoted-printable spoilt': mail(
      'text/plain',
      'Your login=ZZ code is =\r\n481516=',
      'Content-Transfer-Encoding: quoted-printable\r\n',
    ),
    'huge headers': Buffer.concat([Buffer.from(`X: ${'y'.repeat(300_000)}\r\n`), mail('text/plain', say)]),
  };
  for (const [how, source] of Object.entries(broken)) assert.equal(await codeIn(source), '481516', how);
  for (const bytes of ['', '\0\0\0', '\r\n\r\n', 'x'.repeat(100_000), '--x'.repeat(50_000)])
    assert.equal(await codeIn(Buffer.from(bytes)), 'none');
});

test('a code in an attached mail is an old one, and is not taken', async () => {
  const old = 'From: a@b.example\r\nContent-Type: text/plain\r\n\r\nYour login code is 333333.\r\n';
  for (const more of ['', 'Content-Disposition: inline\r\n', 'Content-Disposition: attachment\r\n']) {
    assert.equal(await codeIn(mixed(part('message/rfc822', old, more))), 'none', more);
    assert.equal(
      await codeIn(mixed(part('text/plain', say), part('message/rfc822', old, more))),
      '481516',
      more,
    );
  }
});

test('1,000 parts: the code is found in the first or the last, in linear time', async () => {
  const hello = Array.from({ length: 1000 }, () => part('text/plain', 'hello'));
  const deep = Array.from(
    { length: 1000 },
    (_, i) => `--b${i}\r\nContent-Type: multipart/mixed; boundary=b${i + 1}\r\n\r\n`,
  ).join('');
  const started = cpuClock();
  assert.equal(await codeIn(mixed(part('text/plain', say), ...hello)), '481516');
  assert.equal(await codeIn(mixed(...hello, part('text/plain', say))), '481516');
  assert.equal(await codeIn(mail('multipart/mixed; boundary=b0', deep)), 'none');
  const ms = started();
  assert.ok(ms < 2000, `${ms} ms`);
});
