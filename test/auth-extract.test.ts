import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { extractCode, extractLinks } from '../servers/auth/extract.ts';
import { htmlText } from '../servers/auth/html.ts';
import { isFrom } from '../servers/auth/source.ts';
import { judge, readCorpus } from './fixtures/codes/corpus.ts';
import { cpuClock } from './pace.ts';

const read = (name: string) =>
  readCorpus(readFileSync(new URL(`fixtures/codes/${name}.tsv`, import.meta.url), 'utf8'));
const corpus = read('corpus');
const later = read('later');
const outside = read('outside');

for (const [part, samples] of [
  ['two thirds to work with', corpus.filter(({ held }) => !held)],
  ['the held-out third', corpus.filter(({ held }) => held)],
  ['messages written later', later],
  ['messages written by somebody who had not seen the rules', outside],
] as const) {
  test(`codes of ${part}: 95 % right, 1 % false alarms`, () => {
    const { right, alarms, wrong } = judge(samples, (sample) => {
      const found = extractCode(sample);
      return found.kind === 'code' ? found.code : found.kind === 'ambiguous' ? '?' : '-';
    });
    assert.ok(right >= 0.95 && alarms <= 0.01, `${right} right, ${alarms} false alarms\n${wrong.join('\n')}`);
  });
}

test('the corpus has what it claims', () => {
  assert.ok(corpus.length >= 120, String(corpus.length));
  assert.ok(later.length >= 200, String(later.length));
  assert.ok(outside.length >= 200, String(outside.length));
  for (const samples of [corpus, later, outside])
    assert.equal(new Set(samples.map(({ language }) => language)).size, 7);
});

test('the origin-bound line says it outright, whatever else is in the text', () => {
  const found = extractCode({ text: 'Your code is 111222, not 333444.\n\n@login.example #556677' });
  assert.deepEqual(found, {
    kind: 'code',
    code: '556677',
    host: 'login.example',
    reason: 'a line bound to login.example',
  });
});

test('hidden, styled and broken HTML: only what a person sees counts', () => {
  const html = `<head><title>code 111111</title></head><!-- code is 222222 --><style>a:before{content:"code is 333333"}</style>
    <div style="display:none">Your verification code is <div>444444</div></div><script>var code=555555 < 6</script>
    <p title="code is 666666>">Your verification code is <b>77&#56;899</b><img alt="code 999999"`;
  assert.deepEqual(extractCode({ html }).kind === 'code' && extractCode({ html }), {
    kind: 'code',
    code: '778899',
    reason:
      extractCode({ html }).kind === 'code'
        ? 'behind words for a code, 6 digits, said outright, the only one'
        : '',
  });
  assert.equal(htmlText('a < b and <b>c'), 'a < b and c');
});

test('an SMS without accents, a code in cells of its own, a list of backup codes', () => {
  const codeOf = (text: string) => found({ text });
  assert.equal(codeOf('Kod potwierdzajacy: 771-204. Haslo jest wazne 3 min.'), '771204');
  assert.equal(codeOf('Ihr Bestaetigungscode lautet 112358.'), '112358');
  assert.equal(codeOf('Your verification code\n4\n8\n2\n9\n1\n3\nexpires soon'), '482913');
  assert.equal(codeOf('Your sign-in code is 482913 or 771204.'), 'ambiguous');
  assert.equal(codeOf('Your verification number: 482913'), '482913');
  assert.equal(codeOf('Order number\n482913\nSign-in code\n771204'), '771204');
});

const found = (message: Parameters<typeof extractCode>[0]) => {
  const one = extractCode(message);
  return one.kind === 'code' ? one.code : one.kind;
};

test('what was forwarded, answered or quoted has no code, however mail programs mark it', () => {
  const old = 'Your access code is 390117.';
  const header = [
    'From: Bank <a@b.example>',
    'Sent: Friday, November 27, 2026 9:14 AM',
    'To: Jane',
    'Subject: Code',
  ];
  for (const message of [
    { text: `FYI\n\n${header.join('\n')}\n\n${old}` },
    {
      html: `<p>FYI</p><div><b>Von:</b> Bank<br><b>Gesendet:</b> Freitag<br><b>An:</b> Jan<br><b>Betreff:</b> Code</div><p>${old}</p>`,
    },
    { html: `<p>Thanks!</p><blockquote type="cite"><p>${old}</p></blockquote>` },
    { html: `<p>Thanks!</p><div class="gmail_quote">Am Freitag schrieb Bank:<br><div>${old}</div></div>` },
    { text: `昨天的\n\n------------------ 原始邮件 ------------------\n${old}` },
    { subject: 'Fwd: 390117 is your access code', text: 'Did you ask for this?' },
    { subject: 'AW: Your access code is 390117', text: 'Danke, hat geklappt.' },
  ])
    assert.equal(found(message), 'none', JSON.stringify(message));
  assert.equal(found({ text: `Your sign-in code is 482913.\n\n${header.join('\n')}\n\n${old}` }), '482913');
  // A transfer or a sign-in told of in lines is no header.
  const transfer = 'From: Current account\nTo: J Smith\nDate: 28 Nov\nSecurity code: 482913';
  assert.equal(found({ text: transfer }), '482913');
  assert.equal(found({ text: `From: Leeds\nDevice: Firefox\nSign-in code: 482913` }), '482913');
});

