import { otpSettings, type OtpSettings } from '../../kit/secret-otp.ts';
import { ToolError } from '../../kit/tool.ts';

/** A two-factor entry as a person brought it. */
export type Enrolled = OtpSettings;

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** RFC 4648 section 6, without padding. */
export function base32(bytes: Uint8Array): string {
  let bits = 0;
  let value = 0;
  let text = '';
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff;
    bits += 8;
    for (; bits >= 5; bits -= 5) text += ALPHABET[(value >> (bits - 5)) & 31] ?? '';
  }
  return bits > 0 ? text + (ALPHABET[(value << (5 - bits)) & 31] ?? '') : text;
}

/** An `otpauth://` URI (github.com/google/google-authenticator/wiki/Key-Uri-Format), or the bare seed as sites show it. */
export function fromUri(text: string): Enrolled {
  // As Bitwarden keeps Steam's.
  const trimmed = text.trim().replace(/^steam:\/\/([a-z2-7= -]+)$/i, 'otpauth://steam/?secret=$1');
  if (!/^otpauth:\/\//i.test(trimmed)) return fromSeed(trimmed);
  if (!URL.canParse(trimmed)) throw bad('it is no whole URI');
  const url = new URL(trimmed);
  const type = url.host.toLowerCase();
  // KeePassXC says so in `encoder`; others by an issuer with a length that no other entry has (5, and pyotp 10).
  const steam =
    type === 'steam' ||
    url.searchParams.get('encoder')?.toLowerCase() === 'steam' ||
    (/^steam$/i.test(url.searchParams.get('issuer') ?? '') &&
      /^(?:5|10)$/.test(url.searchParams.get('digits') ?? ''));
  if (!steam && type !== 'totp' && type !== 'hotp') throw bad(`its type is neither totp nor hotp`);
  // Nothing behind the sign is as good as none.
  const get = (name: string) => url.searchParams.get(name) || undefined;
  const number = (name: string) => {
    const given = get(name);
    if (given === undefined) return undefined;
    if (!/^\d{1,15}$/.test(given)) throw bad(`its ${name} is no number`);
    return Number(given);
  };
  if (type === 'hotp' && number('counter') === undefined) throw bad('its counter is missing');
  const label = decoded(url.pathname.replace(/^\//, ''));
  const [first = '', ...rest] = label.split(':');
  const parsed = otpSettings.safeParse({
    type: type === 'hotp' ? 'hotp' : 'totp',
    secret: seed(get('secret') ?? ''),
    algorithm: get('algorithm')
      ?.toLowerCase()
      .replace(/^hmac-?|-/g, ''),
    digits: steam ? 5 : number('digits'),
    period: number('period'),
    counter: number('counter'),
    steam,
    issuer: get('issuer') ?? (rest.length > 0 ? first.trim() : ''),
    account: (rest.length > 0 ? rest.join(':') : first).trim(),
  });
  if (parsed.success) return parsed.data;
  throw bad(
    parsed.error.issues.map((issue) => `its ${issue.path.join('.')} is out of range or unknown`).join('; '),
  );
}

function fromSeed(text: string): Enrolled {
  const parsed = otpSettings.safeParse({ type: 'totp', secret: seed(text) });
  if (parsed.success) return parsed.data;
  throw bad('it is neither an otpauth:// URI nor a seed of the letters A to Z and the digits 2 to 7');
}

/** Shown in groups, in lower case, with padding; digits 0, 1 and 8 are not in the alphabet and not guessed at. */
const seed = (text: string) => text.replace(/[\s-]/g, '').replace(/=+$/, '').toUpperCase();

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const bad = (why: string) =>
  new ToolError(
    `This cannot be enrolled: ${why}. Copy the URI again from the site, or give its QR picture: --qr FILE`,
  );
