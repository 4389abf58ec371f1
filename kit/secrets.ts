/**
 * Secrets by name, and their removal from everything that is written for people, models or files.
 * Imports nothing heavy: every server loads it at start, and the store when a secret is first resolved.
 */
import { addShort, hasShorts, redactShorts, shortsIn } from './secret-codes.ts';
import { isObject } from './json.ts';
import { bytesOf, cutEscaped, type Found } from './secret-escapes.ts';
import { ToolError } from './tool.ts';

/** A place that knows secrets by name: the store, the environment. */
export interface SecretSource {
  /** For errors: "not found in the environment". */
  readonly name: string;
  /** How a person adds `name` here, as one sentence. */
  how(name: string): string;
  get(name: string): Promise<string | undefined>;
}

/** A reference that names no secret, or is none. Its message says how to add one. */
export class SecretError extends ToolError {
  override name = 'SecretError';
}

const reference = /^secret:\/\/([a-z0-9][a-z0-9._-]{0,63})$/;

/** True for `secret://name`, whether or not such a secret exists. */
export function isSecretRef(text: string): boolean {
  return text.startsWith('secret://');
}

const variable = (name: string) => `KUZNIA_SECRET_${name.toUpperCase().replace(/[.-]/g, '_')}`;

/** `secret://gitlab-token` is KUZNIA_SECRET_GITLAB_TOKEN. */
export function environmentSecrets(env: Record<string, string | undefined> = process.env): SecretSource {
  return {
    name: 'the environment',
    how: (name) => `Set ${variable(name)} in the environment`,
    get: async (name) => env[variable(name)] || undefined,
  };
}

/**
 * The value behind `secret://name`, from the first source that has it (the store of KUZNIA_HOME, then the environment);
 * from then on `redact` removes it. A token that was got by signing in is refreshed when it is about to expire.
 */
export async function resolveSecret(ref: string, sources?: SecretSource[]): Promise<string> {
  const name = reference.exec(ref)?.[1];
  if (name === undefined) {
    // Not shown: whoever put a token where a reference belongs would find it in the log.
    throw new SecretError(
      'This is no secret reference. One reads secret://name: lower case letters, digits, - and _.',
    );
  }
  const asked = sources ?? (await defaultSources());
  for (const source of asked) {
    const value = await source.get(name);
    if (value === undefined) continue;
    registerSecret(value, { label: name });
    return value;
  }
  const how = asked.map((source) => source.how(name)).join(', or: ');
  throw new SecretError(
    `secret://${name} was not found in ${asked.map((source) => source.name).join(' or ')}. ${how}.`,
  );
}

async function defaultSources(): Promise<SecretSource[]> {
  const { storeSecrets } = await import('./secret-source.ts');
  return [storeSecrets(), environmentSecrets()];
}

/** A code that was made or read: removed where it stands alone, until 10 minutes after it expired. */
export function registerCode(
  value: string,
  { label, expiresAt }: { label: string; expiresAt: number },
): void {
  if (value.length >= 4) addShort(value, label, expiresAt);
}

interface Needle {
  /** Of a regular expression. */
  source: string;
  label: string;
  /** Byte by byte in numbers, or base64 in lines: looked for only where there are such. */
  kind: Kind;
}

const KINDS = ['text', 'numbers', 'lines'] as const;
type Kind = (typeof KINDS)[number];

const values = new Set<string>();
const needles = new Map<string, Needle>();
const long: { value: string; shown: string }[] = [];
let registered: Record<Kind, Sought> | undefined;

const literal = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
const anyCase = (text: string) => text.replace(/[a-f]/g, (c) => `[${c}${c.toUpperCase()}]`);

/**
 * From now on `redact` shows `[secret:label]` instead of the value, plain or encoded: forms of 8 characters and more
 * anywhere, shorter ones where they stand alone. Values under 4 characters are not taken.
 */
