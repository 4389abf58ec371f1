// `npm test [-- FILE...]`: bundles the tests, what they start and the packages that the build bundles, once, and runs
// them. A loader in each of some hundred processes would take half of the whole time, and the packages' many files a
// tenth; `node --import tsx --test test/x.test.ts` runs a file without this.
// Planted secrets are looked for in all that comes out (test/scan): one that is found fails the run.
import { build, transform } from 'esbuild';
import { spawn } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { scanner } from './scan/marker.mjs';

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
    'servers/sandbox/runner/child.ts',
    'servers/sandbox/runner/runner.ts',
    'servers/sandbox/runner/worker.ts',
  ].map((path) => join(root, path)),
  ...['sandbox', 'gitlab', 'auth'].map((name) => join(root, 'servers', name, 'main.ts')),
  ...readdirSync(join(import.meta.dirname, 'fixtures'))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(import.meta.dirname, 'fixtures', name)),
];

/**
 * In the bundle a file still says of itself where its source is: fixtures and entry points are found from there. Not so
 * what looks for its neighbours in a build, to start them: it finds them in this one.
 */
const looksAround = new Set([
  join(root, 'host', 'mcp', 'doors.ts'),
  join(root, 'servers', 'sandbox', 'runner', 'source.ts'),
]);
const whereItStands = {
  name: 'where it stands',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/, namespace: 'file' }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      if (path.includes('node_modules') || looksAround.has(path) || !source.includes('import.meta'))
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

/** Tests get clients that let their results be looked through. */
const observedClients = {
  name: 'observed clients',
  setup({ onResolve }) {
    const places = {
      '@modelcontextprotocol/client': 'client-2.mjs',
      '@modelcontextprotocol/sdk/client/index.js': 'client-1.mjs',
    };
    const filter = /^@modelcontextprotocol\/(?:client|sdk\/client\/index\.js)$/;
    onResolve({ filter }, ({ path, importer }) =>
      importer.endsWith('.ts') && importer.startsWith(import.meta.dirname)
        ? { path: join(import.meta.dirname, 'scan', places[path]) }
        : undefined,
    );
  },
};

const built = (path) => join(out, relative(root, path)).replace(/\.ts$/, '.js');

const scanned = join(out, 'scan');
const leaks = [];
let bytes = 0;

/** What the run itself prints is looked through on its way. */
async function ended(child) {
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  for (const name of ['stdout', 'stderr']) {
    const look = scanner();
    child[name].on('data', (part) => {
      bytes += part.length;
      leaks.push(...look(part).map((found) => `${name} of the run: ${found}`));
      process[name].write(part);
    });
  }
  return new Promise((settle) => child.on('close', (code) => settle(code ?? 1)));
}

/** Whether no planted secret came out; says what was looked through. */
function clean() {
  const of = (name) => {
    const path = join(scanned, name);
    return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
  };
  leaks.push(...of('leaks'));
  const seen = of('seen').map((line) => JSON.parse(line));
  const sum = (key) => seen.reduce((all, one) => all + one[key], 0);
  const mb = ((bytes + sum('bytes')) / 1e6).toFixed(1);
  const parts = `${sum('output')} parts of output, ${sum('results')} results, ${sum('files')} files`;
  console.error(`secrets in any output: ${leaks.length} (${mb} MB: ${parts})`);
  for (const leak of leaks.slice(0, 50)) console.error(`  ${leak}`);
  return leaks.length === 0;
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
    plugins: [observedClients, whereItStands],
    logLevel: 'warning',
  });
  const defaults = ['--test-concurrency=6', '--test-timeout=1800000'];
  const hook = pathToFileURL(join(import.meta.dirname, 'scan', 'hook.mjs')).href;
  // A pipe would get TAP; who sits at a terminal reads the other.
  if (process.stdout.isTTY) defaults.push('--test-reporter=spec');
  const run = [
    '--enable-source-maps',
    `--import=${hook}`,
    '--test',
    ...defaults,
    ...flags,
    ...tests.map(built),
  ];
  const env = { ...process.env, KUZNIA_TEST_BUILT: out, KUZNIA_TEST_SCAN: scanned };
  await mkdir(scanned, { recursive: true });
  const code = await ended(
    spawn(process.execPath, run, { cwd: root, env, stdio: ['inherit', 'pipe', 'pipe'] }),
  );
  process.exitCode = clean() ? code : code || 1;
} finally {
  await rm(out, { recursive: true, force: true });
}
