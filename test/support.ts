import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { serveHttp, type HttpOptions } from '../kit/http.ts';
import { openJournal } from '../kit/journal.ts';
import { mountable, open, type Opened } from '../kit/serve.ts';
import { onChanges, serverFactory, type Serving } from '../kit/server.ts';
import type { ServerDefinition } from '../kit/tool.ts';

/** The newest revision, which has no sessions. */
export const MODERN = '2026-07-28';

/** A server as a command: a fixture's name, or the path of a script. */
export function command(server: string, ...args: string[]): { command: string; args: string[] } {
  const path = server.includes('/')
    ? server
    : fileURLToPath(new URL(`fixtures/${server}.ts`, import.meta.url));
  return { command: process.execPath, args: [...runnable(path), ...args] };
}

const root = fileURLToPath(new URL('..', import.meta.url));

/** How Node runs a script: as `npm test` has bundled it, else TypeScript through tsx. */
export function runnable(path: string): string[] {
  const folder = process.env['KUZNIA_TEST_BUILT'];
  const built = folder && join(folder, relative(root, path)).replace(/\.ts$/, '.js');
  if (built && existsSync(built)) return [built];
  return path.endsWith('.ts') ? ['--import', import.meta.resolve('tsx'), path] : [path];
}

/** Node's arguments for some lines that import modules of ours by their path from the root: `./kit/call.ts`. */
export function inline(code: string): string[] {
  const plain = code.replaceAll(/(['"])\.(\/[\w/-]+\.ts)\1/g, (whole, quote: string, path: string) => {
    const [built = ''] = runnable(join(root, path));
    return built.endsWith('.js') ? `${quote}${built}${quote}` : whole;
  });
  const loader = /['"]\.\/[\w/-]+\.ts['"]/.test(plain) ? ['--import', import.meta.resolve('tsx')] : [];
  return [...loader, '--input-type=module', '-e', plain];
}

/** The reason to skip a test that needs what .ci/ makes; with REQUIRE_REAL=1 its absence is a failure instead. */
export function missing(...variables: string[]): string | false {
  const absent = variables.filter((name) => !existsSync(process.env[name] ?? ''));
  if (absent.length === 0 || process.env['REQUIRE_REAL'] === '1') return false;
  return `${absent.join(' and ')} not set; .ci/run sets them`;
}

/** The path that a variable of .ci/run holds. */
export function real(variable: string): string {
  const path = process.env[variable] ?? '';
  assert.ok(existsSync(path), `${variable} is not set to a file; .ci/run sets it`);
  return path;
}

/** A folder that is gone after the test. */
export function tempHome(t: TestContext): string {
  const home = mkdtempSync(join(tmpdir(), 'kuznia-test-'));
  t.after(() => rmSync(home, { recursive: true, force: true, maxRetries: 3 }));
  return home;
}

/** What a server process of ours sees: nothing of the developer's own settings. */
export function cleanEnv(home: string, env: Record<string, string> = {}): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: home, KUZNIA_HOME: home, ...env };
}

/** Asks until the answer is neither false nor undefined. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  ms = 30_000,
): Promise<T> {
  for (const end = performance.now() + ms; performance.now() < end; await sleep(5)) {
    const found = await ask();
    if (found !== undefined && found !== false) return found;
  }
  throw new Error(`not within ${ms} ms: ${what}`);
}

/** A JSON-RPC message as it is on the wire. */
export const Message = z.looseObject({
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  method: z.string().optional(),
  params: z.looseObject({}).optional(),
  result: z.looseObject({}).optional(),
  error: z.looseObject({ code: z.number(), message: z.string() }).optional(),
});
export type Message = z.infer<typeof Message>;

/** A server process with its pipes bare: what no client would send can be sent. */
export interface Process {
  pid: number;
  /** Sends a message as one line of JSON, or a text as it is. */
  send: (message: object | string | Buffer) => Promise<void>;
  /** Every line of stdout so far. */
  lines: string[];
  /** The next message that fits; each is given once. */
  next: (what: string, fits: (message: Message) => boolean, ms?: number) => Promise<Message>;
  answer: (id: string | number | null) => Promise<Message>;
  stderr: () => string;
  endInput: () => void;
  /** Stops reading stdout, so that the pipe fills; gives how to go on. */
  pauseOutput: () => () => void;
  /** Nobody reads its stdout any more. */
  closeOutput: () => void;
  kill: (signal: NodeJS.Signals) => void;
  /** Exit code, or the signal's name. */
  exited: Promise<number | string>;
}

