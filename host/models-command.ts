import type { ListedModel, Model, ModelInfo } from '../kit/model.ts';
import { processRuntime } from '../kit/serve.ts';
import { painter } from './terminal/display.ts';
import { EXIT, parse, UsageError, type Command, type Io } from './terminal/io.ts';
import { isLocal, wantedModel } from './models/models.ts';
import { Prompt } from './terminal/prompt.ts';
import { bytes, PullDisplay } from './models/pulling.ts';
import { pickRoles, survey, type Survey } from './models/roles.ts';
import { modelOf } from './session.ts';
import { hostSettings, roles, type Role } from './settings.ts';
import { clean, displayWidth, fit, nearest } from './terminal/text.ts';

const help = `
kuznia models: the models that Ollama has, and which of them is used for what.

Usage: kuznia models [--explain] [--json]
       kuznia models show NAME [--json]
       kuznia models pull NAME [--json]
       kuznia models rm NAME [--yes] [--json]

  --explain  the model of each role (default, code, vision, small, embed) and why it is this one
  --yes      remove without asking; needed where no terminal is
  --json     one JSON object
Roles are set in kuznia.json ({"models": {"vision": "qwen2.5vl:7b"}}); unset ones are chosen from what is installed.

Example: kuznia models pull qwen3:4b
`;

const WAYS = ['list', 'show', 'pull', 'rm'];

