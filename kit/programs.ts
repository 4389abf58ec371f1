import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { basename, delimiter, isAbsolute, join, normalize } from 'node:path';
import { redact } from './secrets.ts';

export type CommandReason = 'exit' | 'deadline' | 'cancelled' | 'output' | 'missing';

/** A command that did not do its work. Its texts are redacted and bounded; `missing` is also one that cannot start. */
export class CommandError extends Error {
  override name = 'CommandError';
  readonly program: string;
  /** The exit code; null when it was killed or never started. */
  readonly code: number | null;
  /** The last 2,000 characters (the first ones when there was too much output). */
  readonly stderr: string;
  readonly reason: CommandReason;

  constructor(
    message: string,
    details: { program: string; reason: CommandReason; code?: number | null; stderr?: string },
  ) {
    super(redact(message));
    this.program = details.program;
    this.reason = details.reason;
    this.code = details.code ?? null;
    this.stderr = details.stderr ?? '';
  }
}

interface Program {
  /** Where it is: looked up in PATH, this very Node, or told by `allowProgram` (found at run time). */
  from: 'path' | 'node' | 'told';
  install: string;
}

// The only programs that Kuźnia ever starts. A new one is a line here, in review, not an argument at run time.
const programs = new Map<string, Program>([
  [
    'git',
    {
      from: 'path',
      install: 'Debian/Ubuntu `apt-get install git`, macOS `xcode-select --install`, or https://git-scm.com',
    },
  ],
  ['glab', { from: 'path', install: 'https://gitlab.com/gitlab-org/cli#installation' }],
  ['node', { from: 'node', install: 'https://nodejs.org' }],
  ['tsc', { from: 'told', install: 'run `npm ci` in the project (the typescript package brings it)' }],
]);

const told = new Map<string, string>();

/**
 * Says where a listed program lies that is not in PATH (TypeScript's native compiler). Its name must be on the list,
 * and the first path stays: nothing that runs later can put another binary in its place.
 */
export function allowProgram(path: string): void {
  const name = nameOf(path);
  if (programs.get(name)?.from !== 'told') {
    throw new Error(`${name}: not a program whose place kit/programs.ts lets others tell`);
  }
  if (!isAbsolute(path) || normalize(path) !== path) {
    throw new Error(`${name}: its path must be absolute and plain, got ${path}`);
  }
  const before = told.get(name);
  if (before !== undefined && before !== path) throw new Error(`${name}: already said to be ${before}`);
  told.set(name, path);
}

/** A listed program, by name or by the very path it was told with. `path` is undefined where it is not installed. */
interface Found {
  name: string;
  path: string | undefined;
  install: string;
  /** It starts helpers that it finds in PATH. */
  needsPath: boolean;
}

function locate(program: string): Found {
  const name = program === process.execPath ? 'node' : isAbsolute(program) ? nameOf(program) : program;
  const listed = programs.get(name);
  if (!listed || (isAbsolute(program) && program !== process.execPath && told.get(name) !== program)) {
    const names = [...programs.keys()].join(', ');
    throw new Error(`${program}: not on the list of programs in kit/programs.ts (${names})`);
  }
  const { from, install } = listed;
  const path = { node: () => process.execPath, told: () => told.get(name), path: () => inPath(name) }[from]();
  const there = path !== undefined && existsSync(path);
  return { name, path: there ? path : undefined, install, needsPath: from === 'path' };
}

const nameOf = (path: string) => basename(path).replace(/\.exe$/i, '');

const known = new Map<string, string>();

/** Absolute folders of PATH only: a relative one would run what lies in somebody's checkout. */
function inPath(name: string): string | undefined {
  const path = process.env.PATH ?? '';
  const key = `${name}\0${path}`;
  const before = known.get(key);
  if (before !== undefined && existsSync(before)) return before;
  const file = process.platform === 'win32' ? `${name}.exe` : name;
  for (const folder of path.split(delimiter).filter(isAbsolute)) {
    const candidate = join(folder, file);
    try {
      accessSync(candidate, constants.X_OK);
    } catch {
      continue;
    }
    known.set(key, candidate);
    return candidate;
  }
  return undefined;
}

/** Every child that is not known to be gone. */
export const living = new Set<ChildProcess>();
let hooked = false;

export interface StartOptions {
  cwd?: string;
  /** The child's whole environment; nothing of ours is inherited (git also gets PATH, to find its helpers). */
  env?: Record<string, string>;
}

/** In a process group of its own, with three pipes. Throws CommandError, or emits `error` on the child. */
export function start(program: string, args: string[], options: StartOptions): ChildProcess {
  const found = locate(program);
  if (found.path === undefined) {
    const message = `${found.name} is not installed, or not where it is looked for. Install it: ${found.install}.`;
    throw new CommandError(message, { program, reason: 'missing' });
  }
  const env: Record<string, string> = {
    ...(found.needsPath && { PATH: process.env.PATH ?? '' }),
    ...options.env,
  };
  // Windows programs cannot open a socket or load system libraries without it.
  if (process.platform === 'win32') env.SystemRoot = process.env.SystemRoot ?? 'C:\\Windows';
  let child: ChildProcess;
  try {
    // detached: a process group of its own (setsid), so that a kill reaches what it started.
    child = spawn(found.path, args, {
      cwd: options.cwd,
      env,
      detached: true,
      windowsHide: true,
      shell: false,
      stdio: 'pipe',
    });
  } catch (error) {
    throw startError(program, error, options.cwd);
  }
  living.add(child);
  if (!hooked) {
    hooked = true;
    process.on('exit', () => living.forEach((left) => killGroup(left, 'SIGKILL')));
  }
  return child;
}

export function startError(program: string, error: unknown, cwd: string | undefined): CommandError {
  const why = error instanceof Error ? error.message : 'the system refused';
  // spawn says ENOENT for a missing folder too.
  const message =
    cwd !== undefined && !existsSync(cwd)
      ? `${program} was not started: the folder ${cwd} does not exist.`
      : `${program} could not be started: ${why}. Check that it is whole, or install it: ${locate(program).install}.`;
  return new CommandError(message, { program, reason: 'missing' });
}

export function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === 'win32') child.kill(signal);
    else process.kill(-child.pid, signal);
  } catch {
    // ESRCH: gone already.
  }
}
