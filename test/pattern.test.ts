import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { patternFault } from '../servers/sandbox/runner/pattern.ts';
import { cpuClock } from './pace.ts';

describe('patterns', () => {
  // Judged by running them: what is refused takes more than 10 times as long for each few characters more.
  const slow = [
    '^(a+)+$',
    '^(a*)*$',
    '^(a|a)*$',
    '^(a|aa)+$',
    '(.*a){20}',
    '^(\\w+\\s?)*$',
    '^([a-z]+)*[0-9]$',
    '^(a?b?)*$|^(a+|b)*c',
    '(x+x+)+y',
    '^((a|b)*c?)*$',
    '^(?:[\\p{L}]+ ?)+$',
    '(?=(a+)+b)a',
    '^(\\d{1,3},?){1,20}$',
    '^(a{2,}){2,}$',
  ];
  for (const pattern of slow)
    test(`refused: ${pattern}`, () => assert.match(patternFault(pattern) ?? 'passed', /exponential time/));

  const fast = [
    '^[a-z0-9]+(?:-[a-z0-9]+)*$',
    '^([a-z]+-)*[a-z]+$',
    '^\\d{4}-\\d{2}-\\d{2}$',
    '^[^@\\s]+@[^@\\s]+\\.[a-z]{2,}$',
    '^(\\d{1,3}\\.){3}\\d{1,3}$',
    '^#?([a-f0-9]{6}|[a-f0-9]{3})$',
    '^(https?://)?[\\w.-]+(/[\\w./-]*)?$',
    '^\\p{Lu}\\p{L}*( \\p{Lu}\\p{L}*)*$',
    '^(?:[01]\\d|2[0-3]):[0-5]\\d$',
    '^(?!.*--)[a-z-]{1,63}$',
    '^("[^"]*",)*"[^"]*"$',
    '^[A-Za-z_$][\\w$]*(\\.[A-Za-z_$][\\w$]*)*$',
    '^(\\d{4}\\s?){4}$',
    '(a)\\1',
    '',
    '^\\u{1F600}+$',
    '^(ab|cd)*$',
    '^[\\]\\\\^-]+$',
    '^(?<year>\\d+)-\\k<year>$',
    '^[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}$',
    '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$',
  ];
  for (const pattern of fast)
    test(`allowed: ${pattern}`, () => assert.equal(patternFault(pattern), undefined));

  test('judging is quick, whatever the pattern', () => {
    const started = cpuClock();
    for (const pattern of [
      ...slow,
      ...fast,
      `^(${'a?'.repeat(100)})*$`,
      `(${'(a|b)'.repeat(90)})*`,
      '(a{12}){12}',
      '((((a{9}){9}){9}){9})*',
      `^(${Array.from({ length: 95 }, (_, i) => `[a-${'zyxwv'[i % 5]}]`).join('|')})*$`,
      `^(${'[a-z]'.repeat(90)}|${'[a-y]'.repeat(90)})*$`,
    ])
      patternFault(pattern);
    assert.ok(started() < 3000, `${started()} ms`);
    assert.match(patternFault('a'.repeat(1001)) ?? '', /longer than 1000/);
    assert.match(patternFault('((((a{9}){9}){9}){9})*') ?? '', /too large to be judged safe/);
  });
});
