import { isObject, repeatedKey } from './json.ts';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { redact } from './secrets.ts';

/** A setting that is missing or wrong. The message names it, what is expected, and an example. Exit code 2. */
export class ConfigError extends Error {
  override name = 'ConfigError';
  /** The environment variable or the key in kuznia.json, where it is one. */
  readonly setting: string | undefined;

  constructor(message: string, setting?: string) {
    super(redact(message));
    this.setting = setting;
  }
}

export type Environment = Record<string, string | undefined>;

/** `kuznia.json` as it is written; each reader checks its own part. */
type ConfigFile = Record<string, unknown>;

/**
 * The data folder, absolute: KUZNIA_HOME, else $XDG_DATA_HOME/kuznia, else ~/.local/share/kuznia (macOS too: one
 * place to document). A relative XDG path is ignored, as the XDG Base Directory Specification asks.
 */
export function kuzniaHome(env: Environment = process.env): string {
  const user = env.HOME || homedir();
  const own = env.KUZNIA_HOME;
  // Clients pass the settings of a server without a shell that would expand the tilde.
  if (own) return resolve(own.replace(/^~(?=$|[\\/])/, () => user));
  const data = env.XDG_DATA_HOME;
  return data && isAbsolute(data) ? join(data, 'kuznia') : join(user, '.local', 'share', 'kuznia');
}

/** `home/kuznia.json`; empty where there is none. Throws ConfigError with the line and what is wrong there. */
export function readConfigFile(home: string): ConfigFile {
  const path = join(home, 'kuznia.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8').replace(/^\ufeff/, '');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return {};
    throw new ConfigError(`${path} cannot be read (${String(code)}). Mend its permissions, or move it away.`);
  }
  if (text.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const fault = findFault(text);
    throw new ConfigError(`${path}, ${place(text, fault.at)}: ${fault.what}.`);
  }
  const twice = repeatedKey(text);
  if (twice) throw new ConfigError(`${path}, ${place(text, twice.at)}: ${twice.key} stands twice; keep one.`);
  const file = asRecord(value);
  if (!file) throw new ConfigError(`${path}: expected an object, for example {"servers": {}}.`);
  return file;
}

function place(text: string, at: number): string {
  const before = text.slice(0, at).split('\n');
  return `line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
}

interface ConfigSources {
  file?: ConfigFile;
  env?: Environment;
  /** Variables of fields whose schema has no `.meta({ env: 'NAME' })`. */
  envNames?: Record<string, string>;
}

/**
 * One server's settings, checked once: each field from its environment variable (`.meta({ env: 'NAME' })`, with an
 * optional `example`), else `servers.<name>.<field>` in kuznia.json, else the variable's name as a key there. Secrets
 * stay `secret://` references; `resolveSecret` resolves them when they are needed. Throws ConfigError.
 */
export function serverConfig<C>(schema: z.ZodType<C>, serverName: string, sources: ConfigSources): C {
  const { file = {}, env = process.env, envNames = {} } = sources;
  const section = fileSection(file, serverName);
  const raw: Record<string, unknown> = { ...section };
  const fields = new Map<string, Field>();
  if (schema instanceof z.ZodObject) checkKeys(section, Object.keys(schema.shape), serverName);
  for (const [key, field] of Object.entries(schema instanceof z.ZodObject ? schema.shape : {})) {
    const described = describe(field, envNames[key]);
    const inFile = `servers.${serverName}.${key} in kuznia.json`;
    fields.set(key, { ...described, from: inFile, inFile });
    const { variable } = described;
    if (variable === undefined) continue;
    const text = env[variable];
    // An empty variable is how a person, or a compose file, says "not set".
    if (text !== undefined && text.trim() !== '') {
      raw[key] = fromText(described, variable, text.trim());
      fields.set(key, { ...described, from: variable, inFile });
    } else if (raw[key] === undefined && file[variable] !== undefined) {
      raw[key] = file[variable];
      fields.set(key, { ...described, from: `${variable} in kuznia.json`, inFile });
    }
  }
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => {
    const [key = '', ...deeper] = issue.path.map(String);
    return explain(issue.message, key, deeper, raw[key], fields.get(key), serverName);
  });
  const first = fields.get(String(parsed.error.issues[0]?.path[0]));
  throw new ConfigError([...new Set(faults)].slice(0, 6).join('\n'), first?.variable ?? first?.inFile);
}

