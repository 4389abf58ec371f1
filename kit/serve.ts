import type { Transport } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { setTimeout as sleep } from 'node:timers/promises';
import { format, parseArgs } from 'node:util';
import { address, addressFault } from './address.ts';
import { ConfigError, kuzniaHome, readConfigFile, serverConfig } from './config.ts';
import { openJournal } from './journal.ts';
import { internalError, log } from './log.ts';
import type { Clients } from './clients.ts';
import type { HttpOptions } from './http.ts';
import { mount } from './mount.ts';
import type { Served } from './passed.ts';
import { redact } from './secrets.ts';
import { onChanges, serverFactory } from './server.ts';
import { LineTransport } from './stdio.ts';
import type { Runtime, ServerDefinition } from './tool.ts';
import { version } from './version.ts';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
/** The same signal twice from two senders, as a terminal and `npx` do, comes within this. */
const IMPATIENT_MS = 1_000;
/** Calls in flight may finish for so long after SIGTERM. */
const GRACE_MS = 5_000;
/** Cancelled calls have so long to say so. */
const CANCELLED_MS = 500;
/** From a call's end to its answer on the wire: progress goes first, see `told` in server.ts. */
const ANSWER_MS = 20;
/** Closing what servers hold (children, sockets) may take so long: no orphan outlives its client. */
const CLOSE_MS = 2_000;

/** A definition with its types folded away: configured from file and environment, opened, bound. */
export interface Mountable {
  name: string;
  /** Example requests by tool. */
  examples: ReadonlyMap<string, string[]>;
  mount: (runtime: Runtime) => Promise<Served>;
}

