import { setTimeout as pause } from 'node:timers/promises';
import { connect, publish, sandboxServer, type Connected } from './client.ts';
import { figure, median, quantile, spread, type Figure, type Scope } from './figure.ts';
import { flood, slugify, spin } from './samples.ts';

/** Calls of one tool while another spins and a third floods, all on one connection. */
export async function isolation(scope: Scope): Promise<Figure[]> {
  const server = await connect(sandboxServer, await scope.folder('isolation'));
  try {
    for (const tool of [slugify, spin, flood]) await publish(server, tool);
    const calls = scope.rounds(40, 30);
    const quiet: number[][] = [];
    const loud: number[][] = [];
    await measured(server, calls);
    for (let round = 0; round < scope.rounds(10, 3); round++) {
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

    const ratios = loud.map((samples, i) => p95(samples) / p95(quiet[i]));
    const first = loud.flatMap((samples) => samples.slice(0, 1));
    return [
      figure({
        name: 'isolation',
        what: "other calls' p95 while one tool spins and one floods, beside the quiet p95",
        unit: 'x',
        value: p95(loud.flat()) / p95(quiet.flat()),
        bar: 3,
        details: {
          'ratio, round by round': spread(ratios),
          'quiet, ms': spread(quiet.flat()),
          'beside the noise, ms': spread(loud.flat()),
        },
      }),
      figure({
        name: 'isolation.first',
        // One in forty is beyond a p95, and is the one that finds every worker taken.
        what: 'the first call after the noise began: no later than a new worker',
        unit: 'ms',
        value: median(first),
        bar: undefined,
        details: { 'first calls, ms': spread(first) },
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

const p95 = (samples: number[] = []) => quantile(samples, 0.95);
