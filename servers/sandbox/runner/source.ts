import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The JavaScript files of the child process and of its worker threads. */
export interface RunnerSources {
  child: string;
  worker: string;
}

/**
 * Where they are. The build puts them at `servers/sandbox/runner/` under `dist/`, while this code may be in any chunk of it:
 * so we look upwards. From the TypeScript sources they are bundled on the spot, the same way as by the build, because
 * a loader in every worker would make each replacement of one five times as slow (180 ms against 35).
 */
export async function runnerSources(): Promise<RunnerSources> {
  const here = fileURLToPath(import.meta.url);
  if (here.endsWith('.ts')) return bundled(dirname(here));
  for (let folder = dirname(here); folder !== dirname(folder); folder = dirname(folder)) {
    const [child, worker] = ['child', 'worker'].map((part) =>
      join(folder, 'servers', 'sandbox', 'runner', `${part}.js`),
    );
    if (child && worker && existsSync(child) && existsSync(worker)) return { child, worker };
  }
  throw new Error('dist/servers/sandbox/runner/child.js is missing: run npm run build');
}

async function bundled(folder: string): Promise<RunnerSources> {
  // Not a literal, so that the bundler of the build leaves it alone: users of the build have no esbuild.
  const name: string = 'esbuild';
  const esbuild: typeof import('esbuild') = await import(name);
  const build = async (part: string): Promise<string> => {
    const { outputFiles } = await esbuild.build({
      entryPoints: [join(folder, `${part}.ts`)],
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
      target: 'node20.19',
      packages: 'external',
      logLevel: 'error',
    });
    const text = outputFiles[0]?.text ?? '';
    // Under node_modules, so that the imports of packages are found from there.
    const cache = join(folder, '..', '..', '..', 'node_modules', '.cache', 'kuznia');
    const file = join(
      cache,
      `runner-${part}-${createHash('sha256').update(text).digest('hex').slice(0, 16)}.mjs`,
    );
    if (existsSync(file)) return file;
    await mkdir(cache, { recursive: true });
    await writeFile(`${file}.${process.pid}`, text);
    await rename(`${file}.${process.pid}`, file);
    return file;
  };
  const [child, worker] = await Promise.all([build('child'), build('worker')]);
  return { child, worker };
}
