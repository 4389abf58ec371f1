import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { connect, sandboxServer, type Connected } from './client.ts';
import { figure, spread, type Figure, type Scope } from './figure.ts';
import { slugify } from './samples.ts';

const run = promisify(execFile);

/** Names that take turns, so that histories grow and new tools come as well. */
const NAMES = 4;

/** What a server acknowledged before it was killed. */
interface Told {
  name: string;
  version: string | undefined;
  live: boolean;
  writes: number;
  faults: string[];
}

/**
 * SIGKILL at a random moment of save, test, publish and rollback. Then the registry must open, hold every step that
 * was acknowledged, let the next writer in, and please git fsck.
 */
export async function kills(scope: Scope, rounds: number): Promise<Figure[]> {
  const home = await scope.folder('kills');
  const faults: string[] = [];
  const opening: number[] = [];
  let acknowledged = 0;
  for (let round = 0; round < rounds && faults.length < 10; round++) {
    const told = await work(home, round);
    acknowledged += told.writes;
    faults.push(...told.faults.map((fault) => `round ${round}: ${fault}`));
    const begun = performance.now();
    faults.push(...(await look(home, round, told)).map((fault) => `round ${round}: ${fault}`));
    opening.push(performance.now() - begun);
    // Checked now and then as well, so that a fault is told near the kill that made it.
    if (round % 100 === 99 || round === rounds - 1) faults.push(...(await fsck(home)));
    if (round % 50 === 49)
      process.stderr.write(`kills: ${round + 1} of ${rounds}, ${faults.length} faults\n`);
  }
  return [
    figure({
      name: 'kills',
      what: `faults after ${opening.length} kills at random moments`,
      unit: 'faults',
      value: faults.length,
      bar: 0,
      details: {
        kills: opening.length,
        'acknowledged writes': acknowledged,
        'opened, checked, written to again, ms': spread(opening),
        faults,
      },
    }),
  ];
}

async function work(home: string, round: number): Promise<Told> {
  const told: Told = {
    name: `tool_${round % NAMES}`,
    version: undefined,
    live: false,
    writes: 0,
    faults: [],
  };
  const server = await connect(sandboxServer, home);
  const timer = setTimeout(() => process.kill(server.pid, 'SIGKILL'), 50 + Math.random() * 900);
  try {
    for (let i = 0; i < 100; i++) await writeOnce(server, told, `round ${round}, ${i}`, i % 3 === 2);
  } catch {
    // The connection closed: the kill.
  } finally {
    clearTimeout(timer);
    await server.close();
  }
  return told;
}

async function writeOnce(server: Connected, told: Told, note: string, back: boolean): Promise<void> {
  const { name } = told;
  const description = `Turns a title into a URL slug, ${note}.`;
  const saved = await server.call('sandbox_save_tool', { ...slugify, name, description });
  if (!saved.ok) told.faults.push(`save refused: ${saved.text.slice(0, 200)}`);
  told.version = String(saved.value['version']);
  told.writes++;
  const tested = await server.call('sandbox_test_tool', { name });
  if (!tested.ok) told.faults.push(`test refused: ${tested.text.slice(0, 200)}`);
  const published = await server.call('sandbox_publish_tool', { name });
  if (!published.ok) told.faults.push(`publish refused: ${published.text.slice(0, 200)}`);
  told.live = true;
  told.writes++;
  if (!back) return;
  const rolled = await server.call('sandbox_rollback_tool', { name });
  // The first version ever has none before it.
  if (!rolled.ok && !rolled.text.includes('was live before'))
    told.faults.push(`rollback refused: ${rolled.text.slice(0, 200)}`);
  told.writes++;
}

/** What the next process finds. */
async function look(home: string, round: number, { name, version, live }: Told): Promise<string[]> {
  const faults: string[] = [];
  try {
    const server = await connect(sandboxServer, home);
    try {
      if (version !== undefined) {
        const shown = await server.call('sandbox_show_tool', { name, version });
        if (!shown.ok) faults.push(`acknowledged ${name} ${version} is gone: ${shown.text.slice(0, 200)}`);
      }
      if (live) {
        const called = await server.call(`forged_${name}`, { title: 'A B' });
        if (called.value['slug'] !== 'a-b')
          faults.push(`published ${name} is gone: ${called.text.slice(0, 200)}`);
      }
      const next = await server.call('sandbox_save_tool', {
        ...slugify,
        name: `next_${round % NAMES}`,
        description: `Written after kill ${round}.`,
      });
      if (!next.ok) faults.push(`the next writer was stopped: ${next.text.slice(0, 200)}`);
    } finally {
      await server.close();
    }
  } catch (error) {
    faults.push(`it does not open: ${error instanceof Error ? error.message : String(error)}`);
  }
  return faults;
}

async function fsck(home: string): Promise<string[]> {
  try {
    await run('git', ['-C', join(home, 'registry'), 'fsck', '--full', '--strict']);
    return [];
  } catch (error) {
    return [`git fsck: ${error instanceof Error ? error.message.slice(0, 300) : String(error)}`];
  }
}
