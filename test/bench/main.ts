import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { auth } from './auth.ts';
import { call } from './call.ts';
import { root } from './client.ts';
import { estimate } from './estimate.ts';
import type { Figure, Scope } from './figure.ts';
import { gatewayCalls } from './gateway.ts';
import { gitlabFaults } from './gitlab-faults.ts';
import { gitlabScale } from './gitlab-scale.ts';
import { gitlab } from './gitlab.ts';
import { install } from './install.ts';
import { isolation } from './isolation.ts';
import { kills } from './kills.ts';
import { loop } from './loop.ts';
import { publishing } from './publish.ts';
import { ready } from './ready.ts';
import { recall } from './recall.ts';
import { startup } from './startup.ts';
import { table } from './table.ts';
import { thousand } from './thousand.ts';
import { tokens } from './tokens.ts';
import { version } from './version.ts';

/** In the order of their need for quiet: what builds much comes last. */
const benches: Record<string, (scope: Scope) => Promise<Figure[]>> = {
  call,
  gateway: gatewayCalls,
  publish: publishing,
  startup,
  tokens,
  loop,
  estimate,
  ready,
  recall,
  auth,
  gitlab,
  'gitlab-faults': gitlabFaults,
  'gitlab-scale': gitlabScale,
  isolation,
  version,
  thousand,
  install,
};

const HELP = `npm run --silent bench -- [--only NAME[,NAME]] [--quick] [--kills N] [--no-build]
The figures of the project against their bars: JSON on stdout, a table on stderr.
Names: ${Object.keys(benches).join(', ')}; --kills N alone runs nothing else.
`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    quick: { type: 'boolean', default: false },
    kills: { type: 'string' },
    'no-build': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) process.stdout.write(HELP);
else process.exitCode = await main();

async function main(): Promise<number> {
  const rounds = values.kills === undefined ? 0 : Number(values.kills);
  const asked = values.only.flatMap((names) => names.split(','));
  const unknown = asked.filter((name) => !Object.hasOwn(benches, name));
  if (unknown.length > 0 || !Number.isInteger(rounds)) {
    process.stderr.write(`${unknown.join(', ') || `--kills ${values.kills}`}: no such figure\n${HELP}`);
    return 2;
  }
  if (!values['no-build']) await build();
  const names = asked.length > 0 || rounds > 0 ? asked : Object.keys(benches);
  const runs = names.flatMap((name) => {
    const bench = benches[name];
    return bench ? [{ name, bench }] : [];
  });
  if (rounds > 0) runs.push({ name: 'kills', bench: (scope) => kills(scope, rounds) });
  const base = await mkdtemp(join(tmpdir(), 'kuznia-bench-'));
  const scope: Scope = {
    quick: values.quick,
    rounds: (full, quick) => (values.quick ? quick : full),
    async folder(name) {
      const path = join(base, name);
      await mkdir(path, { recursive: true });
      return path;
    },
  };
  const load = loadavg()[0];
  const figures: Figure[] = [];
  const broken: string[] = [];
  try {
    for (const { name, bench } of runs) {
      process.stderr.write(`${name} ...\n`);
      try {
        figures.push(...(await bench(scope)));
      } catch (error) {
        // The other figures are worth having all the same.
        broken.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  } finally {
    await rm(base, { recursive: true, force: true });
  }
  const machine = { node: process.version, platform: process.platform, cpus: cpus().length };
  const loads = { before: load, after: loadavg()[0] };
  const missed = figures.filter((one) => one.ok === false).map((one) => one.name);
  const told = { at: new Date().toISOString(), machine, load: loads, quick: values.quick };
  process.stdout.write(`${JSON.stringify({ ...told, missed, broken, figures }, null, 2)}\n`);
  process.stderr.write(table(figures, broken));
  return broken.length > 0 ? 1 : 0;
}

async function build(): Promise<void> {
  // Its output goes to stderr: stdout is for the figures.
  const child = spawn('npm', ['run', '--silent', 'build'], { cwd: root, stdio: ['ignore', 2, 2] });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error('npm run build failed');
}