/** Starts a server; it is killed, by pid, after the test. */
export function start(
  t: TestContext,
  server: string,
  { args = [], env = {} }: { args?: string[]; env?: Record<string, string> } = {},
): Process {
  const run = command(server, ...args);
  const child = spawn(run.command, run.args, { env: cleanEnv(tempHome(t), env), stdio: 'pipe' });
  const lines: string[] = [];
  const unread: Message[] = [];
  let stderr = '';
  const reader = createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    const message = Message.safeParse(parsed(line)).data;
    if (message) unread.push(message);
  });
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.on('error', () => {});
  const exited = once(child, 'exit').then(([code, signal]) =>
    z.union([z.number(), z.string()]).parse(code ?? signal),
  );
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const next: Process['next'] = (what, fits, ms) =>
    until(
      `${what}; stderr: ${stderr}`,
      () => {
        const at = unread.findIndex(fits);
        return at < 0 ? undefined : unread.splice(at, 1)[0];
      },
      ms,
    );
  return {
    pid: child.pid ?? 0,
    lines,
    next,
    exited,
    async send(message) {
      const plain = typeof message === 'string' || Buffer.isBuffer(message);
      const data = plain ? message : `${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`;
      if (!child.stdin.write(data)) await once(child.stdin, 'drain');
    },
    answer: (id) => next(`answer ${id}`, (one) => one.id === id && one.method === undefined),
    stderr: () => stderr,
    endInput: () => child.stdin.end(),
    pauseOutput() {
      reader.pause();
      return () => void reader.resume();
    },
    closeOutput: () => child.stdout.destroy(),
    kill: (signal) => child.kill(signal),
  };
}

/** A process that has been initialized as a client of 2025 does it. */
export async function startSession(
  t: TestContext,
  server: string,
  options: Parameters<typeof start>[2] & { capabilities?: object } = {},
): Promise<Process> {
  const process = start(t, server, options);
  await process.send({ id: 'init', method: 'initialize', params: hello(options.capabilities) });
  // A busy machine takes its time to start one.
  await process.next('the first answer', ({ id }) => id === 'init', 20_000);
  await process.send({ method: 'notifications/initialized' });
  return process;
}

/** Parameters of `initialize`. */
export const hello = (capabilities: object = {}) => ({
  protocolVersion: '2025-11-25',
  capabilities,
  clientInfo: { name: 'raw', version: '0' },
});

/** `_meta` of a request of 2026-07-28. */
export const envelope = (capabilities: object = {}) => ({
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '0' },
  'io.modelcontextprotocol/clientCapabilities': capabilities,
});

const Result = z.looseObject({
  isError: z.boolean().default(false),
  content: z.array(z.object({ text: z.string() })).default([]),
  structuredContent: z.looseObject({}).optional(),
});

/** A call's answer as a model reads it. */
export function told(message: Message) {
  const { isError, content, structuredContent } = Result.parse(message.result ?? {});
  return { isError, text: content[0]?.text ?? '', value: structuredContent, error: message.error };
}

/** stdout has nothing but messages. */
export function assertProtocolOnly({ lines }: Process): void {
  for (const line of lines) {
    assert.ok(z.object({ jsonrpc: z.literal('2.0') }).safeParse(parsed(line)).success, line.slice(0, 200));
  }
}

/** The value of a text of JSON; undefined where it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Resident memory of a process in MB; Linux only. */
export const rssMb = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

/** Serves a definition over HTTP inside the test's process, until the test ends. */
export async function serveHere<Config, Deps>(
  t: TestContext,
  definition: ServerDefinition<Config, Deps>,
  {
    extend,
    env = {},
    home = tempHome(t),
    ...options
  }: Partial<HttpOptions> & Pick<Serving, 'extend'> & { env?: Record<string, string>; home?: string } = {},
): Promise<{ url: string; sessions: () => number; opened: Opened; close: () => Promise<void> }> {
  const runtime = { home, journal: openJournal(home), env };
  const opened = await open([mountable(definition)], runtime);
  const defaults = { host: '127.0.0.1', port: 0, sse: false, allowedHosts: [] };
  const factory = serverFactory({ ...opened, extend });
  const changes = (tell: Parameters<typeof onChanges>[1]) => onChanges(opened.mounted, tell);
  const server = await serveHttp(factory, changes, { ...defaults, ...options });
  const close = async () => {
    await server.close(opened.finish(0));
    await opened.close();
  };
  t.after(close);
  return { url: server.url, sessions: server.sessions, opened, close };
}

/** The port of loopback that a server listens on; it ends, with all its connections, when the test does. */
export async function listening(t: Pick<TestContext, 'after'>, server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return z.object({ port: z.number() }).parse(server.address()).port;
}
