import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { z } from 'zod';
import { command as runProgram } from '../kit/command.ts';
import { kuzniaHome } from '../kit/config.ts';
import { processRuntime } from '../kit/serve.ts';
import { version } from '../kit/version.ts';
import type { CallResult, Connections } from './mcp/connections.ts';
import { painter } from './terminal/display.ts';
import {
  codeSources,
  roleStates,
  secretState,
  serverStates,
  type CodeSource,
  type RoleState,
  type SecretState,
} from './doctor/around.ts';
import { programStates, type ProgramState } from './doctor/programs.ts';
import { EXIT, parse, type Command, type Io } from './terminal/io.ts';
import type { ServerState } from './mcp/link-types.ts';
import { described } from './models/models.ts';
import { bytes } from './models/pulling.ts';
import { keptSessions } from './sessions/keeping.ts';
import { modelOf, openTools } from './session.ts';
import { clean, duration, wrap } from './terminal/text.ts';

const help = `
kuznia doctor: what is there, what is missing, and how to get it.

Usage: kuznia doctor [--json]

  --json  {"ok", "checks": [{"name", "ok", "needed", "found", "fix"}],
          "servers": [{"name", "state", "reason", "tools"}], "roles": [{"role", "model", "why"}],
          "secrets": {"folder", "kept", "count"}, "codes": [{"name", "kind", "ok", "note"}],
          "programs": [{"name", "path", "use", "get"}], "sessions": {"folder", "count", "bytes"}}
The exit code is 1 when something that is needed is missing; a model is not needed to serve the tools.

Example: kuznia doctor
`;

interface Check {
  name: string;
  ok: boolean;
  needed: boolean;
  found: string;
  fix?: string;
}

const DEADLINE_MS = 15_000;
const MODEL_HINT =
  'A model to talk with: `ollama pull qwen3:4b`; to forge with: `ollama pull qwen2.5-coder:7b`.';

export const command: Command = {
  help,
  async run(argv, io) {
    const { values } = parse(argv, { json: { type: 'boolean', default: false } });
    const home = kuzniaHome(io.env);
    const checks: Check[] = [node(), await git(), typescript(), await writable(home)];
    const { checks: ours, servers } = await connected();
    const { checks: models, roles } = await ollama();
    checks.push(...ours, ...models);
    const secrets = await secretState(home, io.env);
    const codes = await codeSources({ home, env: io.env });
    const programs = programStates(process.env);
    const sessions = keptSessions(home);
    const ok = checks.every((check) => check.ok || !check.needed);
    if (values.json) {
      io.out(
        `${JSON.stringify({ ok, version, checks, servers, roles, secrets, codes, programs, sessions })}\n`,
      );
      return ok ? EXIT.done : EXIT.failed;
    }
    io.out(`${painter(io).bold(`Kuźnia ${version}`)}\n`);
    const around = [
      ...servers.map(ofServer),
      ...roles.map(ofRole),
      ofSecrets(secrets),
      ofSessions(sessions),
      ...codes.map(ofCodes),
      ...programs.flatMap(ofProgram),
    ];
    for (const check of [...checks, ...around]) io.out(drawn(check, io));
    return ok ? EXIT.done : EXIT.failed;
  },
};

function drawn(check: Check, io: Io): string {
  const { dim, green, red, yellow } = painter(io);
  const mark = check.ok ? green('✓') : check.needed ? red('✗') : yellow('–');
  const [first, ...rest] = wrap(check.found, io.columns() - 14);
  const fix = check.fix && !check.ok ? wrap(check.fix, io.columns() - 14) : [];
  const below = [...rest, ...fix.map(dim)].map((line) => `${' '.repeat(13)}${line}\n`);
  return `${mark} ${check.name.padEnd(10)} ${first}\n${below.join('')}`;
}

function ofServer({ name, state, reason, tools }: ServerState): Check {
  const ok = state === 'ready';
  const why = reason === undefined ? '' : `: ${clean(reason)}`;
  const fix = 'It is tried again by itself; see mcpServers in kuznia.json, and `kuznia log`.';
  return {
    name: 'server',
    ok,
    needed: false,
    found: `${name}: ${state}${ok ? `, tools: ${tools}` : why}`,
    fix,
  };
}

function ofRole({ role, model, why }: RoleState): Check {
  const found = model === undefined ? `${role}: ${why}` : `${role}: ${model} (${why})`;
  return { name: 'role', ok: model !== undefined, needed: false, found };
}

function ofSecrets({ folder, kept, count, error }: SecretState): Check {
  const where = kept === 'keyring' ? "the system's keyring" : join(folder, 'identity.txt');
  const held = `${count} in ${folder}, encrypted; their key is in ${where}`;
  const found = error ?? (kept === undefined ? 'none is kept yet: kuznia secret add NAME' : held);
  return { name: 'secrets', ok: error === undefined, needed: false, found };
}

function ofSessions({ folder, count, bytes: size }: ReturnType<typeof keptSessions>): Check {
  const kept = count === 0 ? 'none is kept yet' : `${count} conversations, ${bytes(size)}, in ${folder}`;
  const found = `${kept}; sessions.keep_days in kuznia.json removes old ones, without it all are kept`;
  return { name: 'sessions', ok: true, needed: false, found };
}

