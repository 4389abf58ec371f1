import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { render } from '../servers/sandbox/registry/catalogue.ts';
import { commit, createTag } from '../servers/sandbox/registry/commits.ts';
import type { Change } from '../servers/sandbox/registry/commits.ts';
import { digestOf, pretty, toFiles } from '../servers/sandbox/registry/records.ts';
import type { CatalogueLine } from '../servers/sandbox/registry/records.ts';
import { openRegistry } from '../servers/sandbox/registry/registry.ts';
import type { Registry, ToolFiles } from '../servers/sandbox/registry/registry.ts';
import { placeOf } from '../servers/sandbox/registry/repository.ts';
import { Signer } from '../servers/sandbox/registry/signing.ts';

const open = new Map<string, Registry[]>();

/** A home of its own. After the test its registries are closed and it is removed. */
export function tempHome(t: TestContext, release: (home: string) => void = () => undefined): string {
  const home = mkdtempSync(join(tmpdir(), 'kuznia-registry-'));
  t.after(async () => {
    await Promise.all((open.get(home) ?? []).map((registry) => registry.close()));
    release(home);
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  });
  return home;
}

/** A registry that is closed after the test. */
export async function opened(home: string): Promise<Registry> {
  const registry = await openRegistry(home);
  open.set(home, [...(open.get(home) ?? []), registry]);
  return registry;
}

/** A tool that answers `n`. */
export function answering(name: string, n: number, over: Partial<ToolFiles['manifest']> = {}): ToolFiles {
  return {
    manifest: {
      name,
      description: `Answers ${n}.`,
      language: 'javascript',
      lane: 'quickjs',
      grants: [],
      input_schema: { type: 'object', properties: { title: { type: 'string' } }, required: ['title'] },
      engine: 'quickjs-wasi 3',
      ...over,
    },
    code: `export default () => ${n};\n`,
    tests: [{ name: 'plain', input: { title: 'x' }, output: { value: n } }],
  };
}

/** Keeps a verdict as the gates would. */
export async function judged(
  registry: Registry,
  name: string,
  verdict: { version?: string; passed?: boolean; approval?: 'policy' | 'person' } = {},
): Promise<string> {
  const { version, digest } = await registry.read(name, verdict.version);
  const { passed = true, approval = 'policy' } = verdict;
  const gates = [{ gate: 'tests', passed, ms: 1 }];
  await registry.putVerdict(name, version, { digest, passed, approval, gates, at: new Date().toISOString() });
  return version;
}

/** Saves, tests and publishes a tool that answers `n`. */
export async function published(registry: Registry, name: string, n: number): Promise<string> {
  await registry.save(answering(name, n));
  await judged(registry, name);
  return (await registry.publish(name)).version;
}

/** The user's git in the registry's folder, as a person would type it. */
export function git(home: string, ...args: string[]): string {
  const identity = ['-c', 'user.name=Somebody', '-c', 'user.email=somebody@example.org', '-c', 'gc.auto=0'];
  const done = spawnSync('git', ['-C', join(home, 'registry'), ...identity, ...args], { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`git ${args.join(' ')}: ${done.stderr}`);
  return done.stdout.trim();
}

/** A registry with many published tools, made in one commit: going through their life would take minutes. */
export async function seeded(home: string, count: number): Promise<void> {
  const first = await openRegistry(home);
  await first.save(answering('first', 1));
  await first.close();
  const place = placeOf(home);
  const signer = new Signer(home);
  const tools = Array.from({ length: count }, (_, n) => answering(`seed_${String(n).padStart(4, '0')}`, n));
  const changes: Change[] = tools.flatMap((tool) => {
    const { name } = tool.manifest;
    return [...toFiles(tool)].flatMap(([file, content]) => [
      { path: `tools/${name}/${file}`, content },
      { path: `versions/${name}/1.0.0/${file}`, content },
    ]);
  });
  const saved = await commit(place, git(home, 'rev-parse', 'main'), changes, 'seed');
  const at = new Date().toISOString();
  const lines = tools.map((tool): [string, CatalogueLine] => {
    const { name, description, input_schema } = tool.manifest;
    const digest = digestOf(toFiles(tool));
    const rest = { digest, commit: saved, approval: 'seed', previous: [], published_at: at };
    return [name, { name, version: '1.0.0', description, input_schema, ...rest }];
  });
  const catalogue = render({ at, lines: new Map(lines) });
  const signature = await signer.sign('catalogue', catalogue);
  const files = [
    { path: 'catalogue.json', content: catalogue },
    { path: 'catalogue.sig', content: `${signature}\n` },
    { path: 'seed.json', content: pretty({ count }) },
  ];
  await commit(place, saved, files, 'seed the catalogue');
  for (const tool of tools.slice(0, 10))
    await createTag(place, `refs/tags/${tool.manifest.name}/v1.0.0`, saved);
}

/** `registry-worker.ts` in one file: Node starts it three times as fast as through tsx. */
export async function bundledWorker(t: TestContext): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'kuznia-worker-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const outfile = join(folder, 'worker.mjs');
  const banner =
    "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";
  const { build } = await import('esbuild');
  await build({
    entryPoints: [join(import.meta.dirname, 'registry-worker.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile,
    banner: { js: banner },
    // Never loaded here; a native part cannot be bundled.
    external: ['esbuild', '@napi-rs/keyring'],
    logLevel: 'error',
  });
  return outfile;
}

/** A process that works on the registry and says what was acknowledged, a line each. */
export interface Worker {
  child: ChildProcess;
  lines: string[];
  /** Resolves with its exit code, null where it was killed. */
  ended: Promise<number | null>;
}

export function startWorker(file: string, args: string[]): Worker {
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  const read = createInterface({ input: child.stdout });
  read.on('line', (line) => lines.push(line));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code));
  });
  return { child, lines, ended };
}
