import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { servers } from '../../host/servers.ts';
import { root } from './client.ts';
import { figure, median, spread, type Figure, type Scope } from './figure.ts';

const run = promisify(execFile);

const server = fileURLToPath(new URL('gateway-server.mjs', import.meta.url));
const kuznia = `${root}dist/host/main.js`;
/** No figure is about the bounds on a client: they are set out of the way. */
const SERVE = [kuznia, 'serve', '--rate', '1000000', '--at-once', '1000'];
const PEERS = ['mcpo==0.0.20', 'ollama-mcp-bridge==0.12.0'];
const CLIENTS = 16;
/** Each of the clients calls so often that the machine is not full: what is measured is the way, not the queue. */
const PACE_MS = 100;

/** One call, by whichever way; throws on a wrong answer. */
type Call = (text: string) => Promise<void>;

/** One call through the gateway beside one without it, in turns, so that both see the same machine. */
export async function gatewayCalls(scope: Scope): Promise<Figure[]> {
  const started: Started[] = [];
  try {
    const stdio = await overStdio(scope, started);
    const base = await listening([server, '--http'], {}, started);
    const http = await overHttp(scope, base, started);
    const peers = await besides(scope, started);
    return [
      figure({
        name: 'gateway.stdio',
        what: 'stdio gateway over a stdio server, added to a call, p50',
        unit: 'ms',
        value: stdio.added,
        bar: 1,
        details: { ...stdio.details, ...peers },
      }),
      figure({
        name: 'gateway.http',
        what: 'HTTP gateway over an HTTP server, added to a call, p50, 1 client',
        unit: 'ms',
        value: http.one.added,
        bar: 1,
        details: http.one.details,
      }),
      figure({
        name: 'gateway.http16',
        what: `the same with ${CLIENTS} clients that call every ${PACE_MS} ms`,
        unit: 'ms',
        value: http.many.added,
        bar: 1,
        details: http.many.details,
      }),
    ];
  } finally {
    for (const one of started.toReversed()) await one.end();
  }
}

interface Started {
  end: () => Promise<unknown>;
}

async function overStdio(scope: Scope, started: Started[]) {
  const home = await homeWith(scope, 'gateway-stdio', { command: process.execPath, args: [server] });
  const direct = await client(
    new StdioClientTransport({ command: process.execPath, args: [server] }),
    started,
  );
  const through = await client(
    new StdioClientTransport({ command: process.execPath, args: SERVE, env: env(home), stderr: 'ignore' }),
    started,
  );
  return compared(scope, direct, through);
}

async function overHttp(scope: Scope, base: string, started: Started[]) {
  const home = await homeWith(scope, 'gateway-http', { url: base });
  const url = await listening([...SERVE, '--http', '0'], env(home), started);
  const connectAll = (where: string) =>
    Promise.all(
      Array.from({ length: CLIENTS }, () =>
        client(new StreamableHTTPClientTransport(new URL(where)), started),
      ),
    );
  const [direct, through] = [await connectAll(base), await connectAll(url)];
  const [firstDirect, firstThrough] = [direct[0], through[0]];
  if (!firstDirect || !firstThrough) throw new Error('no client');
  const one = await compared(scope, firstDirect, firstThrough);
  const without: number[] = [];
  const withIt: number[] = [];
  for (let round = 0; round < scope.rounds(6, 2); round++) {
    without.push(...(await paced(direct)));
    withIt.push(...(await paced(through)));
  }
  return { one, many: told(without, withIt) };
}

/** Calls of both in turns. */
async function compared(scope: Scope, direct: Call, through: Call) {
  for (let i = 0; i < 100; i++) for (const call of [direct, through]) await timed(call, i);
  const without: number[] = [];
  const withIt: number[] = [];
  for (let i = 0; i < scope.rounds(1_000, 200); i++) {
    without.push(await timed(direct, i));
    withIt.push(await timed(through, i));
  }
  return told(without, withIt);
}

function told(without: number[], withIt: number[]) {
  return {
    added: median(withIt) - median(without),
    details: { 'through the gateway': spread(withIt), 'without it': spread(without) },
  };
}

async function paced(clients: Call[]): Promise<number[]> {
  const each = clients.map(async (call, at) => {
    const samples: number[] = [];
    await pause((PACE_MS / clients.length) * at);
    for (let i = 0; i < 20; i++) {
      const ms = await timed(call, i);
      samples.push(ms);
      await pause(Math.max(0, PACE_MS - ms));
    }
    return samples;
  });
  return (await Promise.all(each)).flat();
}

async function timed(call: Call, i: number): Promise<number> {
  const begun = performance.now();
  await call(`Ala ma kota ${i}`);
  return performance.now() - begun;
}

const answer = z.object({ content: z.array(z.object({ text: z.string() })) });

async function client(
  transport: StdioClientTransport | StreamableHTTPClientTransport,
  started: Started[],
): Promise<Call> {
  const one = new Client({ name: 'bench', version: '0' });
  await one.connect(transport);
  started.push({ end: () => one.close() });
  return async (text) => {
    const found = answer.parse(await one.callTool({ name: 'echo', arguments: { text } }));
    if (found.content[0]?.text !== text) throw new Error(`echo answered ${JSON.stringify(found)}`);
  };
}

async function homeWith(scope: Scope, name: string, base: object): Promise<string> {
  const home = await scope.folder(name);
  const own = Object.fromEntries(Object.keys(servers).map((each) => [each, false]));
  await writeFile(join(home, 'kuznia.json'), JSON.stringify({ mcpServers: { ...own, base } }));
  return home;
}

const env = (home: string) => ({ PATH: process.env['PATH'] ?? '', HOME: home, KUZNIA_HOME: home });

