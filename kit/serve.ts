import type { Server, Transport } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { parseArgs } from 'node:util';
import { ConfigError, kuzniaHome, readConfigFile, serverConfig } from './config.ts';
import { openJournal } from './journal.ts';
import { log } from './log.ts';
import { mount, type Mounted } from './mount.ts';
import { serverFactory } from './server.ts';
import { LineTransport } from './stdio.ts';
import type { Runtime, ServerDefinition } from './tool.ts';
import { version } from './version.ts';

/** Calls in flight may finish for so long after SIGTERM. */
const GRACE_MS = 5_000;

/** A definition with its types folded away: configured from file and environment, opened, bound. */
export interface Mountable {
  name: string;
  mount: (runtime: Runtime) => Promise<Mounted>;
}

/** Makes a definition ready for `serveMain`; its settings are read when it is mounted. */
export function mountable<Config, Deps>(definition: ServerDefinition<Config, Deps>): Mountable {
  return {
    name: definition.name,
    mount: (runtime) => {
      const settings = { file: readConfigFile(runtime.home), env: runtime.env };
      return mount(definition, serverConfig(definition.config, definition.name, settings), runtime);
    },
  };
}

/** What this process runs with: its home, journal and environment. */
export function processRuntime(): Runtime {
  const home = kuzniaHome(process.env);
  return { home, journal: openJournal(home), env: process.env };
}

/** Servers that are open together, and the calls that run in them. */
export interface Opened {
  mounted: Mounted[];
  name: string;
  stop: AbortController;
  /** Resolves when no call runs, or after `ms`. */
  settled: (ms: number) => Promise<void>;
  close: () => Promise<void>;
}

/** Opens servers side by side under one name. */
export async function open(mountables: Mountable[], runtime: Runtime): Promise<Opened> {
  const running = new Set<Promise<unknown>>();
  const mounted = await Promise.all(mountables.map((one) => one.mount(runtime)));
  const tracked = mounted.map((one) => ({
    ...one,
    call: (...args: Parameters<Mounted['call']>) => {
      const call = one.call(...args);
      running.add(call);
      return call.finally(() => running.delete(call));
    },
  }));
  return {
    mounted: tracked,
    name: mountables.length === 1 ? `kuznia-${mountables[0]?.name}` : 'kuznia',
    stop: new AbortController(),
    async settled(ms) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
      await Promise.race([Promise.allSettled(running), late]);
      clearTimeout(timer);
    },
    async close() {
      await Promise.allSettled(mounted.map((one) => one.close()));
      await runtime.journal.flush();
    },
  };
}

/** Serves what is open on one message transport: stdio, or the in-memory pair of a host. */
export function serveOn(opened: Opened, transport: Transport, extend?: (server: Server) => void) {
  const factory = serverFactory({ ...opened, signal: opened.stop.signal, extend });
  return serveStdio(factory, { transport, onerror: (error) => log.info(error.message) });
}

/**
 * Serves one definition inside this process. `transport` is the server's end of an in-memory pair; the host holds
 * the other one.
 */
export async function serveInProcess(
  definition: Mountable,
  transport: Transport,
  runtime: Runtime,
): Promise<{ close: () => Promise<void> }> {
  const opened = await open([definition], runtime);
  const served = serveOn(opened, transport);
  return {
    async close() {
      opened.stop.abort(new Error('the host is closing'));
      await served.close();
      await opened.close();
    },
  };
}

const HELP = `Options: --http [HOST:]PORT  serve MCP over HTTP at /mcp instead of stdio
         --sse               with --http: also the old HTTP+SSE transport at /sse
         --allow-host NAME   with --http: another host name clients may use (repeatable)
Environment: KUZNIA_HOME (data folder), KUZNIA_TOKEN (bearer token; required for any address but loopback)`;

/** The whole of a server process: arguments, transport, signals, exit code. Used by every `main.ts` and `kuznia serve`. */
export async function serveMain(mountables: Mountable[], argv: string[]): Promise<void> {
  try {
    const { values } = parseArgs({
      args: argv,
      options: {
        http: { type: 'string' },
        sse: { type: 'boolean', default: false },
        'allow-host': { type: 'string', multiple: true, default: [] },
        help: { type: 'boolean', default: false },
        version: { type: 'boolean', default: false },
      },
    });
    if (values.help || values.version) {
      process.stdout.write(`${values.version ? version : HELP}\n`);
      return;
    }
    if (values.sse && values.http === undefined) {
      throw new ConfigError('--sse needs --http [HOST:]PORT: the old transport is HTTP too.');
    }
    const opened = await open(mountables, processRuntime());
    if (values.http === undefined) return serveProcessStdio(opened);
    await serveProcessHttp(opened, values.http, values.sse, values['allow-host']);
  } catch (error) {
    process.stderr.write(`kuznia: ${explain(error)}\n`);
    process.exitCode = 2;
  }
}

function explain(error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code.startsWith('ERR_PARSE_ARGS')) return `${message}\n${HELP}`;
  if (code === 'EADDRINUSE') return 'That port is in use. Choose another with --http PORT.';
  if (code === 'EACCES') return 'That address may not be bound. Choose a port above 1023.';
  return message;
}

function serveProcessStdio(opened: Opened): void {
  let ending = false;
  const end = async (graceMs: number) => {
    if (ending) return;
    ending = true;
    await opened.settled(graceMs);
    opened.stop.abort(new Error('the server is stopping'));
    await served.close();
    await opened.close();
    process.exit(0);
  };
  const served = serveOn(opened, new LineTransport(process.stdin, process.stdout, () => void end(0)));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void end(GRACE_MS));
}

async function serveProcessHttp(opened: Opened, where: string, sse: boolean, allowedHosts: string[]) {
  const { serveHttp, isLoopback } = await import('./http.ts');
  const { host, port } = address(where);
  const token = process.env['KUZNIA_TOKEN'];
  if (!isLoopback(host) && !token) {
    throw new ConfigError(
      `KUZNIA_TOKEN is not set. ${host} can be reached from elsewhere, so a bearer token is required: set KUZNIA_TOKEN to a long random text, or use --http 127.0.0.1:${port}.`,
    );
  }
  const factory = serverFactory({ ...opened, signal: opened.stop.signal });
  const changes = (listener: () => void) => {
    const stops = opened.mounted.map((one) => one.onChange(listener));
    return () => stops.forEach((stop) => stop());
  };
  const names = isLoopback(host) ? allowedHosts : [host, ...allowedHosts];
  const server = await serveHttp(factory, changes, { host, port, token, sse, allowedHosts: names });
  process.stderr.write(`MCP at ${server.url}\n`);
  const end = async () => {
    const closing = server.close(GRACE_MS);
    await opened.settled(GRACE_MS);
    opened.stop.abort(new Error('the server is stopping'));
    await closing;
    await opened.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void end());
}

function address(where: string): { host: string; port: number } {
  const found = /^(?:(\[[0-9a-f:]+\]|[^:]+):)?(\d{1,5})$/i.exec(where);
  const port = Number(found?.[2]);
  if (!found || port > 65_535) {
    throw new ConfigError(`--http ${where}: expected a port or HOST:PORT, for example --http 8808.`);
  }
  return { host: (found[1] ?? '127.0.0.1').replace(/^\[|\]$/g, ''), port };
}
