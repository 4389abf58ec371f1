// `npm test [-- FILE...]`: bundles the tests, what they start and the packages that the build bundles, once, and runs
// them. A loader in each of some hundred processes would take half of the whole time, and the packages' many files a
// tenth; `node --import tsx --test test/x.test.ts` runs a file without this.
import { build, transform } from 'esbuild';
import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = join(import.meta.dirname, '..');
// Below node_modules, so that packages are found from there; of this run alone, so that two do not meet.
const out = join(root, 'node_modules', '.cache', 'kuznia', `tests-${process.pid}`);

const given = process.argv.slice(2);
const flags = given.filter((one) => one.startsWith('-'));
const named = given.filter((one) => !one.startsWith('-')).map((one) => resolve(one));
const all = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => join(import.meta.dirname, name));
const tests = named.length > 0 ? named : all;

/** What tests start as processes of their own; `runnable` and `inline` in support.ts find it by KUZNIA_TEST_BUILT. */
const entries = [
  ...[
    'host/main.ts',
    'host/secret.ts',
    'host/terminal/io.ts',
    'kit/call.ts',
    'kit/command.ts',
    'kit/journal.ts',
    'kit/log.ts',
    'kit/secret-oauth.ts',
    'kit/secret-otp.ts',
    'kit/secret-store.ts',
    'kit/secrets.ts',
    'servers/sandbox/registry/registry.ts',
    'servers/sandbox/runner/runner.ts',
  ].map((path) => join(root, path)),
  ...['sandbox', 'gitlab', 'auth'].map((name) => join(root, 'servers', name, 'main.ts')),
  ...readdirSync(join(import.meta.dirname, 'fixtures'))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(import.meta.dirname, 'fixtures', name)),
];

/** In the bundle a file still says of itself where its source is: fixtures and entry points are found from there. */
const whereItStands = {
  name: 'where it stands',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/, namespace: 'file' }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      if (path.includes('node_modules') || !source.includes('import.meta'))
        return { contents: source, loader: 'ts' };
      const { code } = await transform(source, {
        loader: 'ts',
        target: 'node20.19',
        sourcefile: path,
        sourcemap: 'inline',
        define: {
          'import.meta.url': JSON.stringify(pathToFileURL(path).href),
          'import.meta.dirname': JSON.stringify(dirname(path)),
          'import.meta.filename': JSON.stringify(path),
        },
      });
      return { contents: code, loader: 'js' };
    });
  },
};

const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
// What users install is not bundled, as in the build; nor is what finds files of its own beside itself.
const external = [...Object.keys(dependencies), 'esbuild', 'oidc-provider', 'tsx'];

const built = (path) => join(out, relative(root, path)).replace(/\.ts$/, '.js');

async function ended(child) {
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  return new Promise((settle) => child.on('close', (code) => settle(code ?? 1)));
}

try {
  await build({
    entryPoints: [...tests, ...entries],
    outdir: out,
    outbase: root,
    bundle: true,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    external,
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module';const require = __createRequire(import.meta.url);",
    },
    sourcemap: true,
    sourcesContent: false,
    plugins: [whereItStands],
    logLevel: 'warning',
  });
  const defaults = ['--test-concurrency=6', '--test-timeout=600000'];
  const run = ['--enable-source-maps', '--test', ...defaults, ...flags, ...tests.map(built)];
  const env = { ...process.env, KUZNIA_TEST_BUILT: out };
  process.exitCode = await ended(spawn(process.execPath, run, { cwd: root, env, stdio: 'inherit' }));
} finally {
  await rm(out, { recursive: true, force: true });
}
