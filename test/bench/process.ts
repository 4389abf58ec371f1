import { execFile } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Where /proc tells what a process used. Elsewhere (macOS) such figures are "not measured". */
export const hasProc = process.platform === 'linux';

const run = promisify(execFile);

/** CPU-ms of a process that lives, of its threads and descendants; of children that ended, to 10 ms. */
export async function cpuOfTree(pid: number): Promise<number> {
  const all = [pid, ...(await descendants(pid))];
  const each = await Promise.all(all.map(async (one) => (await cpuOfThreads(one)) + (await cpuOfEnded(one))));
  return each.reduce((sum, ms) => sum + ms, 0);
}

export async function descendants(pid: number): Promise<number[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(threads.map((thread) => text(`/proc/${pid}/task/${thread}/children`)));
  const children = lists
    .flatMap((list) => list.trim().split(' '))
    .filter(Boolean)
    .map(Number);
  const below = await Promise.all(children.map(descendants));
  return [...children, ...below.flat()];
}

/** In nanoseconds by the scheduler (sched-stats.rst of Linux); utime and stime only count ticks of 10 ms. */
async function cpuOfThreads(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const each = await Promise.all(threads.map((thread) => text(`/proc/${pid}/task/${thread}/schedstat`)));
  const ns = each.map((line) => Number(line.split(' ')[0])).reduce((sum, one) => sum + one, 0);
  if (ns > 0) return ns / 1e6;
  const [user, system] = await ticks(pid);
  return ((user ?? 0) + (system ?? 0)) * 10;
}

async function cpuOfEnded(pid: number): Promise<number> {
  const [, , user, system] = await ticks(pid);
  return ((user ?? 0) + (system ?? 0)) * 10;
}

/** utime, stime, cutime, cstime (proc_pid_stat(5)); the name before them may hold spaces. */
async function ticks(pid: number): Promise<number[]> {
  const stat = await text(`/proc/${pid}/stat`);
  return stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 15)
    .map(Number);
}

export async function rssMb(pid: number): Promise<number> {
  return Number(/VmRSS:\s+(\d+)/.exec(await text(`/proc/${pid}/status`))?.[1]) / 1024;
}

/** The most it ever had (proc_pid_status(5): VmHWM). */
export async function peakMb(pid: number): Promise<number> {
  return Number(/VmHWM:\s+(\d+)/.exec(await text(`/proc/${pid}/status`))?.[1]) / 1024;
}

/** What it takes of the machine: pages it shares with others (node's own) are divided among them. */
export async function pssMb(pids: number[]): Promise<number> {
  const each = await Promise.all(pids.map((pid) => text(`/proc/${pid}/smaps_rollup`)));
  return each.map((one) => Number(/^Pss:\s+(\d+)/m.exec(one)?.[1] ?? 0) / 1024).reduce((a, b) => a + b, 0);
}

async function text(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

const BATCH = 5;

/**
 * CPU-ms of a command from its start to its end, the mean of five. Node tells nothing of children that ended, and
 * /proc counts them in ticks of 10 ms; bash's `times` says it to the ms. Undefined where there is no bash.
 */
export async function cpuOfRun(command: string[]): Promise<number | undefined> {
  const script = `for i in 1 2 3 4 5; do "$@" >/dev/null || exit 1; done; times`;
  const shell = await run('bash', ['-c', script, 'bash', ...command]).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!shell) return undefined;
  const ofChildren = shell.stdout.trim().split('\n').at(-1) ?? '';
  const parts = [...ofChildren.matchAll(/(\d+)m([\d.,]+)s/g)];
  const seconds = parts.map(
    ([, minutes, rest]) => Number(minutes) * 60 + Number(rest?.replace(',', '.') ?? 0),
  );
  return (seconds.reduce((sum, one) => sum + one, 0) * 1000) / BATCH;
}
