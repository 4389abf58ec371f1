import { parseArgs, type ParseArgsConfig } from 'node:util';
import { nearest } from './text.ts';

/** Where a command reads and writes; a test gives its own. */
export interface Io {
  out: (text: string) => void;
  err: (text: string) => void;
  env: Record<string, string | undefined>;
  /** A person sits at it: both ends are a terminal. */
  interactive: boolean;
  colour: boolean;
  columns: () => number;
}

/** One command of `kuznia`. Its exit code, or undefined while it goes on serving. */
export interface Command {
  help: string;
  run: (argv: string[], io: Io) => Promise<number | undefined>;
}

/** 0 done, 1 the tool or task failed, 2 usage or configuration, 3 denied or approval needed, 4 model unreachable. */
export const EXIT = { done: 0, failed: 1, usage: 2, approval: 3, model: 4, interrupted: 130 } as const;

/** The command line was wrong; the message says how it would be right. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** `parseArgs`, with a suggestion for what was mistyped. */
export function parse<T extends NonNullable<ParseArgsConfig['options']>>(argv: string[], options: T) {
  try {
    return parseArgs({ args: argv, options, allowPositionals: true });
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    const unknown = /Unknown option '(--?[^']+)'/.exec(said)?.[1];
    const flags = Object.keys(options).map((name) => `--${name}`);
    const near = unknown ? nearest(unknown, flags, 1)[0] : undefined;
    const what = unknown ? `There is no option ${unknown}.` : said;
    throw new UsageError(`${what}${near ? ` Did you mean ${near}?` : ''} See --help.`);
  }
}

/** This process's own terminal or pipes. */
export function processIo(): Io {
  const { stdin, stdout, stderr, env } = process;
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    env,
    interactive: stdin.isTTY && stdout.isTTY,
    // https://no-color.org: any value but the empty one.
    colour: stdout.isTTY && !env['NO_COLOR'] && env['TERM'] !== 'dumb',
    columns: () => stdout.columns || 80,
  };
}

/** Exit code of an error that ends a command. By name: the classes' modules need not be loaded. */
export function exitCode(error: unknown): number {
  if (!(error instanceof Error)) return EXIT.failed;
  if (error.name === 'AbortError') return EXIT.interrupted;
  if (error.name === 'UsageError' || error.name === 'ConfigError') return EXIT.usage;
  if (error.name === 'ModelError' && 'reason' in error) {
    if (error.reason === 'cancelled') return EXIT.interrupted;
    return ['unreachable', 'no_model', 'timeout', 'bad_answer'].includes(String(error.reason))
      ? EXIT.model
      : EXIT.failed;
  }
  return EXIT.failed;
}

/** What `kuznia TYPO` is told. */
export function unknownCommand(name: string, known: string[]): UsageError {
  const near = nearest(name, known, 1)[0];
  const hint = near ? `Did you mean \`kuznia ${near}\`?` : 'See `kuznia --help`.';
  return new UsageError(
    `There is no command \`${name.slice(0, 40)}\`. ${hint} A task goes in quotes: kuznia run "…".`,
  );
}
