import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { servers } from '../../host/servers.ts';
import { root } from './client.ts';
import { figure, median, round, spread, type Figure, type Scope } from './figure.ts';
import { client, listening, server, timed, type Call, type Started } from './gateway-calls.ts';
import { besides } from './gateway-peers.ts';

/** What any gateway must do at least. */
const proxy = fileURLToPath(new URL('gateway-proxy.mjs', import.meta.url));
const kuznia = `${root}dist/host/main.js`;
/** No figure is about the bounds on a client: they are set out of the way. */
const SERVE = [kuznia, 'serve', '--rate', '1000000', '--at-once', '1000'];
const CLIENTS = 16;
/** Each of the clients calls so often that the machine is not full: what is measured is the way, not the queue. */
const PACE_MS = 100;

/** Without a gateway, through ours, and through a proxy that reads nothing. */
const WAYS = ['direct', 'through', 'least'] as const;
type Way = (typeof WAYS)[number];
type Samples = Record<Way, number[]>;

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
  const least = await client(
    new StdioClientTransport({ command: process.execPath, args: [proxy, server] }),
    started,
  );
  return compared(scope, { direct, through, least });
}

async function overHttp(scope: Scope, base: string, started: Started[]) {
  const home = await homeWith(scope, 'gateway-http', { url: base });
  const url = await listening([...SERVE, '--http', '0'], env(home), started);
  const connected = (where: string) => client(new StreamableHTTPClientTransport(new URL(where)), started);
  const unread = await listening([proxy, '--http', base], {}, started);
  const clients: Record<Way, Call>[] = [];
  for (let i = 0; i < CLIENTS; i++) {
    const [direct, through, least] = [await connected(base), await connected(url), await connected(unread)];
    clients.push({ direct, through, least });
  }
  const [first] = clients;
  if (!first) throw new Error('no client');
  const one = await compared(scope, first);
  return { one, many: told(await paced(clients, scope.rounds(120, 40))) };
}

/** Calls of all ways in turns. */
async function compared(scope: Scope, calls: Record<Way, Call>) {
  for (let i = 0; i < 100; i++) for (const way of WAYS) await timed(calls[way], i);
  const samples: Samples = { direct: [], through: [], least: [] };
  for (let i = 0; i < scope.rounds(1_000, 200); i++) {
    for (const way of WAYS) samples[way].push(await timed(calls[way], i));
  }
  return told(samples);
}

function told({ direct, through, least }: Samples) {
  const [bare, ours, unread] = [median(direct), median(through), median(least)];
  return {
    added: ours - bare,
    details: {
      'through the gateway': spread(through),
      'without it': spread(direct),
      'through a proxy that reads nothing': spread(least),
      'added, times a call without it': round((ours - bare) / bare),
      'added by that proxy': round(unread - bare),
      // On a machine that is busy with other things it may seem to add nothing.
      ...(unread > bare && { 'added, times what that adds': round((ours - bare) / (unread - bare)) }),
    },
  };
}

/** Each client takes the three ways in turns, so that all of them see the same machine. */
async function paced(clients: Record<Way, Call>[], rounds: number): Promise<Samples> {
  const samples: Samples = { direct: [], through: [], least: [] };
  const each = clients.map(async (calls, at) => {
    await pause((PACE_MS / clients.length) * at);
    for (let i = 0; i < rounds; i++) {
      for (const way of WAYS) {
        const ms = await timed(calls[way], i);
        samples[way].push(ms);
        await pause(Math.max(0, PACE_MS - ms));
      }
    }
  });
  await Promise.all(each);
  return samples;
}

async function homeWith(scope: Scope, name: string, base: object): Promise<string> {
  const home = await scope.folder(name);
  const own = Object.fromEntries(Object.keys(servers).map((each) => [each, false]));
  await writeFile(join(home, 'kuznia.json'), JSON.stringify({ mcpServers: { ...own, base } }));
  return home;
}

const env = (home: string) => ({ PATH: process.env['PATH'] ?? '', HOME: home, KUZNIA_HOME: home });
