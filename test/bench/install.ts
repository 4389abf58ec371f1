import { execFile } from 'node:child_process';
import { lstat, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { root } from './client.ts';
import { figure, round, type Figure, type Scope } from './figure.ts';

const run = promisify(execFile);

const lock = z.object({ packages: z.record(z.string(), z.unknown()) });

/** What a user's folder weighs after `npm install` of the packed project. Uses npm's cache, else its registry. */
export async function install(scope: Scope): Promise<Figure[]> {
  const folder = await scope.folder('install');
  // `prepare` would build again; what is packed is the dist/ that was measured.
  const pack = ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder];
  const tarball = (await run('npm', pack, { cwd: root })).stdout.trim().split('\n').at(-1) ?? '';
  await writeFile(join(folder, 'package.json'), '{"name":"user","private":true}');
  const quiet = ['--no-audit', '--no-fund', '--silent', '--prefer-offline'];
  const begun = performance.now();
  await run('npm', ['install', '--omit=dev', '--ignore-scripts', ...quiet, `./${tarball}`], { cwd: folder });
  const seconds = (performance.now() - begun) / 1000;
  const modules = join(folder, 'node_modules');
  const { packages } = lock.parse(JSON.parse(await readFile(join(modules, '.package-lock.json'), 'utf8')));
  const names = Object.keys(packages);
  const sizes = new Map<string, number>();
  for (const name of names) sizes.set(name.replace(/^node_modules\//, ''), await weigh(join(folder, name)));
  const largest = [...sizes].sort((a, b) => b[1] - a[1]).slice(0, 10);
  return [
    figure({
      name: 'install',
      what: `production install of the packed project (${names.length} packages)`,
      unit: 'MB',
      value: await weigh(modules),
      bar: 90,
      details: {
        packages: names.length,
        'tarball, MB': round((await lstat(join(folder, tarball))).size / MB),
        'npm install, s': round(seconds),
        'largest, MB': Object.fromEntries(largest.map(([name, mb]) => [name, round(mb)])),
      },
    }),
  ];
}

const MB = 1024 * 1024;

/** MB on disk as du(1) counts them: blocks, each file once. */
async function weigh(folder: string, seen = new Set<number>()): Promise<number> {
  let mb = 0;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const { blocks, ino } = await lstat(path);
    if (!seen.has(ino)) mb += (blocks * 512) / MB;
    seen.add(ino);
    if (entry.isDirectory()) mb += await weigh(path, seen);
  }
  return mb;
}