/** What is misspelt would count as not set: `readonly` must not leave everything writable. */
function checkKeys(section: Record<string, unknown>, known: string[], serverName: string): void {
  const plain = (key: string) => key.toLowerCase().replace(/[^a-z0-9]/g, '');
  const key = Object.keys(section).find((one) => !known.includes(one));
  if (key === undefined) return;
  const near = known.find((one) => plain(one) === plain(key) || plain(key).startsWith(plain(one)));
  const hint = near ? `Did you mean ${near}?` : `There are: ${known.join(', ')}.`;
  const at = `servers.${serverName}.${key}`;
  throw new ConfigError(`${at} in kuznia.json: there is no such setting. ${hint}`, at);
}

interface Described {
  variable: string | undefined;
  kind: z.core.$ZodType;
  example: string;
}

interface Field extends Described {
  /** Where the value came from, as a person would look for it. */
  from: string;
  inFile: string;
}

function fileSection(file: ConfigFile, serverName: string): Record<string, unknown> {
  const servers = file.servers === undefined ? {} : asRecord(file.servers);
  if (!servers) throw new ConfigError('servers in kuznia.json: expected an object.', 'servers');
  const section = servers[serverName] === undefined ? {} : asRecord(servers[serverName]);
  const key = `servers.${serverName}`;
  if (!section) throw new ConfigError(`${key} in kuznia.json: expected an object.`, key);
  return section;
}

/** Looks under `.optional()`, `.default()` and the like: metadata stays on the schema that it was given to. */
function describe(field: z.core.$ZodType, named: string | undefined): Described {
  let kind = field;
  let variable = named;
  let example: unknown;
  for (;;) {
    const meta = z.globalRegistry.get(kind);
    if (typeof meta?.env === 'string') variable ??= meta.env;
    example ??= meta?.example;
    if (kind instanceof z.ZodDefault) example ??= kind.def.defaultValue;
    if (kind instanceof z.ZodPipe) kind = kind.in;
    else if (
      kind instanceof z.ZodOptional ||
      kind instanceof z.ZodDefault ||
      kind instanceof z.ZodPrefault ||
      kind instanceof z.ZodNullable
    ) {
      kind = kind.unwrap();
    } else break;
  }
  return { variable, kind, example: exampleText(kind, example) };
}

function exampleText(kind: z.core.$ZodType, example: unknown): string {
  if (typeof example === 'string' || typeof example === 'number' || typeof example === 'boolean') {
    return String(example);
  }
  if (kind instanceof z.ZodEnum) return String(kind.options[0]);
  if (kind instanceof z.ZodNumber) return String(Math.max(kind.minValue ?? 1, 1));
  if (kind instanceof z.ZodBoolean) return 'true';
  if (kind instanceof z.ZodURL) return 'https://example.com';
  if (kind instanceof z.ZodArray) return 'one,two';
  return '...';
}

function fromText({ kind, example }: Described, variable: string, text: string): unknown {
  const wrong = (expected: string) =>
    new ConfigError(
      `${variable}${shown(variable, text)}: expected ${expected}. For example: ${variable}=${example}`,
      variable,
    );
  if (kind instanceof z.ZodNumber) {
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) throw wrong('a number');
    return Number(text);
  }
  if (kind instanceof z.ZodBoolean) {
    if (/^(true|1|yes|on)$/i.test(text)) return true;
    if (/^(false|0|no|off)$/i.test(text)) return false;
    throw wrong('true or false');
  }
  if (kind instanceof z.ZodArray && !text.startsWith('[')) return text.split(',').map((part) => part.trim());
  if (kind instanceof z.ZodArray || kind instanceof z.ZodObject || kind instanceof z.ZodRecord) {
    try {
      return JSON.parse(text);
    } catch {
      throw wrong('JSON');
    }
  }
  return text;
}

