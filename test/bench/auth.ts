import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import { z } from 'zod';
import { Handles, redeem, type Use } from '../../kit/handles.ts';
import { extractCode } from '../../servers/auth/extract.ts';
import { authHome, keep, openAuthServer, ticketOf, type Ending } from '../auth-kit.ts';
import { dovecot } from '../doubles/mail-dovecot.ts';
import { judge, readCorpus, type Sample } from '../fixtures/codes/corpus.ts';
import { connect, root } from './client.ts';
import { figure, median, spread, type Figure, type Scope } from './figure.ts';
import { cpuOfTree, hasProc, rssMb } from './process.ts';

const origin = 'https://acme.example';

/** Codes, handles and what the server costs. */
export async function auth(scope: Scope): Promise<Figure[]> {
  const ends: (() => Promise<void> | void)[] = [];
  const ending: Ending = { after: (end) => void ends.unshift(end) };
  try {
    return [
      ...(await corpusFigures(scope)),
      await delivery(scope, ending),
      await handles(ending),
      ...(await costs(scope)),
    ];
  } finally {
    for (const end of ends) await end();
  }
}

async function corpusFigures(scope: Scope): Promise<Figure[]> {
  const [first = [], outside = [], later = []] = ['corpus', 'outside', 'later'].map((name) =>
    readCorpus(readFileSync(`${root}test/fixtures/codes/${name}.tsv`, 'utf8')),
  );
  const samples = [...first, ...outside];
  const guesses: Record<string, (sample: Sample) => string> = {
    ours(sample) {
      const found = extractCode(sample);
      return found.kind === 'code' ? found.code : found.kind === 'ambiguous' ? '?' : '-';
    },
    '\\b\\d{4,8}\\b': ({ subject, text, html }) =>
      /\b\d{4,8}\b/.exec(`${subject}\n${text}${html}`)?.[0] ?? '-',
  };
  const detect = await otpDetector(scope);
  if (detect) guesses[OTP_DETECTOR] = detect;
  const corpora: [string, Sample[]][] = [
    ['', samples],
    [', messages by somebody who did not know the rules', outside],
    [', messages written later', later],
  ];
  const results = corpora.flatMap(([which, messages]) =>
    Object.entries(guesses).map(([name, guess]) => {
      const { right, alarms } = judge(messages, guess);
      return [name + which, { 'right %': right * 100, 'false alarms %': alarms * 100 }] as const;
    }),
  );
  const { right, alarms, wrong } = judge(samples, guesses['ours'] ?? (() => '-'));
  const details = {
    ...Object.fromEntries(results),
    messages: samples.length,
    'by somebody who did not know the rules': outside.length,
    'written later': later.length,
    wrong,
  };
  return [
    figure({
      name: 'auth.codes',
      what: 'messages not read right',
      unit: '%',
      value: (1 - right) * 100,
      bar: 5,
      details,
    }),
    figure({
      name: 'auth.alarms',
      what: 'wrong codes given out',
      unit: '%',
      value: alarms * 100,
      bar: 1,
      details: {},
    }),
  ];
}

const OTP_DETECTOR = '@onedaydevelopers/otp-detector@1.1.1';

/** A peer, as its page says to use it for mails; undefined where it cannot be installed here. */
async function otpDetector(scope: Scope): Promise<((sample: Sample) => string) | undefined> {
  const folder = await scope.folder('otp-detector');
  try {
    await writeFile(join(folder, 'package.json'), '{"private":true}');
    const quiet = ['--no-audit', '--no-fund', '--ignore-scripts'];
    await promisify(execFile)('npm', ['install', ...quiet, OTP_DETECTOR], { cwd: folder, timeout: 60_000 });
    const module: unknown = createRequire(`${folder}/`)('@onedaydevelopers/otp-detector');
    const { extractOTPFromEmail: detect } = z
      .object({ extractOTPFromEmail: z.function({ input: [z.unknown()], output: z.unknown() }) })
      .parse(module);
    return ({ subject, text, html }) => {
      const found = z.string().safeParse(detect({ subject, text, html }));
      return found.success && found.data !== '' ? found.data : '-';
    };
  } catch {
    return undefined;
  }
}

