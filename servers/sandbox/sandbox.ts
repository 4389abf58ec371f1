import { isObject } from '../../kit/json.ts';
import type { Journal } from '../../kit/journal.ts';
import { ModelError, type Model } from '../../kit/model.ts';
import { ToolError, type JsonObject, type Runtime, type ToolContext } from '../../kit/tool.ts';
import type { Author } from './forge/author.ts';
import { short } from './gates/compare.ts';
import type { SandboxConfig } from './config.ts';
import { openRegistry, type Registry } from './registry/registry.ts';
import { quickjsRunner, type Runner, type Verdict } from './runner/runner.ts';
import { ToolSearch } from './search.ts';

/** What the sandbox server's tools work with. */
export interface Sandbox {
  config: SandboxConfig;
  registry: Registry;
  runner: Runner;
  search: ToolSearch;
  journal: Journal;
  home: string;
  /** Called when somebody looks at the tools: they will call one soon, and should not wait for the first worker. */
  warm: () => void;
  /** The model that writes tools, chosen by name, by configuration, or as the first one installed that fits. */
  author: (name: string | undefined, signal: AbortSignal) => Promise<Author>;
}

export async function openSandbox(config: SandboxConfig, runtime: Runtime): Promise<Sandbox> {
  const registry = await openRegistry(runtime.home);
  const runner = quickjsRunner();
  let model = runtime.model;
  let warming: NodeJS.Timeout | undefined;
  return {
    config,
    registry,
    runner,
    search: new ToolSearch(),
    journal: runtime.journal,
    home: runtime.home,
    warm() {
      warming ??= setTimeout(() => runner.warm(), WARM_MS).unref();
    },
    async author(name, signal) {
      if (!model) {
        const { ollamaModel } = await import('../../kit/ollama.ts');
        model = ollamaModel({ host: config.ollama, journal: runtime.journal });
      }
      return { model, signal, name: name ?? config.model ?? (await installedModel(model, signal)) };
    },
  };
}

export async function closeSandbox({ registry, runner }: Sandbox): Promise<void> {
  await Promise.allSettled([registry.close(), runner.close()]);
}

/** After the first list, so that the answer to it is out before the work begins. */
const WARM_MS = 250;

/** Models that were trained on code come first, then the order in which Ollama lists them. */
async function installedModel(model: Model, signal: AbortSignal): Promise<string> {
  try {
    const names = (await model.list(signal))
      .map((one) => one.name)
      .filter((name) => !/embed|minilm|bge/i.test(name));
    const chosen = names.find((name) => /code|devstral/i.test(name)) ?? names[0];
    if (chosen !== undefined) return chosen;
  } catch (error) {
    if (error instanceof ModelError) throw new ToolError(error.message, { cause: error });
    throw error;
  }
  throw new ToolError(
    'Ollama has no model that writes code. Get one, for example `ollama pull qwen2.5-coder:7b`.',
  );
}

export const forgedName = (name: string) => `forged_${name}`;

/** The tool's own name, whether it was given as `slugify` or as `forged_slugify`. */
export const bareName = (name: string) => name.replace(/^forged_/, '');

/** What every forged tool's result looks like to a client. */
export function resultSchema(tool: { output_schema?: JsonObject }): JsonObject {
  return tool.output_schema ?? { type: 'object', properties: { value: {} }, required: ['value'] };
}

/** The input of a published tool breaks its schema; nothing was run. */
export class InputMisfit extends ToolError {}

/** Runs a published tool, exactly as it was approved; throws ToolError for whatever goes wrong in it. */
export async function runPublished(
  sandbox: Sandbox,
  name: string,
  input: unknown,
  ctx: ToolContext,
): Promise<JsonObject> {
  const program = await sandbox.registry.program(name);
  const verdict = await sandbox.runner.run(
    {
      program: { code: program.code, kind: 'module' },
      input,
      inputSchema: program.inputSchema,
      outputSchema: program.outputSchema,
      timeoutMs: sandbox.config.timeout_ms,
      clock: 'real',
    },
    ctx.signal,
  );
  if (verdict.outcome === 'bad_input') throw new InputMisfit(fault(forgedName(name), verdict));
  if (verdict.outcome !== 'ok') throw new ToolError(fault(forgedName(name), verdict));
  const { value } = verdict;
  return program.outputSchema && isObject(value) ? value : { value };
}

/** One or two sentences about a run that failed, with what to do. */
export function fault(what: string, verdict: Exclude<Verdict, { outcome: 'ok' }>): string {
  const printed = verdict.console.length > 0 ? ` It printed ${short(verdict.console.join('\n'))}.` : '';
  switch (verdict.outcome) {
    case 'bad_input':
      return `${what} was not run, its input does not fit: ${verdict.message} Correct it and call again.`;
    case 'bad_output':
      return `${what} returned what its output_schema forbids: ${verdict.message} Mend it with sandbox_improve_tool.`;
    case 'error':
      return `${what} threw: ${verdict.message}${printed}`;
    default:
      return `${what} was stopped: ${verdict.message}${printed}`;
  }
}
