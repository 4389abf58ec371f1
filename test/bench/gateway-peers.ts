import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { spread, type Scope } from './figure.ts';
import { ended, server, timed, type Call, type Started } from './gateway-calls.ts';

const run = promisify(execFile);

const PEERS = ['mcpo==0.0.20', 'ollama-mcp-bridge==0.12.0'];

/** The same server behind what others have, where that can be installed. */
export async function besides(scope: Scope, started: Started[]): Promise<Record<string, unknown>> {
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
