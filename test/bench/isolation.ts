import { setTimeout as pause } from 'node:timers/promises';
import { connect, publish, sandboxServer, type Connected } from './client.ts';
import { figure, median, quantile, spread, type Figure, type Scope } from './figure.ts';
import { flood, slugify, spin } from './samples.ts';

/** Calls of one tool while another spins and a third floods, all on one connection. */
export async function isolation(scope: Scope): Promise<Figure[]> {
  const server = await connect(sandboxServer, await scope.folder('isolation'));
  try {
    for (const tool of [slugify, spin, flood]) await publish(server, tool);
    const calls = scope.rounds(60, 30);
    const quiet: number[][] = [];
    const loud: number[][] = [];
    await measured(server, calls);
    for (let round = 0; round < scope.rounds(6, 3); round++) {
      quiet.push(await measured(server, calls));
      const noise = new AbortController();
      const noisy = ['forged_spin', 'forged_flood'].map((tool) => keepCalling(server, tool, noise.signal));
      await pause(300);
      loud.push(await measured(server, calls));
      noise.abort(new Error('the round is over'));
      await Promise.all(noisy);
      // Two workers are being replaced now; that belongs to neither side.
      await pause(500);
    }
    const ratios = loud.map((samples, i) => quantile(samples, 0.95) / quantile(quiet[i] ?? [], 0.95));
    return [
      figure({
        name: 'isolation',
        what: "other calls' p95 while one tool spins and one floods, beside the quiet p95",
        unit: 'x',
        value: median(ratios),
        bar: 3,
        details: {
          'ratio, round by round': spread(ratios),
          'quiet, ms': spread(quiet.flat()),
          'beside the noise, ms': spread(loud.flat()),
        },
      }),
    ];
  } finally {
    await server.close();
  }
}

async function measured(server: Connected, calls: number): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < calls; i++) {
    const begun = performance.now();
    await server.must('forged_slugify', { title: `Ala ma kota ${i}` });
    samples.push(performance.now() - begun);
  }
  return samples;
}

/** Calls it again whenever it was ended, until told to stop. */
async function keepCalling(server: Connected, tool: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await server.call(tool, { n: 1e15 }, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}
