/** Short texts that are secret: they go only where they stand alone, or every other number would go with them. */
interface Short {
  label: string;
  /** Epoch ms after which it is no secret any more. */
  until: number;
}

/** A code is of use to nobody after this; until then a late log line may still hold it. */
const AFTER_EXPIRY_MS = 10 * 60_000;

const shorts = new Map<string, Short>();
let compiled: { pattern: RegExp; until: number } | undefined;

/** From now on `redact` removes it where it stands alone, until 10 minutes after it expired. */
export function addShort(value: string, label: string, expiresAt: number = Infinity): void {
  const until = expiresAt + AFTER_EXPIRY_MS;
  const bytes = Buffer.from(value, 'utf8');
  const halves = value.length >= 6 && /^[A-Za-z0-9]+$/.test(value);
  const half = Math.ceil(value.length / 2);
  const spaced = halves
    ? [' ', '-', '\u00a0'].map((gap) => value.slice(0, half) + gap + value.slice(half))
    : [];
  if (/^\d+$/.test(value)) {
    const pairs = value.match(/../g) ?? [];
    if (value.length % 2 === 0) spaced.push(pairs.join(' '), pairs.join('-'));
    spaced.push(value.replace(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit))));
  }
  const hex = bytes.toString('hex');
  const base64 = bytes.toString('base64').replace(/=+$/, '');
  const json = JSON.stringify(value).slice(1, -1);
  const forms = [value, ...spaced, json, encodeURIComponent(value), hex, hex.toUpperCase(), base64];
  for (const form of forms) {
    const known = shorts.get(form);
    if (form.length >= 4 && (!known || known.until < until)) shorts.set(form, { label, until });
  }
  compiled = undefined;
}

/**
 * The text without short secrets. In answers (`ids: true`) what is an id stays, although it may equal an old code: JSON
 * numbers, fields named so, parts of a path, of a reference (`#123456`) or of a longer token.
 */
export function redactShorts(
  text: string,
  { ids, now = Date.now() }: { ids: boolean; now?: number },
): string {
  if (shorts.size === 0) return text;
  if (!compiled || compiled.until < now) compiled = compile(now);
  const quoted = ids && /^\s*[{[]/.test(text) ? stringsOf(text) : () => true;
  return text.replace(compiled.pattern, (found, at: number) => {
    const short = shorts.get(found);
    if (!short || short.until < now) return found;
    return ids && isId(text, at, at + found.length, quoted(at)) ? found : `[secret:${short.label}]`;
  });
}

export const hasShorts = () => shorts.size > 0;

/** Short secrets in a reading of a text, whose escapes hid them: whoever writes digits so means to. */
export function shortsIn(read: string): { from: number; to: number; shown: string }[] {
  const now = Date.now();
  if (shorts.size === 0) return [];
  if (!compiled || compiled.until < now) compiled = compile(now);
  return [...read.matchAll(compiled.pattern)].flatMap(({ 0: found, index }) => {
    const short = shorts.get(found);
    const live = short !== undefined && short.until >= now;
    return live ? [{ from: index, to: index + found.length, shown: `[secret:${short.label}]` }] : [];
  });
}

function compile(now: number): { pattern: RegExp; until: number } {
  for (const [form, { until }] of shorts) if (until < now) shorts.delete(form);
  const forms = [...shorts.keys()].sort((a, b) => b.length - a.length);
  const alternatives = forms.map((form) => form.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|');
  // Letters of Chinese and Japanese stand next to codes; escapes of JSON and URLs end in letters (`\n123456`, `%20123456`).
  const letter = 'A-Za-z0-9\u00c0-\u024f\u0370-\u052f';
  const alone = `(?<=^|[^${letter}]|(?<!\\\\)\\\\[nrtbf]|%[0-9A-Fa-f]{2})`;
  return {
    pattern: new RegExp(`${alone}(?:${alternatives || '(?!)'})(?![${letter}])`, 'g'),
    until: Math.min(Infinity, ...[...shorts.values()].map(({ until }) => until)),
  };
}

/** `"iid":"`, `"ids":["1","` */
const NAMED_ID = /(?:^|["_])(?:i?ids?|number|sha|ref)"\s*:\s*(?:\[\s*(?:"[^"]{0,20}",\s*)*)?"$/i;

function isId(text: string, at: number, end: number, inString: boolean): boolean {
  if (!inString) return true;
  const before = text.slice(Math.max(0, at - 80), at);
  if (text[end] === '"' && NAMED_ID.test(before)) return true;
  // Of a path, or of a place in a page (`#note_123456`).
  if (/[\w)\]](?:\\{0,3}\/|%2f)$|#[a-z]{1,20}[_-]$/i.test(before)) return true;
  // The origin-bound format of codes reads `@example.com #123456`.
  if (/[#!]$/.test(before) && !/@[\w.-]+ [#!]$/.test(before)) return true;
  const token =
    (/[\w-]*$/.exec(before)?.[0].length ?? 0) + (/^[\w-]*/.exec(text.slice(end, end + 40))?.[0].length ?? 0);
  return token >= 6 && /[\w-]$/.test(before + (text[end] ?? ''));
}

/** Tells whether a place is between the quotes of a JSON string; asked in ascending order, so that one pass does for all. */
function stringsOf(text: string): (at: number) => boolean {
  let inside = false;
  let seen = 0;
  return (at) => {
    for (; seen < at; seen++) {
      if (text[seen] === '\\' && inside) seen++;
      else if (text[seen] === '"') inside = !inside;
    }
    return inside;
  };
}
