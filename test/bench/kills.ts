import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { connect, sandboxServer, type Connected } from './client.ts';
import { figure, spread, type Figure, type Scope } from './figure.ts';
import { slugify } from './samples.ts';

const run = promisify(execFile);

const steps = ['save', 'test', 'publish', 'rollback'] as const;
type Step = (typeof steps)[number];

/** Names that take turns, so that histories grow and new tools come as well. */
const NAMES = 4;
/** Rounds in one registry: its beginning is killed too, and git fsck is asked before much lies on a fault. */
const ROUNDS_A_HOME = 50;

/** What a server said before it was killed. */
interface Told {
  name: string;
  saved?: { version: string; description: string };
  /** Tested with success. */
  passed?: string;
  /** Versions that may be live: after a step was acknowledged one, while one is under way two. */
  live: string[];
  during: Step | 'none';
  acknowledged: number;
  faults: string[];
}

/**
 * SIGKILL at a random moment of save, test, publish and rollback, in turn. Then the registry must open, hold every step
 * that was acknowledged and none by half, let the next writer in, and please git fsck.
 */
export async function kills(scope: Scope, rounds: number): Promise<Figure[]> {
  const usual = await durations(await scope.folder('kills-none'));
  const faults: string[] = [];
  const opening: number[] = [];
  const during = new Map<string, number>();
  let acknowledged = 0;
  for (let round = 0; round < rounds && faults.length < 10; round++) {
    const home = await scope.folder(`kills-${Math.floor(round / ROUNDS_A_HOME)}`);
    const told = await work(home, round, usual);
    const begun = performance.now();
    const found = [...told.faults, ...(await look(home, round, told))];
    opening.push(performance.now() - begun);
    acknowledged += told.acknowledged;
    during.set(told.during, (during.get(told.during) ?? 0) + 1);
    if (round % ROUNDS_A_HOME === ROUNDS_A_HOME - 1 || round === rounds - 1) {
      found.push(...(await fsck(home)));
      process.stderr.write(`kills: ${round + 1} of ${rounds}, ${faults.length + found.length} faults\n`);
    }
    faults.push(...found.map((fault) => `round ${round} (${told.during}): ${fault}`));
  }
  return [
    figure({
      name: 'kills',
      what: `faults after ${opening.length} kills at random moments`,
      unit: 'faults',
      value: faults.length,
      bar: 0,
      details: {
        'killed during': Object.fromEntries(during),
        'acknowledged steps': acknowledged,
        'opened, checked, written to again, ms': spread(opening),
        faults,
      },
    }),
  ];
}

/** How long each step takes here when nobody is killed. */
async function durations(home: string): Promise<Record<Step, number>> {
  const usual: Record<Step, number> = { save: 0, test: 0, publish: 0, rollback: 0 };
  const told: Told = { name: 'calm', live: [], during: 'none', acknowledged: 0, faults: [] };
  const server = await connect(sandboxServer, home);
  try {
    for (let i = 0; i < 4; i++) {
      for (const step of steps) {
        const begun = performance.now();
        await take(server, told, step, `calm ${i}`);
        usual[step] = Math.max(usual[step], performance.now() - begun);
      }
    }
  } finally {
    await server.close();
  }
  if (told.faults.length > 0) throw new Error(told.faults[0]);
  return usual;
}

async function work(home: string, round: number, usual: Record<Step, number>): Promise<Told> {
  const name = `tool_${Math.floor(round / steps.length) % NAMES}`;
  const told: Told = { name, live: [], during: 'none', acknowledged: 0, faults: [] };
  const aim = steps[round % steps.length];
  const from = Math.floor(Math.random() * 3);
  const server = await connect(sandboxServer, home);
  let timer: NodeJS.Timeout | undefined;
  try {
    for (let i = 0; i < 50; i++) {
      for (const step of steps) {
        if (step === aim && i >= from)
          timer ??= setTimeout(() => process.kill(server.pid, 'SIGKILL'), Math.random() * usual[step]);
        told.during = step;
        await take(server, told, step, `round ${round}, ${i}`);
      }
    }
    told.during = 'none';
  } catch {
    // The connection closed: the kill.
  } finally {
    clearTimeout(timer);
    await server.close();
  }
  return told;
}

/** One step of a tool's life; what it may change is noted before, what it did change after. */
async function take(server: Connected, told: Told, step: Step, note: string): Promise<void> {
  const { name } = told;
  const description = `Turns a title into a URL slug, ${note}.`;
  const input = step === 'save' ? { ...slugify, name, description } : { name };
  const before = told.live;
  // To which version a rollback goes back, the server knows.
  if (step === 'rollback') told.live = [];
  if (step === 'publish' && before.length > 0 && told.saved) told.live = [...before, told.saved.version];
  const { ok, value, text } = await server.call(`sandbox_${step}_tool`, input);
  const version = String(value['version']);
  if (!ok) {
    told.live = before;
    // The first version ever has none before it.
    const first = step === 'rollback' && text.includes('was live before');
    if (!first) told.faults.push(`${step} was refused: ${text.slice(0, 200)}`);
    return;
  }
  told.acknowledged++;
  if (step === 'save') told.saved = { version, description };
  else if (step === 'test') told.passed = version;
  else told.live = [version];
}

/** What the next process finds. */
async function look(home: string, round: number, told: Told): Promise<string[]> {
  const { name, saved, passed, live } = told;
  const faults: string[] = [];
  try {
    const server = await connect(sandboxServer, home);
    try {
      if (saved) {
        const { value, text } = await server.call('sandbox_show_tool', { name, version: saved.version });
        if (value['description'] !== saved.description)
          faults.push(`acknowledged ${name} ${saved.version} is gone: ${text.slice(0, 200)}`);
      }
      if (passed !== undefined) {
        const { value } = await server.call('sandbox_show_tool', { name, version: passed });
        if (value['status'] !== 'approved' && value['status'] !== 'production')
          faults.push(`the verdict on ${name} ${passed} is gone: it is ${String(value['status'])}`);
      }
      if (live.length > 0) {
        const { tools } = await server.page();
        if (!tools.some((tool) => tool.name === `forged_${name}`))
          faults.push(`published ${name} is not listed`);
        const { value, text } = await server.call(`forged_${name}`, { title: 'A B' });
        if (value['slug'] !== 'a-b') faults.push(`published ${name} does not run: ${text.slice(0, 200)}`);
        faults.push(...(await wrongVersion(server, name, live)));
      }
      const next = { ...slugify, name: `next_${round % NAMES}`, description: `Written after kill ${round}.` };
      const { ok, text } = await server.call('sandbox_save_tool', next);
      if (!ok) faults.push(`the next writer was stopped: ${text.slice(0, 200)}`);
    } finally {
      await server.close();
    }
  } catch (error) {
    faults.push(`it does not open: ${error instanceof Error ? error.message : String(error)}`);
  }
  return faults;
}

async function wrongVersion(server: Connected, name: string, live: string[]): Promise<string[]> {
  const statuses = await Promise.all(
    live.map(async (version) => {
      const { value } = await server.call('sandbox_show_tool', { name, version });
      return String(value['status']);
    }),
  );
  if (statuses.includes('production')) return [];
  return [`live should be ${live.join(' or ')} of ${name}; they are ${statuses.join(' and ')}`];
}

async function fsck(home: string): Promise<string[]> {
  try {
    await run('git', ['-C', join(home, 'registry'), 'fsck', '--full', '--strict']);
    return [];
  } catch (error) {
    return [`git fsck: ${error instanceof Error ? error.message.slice(0, 300) : String(error)}`];
  }
}
