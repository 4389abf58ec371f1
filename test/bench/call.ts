import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { setTimeout as pause } from 'node:timers/promises';
import { connect, publish, sandboxServer, type Connected } from './client.ts';
import { dockerImage } from './docker.ts';
import { figure, median, spread, type Figure, type Scope } from './figure.ts';
import { cpuOfTree, hasProc } from './process.ts';
import { slugFunction, slugify } from './samples.ts';

const run = promisify(execFile);

/** One call of a published tool over stdio, beside other ways to run the same function in something fresh. */
export async function call(scope: Scope): Promise<Figure[]> {
  const home = await scope.folder('call');
  const server = await connect(sandboxServer, home);
  try {
    await publish(server, slugify);
    const docker = await dockerImage();
    for (let i = 0; i < 10; i++) await viaServer(server, i);
    const ours: number[] = [];
    const paced: number[] = [];
    const node: number[] = [];
    const container: number[] = [];
    const cpu: number[] = [];
    for (let round = 0; round < scope.rounds(10, 3); round++) {
      const before = hasProc ? await cpuOfTree(server.pid) : Number.NaN;
      for (let i = 0; i < ROW; i++) ours.push(await viaServer(server, i));
      if (hasProc) cpu.push(((await cpuOfTree(server.pid)) - before) / ROW);
      // A model calls now and then, not in a row: whatever is prepared ahead has had its time.
      for (let i = 0; i < 5; i++) {
        await pause(60);
        paced.push(await viaServer(server, i));
      }
      for (let i = 0; i < 2; i++) node.push(await viaCommand(process.execPath, ['-e', program], i));
      if (!docker.image) continue;
      const args = ['run', '--rm', '--network=none', docker.image, 'node', '-e', program];
      container.push(await viaCommand('docker', args, round));
    }
    return [
      figure({
        name: 'call',
        what: 'published tool called over stdio, end to end, p50',
        unit: 'ms',
        value: median(ours),
        bar: 5,
        details: {
          'in a row': spread(ours),
          'with pauses of 60 ms': spread(paced),
          'the first one of a server that idled for 1 s': spread(await firstCalls(home, scope)),
          ...(hasProc && { 'CPU-ms a call, server and sandbox': spread(cpu) }),
          'node -e': spread(node),
          'docker run': docker.image ? spread(container) : `not available here: ${docker.why}`,
          'x faster than node -e': Math.round(median(node) / median(ours)),
          ...(docker.image && { 'x faster than docker run': Math.round(median(container) / median(ours)) }),
        },
      }),
    ];
  } finally {
    await server.close();
  }
}

const ROW = 30;

/** What the first call waits for: whatever the server did not make ready while nobody called. */
async function firstCalls(home: string, scope: Scope): Promise<number[]> {
  const samples: number[] = [];
  for (let round = 0; round < scope.rounds(5, 2); round++) {
    const server = await connect(sandboxServer, home);
    try {
      await server.page();
      await pause(1000);
      samples.push(await viaServer(server, round));
    } finally {
      await server.close();
    }
  }
  return samples;
}

const program = `console.log(JSON.stringify((${slugFunction})(JSON.parse(process.argv[1]))))`;

const titleOf = (i: number) => `Ala ma kota ${i}`;
const slugOf = (i: number) => `ala-ma-kota-${i}`;

async function viaServer(server: Connected, i: number): Promise<number> {
  const begun = performance.now();
  const { slug } = await server.must('forged_slugify', { title: titleOf(i) });
  const ms = performance.now() - begun;
  if (slug !== slugOf(i)) throw new Error(`forged_slugify answered ${String(slug)}`);
  return ms;
}

async function viaCommand(command: string, args: string[], i: number): Promise<number> {
  const begun = performance.now();
  const { stdout } = await run(command, [...args, JSON.stringify({ title: titleOf(i) })]);
  const ms = performance.now() - begun;
  if (!stdout.includes(`"${slugOf(i)}"`)) throw new Error(`${command} answered ${stdout}`);
  return ms;
}
