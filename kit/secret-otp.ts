import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { codeOf } from './secret-lock.ts';
import { secretStore } from './secret-store.ts';
import { markUsed } from './secret-used.ts';
import { registerCode, registerSecret } from './secrets.ts';
import { ToolError } from './tool.ts';

/** A two-factor app's entry: what an `otpauth://` URI says. */
export const otpSettings = z.object({
  type: z.enum(['totp', 'hotp']),
  /** Base32, RFC 4648. */
  secret: z
    .string()
    .max(1600)
    .regex(/^[A-Z2-7]+$/),
  algorithm: z.enum(['sha1', 'sha256', 'sha512']).default('sha1'),
  digits: z.int().min(5).max(8).default(6),
  period: z.int().min(1).max(3600).default(30),
  /** HOTP: of the next code. */
  counter: z.int().min(0).default(0),
  /** Steam Guard: five characters out of an alphabet of its own. */
  steam: z.boolean().default(false),
  issuer: z.string().default(''),
  account: z.string().default(''),
});

export type OtpSettings = z.output<typeof otpSettings>;

/** A code, and when it stops being one (epoch ms). */
interface Code {
  code: string;
  expiresAt: number;
}

/** With less left a code may be late when it arrives: the next one is waited for. */
const LEAST_MS = 3_000;
/** Longer than this nobody waits for the next step. */
const LONGEST_WAIT_MS = 40_000;
/** RFC 4226 7.2 leaves a counter's life to the server: such a code stays good until used. */
const HOTP_MS = 10 * 60_000;

/**
 * The code of `totp://name`, each step given out once whoever asks, in whichever process. `offsetMs` is added to the
 * clock, where the other side's is known to differ. Throws ToolError.
 */
export async function nextCode(
  home: string,
  name: string,
  {
    offsetMs = 0,
    signal,
    now = Date.now,
  }: { offsetMs?: number; signal?: AbortSignal; now?: () => number } = {},
): Promise<Code> {
  const found = await otpEntry(home, name);
  const code =
    found.type === 'hotp'
      ? await hotpCode(home, name)
      : await totpCode(home, name, found, { offsetMs, signal, now });
  registerCode(code.code, { label: name, expiresAt: code.expiresAt });
  markUsed(home, name);
  return code;
}

/** The settings behind a name. Throws ToolError where there is none, with what is enrolled. */
export async function otpEntry(home: string, name: string): Promise<OtpSettings> {
  const entry = await secretStore(home).get(name);
  if (entry?.kind === 'otp') {
    const settings = otpSettings.parse(JSON.parse(entry.value));
    registerSecret(settings.secret, { label: `${name} seed` });
    return settings;
  }
  const all = Object.entries(await secretStore(home).all()).flatMap(([known, { kind }]) =>
    kind === 'otp' ? [known] : [],
  );
  const known = all.length > 0 ? `Enrolled: ${all.join(', ')}.` : 'None is enrolled yet.';
  throw new ToolError(
    `There is no two-factor entry ${name}. ${known} A person enrols one: kuznia secret add ${secretNameOr(name)} --totp`,
  );
}

const secretNameOr = (name: string) => (/^[a-z0-9._-]{1,64}$/.test(name) ? name : 'NAME');

async function totpCode(
  home: string,
  name: string,
  settings: OtpSettings,
  { offsetMs, signal, now }: { offsetMs: number; signal?: AbortSignal | undefined; now: () => number },
): Promise<Code> {
  const period = settings.period * 1000;
  const least = Math.min(LEAST_MS, period / 2);
  const end = now() + LONGEST_WAIT_MS;
  for (;;) {
    const clock = now() + offsetMs;
    const step = Math.floor(clock / period);
    const left = (step + 1) * period - clock;
    if (left >= least && take(home, name, step)) {
      return { code: await otp(settings, step), expiresAt: now() + left };
    }
    if (left > LONGEST_WAIT_MS) {
      throw new ToolError(
        `The current code of ${name} was already given out, and is good once. The next one is there in ${Math.ceil(left / 1000)} s: ask again then.`,
      );
    }
    if (now() + left > end) {
      throw new ToolError(
        `Each code of ${name} was taken by another login, or codes of a later time were given out before the clock was set back. Try again in a minute.`,
      );
    }
    await sleep(left + 5, undefined, { signal });
  }
}

/** True for the first who asks: a file that open(2) makes only where there is none, which holds across processes. */
function take(home: string, name: string, step: number): boolean {
  const folder = join(home, 'secrets', 'steps', name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const taken = readdirSync(folder).map(Number).filter(Number.isInteger);
  // A clock that was set back would give out old steps again.
  if (taken.some((other) => other >= step)) return false;
  try {
    writeFileSync(join(folder, String(step)), '', { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
  for (const old of taken) if (old < step - 4) rmSync(join(folder, String(old)), { force: true });
  return true;
}

/** The counter is raised before the code is used: one that is lost costs a look ahead (RFC 4226 7.4), one used twice a login. */
async function hotpCode(home: string, name: string): Promise<Code> {
  const settings = await secretStore(home).update((all) => {
    const entry = all[name];
    if (!entry) throw new ToolError(`${name} was removed in the meantime.`);
    const current = otpSettings.parse(JSON.parse(entry.value));
    all[name] = { ...entry, value: JSON.stringify({ ...current, counter: current.counter + 1 }) };
    return current;
  });
  return { code: await otp(settings, settings.counter), expiresAt: Date.now() + HOTP_MS };
}

const LONGEST_SEED = 1024;
const STEAM = '23456789BCDFGHJKMNPQRTVWXY';

/** One code by RFC 4226 with the counter or time step given. */
export async function otp(settings: OtpSettings, counter: number): Promise<string> {
  const { generate, createGuardrails } = await import('otplib');
  // Services hand out seeds of 10 bytes, which RFC 4226 (R6) forbids, and of more than 64; otplib refuses both.
  const guardrails = createGuardrails({ MIN_SECRET_BYTES: 1, MAX_SECRET_BYTES: LONGEST_SEED });
  const { secret, algorithm, digits, steam } = settings;
  const hooks = steam ? { hooks: { encodeToken: steamText } } : {};
  return generate({ strategy: 'hotp', secret, algorithm, digits, counter, guardrails, ...hooks });
}

function steamText(value: number): string {
  let rest = value;
  let text = '';
  for (let i = 0; i < 5; i++) {
    text += STEAM[rest % STEAM.length] ?? '';
    rest = Math.floor(rest / STEAM.length);
  }
  return text;
}