export function registerSecret(value: string, { label }: { label: string }): void {
  if (value.length < 4 || values.has(value)) return;
  values.add(value);
  const add = (text: string, least: number, source = literal(text), kind: Kind = 'text') => {
    const key = `${kind} ${text}`;
    if (text.length >= least && !needles.has(key)) needles.set(key, { source, label, kind });
  };
  if (value.length < 8) addShort(value, label);
  else long.push({ value, shown: `[secret:${label}]` });
  const bytes = Buffer.from(value, 'utf8');
  add(value, 8);
  for (const form of ['NFC', 'NFD']) add(value.normalize(form), 8);
  // A key of several lines may come back line by line, indented or quoted.
  if (value.includes('\n')) {
    for (const line of value.split(/\r?\n/)) if (!line.startsWith('-----')) add(line.trim(), 16);
  }
  const json = JSON.stringify(value).slice(1, -1);
  for (const text of [json, json.replaceAll('/', '\\/'), ascii(json), JSON.stringify(json).slice(1, -1)])
    add(text, 8);
  const uri = encodeURIComponent(bytes.toString('utf8'));
  const strict = uri.replace(/[!'()*~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  for (const text of [uri, strict, strict.replaceAll('%20', '+')]) {
    add(text, 8);
    add(
      text.replace(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase()),
      8,
    );
  }
  // Capitals or not, byte by byte or in one; and as Node shows a Buffer.
  const pairs = bytes.toString('hex').match(/../g) ?? [];
  add(pairs.join(''), 8, pairs.map(anyCase).join('[ :-]?'), 'numbers');
  add(bytes.join(','), 16, [...bytes].join(',\\s{0,20}'), 'numbers');
  const wide = Buffer.from(value, 'utf16le');
  if (value.length >= 8) add(wide.toString('latin1'), 16);
  // Where the value begins inside a base64 text decides its form: three, by the bytes before it modulo 3
  // (`user:password` in a Basic header). Only characters made of the value's bits alone can be searched.
  for (const before of [0, 1, 2]) {
    encoded(bytes, before);
    if (value.length >= 8) encoded(wide, before);
  }
  registered = undefined;

  function encoded(bytes: Buffer, before: number): void {
    const bits = (before + bytes.length) * 8;
    const whole = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const text = whole.slice(Math.ceil((before * 8) / 6), Math.floor(bits / 6));
    // Its last character also holds bits of what follows: that one goes too.
    const end = bits % 6 === 0 ? '' : '[A-Za-z0-9+/_-]?={0,2}';
    for (const form of [text, text.replaceAll('+', '-').replaceAll('/', '_')])
      add(form, 8, literal(form) + end);
    // A program that encodes a file breaks its lines, and the value with them.
    add(text, 16, Array.from(text, literal).join(BREAK) + end, 'lines');
  }
}

const ascii = (text: string) =>
  text.replace(/[\u0080-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

interface Sought {
  pattern: RegExp;
  longestFirst: Needle[];
}

// Several expressions, since the first is much faster while it is made of literals.
function compile(): NonNullable<typeof registered> {
  const longestFirst = [...needles].sort(([a], [b]) => b.length - a.length).map(([, needle]) => needle);
  const sought = (kind: Kind) => {
    const these = longestFirst.filter((needle) => needle.kind === kind);
    return {
      pattern: new RegExp(these.map(({ source }) => source).join('|') || '(?!)', 'g'),
      longestFirst: these,
    };
  };
  return { text: sought('text'), numbers: sought('numbers'), lines: sought('lines') };
}

/** Where a line of base64 may end, as it is or in JSON. */
const BREAK = '(?:\\s|\\\\[rn]){0,4}';
const worthALook: Record<Kind, RegExp> = {
  text: /^/,
  numbers: /(?:[0-9a-f]{2}[ :-]?){8}|(?:\d{1,3},\s{0,20}){7}/i,
  // RFC 2045 (6.8) breaks after 76 characters, RFC 7468 after 64.
  // Looked for from its end: from each letter on, a text without lines would take sixty times as long.
  lines: /[\s\\](?<=[A-Za-z0-9+/]{60}.)/s,
};

// Tokens that their own shape gives away, so that one nobody registered is not written either. Each starts at a
// literal and is bounded or anchored, so that hostile text costs linear time.
const shapes: [RegExp, string][] = [
  // GitLab, docs.gitlab.com/security/tokens/#token-prefixes (routable tokens have dots)
  [/\bgl(?:pat|oas|dt|rtr?|cbt|ptt|ft|imt|agent|wt|soat|ffct)-[\w.-]{16,}/g, '[secret]'],
  // GitHub, npm, Slack, OpenAI and Anthropic, AWS, age
  [/\b(?:gh[pousr]_|github_pat_|npm_|xox[abeprs]-|sk-|AGE-SECRET-KEY-1)[\w-]{20,}/g, '[secret]'],
  [/\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g, '[secret]'],
  [/-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]+(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?/g, '[secret]'],
  [/\b(Bearer|token) +(?!\[secret)[A-Za-z0-9._~+/-]{16,}=*/gi, '$1 [secret]'],
  // Header lines and fields, quoted or not: the value goes up to the quote or the end of the line. A value that is
  // one redacted secret already keeps its label.
  [
    /\b((?:proxy-)?authorization|private-token|job-token|deploy-token|x-auth-token|x-api-key|x-2fa-code|(?:set-)?cookie)((?:\\?["'])? *[:=] *(?:\\?["'])?)(?!(?:\w+ )?\[secret[^\]\n]*\](?:$|[\\"'\r\n]))[^\s"'\\][^"'\\\r\n]*/gim,
    '$1$2[secret]',
  ],
  [
    /(\\?["'](?:password|passwd|private_token|access_token|refresh_token|id_token|auth_?token|token|client_secret|api_?key)\\?["'] *: *\\?["'])(?!\[secret)[^"'\\\r\n]+/gi,
    '$1[secret]',
  ],
  [
    /([?&;](?:private_token|access_token|refresh_token|id_token|job_token|token|api_?key|password|client_secret|code|sig|x-amz-signature)=)(?!\[secret)[^&\s"'#\\]+/gi,
    '$1[secret]',
  ],
  // URL user information (RFC 3986 3.2.1): a password always, a user alone in http(s), where it is a token.
  [/\b([a-z][a-z0-9+.-]{0,20}:\/\/[^\s/?#:@"'\\]*:)(?!\[secret)[^\s/?#"'\\]+@/gi, '$1[secret]@'],
  [/\b(https?:\/\/)(?!\[secret)[^\s/?#:@"'\\]+@/gi, '$1[secret]@'],
];

// One cheap look for what every shape needs somewhere; most texts stop here.
const hint =
  /gl[a-z]{2,5}-|gh[pousr]_|_pat_|npm_|xox|sk-|AGE-S|AKIA|ASIA|PRIVATE KEY|token|bearer|authoriz|cookie|-code|api.?key|passw|secret|[?&;](?:code|sig)=|signature|@/i;

/**
 * The text without registered secrets (plain, JSON, URL, hex, base64): for results, which are data. Only what is known
 * to be a secret is taken out of them; code and URLs that merely look like holding one stay whole.
 */
export function redactKnown(text: string): string {
  return redactShorts(redactLong(text), { ids: true });
}

/** The same for a value as JSON has it: its strings, the names of its fields, its lists of bytes. */
export function redactValue<T>(value: T): T {
  const text = JSON.stringify(value);
  if (text === undefined) return value;
  const safe = redactKnown(text);
  if (safe === text) return value;
  try {
    // The whole text says which number is whose; but what was taken out may have held a quote.
    return JSON.parse(safe);
  } catch {
    return JSON.parse(JSON.stringify(withoutSecrets(JSON.parse(text))));
  }
}

function withoutSecrets(value: unknown): unknown {
  if (typeof value === 'string') return redactKnown(value);
  if (Array.isArray(value)) {
    const bytes = value.every((one) => typeof one === 'number') ? JSON.stringify(value) : '';
    const safe = redactKnown(bytes);
    return safe === bytes ? value.map(withoutSecrets) : safe;
  }
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [redactKnown(name), withoutSecrets(part)]),
  );
}

function redactLong(text: string): string {
  if (needles.size === 0) return hasShorts() ? cutEscaped(text, shortsIn) : text;
  registered ??= compile();
  let clean = text;
  for (const kind of KINDS) if (worthALook[kind].test(clean)) clean = cut(clean, registered[kind]);
  return cutEscaped(clean, (read) => [...longIn(read), ...shortsIn(read)]);
}

/** In a reading of a text, where each byte is a character. */
function longIn(read: string): Found[] {
  return long.flatMap(({ value, shown }) => {
    const sought = bytesOf(value);
    const found: Found[] = [];
    for (let at = read.indexOf(sought); at >= 0; at = read.indexOf(sought, at + sought.length))
      found.push({ from: at, to: at + sought.length, shown });
    return found;
  });
}

function cut(text: string, { pattern, longestFirst }: Sought): string {
  return text.replace(pattern, (found) => {
    const label = longestFirst.find(({ source }) => new RegExp(`^(?:${source})$`).test(found))?.label;
    return label === undefined ? '[secret]' : `[secret:${label}]`;
  });
}

/** The text without registered secrets, and without tokens of a well-known shape: for logs, journal and errors. */
export function redact(text: string): string {
  let clean = redactShorts(redactLong(text), { ids: false });
  if (!hint.test(clean)) return clean;
  for (const [pattern, shown] of shapes) clean = clean.replace(pattern, shown);
  return clean;
}