export const command: Command = {
  help,
  async run(argv, io) {
    const { values, positionals } = parse(argv, {
      explain: { type: 'boolean', default: false },
      yes: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    });
    const [way = 'list', name, ...more] = positionals;
    if (!WAYS.includes(way)) {
      const near = nearest(way, WAYS, 1)[0];
      throw new UsageError(
        `There is no \`kuznia models ${way.slice(0, 40)}\`. ${near ? `Did you mean \`kuznia models ${near}\`?` : 'See --help.'}`,
      );
    }
    if (way !== 'list' && (name === undefined || more.length > 0)) {
      throw new UsageError(`One name is needed: kuznia models ${way} qwen3:4b`);
    }
    const stop = new AbortController();
    const interrupt = () => stop.abort();
    process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
    const runtime = processRuntime();
    const scope: Scope = { model: modelOf(runtime), io, json: values.json, signal: stop.signal };
    try {
      if (way === 'show') return await show(scope, name ?? '');
      if (way === 'pull') return await pull(scope, name ?? '');
      if (way === 'rm') return await remove(scope, name ?? '', values.yes);
      const { models, budget } = hostSettings(runtime.home);
      const machine = { local: isLocal(runtime), memoryMb: budget.memory_mb };
      const found = await survey(scope.model, stop.signal, machine);
      if (values.explain) {
        return explain(scope, {
          ...found,
          settings: { ...models, default: wantedModel(undefined, runtime) },
        });
      }
      return list(scope, found);
    } finally {
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
      await runtime.journal.flush();
    }
  },
};

interface Scope {
  model: Model;
  io: Io;
  json: boolean;
  signal: AbortSignal;
}

const HEADS = ['NAME', 'SIZE', 'PARAMETERS', 'CONTEXT', 'CAPABILITIES', 'LOADED'];

function list({ io, json }: Scope, { installed, infos, loaded }: Survey): number {
  const models = installed.map((one) =>
    facts(
      one,
      infos.find((info) => info.name === one.name),
      loaded,
    ),
  );
  if (json) return said(io, { models });
  if (models.length === 0) {
    io.out('Ollama has no models. Get one, for example: kuznia models pull qwen3:4b\n');
    return EXIT.done;
  }
  const rows = models.map(({ name, size, parameters, context, capabilities, loaded }) => [
    clean(name),
    bytes(size),
    parameters ?? '',
    context === undefined ? '' : String(context),
    capabilities.filter((one) => one !== 'completion').join(' '),
    loaded ? 'yes' : '',
  ]);
  const widths = HEADS.map((head, at) =>
    Math.max(displayWidth(head), ...rows.map((row) => displayWidth(row[at] ?? ''))),
  );
  const { bold } = painter(io);
  for (const [n, row] of [HEADS, ...rows].entries()) {
    const cells = row.map((cell, at) => cell + ' '.repeat((widths[at] ?? 0) - displayWidth(cell)));
    const line = io.interactive ? fitRow(cells.join('  '), io.columns() - 1) : cells.join('  ').trimEnd();
    io.out(`${n === 0 ? bold(line) : line}\n`);
  }
  return EXIT.done;
}

/** Cut at the end, with its columns kept apart. */
function fitRow(line: string, columns: number): string {
  const kept = line.trimEnd();
  return displayWidth(kept) <= columns ? kept : `${kept.slice(0, Math.max(1, columns - 1)).trimEnd()}…`;
}

function facts(one: ListedModel, info: ModelInfo | undefined, loaded: string[]) {
  const { name, size, parameters, family, quantization, modified, digest } = one;
  return {
    name,
    size,
    parameters: info?.parameters ?? parameters,
    context: info?.contextLength,
    capabilities: info?.capabilities ?? [],
    loaded: loaded.includes(name),
    family,
    quantization,
    modified,
    digest,
  };
}

async function show({ model, io, json, signal }: Scope, name: string): Promise<number> {
  const info = await model.show(name, signal);
  const [installed, running] = await Promise.all([model.list(signal), model.running(signal).catch(() => [])]);
  const is = (other: string) => other === name || other === `${name}:latest`;
  const one = installed.find((listed) => is(listed.name)) ?? { name, size: 0, digest: '' };
  const held = running.find((loaded) => is(loaded.name));
  const found = facts(
    one,
    info,
    running.map((loaded) => loaded.name),
  );
  if (json) return said(io, { ...found, running: held });
  const lines: [string, string | undefined][] = [
    ['name', found.name],
    ['parameters', found.parameters],
    ['size', bytes(found.size)],
    ['context', `${found.context} tokens`],
    ['capabilities', found.capabilities.join(', ')],
    ['family', found.family],
    ['quantization', found.quantization],
    ['modified', found.modified?.slice(0, 10)],
    ['digest', found.digest.slice(0, 12)],
    [
      'loaded',
      held
        ? `${bytes(held.size)}, ${held.vram === 0 ? 'none of it' : bytes(held.vram)} on a graphics card${held.context ? `, for ${held.context} tokens` : ''}`
        : 'no',
    ],
  ];
  for (const [label, text] of lines) if (text) io.out(`${label.padEnd(13)} ${fit(clean(text), 200)}\n`);
  return EXIT.done;
}

async function pull({ model, io, json, signal }: Scope, name: string): Promise<number> {
  const display = json ? undefined : new PullDisplay(io, name);
  try {
    for await (const progress of model.pull(name, signal)) display?.show(progress);
  } catch (error) {
    display?.end();
    if (signal.aborted) io.err('What was loaded so far is kept: the same command goes on from there.\n');
    throw error;
  }
  display?.end();
  const info = await model.show(name, signal);
  if (json) return said(io, { pulled: info.name, capabilities: info.capabilities });
  io.out(`${name} is there: ${info.capabilities.join(', ')}; ${info.contextLength} tokens.\n`);
  return EXIT.done;
}

async function remove(scope: Scope, name: string, yes: boolean): Promise<number> {
  const { model, io, json, signal } = scope;
  await model.show(name, signal);
  if (!yes) {
    if (!io.interactive || json) {
      io.err(`Nothing was removed. Without a terminal: kuznia models rm ${name} --yes\n`);
      if (json) said(io, { removed: null, needs: '--yes' });
      return EXIT.approval;
    }
    const size = (await model.list(signal)).find((one) => one.name === name)?.size;
    const prompt = new Prompt(process.stdin, process.stdout);
    const what = `${clean(name)}${size ? ` (${bytes(size)})` : ''}`;
    const answer = await prompt.confirm(
      `${painter(io).bold(`Remove ${what}?`)} It would have to be downloaded again. [y]es, [N]o: `,
    );
    prompt.close();
    if (answer !== 'yes') {
      io.out('Nothing was removed.\n');
      return EXIT.approval;
    }
  }
  await model.remove(name, signal);
  if (json) return said(io, { removed: name });
  io.out(`${clean(name)} was removed.\n`);
  return EXIT.done;
}

function explain({ io, json }: Scope, known: Survey & { settings: Partial<Record<Role, string>> }): number {
  const picks = pickRoles(known);
  if (json) return said(io, { roles: Object.fromEntries(picks), free_memory: known.freeMemory });
  const { bold } = painter(io);
  for (const role of roles) {
    const pick = picks.get(role);
    io.out(
      `${role.padEnd(8)} ${pick ? `${bold(clean(pick.name))}: ${pick.why}` : `none: ${MISSING[role]}`}\n`,
    );
  }
  return EXIT.done;
}

const MISSING: Record<Role, string> = {
  default: 'no installed model can talk; get one with `kuznia models pull qwen3:4b`',
  code: 'no installed model can talk',
  vision: 'no installed model sees images; one is `kuznia models pull qwen2.5vl:3b`',
  small: 'no installed model can talk',
  embed: 'no installed model makes embeddings; one is `kuznia models pull nomic-embed-text`',
};

function said(io: Io, value: object): number {
  io.out(`${JSON.stringify(value)}\n`);
  return EXIT.done;
}
