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
  const connectAll = (where: string) =>
    Promise.all(
      Array.from({ length: CLIENTS }, () =>
        client(new StreamableHTTPClientTransport(new URL(where)), started),
      ),
    );
  const unread = await listening([proxy, '--http', base], {}, started);
  const ways = {
    direct: await connectAll(base),
    through: await connectAll(url),
    least: await connectAll(unread),
  };
  const [direct, through, least] = [ways.direct[0], ways.through[0], ways.least[0]];
  if (!direct || !through || !least) throw new Error('no client');
  const one = await compared(scope, { direct, through, least });
  const many: Samples = { direct: [], through: [], least: [] };
  for (let round = 0; round < scope.rounds(6, 2); round++) {
    for (const way of WAYS) many[way].push(...(await paced(ways[way])));
  }
  return { one, many: told(many) };
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
      'added, times what that adds': round((ours - bare) / (unread - bare)),
    },
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

async function homeWith(scope: Scope, name: string, base: object): Promise<string> {
  const home = await scope.folder(name);
  const own = Object.fromEntries(Object.keys(servers).map((each) => [each, false]));
  await writeFile(join(home, 'kuznia.json'), JSON.stringify({ mcpServers: { ...own, base } }));
  return home;
}

const env = (home: string) => ({ PATH: process.env['PATH'] ?? '', HOME: home, KUZNIA_HOME: home });
