// `npm run build`: bundles the entry points into dist/, and gathers the licences of what is bundled.
import { build } from 'esbuild';
import { readFileSync, readdirSync, rmSync, writeFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
process.chdir(root);

const servers = readdirSync('servers').filter((name) => existsSync(`servers/${name}/main.ts`));

/** zod brings its messages in fifty languages, all of them parsed at each start; ours speak English. */
const englishOnly = {
  name: 'zod in English only',
  setup({ onLoad }) {
    onLoad({ filter: /zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
      loader: 'js',
    }));
  },
};

rmSync('dist', { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: [
    'host/main.ts',
    ...servers.map((name) => `servers/${name}/main.ts`),
    'servers/sandbox/runner/child.ts',
    'servers/sandbox/runner/worker.ts',
  ],
  outdir: 'dist',
  outbase: '.',
  bundle: true,
  // Chunks are loaded when they are first used, so that nothing heavy stands between a start and `tools/list`.
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  // What users install is what is not bundled: the dependencies of package.json.
  external: Object.keys(JSON.parse(readFileSync('package.json', 'utf8')).dependencies),
  // Some packages of the first SDK are CommonJS, and ask for Node's own modules at run time.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module';const require = __createRequire(import.meta.url);",
  },
  plugins: [englishOnly],
  metafile: true,
  legalComments: 'none',
  logLevel: 'warning',
});

const packages = new Set();
for (const file of Object.keys(metafile.inputs)) {
  const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file);
  if (found) packages.add(found[1]);
}
const notices = [...packages].sort().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  return `${name} ${version} (${license})\n\n${file ? readFileSync(join(folder, file), 'utf8').trim() : ''}\n`;
});
writeFileSync(
  'dist/NOTICES.txt',
  `Packages that are bundled here, and their licences.\n\n${notices.join(`\n${'-'.repeat(80)}\n\n`)}`,
);