async function delivery(scope: Scope, ending: Ending): Promise<Figure> {
  const about = {
    name: 'auth.mail',
    what: 'mail delivered -> code, a real Dovecot, p50',
    unit: 'ms',
    bar: 600,
  };
  if (!process.env['KUZNIA_DOVECOT']) {
    return figure({
      ...about,
      value: undefined,
      note: 'not measured: KUZNIA_DOVECOT is not set',
      details: {},
    });
  }
  const box = await dovecot(ending);
  const { host, port, ca, user } = box;
  const home = authHome(ending, { mailboxes: { work: { host, port, ca, user, password: 'secret://mail' } } });
  await keep(home, { mail: { value: box.password } });
  const server = await openAuthServer(ending, home);
  const times: number[] = [];
  for (let round = 0; round < scope.rounds(20, 4); round++) {
    const ticket = ticketOf(await server.value('auth_expect_code', { origin, from: 'acme.example' }));
    const waiting = server.value('auth_wait_code', { ticket });
    await sleep(100 + Math.random() * 400);
    const begun = performance.now();
    box.deliver({ text: `Your code is ${100_000 + round}.` });
    await waiting;
    times.push(performance.now() - begun);
  }
  return figure({ ...about, value: median(times), details: { ms: spread(times) } });
}

/** Spent twice, late, for another origin, guessed. */
async function handles(ending: Ending): Promise<Figure> {
  const home = authHome(ending);
  let now = Date.now();
  const issuer = new Handles(home, () => now);
  ending.after(() => issuer.close());
  const use: Use = { purpose: 'two-factor', origin };
  let succeeded = 0;
  const attempt = async (ref: string, how: Use) => {
    try {
      await redeem(ref, how, home);
      succeeded++;
    } catch {
      // As it should be.
    }
  };
  for (let round = 0; round < 250; round++) {
    const about = { label: 'bench', expiresAt: Date.now(), ...use };
    const [one, two, three] = [
      await issuer.issue('a-value-1', about),
      await issuer.issue('a-value-1', about),
      await issuer.issue('a-value-1', about),
    ];
    await redeem(one, use, home);
    await attempt(one, use);
    await attempt(two, { ...use, origin: 'https://acme.example.evil.test' });
    await attempt(`${one.split('.')[0]}.${randomBytes(16).toString('base64url')}`, use);
    now += 120_001;
    await attempt(three, use);
  }
  return figure({
    name: 'auth.handles',
    what: 'of 1,000 wrong uses of a handle, succeeded',
    unit: 'values',
    value: succeeded,
    bar: 0,
    details: {},
  });
}

async function costs(scope: Scope): Promise<Figure[]> {
  const cpu: number[] = [];
  const rss: number[] = [];
  let tokens = 0;
  for (let round = 0; round < scope.rounds(8, 3); round++) {
    const server = await connect(`${root}dist/servers/auth/main.js`, await scope.folder(`auth-${round}`));
    const { tools } = await server.page();
    tokens = encode(JSON.stringify({ tools })).length;
    if (hasProc) {
      cpu.push(await cpuOfTree(server.pid));
      rss.push(await rssMb(server.pid));
    }
    await server.close();
  }
  const note = hasProc ? {} : { note: 'not measured: it is read from /proc' };
  const value = (samples: number[]) => (hasProc ? median(samples) : undefined);
  return [
    figure({
      name: 'auth.tokens',
      what: 'tools/list of the auth server, o200k',
      unit: 'tokens',
      value: tokens,
      bar: 2200,
      details: {},
    }),
    figure({
      name: 'auth.cpu',
      what: 'auth server, spawn -> tools/list, CPU',
      unit: 'ms',
      value: value(cpu),
      bar: 300,
      details: hasProc ? { ms: spread(cpu) } : {},
      ...note,
    }),
    figure({
      name: 'auth.rss',
      what: 'auth server when tools/list is answered, RSS',
      unit: 'MB',
      value: value(rss),
      bar: 80,
      details: hasProc ? { MB: spread(rss) } : {},
      ...note,
    }),
  ];
}