/** Makes a definition ready for `serveMain`; its settings are read when it is mounted. */
export function mountable<Config, Deps>(definition: ServerDefinition<Config, Deps>): Mountable {
  return {
    name: definition.name,
    examples: new Map(definition.tools.map((tool) => [tool.name, tool.examples])),
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
  mounted: Served[];
  name: string;
  /** Lets calls in flight finish for `graceMs`, cancels the others, and waits until all are answered. */
  finish: (graceMs: number) => Promise<void>;
  close: () => Promise<void>;
}

/** Opens servers side by side under one name. */
export async function open(mountables: Mountable[], runtime: Runtime): Promise<Opened> {
  const running = new Map<Promise<unknown>, AbortController>();
  const opening = await Promise.allSettled(mountables.map((one) => one.mount(runtime)));
  const mounted = opening.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const close = async () => {
    const closing = Promise.allSettled(mounted.map((one) => one.close()));
    await within(CLOSE_MS, closing);
    await runtime.journal.flush();
  };
  const failed = opening.find((one) => one.status === 'rejected');
  if (failed) {
    await close();
    throw failed.reason;
  }
  return {
    mounted: mounted.map((one) => ({
      ...one,
      call: (...[tool, input, caller]: Parameters<Served['call']>) => {
        // Not AbortSignal.any: what that leaves behind stays until the old generation is collected.
        const stop = new AbortController();
        const cancel = () => stop.abort(caller.signal.reason);
        if (caller.signal.aborted) cancel();
        caller.signal.addEventListener('abort', cancel);
        const call = one.call(tool, input, { ...caller, signal: stop.signal });
        running.set(call, stop);
        return call.finally(() => {
          running.delete(call);
          caller.signal.removeEventListener('abort', cancel);
        });
      },
    })),
    name: mountables.length === 1 ? `kuznia-${mountables[0]?.name}` : 'kuznia',
    async finish(graceMs) {
      await within(graceMs, Promise.allSettled(running.keys()));
      for (const stop of running.values()) stop.abort(new Error('the server is stopping'));
      await within(CANCELLED_MS, Promise.allSettled(running.keys()));
      await sleep(ANSWER_MS);
    },
    close,
  };
}

/** Waits for `work`, but no longer than `ms`. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  await Promise.race([work, sleep(ms, undefined, { signal: timer.signal }).catch(() => undefined)]);
  timer.abort();
}

/** Serves what is open on one message transport: stdio, or the in-memory pair of a host. */
function serveOn(opened: Opened, transport: Transport, hosted: boolean) {
  return serveStdio(serverFactory({ ...opened, hosted }), {
    transport,
    onerror: (error) => log.info(error.message),
  });
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
  const served = serveOn(opened, transport, true);
  return {
    async close() {
      await opened.finish(0);
      await served.close();
      await opened.close();
    },
  };
}

/** How a process serves, once its arguments are understood. */
export interface ServeOptions {
  /** Over HTTP instead of stdio: `[HOST:]PORT`. */
  http?: string;
  sse: boolean;
  allowedHosts: string[];
  /** The address that clients use, where a proxy stands in front. */
  publicUrl?: string;
  /** Clients with tokens of their own, and which tools they may use. */
  clients?: Clients & { allows: (client: string, tool: string) => boolean };
}

const HELP = `Options: --http [HOST:]PORT  serve MCP over HTTP at /mcp instead of stdio
         --sse               with --http: also the old HTTP+SSE transport at /sse
         --allow-host NAME   with --http: another host name clients may use (repeatable)
         --public-url URL    with --http: the address that clients use, where a proxy stands in front
Environment: KUZNIA_HOME (data folder), KUZNIA_TOKEN (bearer token; required for any address but loopback)`;

/** The whole of a server process: arguments, transport, signals, exit code. Used by every `main.ts`. */
export async function serveMain(mountables: Mountable[], argv: string[]): Promise<void> {
  try {
    const { values } = parseArgs({
      args: argv,
      options: {
        http: { type: 'string' },
        sse: { type: 'boolean', default: false },
        'allow-host': { type: 'string', multiple: true, default: [] },
        'public-url': { type: 'string' },
        help: { type: 'boolean', default: false },
        version: { type: 'boolean', default: false },
      },
    });
    if (values.help || values.version) {
      process.stdout.write(`${values.version ? version : HELP}\n`);
      return;
    }
    const { http, sse, 'allow-host': allowedHosts, 'public-url': publicUrl } = values;
    await serveProcess(mountables, { http, sse, allowedHosts, publicUrl });
  } catch (error) {
    process.stderr.write(`kuznia: ${redact(explain(error))}\n`);
    process.exitCode = 2;
  }
}

/** Serves on stdio or HTTP until a signal, or the end of its input, ends the process. Throws before it serves only. */
export async function serveProcess(mountables: Mountable[], options: ServeOptions): Promise<void> {
  const { http, sse, allowedHosts, publicUrl, clients } = options;
  const alone = [
    sse && '--sse needs --http [HOST:]PORT: the old transport is HTTP too.',
    publicUrl !== undefined && '--public-url needs --http [HOST:]PORT: it is an HTTP address.',
    allowedHosts.length > 0 && '--allow-host needs --http [HOST:]PORT: standard input has no host names.',
  ].find((one) => typeof one === 'string');
  if (http === undefined && alone) throw new ConfigError(alone);
  if (publicUrl !== undefined && !(URL.canParse(publicUrl) && /^https?:/.test(publicUrl))) {
    throw new ConfigError(
      `--public-url ${publicUrl.slice(0, 80)}: expected an address, such as https://forge.example/mcp.`,
    );
  }
  const token = process.env['KUZNIA_TOKEN'];
  const where = http === undefined ? undefined : address(http, token, clients?.any() ?? false);
  logStrays();
  // Servers that were started by then are ended as the process exits.
  const early = () => process.exit(0);
  for (const signal of SIGNALS) process.on(signal, early);
  const opened = await open(mountables, processRuntime());
  for (const signal of SIGNALS) process.off(signal, early);
  if (!where) return serveProcessStdio(opened);
  try {
    await serveProcessHttp(opened, { ...where, sse, allowedHosts, publicUrl, clients }, clients?.allows);
  } catch (error) {
    await opened.close();
    throw addressFault(error) ?? error;
  }
}

/** A failure that nobody waits for is logged, redacted: Node's own report shows errors as they are, and ends everybody's calls. */
function logStrays(): void {
  process.on('unhandledRejection', (reason) => void internalError(reason));
  process.on('uncaughtException', (error) => {
    internalError(error);
    process.exit(1); // nothing is known of the state any more
  });
}

function explain(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return code.startsWith('ERR_PARSE_ARGS') ? `${message}\n${HELP}` : message;
}

function serveProcessStdio(opened: Opened): void {
  // stdout is the protocol's: what a library prints there would break it.
  for (const name of ['log', 'info', 'debug'] as const) {
    console[name] = (...words: unknown[]) => log.info(format(...words));
  }
  const end = ending(opened, async (finished) => {
    await finished;
    await served.close();
    // Answers that a slow reader has not taken yet.
    await within(CLOSE_MS, new Promise((resolve) => process.stdout.write('', resolve)));
  });
  const lines = new LineTransport(process.stdin, process.stdout, () => end(0));
  const served = serveOn(opened, lines, process.env['KUZNIA_HOST'] === String(process.ppid));
}

async function serveProcessHttp(
  opened: Opened,
  options: HttpOptions,
  allows: ((client: string, tool: string) => boolean) | undefined,
): Promise<void> {
  const { serveHttp } = await import('./http.ts');
  const factory = serverFactory({ ...opened, allows });
  const server = await serveHttp(factory, (tell) => onChanges(opened.mounted, tell), options);
  process.stderr.write(`MCP at ${server.url}\n`);
  ending(opened, (finished) => server.close(finished));
}

/** Ends the process once: on a signal, or when the function that it returns is called. */
function ending(
  opened: Opened,
  close: (finished: Promise<void>) => Promise<void>,
): (graceMs: number) => void {
  let begun: number | undefined;
  const end = async (graceMs: number) => {
    if (begun !== undefined) {
      // Who asks again, and not in the same breath, has no patience left: what comes next cannot be heard.
      if (performance.now() - begun > IMPATIENT_MS) process.exit(0);
      return;
    }
    begun = performance.now();
    await close(opened.finish(graceMs));
    await opened.close();
    process.exit(0);
  };
  const begin = (graceMs: number) =>
    void end(graceMs).catch((error: unknown) => {
      internalError(error);
      process.exit(1);
    });
  for (const signal of SIGNALS) process.on(signal, () => begin(GRACE_MS));
  return begin;
}
