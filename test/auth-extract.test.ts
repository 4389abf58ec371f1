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

for (const [part, samples] of [
  ['two thirds to work with', corpus.filter(({ held }) => !held)],
  ['the held-out third', corpus.filter(({ held }) => held)],
  ['messages written later', later],
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
  for (const samples of [corpus, later])
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
  const codeOf = (text: string) => {
    const found = extractCode({ text });
    return found.kind === 'code' ? found.code : found.kind;
  };
  assert.equal(codeOf('Kod potwierdzajacy: 771-204. Haslo jest wazne 3 min.'), '771204');
  assert.equal(codeOf('Ihr Bestaetigungscode lautet 112358.'), '112358');
  assert.equal(codeOf('Your verification code\n4\n8\n2\n9\n1\n3\nexpires soon'), '482913');
  assert.equal(codeOf('Your sign-in code is 482913 or 771204.'), 'ambiguous');
  assert.equal(codeOf('Your verification number: 482913'), '482913');
  assert.equal(codeOf('Order number\n482913\nSign-in code\n771204'), '771204');
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
