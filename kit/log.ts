import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { redact } from './secrets.ts';

const levels = ['debug', 'info', 'warn', 'error'] as const;
type Level = (typeof levels)[number];
type Fields = Record<string, string | number | boolean | undefined>;

const colours: Record<Level, number> = { debug: 90, info: 36, warn: 33, error: 31 };
const longest = 8000;

/**
 * One redacted line a call, on stderr only: stdout belongs to the protocol. `KUZNIA_LOG` is the least level that is
 * written (debug, info, warn, error; default warn).
 */
export const log = {
  debug: (message: string, fields?: Fields) => write('debug', message, fields),
  info: (message: string, fields?: Fields) => write('info', message, fields),
  warn: (message: string, fields?: Fields) => write('warn', message, fields),
  error: (message: string, fields?: Fields) => write('error', message, fields),
};

/** Whether a line of this level would be written; for messages that are costly to make. */
export function logs(level: Level): boolean {
  const wanted = levels.findIndex((name) => name === process.env.KUZNIA_LOG?.toLowerCase());
  return levels.indexOf(level) >= (wanted < 0 ? levels.indexOf('warn') : wanted);
}

/** Logs an error that is nobody's business but ours, with its causes; the id goes into "internal error, id ...". */
export function internalError(error: unknown): string {
  const id = crypto.randomUUID().slice(0, 8);
  write('error', `internal error, id ${id}: ${explain(error)}`);
  return id;
}

/** Name, message, code and stack, and those of its causes; no other fields, since libraries keep requests there. */
function explain(error: unknown, depth = 0): string {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : `a thrown ${typeof error}`;
  const code = 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : '';
  const frames = (error.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 12)
    .map((line) => line.trim());
  const own = [`${error.name}: ${error.message}${code}`, ...frames].join('\n');
  if (depth >= 4) return own;
  const others = error instanceof AggregateError ? error.errors.slice(0, 3) : [];
  const causes = error.cause === undefined ? others : [error.cause, ...others];
  return [own, ...causes.map((cause) => `caused by ${explain(cause, depth + 1)}`)].join('\n');
}

function write(level: Level, message: string, fields: Fields = {}): void {
  if (!logs(level)) return;
  const pairs = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(
      ([key, value]) =>
        ` ${key}=${typeof value === 'string' && /[\s"=]/.test(value) ? JSON.stringify(value) : value}`,
    );
  // Redacted before it is cut, so that no half of a secret is left; then on one line and without what a terminal obeys.
  const text = oneLine(redact(message + pairs.join('')));
  const cut = text.length > longest ? `${text.slice(0, longest)} [cut]` : text;
  const now = new Date().toISOString();
  const terminal = isatty(2);
  const paint = terminal && !process.env.NO_COLOR;
  const label = paint ? `\u001b[${colours[level]}m${level}\u001b[0m` : level;
  try {
    writeSync(2, `${terminal ? now.slice(11, 19) : now} ${label} ${cut}\n`);
  } catch {
    // stderr is closed or full: a log line is no reason to stop.
  }
}

/** Control characters, line separators and the bidirectional controls (UTR 36) are shown as escapes. */
const oneLine = (text: string) =>
  text
    .replaceAll('\n', ' \u23ce ')
    .replaceAll('\t', ' ')
    .replace(
      /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_C}]/gu,
      (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
