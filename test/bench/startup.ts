import { setTimeout as pause } from 'node:timers/promises';
import { connect, publish, sandboxServer, sdkServer } from './client.ts';
import { figure, median, spread, type Figure, type Scope } from './figure.ts';
import { cpuOfRun, cpuOfTree, descendants, hasProc, pssMb, rssMb } from './process.ts';
import { slugify } from './samples.ts';

/** From spawn to the answer of `tools/list`: what an editor waits for, once a server. */
export async function startup(scope: Scope): Promise<Figure[]> {
  if (!hasProc) {
    const note = 'not measured: it is read from /proc';
    return [figure({ ...CPU, value: undefined, note, details: {} })];
  }
  const used = await scope.folder('startup-used');
  const author = await connect(sandboxServer, used);
  await publish(author, slugify);
  await author.close();
  const ours: Start[] = [];
  const oursUsed: Start[] = [];
  const sdk: Start[] = [];
  const bare: number[] = [];
  for (let round = 0; round < scope.rounds(8, 3); round++) {
    sdk.push(await start(sdkServer, await scope.folder(`startup-sdk-${round}`)));
    ours.push(await start(sandboxServer, await scope.folder(`startup-${round}`)));
    oursUsed.push(await start(sandboxServer, used));
    bare.push((await cpuOfRun([process.execPath, '-e', '0'])) ?? Number.NaN);
  }
  const of = (starts: Start[], key: keyof Start) => starts.map((one) => one[key]);
  return [
    figure({
      ...CPU,
      value: median(of(ours, 'cpu')) / median(of(sdk, 'cpu')),
      details: {
        'sandbox server, CPU-ms': spread(of(ours, 'cpu')),
        'sandbox server with a published tool, CPU-ms': spread(of(oursUsed, 'cpu')),
        "the SDK's smallest server, CPU-ms": spread(of(sdk, 'cpu')),
        'node -e 0, CPU-ms': spread(bare),
        'sandbox server, wall ms': spread(of(ours, 'wall')),
        "the SDK's smallest server, wall ms": spread(of(sdk, 'wall')),
      },
    }),
    figure({
      name: 'startup.rss',
      what: 'sandbox server when tools/list is answered, RSS',
      unit: 'MB',
      value: median(of(ours, 'rss')),
      bar: 80,
      details: {
        'sandbox server': spread(of(ours, 'rss')),
        'sandbox server with a published tool': spread(of(oursUsed, 'rss')),
        "the SDK's smallest server": spread(of(sdk, 'rss')),
        ...(await settled(used)),
      },
    }),
  ];
}

const CPU = {
  name: 'startup.cpu',
  what: "sandbox server, spawn -> tools/list, CPU beside the SDK's smallest",
  unit: 'x',
  bar: 1.3,
};

interface Start {
  cpu: number;
  rss: number;
  wall: number;
}

async function start(server: string, home: string): Promise<Start> {
  const begun = performance.now();
  const connected = await connect(server, home);
  try {
    await connected.page();
    const wall = performance.now() - begun;
    return { wall, cpu: await cpuOfTree(connected.pid), rss: await rssMb(connected.pid) };
  } finally {
    await connected.close();
  }
}

/** What it grows to while nobody looks: the spares that make calls fast are started after the first list. */
async function settled(home: string): Promise<Record<string, unknown>> {
  const server = await connect(sandboxServer, home);
  try {
    await server.page();
    await pause(2000);
    const after = async () => {
      const tree = [server.pid, ...(await descendants(server.pid))];
      const [cpu, rss, pss] = [await cpuOfTree(server.pid), await rssMb(server.pid), await pssMb(tree)];
      return {
        'CPU-ms': Math.round(cpu),
        'RSS of the server': Math.round(rss),
        'PSS of the tree': Math.round(pss),
        processes: tree.length,
      };
    };
    const idle = await after();
    for (let i = 0; i < 20; i++) await server.must('forged_slugify', { title: `A title ${i}` });
    return { '2 s later': idle, 'after 20 calls': await after() };
  } finally {
    await server.close();
  }
}