function explain(
  message: string,
  key: string,
  deeper: string[],
  value: unknown,
  field: Field | undefined,
  serverName: string,
): string {
  // zod 4: "Invalid input: expected string, received undefined", "Invalid option: expected one of ..."
  const expected = message.replace(/^Invalid (input|option): /, '').replace(/, received .*$/, '');
  const why = /^[A-Z][a-z]/.test(expected)
    ? `${expected.charAt(0).toLowerCase()}${expected.slice(1)}`
    : expected;
  if (!field) return `servers.${serverName}${key && `.${key}`} in kuznia.json: ${why}.`;
  const { variable, example, from, inFile } = field;
  const asKey = `"${key}": ${/^(true|false|\d+(\.\d+)?)$/.test(example) ? example : JSON.stringify(example)}`;
  if (value === undefined && deeper.length === 0) {
    const set = variable
      ? `Set it in the environment (${variable}=${example}), or ${inFile}.`
      : `Add it: ${asKey}.`;
    return `${variable ?? inFile} is not set: ${why}. ${set}`;
  }
  const where = [from, ...deeper].join(from === variable ? '.' : ' -> ');
  return `${where}${shown(`${variable} ${key}`, value)}: ${why}. For example: ${from === variable ? `${variable}=${example}` : asKey}`;
}

/** The value, unless it may be a secret. */
function shown(name: string, value: unknown): string {
  if (/token|secret|pass|key|auth/i.test(name)) return '';
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? ` is ${JSON.stringify(typeof value === 'string' ? redact(value).slice(0, 60) : value)}`
    : '';
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return isObject(value) ? value : undefined;
}

/** Where a text that is no JSON (RFC 8259) goes wrong, in a person's words: engines often tell no position. */
function findFault(text: string): { at: number; what: string } {
  const token = /[ \t\r\n]*(?:([{}[\],:])|("(?:[^"\\\n]|\\.)*")|(-?\d[\d.eE+-]*|true|false|null)|$|([^]))/y;
  const open: string[] = [];
  let last = '';
  for (;;) {
    const match = token.exec(text);
    const [whole = '', mark, string, word, odd] = match ?? [];
    const at = token.lastIndex - whole.trimStart().length;
    const now = mark ?? (string ? 'string' : word ? 'value' : '');
    const inObject = open.at(-1) === '{';
    const wantsValue = last === '' || last === ':' || last === '[' || (last === ',' && !inObject);
    const afterValue = ['string', 'value', '}', ']'].includes(last);
    if (odd === '/' || odd === '#') return { at, what: 'JSON has no comments; remove it' };
    if (odd === "'") return { at, what: 'expected double quotes instead of single ones' };
    if (odd === '"') return { at, what: 'this text has no closing quote on its line, or a bad \\ escape' };
    if (odd && inObject && !wantsValue && !afterValue)
      return { at, what: 'expected a name in double quotes' };
    if (odd) return { at, what: `${JSON.stringify(odd)} is out of place; texts stand in double quotes` };
    if (now === '')
      return {
        at,
        what: open.length
          ? `the file ends with ${open.length} of { [ not closed`
          : 'this is no whole JSON text',
      };
    if ((now === '}' || now === ']') && last === ',')
      return { at, what: `remove the comma before this ${now}` };
    if (wantsValue && (now === ',' || now === ':' || (now === '}' && last === ':'))) {
      return { at, what: 'expected a value before this' };
    }
    if ((now === '}') !== inObject && (now === '}' || now === ']'))
      return { at, what: `this ${now} closes nothing` };
    if (afterValue && !['}', ']', ',', ':'].includes(now))
      return { at, what: 'expected a comma before this' };
    if (now === 'string' && inObject && !wantsValue && !/^\s*:/.test(text.slice(token.lastIndex))) {
      return { at: token.lastIndex, what: 'expected a colon after the name' };
    }
    if (now === '{' || now === '[') open.push(now);
    if (now === '}' || now === ']') open.pop();
    last = now;
  }
}
