import { InMemoryTransport, type Transport } from '@modelcontextprotocol/client';
import { existsSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Environment } from '../../kit/config.ts';
import type { Mountable } from '../../kit/serve.ts';
import { isSecretRef, registerSecret, resolveSecret } from '../../kit/secrets.ts';
import type { Runtime } from '../../kit/tool.ts';
import type { Door, OpenDoor } from './link.ts';
import { servers } from '../servers.ts';
import type { ServerSetting } from '../settings.ts';

/** A message past this many bytes ends the connection: it would fill any context, and memory first. */
const MOST_BYTES = 16 * 1024 * 1024;

/** How each server of the configuration is reached. */
export function doors(settings: ServerSetting[]): Door[] {
  return settings.map((one): Door => {
    const { name } = one;
    if (one.kind === 'own') {
      return one.isolated ? { name, foreign: false, open: isolated(name) } : inProcess(name, own(name));
    }
    const callMs = one.timeoutS === undefined ? undefined : one.timeoutS * 1000;
    const rest = {
      name,
      foreign: true,
      protocol: one.protocol,
      tools: one.tools,
      effects: one.effects,
      callMs,
    };
    return { ...rest, open: one.kind === 'command' ? program(one) : remote(one) };
  });
}

function own(name: string): () => Promise<Mountable> {
  const load = servers[name];
  if (!load) throw new Error(`There is no server ${name} of ours.`);
  return load;
}

/** A server of ours that runs inside this process: memory is what a local model needs most. */
export function inProcess(name: string, load: () => Promise<Mountable>): Door {
  return {
    name,
    foreign: false,
    async open(runtime) {
      const [transport, theirs] = InMemoryTransport.createLinkedPair();
      const { serveInProcess } = await import('../../kit/serve.ts');
      const running = await serveInProcess(await load(), theirs, runtime);
      return { transport, close: running.close };
    },
  };
}

/** One of ours as a child, as it is for other clients. */
const isolated =
  (name: string) =>
  async (runtime: Runtime): Promise<OpenDoor> => {
    const { entry, loader } = ownEntry(name);
    // It believes what its parent says of turns, if that is the one named here.
    const env = { ...plain(runtime.env), KUZNIA_HOME: runtime.home, KUZNIA_HOST: String(process.pid) };
    return child({ command: process.execPath, args: [...loader, entry], env }, runtime.home);
  };

/** The entry point of a server: beside this code in the build, or its source under the loader that runs us. */
function ownEntry(name: string): { entry: string; loader: string[] } {
  const here = fileURLToPath(import.meta.url);
  if (here.endsWith('.ts')) {
    return { entry: join(dirname(here), '..', '..', 'servers', name, 'main.ts'), loader: process.execArgv };
  }
  for (let folder = dirname(here); folder !== dirname(folder); folder = dirname(folder)) {
    const entry = join(folder, 'servers', name, 'main.js');
    if (existsSync(entry)) return { entry, loader: [] };
  }
  throw new Error(`dist/servers/${name}/main.js is missing: run npm run build`);
}

const program = (setting: ServerSetting & { kind: 'command' }) => async (runtime: Runtime) => {
  const { getDefaultEnvironment } = await import('@modelcontextprotocol/client/stdio');
  const env = { ...getDefaultEnvironment(), ...(await resolved(setting.env, runtime.env)) };
  const { command } = setting;
  const args = await Promise.all(setting.args.map((arg) => filled(arg, runtime.env)));
  return child({ command, args, env, cwd: setting.cwd }, runtime.home);
};

interface Child {
  command: string;
  args: string[];
  env: Record<string, string>;
  cwd?: string;
}

const LONGEST_WORDS = 16_384;

async function child(how: Child, home: string): Promise<OpenDoor> {
  const { ChildTransport } = await import('./child-transport.ts');
  const transport = new ChildTransport({ ...how, stderr: 'pipe', maxBufferSize: MOST_BYTES }, home);
  let said = '';
  const letters = new StringDecoder('utf8');
  // Read, so that a server which writes much is never blocked; only its last line is of use. A long one is kept from its
  // beginning, far past what is shown of it: of a secret that is cut in two neither part would be known for one.
  transport.stderr?.on('data', (chunk: Buffer) => {
    const text = said + letters.write(chunk);
    const from = text.trimEnd().lastIndexOf('\n') + 1;
    said = text.slice(from, from + LONGEST_WORDS);
  });
  return {
    transport,
    close: () => transport.close(),
    lastWords: () => said.trim(),
  };
}

const remote =
  (setting: ServerSetting & { kind: 'url' }) =>
  async (runtime: Runtime): Promise<OpenDoor> => {
    const headers = await resolved(setting.headers, runtime.env);
    for (const [name, value] of Object.entries(headers))
      registerSecret(value, { label: `${setting.name} ${name}` });
    const { bearer } = setting;
    const authorize = async (text: string) => {
      const token = await filled(text, runtime.env);
      registerSecret(token, { label: `${setting.name} bearer` });
      headers['authorization'] = `Bearer ${token}`;
    };
    if (bearer !== undefined) await authorize(bearer);
    const url = new URL(await filled(setting.url, runtime.env));
    const renewed = <T extends Transport>(transport: T): T => {
      if (bearer !== undefined && isSecretRef(bearer)) beforeEach(transport, () => authorize(bearer));
      return transport;
    };
    if (setting.transport === 'sse') {
      const transport = renewed(await oldSse(url, headers));
      return { transport, close: () => transport.close() };
    }
    const { CallTransport } = await import('./call-transport.ts');
    const transport = renewed(new CallTransport(url, headers));
    const during = (hear: typeof transport.during) => void (transport.during = hear);
    return { transport, during, close: () => transport.close() };
  };

/**
 * The token of a sign-in is renewed before it expires: asked for at each request, it is never one that the server has to
 * refuse, which would end a session and all calls in it. Both transports read the headers anew for each.
 */
function beforeEach(transport: Transport, work: () => Promise<void>): void {
  const send = transport.send.bind(transport);
  transport.send = async (...message) => {
    await work();
    return send(...message);
  };
}

async function oldSse(url: URL, headers: Record<string, string>): Promise<Transport> {
  const { SSEClientTransport } = await import('@modelcontextprotocol/client');
  return new SSEClientTransport(url, { requestInit: { headers } });
}

async function resolved(values: Record<string, string>, env: Environment): Promise<Record<string, string>> {
  const pairs = Object.entries(values).map(
    async ([name, value]) => [name, await filled(value, env)] as const,
  );
  return Object.fromEntries(await Promise.all(pairs));
}

/** `secret://name` and `${VAR}` in what the configuration says. Throws naming the variable that is not set. */
async function filled(text: string, env: Environment): Promise<string> {
  if (isSecretRef(text)) return resolveSecret(text);
  return text.replace(/\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}/g, (_whole, name: string, otherwise?: string) => {
    const value = env[name] || otherwise;
    if (value === undefined) throw new Error(`\${${name}} is not set in the environment`);
    return value;
  });
}

function plain(env: Environment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
