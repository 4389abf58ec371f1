import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { isAlive } from '../../kit/alive.ts';
import { withLock } from '../../kit/secret-lock.ts';
import { ToolError } from '../../kit/tool.ts';
import { isFrom } from './source.ts';

/** What a login waits for, as others have to know it. */
interface Wanted {
  from: string;
  subject?: string | undefined;
  sources: { name: string }[];
}

const kept = z.object({
  pid: z.number(),
  until: z.number(),
  from: z.string(),
  subject: z.string().optional(),
  sources: z.array(z.string()),
});
type Kept = z.output<typeof kept>;

const LOCK_MS = 5_000;

/**
 * Two logins whose message could be the same would take each other's code, in whichever process they are: the second is
 * refused. A file in `run` for each that waits, with its process and its end, since a process may die waiting.
 */
export async function claim(run: string, wanted: Wanted, until: number): Promise<() => void> {
  const { from, subject } = wanted;
  mkdirSync(run, { recursive: true, mode: 0o700 });
  const mine: Kept = {
    pid: process.pid,
    until,
    from,
    subject,
    sources: wanted.sources.map(({ name }) => name),
  };
  const path = join(run, `expect-${randomBytes(8).toString('hex')}`);
  await withLock(join(run, 'expect.lock'), LOCK_MS, async () => {
    for (const other of waiting(run)) {
      const source = mine.sources.find((name) => other.sources.includes(name));
      if (source === undefined || !overlap(mine, other)) continue;
      throw new ToolError(
        `Another login waits for a code from ${other.from} in ${source}; which code is whose could not be told. Wait until it is done. Two can wait at once where each gives a subject that only its own message has.`,
      );
    }
    writeFileSync(path, JSON.stringify(mine), { flag: 'wx', mode: 0o600 });
  });
  return () => rmSync(path, { force: true });
}

/** Whether one message may be what both wait for. */
function overlap(a: Kept, b: Kept): boolean {
  if (!isFrom(a.from, b.from) && !isFrom(b.from, a.from) && !below(a.from, b.from) && !below(b.from, a.from))
    return false;
  if (a.subject === undefined || b.subject === undefined) return true;
  const [one, other] = [a.subject.toLowerCase(), b.subject.toLowerCase()];
  return one.includes(other) || other.includes(one);
}

/** A domain that is below another one. */
const below = (one: string, other: string) =>
  !one.includes('@', 1) && !other.includes('@', 1) && isFrom(`x@${one.replace(/^@/, '')}`, other);

/** Those whose process lives and whose time is not over; the others are removed. */
function waiting(run: string): Kept[] {
  return readdirSync(run)
    .filter((name) => /^expect-[0-9a-f]{16}$/.test(name))
    .flatMap((name) => {
      const path = join(run, name);
      const one = read(path);
      if (one && one.until > Date.now() && isAlive(one.pid)) return [one];
      rmSync(path, { force: true });
      return [];
    });
}

function read(path: string): Kept | undefined {
  try {
    return kept.safeParse(JSON.parse(readFileSync(path, 'utf8'))).data;
  } catch {
    return undefined;
  }
}