test('letters by their names, a code that is told of a picture alone, a code right behind its colon', () => {
  const html = '<p>C&oacute;digo de verificaci&oacute;n&colon; <b>804417</b></p>';
  assert.equal(found({ html }), '804417');
  assert.equal(
    htmlText('&Eacute;t&eacute; stra&szlig;e &Zcaron; &Nosuch;x &#322;'),
    'Été straße Ž  x ł'.replace('  ', ' '),
  );
  const picture = '<p>Your verification code is</p><img src="https://x.example/otp" alt="359071">';
  assert.equal(found({ html: picture }), '359071');
  assert.equal(found({ html: picture, text: 'Your verification code is 482913' }), '482913');
  assert.equal(found({ html: picture.replace('<img', '<img style="display:none"') }), 'none');
  assert.equal(found({ text: 'OTP:482913' }), '482913');
  assert.equal(found({ text: 'Device code at 10:482913, A:482913' }), 'none');
  assert.equal(found({ subject: '482913 is your sign-in code' }), '482913');
});

test('what a number is good for is not what it is: accounts, names, meetings, payments', () => {
  assert.equal(found({ text: 'Hallo Jan, 804417 eingeben, um sich anzumelden.' }), '804417');
  assert.equal(found({ text: 'Kod do komputera: 731902\nKod do telefonu: 552817' }), 'ambiguous');
  assert.equal(found({ text: 'Oto kod, aby zalogować się na konto:\n482913' }), '482913');
  assert.equal(found({ text: 'Your code for order no: 482913' }), 'none');
  assert.equal(found({ text: 'ID de reunión: 823 4567 8901\nCódigo de acceso: 582917' }), 'none');
  assert.equal(found({ text: 'Bitte bestätigen. Als Code im Verwendungszweck: 482917' }), 'none');
});

test('hostile text costs linear time', () => {
  for (const text of [
    '<div '.repeat(80_000),
    '<!--'.repeat(100_000),
    '1 '.repeat(20_000),
    'code '.repeat(80_000),
    '1-'.repeat(200_000),
    'kod: '.repeat(80_000),
    '"<p title="'.repeat(40_000),
    '('.repeat(300_000),
    '-'.repeat(300_000),
    ' '.repeat(300_000),
    '@a'.repeat(150_000),
    '1\n'.repeat(150_000),
    '123\n'.repeat(80_000),
    'enter your '.repeat(40_000),
    '123456 or '.repeat(40_000),
    'haslo sms '.repeat(40_000),
    'From: x\n'.repeat(40_000),
    'From: x\nTo: y\n'.repeat(20_000),
    'for a b c '.repeat(40_000),
    'enter a:'.repeat(40_000),
    '<img alt="'.repeat(40_000),
    '<blockquote type='.repeat(20_000),
  ]) {
    for (const message of [{ text }, { html: text }, { subject: text }]) {
      const started = cpuClock();
      extractCode(message);
      const ms = started();
      assert.ok(ms < 1500, `${text.slice(0, 12)} in ${Object.keys(message).join()} took ${ms} ms`);
    }
  }
});

test('a sign-in link is one of the site itself', () => {
  const text = `Log in: https://app.login.example/auth/magic?token=abcdefghijklmnop1234
    or https://login.example.evil.test/auth?token=abcdefghijklmnop1234, see https://login.example/privacy/abcdefghijklmnop1234`;
  assert.deepEqual(extractLinks({ text }, 'login.example'), [
    'https://app.login.example/auth/magic?token=abcdefghijklmnop1234',
  ]);
});

test('a sender is an exact address, a domain and those below it, or a number; never a part of a text', () => {
  const yes: [string, string][] = [
    ['noreply@github.com', 'noreply@github.com'],
    ['NoReply@GitHub.com', '@github.com'],
    ['x@mail.github.com', 'github.com'],
    ['+48 123 456 789', '+48123456789'],
    ['ACME', 'acme'],
  ];
  const no: [string, string][] = [
    ['noreply@github.com.evil.test', 'github.com'],
    ['noreply@github.com.evil.test', 'noreply@github.com'],
    ['noreply@evilgithub.com', 'github.com'],
    ['github.com@evil.test', 'github.com'],
    ['x@mail.github.com', 'noreply@github.com'],
    ['x@example.com', 'com'],
    ['ACME Bank', 'ACME'],
    ['123456789', '+48123456789'],
    ['', 'github.com'],
  ];
  for (const [sender, wanted] of yes) assert.ok(isFrom(sender, wanted), `${sender} is ${wanted}`);
  for (const [sender, wanted] of no) assert.ok(!isFrom(sender, wanted), `${sender} is not ${wanted}`);
});