function ofCodes({ name, kind, ok, note }: CodeSource): Check {
  const found = `${clean(name)} (${kind})${note ? `: ${clean(note)}` : ok ? ': answers' : ''}`;
  return { name: 'codes', ok, needed: false, found };
}

/** git has a line of its own above. */
function ofProgram({ name, path, use, get }: ProgramState): Check[] {
  if (name === 'git') return [];
  const found = path ?? `not found (${use})`;
  return [{ name, ok: path !== undefined, needed: false, found, fix: `Where you want it: ${get}` }];
}

function node(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const ok = major > 20 || (major === 20 && minor >= 19);
  return {
    name: 'node',
    ok,
    needed: true,
    found: process.version,
    fix: 'Node 20.19 or newer: https://nodejs.org',
  };
}

async function git(): Promise<Check> {
  return attempt('git', true, 'The registry of forged tools is a git repository.', async () => {
    const { stdout } = await runProgram('git', ['--version'], { deadlineMs: DEADLINE_MS });
    return stdout.replace('git version', '').trim();
  });
}

function typescript(): Check {
  const fix = 'It comes with the package: install Kuźnia again (`npm ci` in a checkout).';
  try {
    const manifest: unknown = createRequire(import.meta.url)('typescript/package.json');
    const found = z.object({ version: z.string() }).parse(manifest).version;
    return { name: 'typescript', ok: true, needed: true, found };
  } catch {
    return {
      name: 'typescript',
      ok: false,
      needed: true,
      found: 'not found; forged tools cannot be type-checked',
      fix,
    };
  }
}

async function writable(home: string): Promise<Check> {
  return attempt('data', true, 'Make it writable, or set KUZNIA_HOME to another folder.', async () => {
    await mkdir(home, { recursive: true });
    const probe = join(home, `.probe-${process.pid}`);
    await writeFile(probe, '');
    await rm(probe);
    return home;
  });
}

/** The servers themselves are asked, in the way that a client would. */
async function connected(): Promise<{ checks: Check[]; servers: ServerState[] }> {
  let connections: Connections | undefined;
  try {
    connections = await openTools();
    const servers = await serverStates(connections, DEADLINE_MS);
    // One that a person turned off is not missed.
    const checks = servers.some(({ name }) => name === 'sandbox') ? await sandbox(connections) : [];
    return { checks, servers };
  } catch (error) {
    const fix = 'The message says which setting or file; then run doctor again.';
    return { checks: [failure('sandbox', true, error, fix)], servers: [] };
  } finally {
    await connections?.close();
  }
}

async function sandbox(open: Connections): Promise<Check[]> {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const registry = 'The message says what to do; nothing in it is repaired silently.';
  const runner = 'Code runs in a child process of Node; see the message, and `kuznia log`.';
  return [
    await attempt('registry', true, registry, async () => {
      const { health } = await import('../servers/sandbox/definition.ts');
      const warnings = await health(processRuntime().home);
      if (warnings.length > 0) throw new Error(warnings.join(' '));
      const { tools, total } = listed.parse(value(await open.call('sandbox_list_tools', {}, { signal })));
      return `forged tools: ${total}, live: ${tools.filter((tool) => tool.live !== undefined).length}`;
    }),
    await attempt('runner', true, runner, async () => {
      const started = performance.now();
      const result = value(await open.call('sandbox_run_code', { code: '2 + 2' }, { signal }));
      if (result['value'] !== 4) throw new Error(`2 + 2 gave ${JSON.stringify(result['value'])}`);
      return `2 + 2 = 4 in ${duration(performance.now() - started)}`;
    }),
  ];
}

const listed = z.object({
  total: z.number(),
  tools: z.array(z.looseObject({ live: z.string().optional() })),
});

function value(result: CallResult): Record<string, unknown> {
  if (!result.ok) throw new Error(result.text);
  return result.value ?? {};
}

async function ollama(): Promise<{ checks: Check[]; roles: RoleState[] }> {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const runtime = processRuntime();
  const model = modelOf(runtime);
  const reached = await model.reachable(signal);
  if (!reached.ok) {
    const fix = `Get it from https://ollama.com/download. ${MODEL_HINT}`;
    return { checks: [{ name: 'ollama', ok: false, needed: false, found: reached.reason, fix }], roles: [] };
  }
  const server: Check = { name: 'ollama', ok: true, needed: false, found: reached.version };
  const models = await attempt('models', false, MODEL_HINT, async () => {
    const infos = [];
    for (const { name } of await model.list(signal)) infos.push(await model.show(name, signal));
    if (infos.length === 0) throw new Error('none is installed');
    return infos.map(described).join(', ');
  });
  const roles = models.ok ? await roleStates(model, runtime, signal).catch(() => []) : [];
  return { checks: [server, models], roles };
}

async function attempt(
  name: string,
  needed: boolean,
  fix: string,
  look: () => Promise<string>,
): Promise<Check> {
  try {
    return { name, ok: true, needed, found: await look() };
  } catch (error) {
    return failure(name, needed, error, fix);
  }
}

function failure(name: string, needed: boolean, error: unknown, fix: string): Check {
  return { name, ok: false, needed, found: error instanceof Error ? error.message : String(error), fix };
}
