import { root } from './client.ts';
import { figure, median, spread, type Figure, type Scope } from './figure.ts';
import { cpuOfRun } from './process.ts';

/** `kuznia --version` beside `node -e 0`: what every command pays before it begins. */
export async function version(scope: Scope): Promise<Figure[]> {
  const ours: number[] = [];
  const bare: number[] = [];
  const help: number[] = [];
  for (let round = 0; round < scope.rounds(8, 3); round++) {
    for (const [samples, args] of [
      [bare, ['-e', '0']],
      [ours, [`${root}dist/host/main.js`, '--version']],
      [help, [`${root}dist/host/main.js`, '--help']],
    ] as const) {
      const cpu = await cpuOfRun([process.execPath, ...args]);
      if (cpu !== undefined) samples.push(cpu);
    }
  }
  const told = ours.length > 0;
  return [
    figure({
      name: 'version',
      what: 'kuznia --version, CPU beside `node -e 0`',
      unit: 'x',
      value: told ? median(ours) / median(bare) : undefined,
      bar: 1.6,
      ...(!told && { note: 'not measured: there is no bash here' }),
      details: {
        'kuznia --version, CPU-ms': spread(ours),
        'kuznia --help, CPU-ms': spread(help),
        'node -e 0, CPU-ms': spread(bare),
      },
    }),
  ];
}
