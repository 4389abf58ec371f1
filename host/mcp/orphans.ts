import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile, readlink, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { jsonOrNothing } from '../../kit/json.ts';
import { beganAt, endAll, familyOf, processes } from './family.ts';

// A host that is killed (SIGKILL, out of memory) cannot end the servers that it started, and not every server ends with its
// input. So each host writes down which they are, and the next one ends those that are still there. A process is the one
// that was meant when its number, its start and the machine's start are the same: nothing else is ever hit.

/** `npx` and shells start the server itself only after a while. */
const WRITE_AFTER_MS = [500, 10_000];

const one = z.object({ pid: z.int().positive(), began: z.string() });
const record = z.object({ where: z.string(), host: one, children: z.array(one) });

const folder = (home: string) => join(home, 'run', 'children');
interface Living {
  home: string;
  began: string | undefined;
}
const living = new Map<number, Living>();
let timers: NodeJS.Timeout[] = [];
let listening = false;

/** A server was started as a child of this process. */
export function born(pid: number, home: string): void {
  // What does not get to its end still takes its servers with it, where it can.
  if (!listening) process.once('exit', () => living.forEach(end));
  listening = true;
  living.set(pid, { home, began: beganAt(pid) });
  timers.forEach(clearTimeout);
  timers = WRITE_AFTER_MS.map((ms) => setTimeout(() => void write(home).catch(() => undefined), ms).unref());
}

/** It ended, and what it started with it. */
export function gone(pid: number): void {
  const home = living.get(pid)?.home;
  living.delete(pid);
  if (home === undefined || [...living.values()].some((other) => other.home === home)) return;
  timers.forEach(clearTimeout);
  rmSync(file(home), { force: true });
}

const file = (home: string) => join(folder(home), `${process.pid}.json`);

async function write(home: string): Promise<void> {
  const all = await processes();
  const host = all.find(({ pid }) => pid === process.pid);
  const mine = [...living].flatMap(([pid, child]) => (child.home === home ? familyOf(pid, all) : []));
  const where = await place();
  if (!host || mine.length === 0) return;
  const children = mine.map(({ pid, began }) => ({ pid, began }));
  const said = JSON.stringify({ where, host: { pid: host.pid, began: host.began }, children });
  mkdirSync(folder(home), { recursive: true, mode: 0o700 });
  writeFileSync(`${file(home)}.new`, said, { mode: 0o600 });
  renameSync(`${file(home)}.new`, file(home));
  // They may have ended meanwhile.
  if (living.size === 0) rmSync(file(home), { force: true });
}

/** Ends what hosts of this home left behind. */
export async function endOrphans(home: string): Promise<void> {
  const names = (await readdir(folder(home)).catch(() => [])).filter((name) => name.endsWith('.json'));
  if (names.length === 0) return;
  const [all, where] = [await processes(), await place()];
  if (all.length === 0) return;
  const lives = (wanted: z.output<typeof one>) =>
    all.some(({ pid, began }) => pid === wanted.pid && began === wanted.began);
  for (const name of names) {
    const path = join(folder(home), name);
    const said = record.safeParse(jsonOrNothing(await readFile(path, 'utf8').catch(() => ''))).data;
    // Of another machine, or of another container, in which the numbers mean others.
    if (said && (said.where !== where || lives(said.host))) continue;
    const left = said?.children.filter(lives) ?? [];
    await endAll(left.flatMap(({ pid }) => familyOf(pid, all)));
    await rm(path, { force: true });
  }
}

/** Where a process's number and start mean what they say: since this start of this machine, in this container. */
async function place(): Promise<string> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return [hostname(), boot.trim(), await readlink('/proc/self/ns/pid').catch(() => '')].join(' ');
}

/** Only what is known to be the same process still. */
function end({ began }: Living, pid: number): void {
  if (began === undefined || beganAt(pid) !== began) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}