/** Starts a server, and waits for its address. */
async function listening(args: string[], more: Record<string, string>, started: Started[]): Promise<string> {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'] ?? '', ...more },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  started.push({ end: () => ended(child) });
  let said = '';
  for await (const chunk of child.stderr) {
    said += String(chunk);
    const url = /MCP at (\S+)/.exec(said)?.[1];
    if (url) {
      child.stderr.resume();
      return url;
    }
  }
  throw new Error(`${args.join(' ')} did not start: ${said.slice(-300)}`);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await exit;
  clearTimeout(late);
}

/** The same server behind what others have, where that can be installed. */
async function besides(scope: Scope, started: Started[]): Promise<Record<string, unknown>> {
  let bin: string;
  try {
    bin = await installed();
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    return {
      'mcpo, ollama-mcp-bridge': `not measured: they cannot be installed here (${why.slice(0, 120)})`,
    };
  }
  return {
    'mcpo 0.0.20, a call': await orNote(() => mcpo(bin, scope, started)),
    'ollama-mcp-bridge 0.12.0, a chat with one call, model time taken out': await orNote(() =>
      bridge(bin, scope, started),
    ),
  };
}

async function orNote(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    return `not measured: ${error instanceof Error ? error.message.slice(0, 200) : String(error)}`;
  }
}

/** A Python environment in the user's cache, made once. */
async function installed(): Promise<string> {
  const cache = join(
    process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'),
    'kuznia-bench',
    'gateway-peers',
  );
  const bin = join(cache, 'bin');
  const stamp = join(cache, `installed ${PEERS.join(' ')}`);
  const there = await access(stamp).then(
    () => true,
    () => false,
  );
  if (there) return bin;
  await mkdir(cache, { recursive: true });
  await run('python3', ['-m', 'venv', cache]);
  await run(join(bin, 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...PEERS], {
    timeout: 300_000,
  });
  await writeFile(stamp, '');
  return bin;
}

async function mcpo(bin: string, scope: Scope, started: Started[]) {
  const port = await freePort();
  const child = spawn(
    join(bin, 'mcpo'),
    ['--host', '127.0.0.1', '--port', String(port), '--', process.execPath, server],
    {
      stdio: 'ignore',
    },
  );
  started.push({ end: () => ended(child) });
  const url = `http://127.0.0.1:${port}/echo`;
  const call: Call = async (text) => {
    const said = await (await post(url, { text })).json();
    if (said !== text) throw new Error(`mcpo answered ${JSON.stringify(said).slice(0, 100)}`);
  };
  await answering(child, () => call('a'));
  return sampled(call, scope.rounds(500, 100));
}

/** It has no way to call a tool but a chat: an Ollama that answers at once asks for the call, then ends. */
async function bridge(bin: string, scope: Scope, started: Started[]) {
  const ollama = createServer((req, res) => {
    let body = '';
    req
      .on('data', (chunk: Buffer) => (body += chunk.toString()))
      .on('end', () => {
        res.setHeader('content-type', 'application/json');
        if (req.url !== '/api/chat') return res.end('{"models":[],"version":"0.24.0","status":"ok"}');
        const asked = body.includes('"role":"tool"') || body.includes('"role": "tool"');
        const message = asked
          ? { role: 'assistant', content: 'done' }
          : {
              role: 'assistant',
              content: '',
              tool_calls: [{ function: { name: toolIn(body), arguments: { text: 'Ala' } } }],
            };
        return res.end(
          `${JSON.stringify({ model: 'm', created_at: new Date().toISOString(), message, done: true })}\n`,
        );
      });
  });
  ollama.listen(0, '127.0.0.1');
  await once(ollama, 'listening');
  started.push({ end: async () => ollama.close() });
  const address = ollama.address();
  const behind = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
  const home = await scope.folder('gateway-bridge');
  const config = join(home, 'mcp.json');
  const base = { command: process.execPath, args: [server] };
  await writeFile(config, JSON.stringify({ mcpServers: { base } }));
  const port = await freePort();
  const args = ['--config', config, '--host', '127.0.0.1', '--port', String(port), '--ollama-url', behind];
  const child = spawn(join(bin, 'ollama-mcp-bridge'), args, { stdio: 'ignore', cwd: home });
  started.push({ end: () => ended(child) });
  const chat = async (url: string, content: string) => {
    const body = { model: 'm', stream: false, messages: [{ role: 'user', content }] };
    return (await post(`${url}/api/chat`, body)).text();
  };
  const call: Call = async (text) => {
    const said = await chat(`http://127.0.0.1:${port}`, text);
    if (!said.includes('done')) throw new Error(`the bridge answered ${said.slice(0, 100)}`);
  };
  await answering(child, () => call('a'));
  const whole = await sampled(call, scope.rounds(300, 60));
  const model = await sampled(async (text) => void (await chat(behind, text)), scope.rounds(300, 60));
  return { added: whole.median - 2 * model.median, whole, 'the model, twice a chat': model };
}

/** The bridge names tools `server.tool`, as its own list says. */
const toolIn = (body: string) => /"name":\s*"([^"]*echo)"/.exec(body)?.[1] ?? 'echo';

const post = (url: string, body: object) =>
  fetch(url, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });

async function answering(child: ChildProcess, ask: () => Promise<void>): Promise<void> {
  let last: unknown;
  for (const end = performance.now() + 30_000; performance.now() < end; await pause(200)) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    try {
      return await ask();
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

async function sampled(call: Call, count: number) {
  for (let i = 0; i < 20; i++) await call(`Ala ma kota ${i}`);
  const samples: number[] = [];
  for (let i = 0; i < count; i++) samples.push(await timed(call, i));
  return spread(samples);
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  return typeof address === 'object' && address ? address.port : 0;
}
