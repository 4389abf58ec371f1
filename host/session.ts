import { ollamaModel, type Model, type ModelInfo } from '../kit/ollama.ts';
import { processRuntime } from '../kit/serve.ts';
import type { Runtime } from '../kit/tool.ts';
import { Approvals } from './approvals.ts';
import { connect, type Connections, type HostTool } from './connections.ts';
import { doors } from './doors.ts';
import { describeImages } from './images.ts';
import type { TurnOptions } from './loop.ts';
import { isLocal, pickModel, wantedHost, wantedModel } from './models.ts';
import { knownExamples, writeExamples } from './retrieval/examples.ts';
import { ToolIndex, type Embedder } from './retrieval/index.ts';
import { restater } from './retrieval/restate.ts';
import { pickRole, survey } from './roles.ts';
import { servers } from './servers.ts';
import { hostSettings, type HostSettings } from './settings.ts';
import { Window } from './window.ts';

/** What a turn needs beside its conversation. */
type ForTurns = Required<Pick<TurnOptions, 'rules' | 'kept' | 'index' | 'see'>> &
  Pick<TurnOptions, 'mostTools' | 'maxRounds'>;

/** A model and the tools that it may use. */
export interface Session {
  model: Model;
  info: ModelInfo;
  connections: Connections;
  settings: HostSettings;
  runtime: Runtime;
  approvals: Approvals;
  /** One for each conversation. */
  window: () => Window;
  /** Anew for each turn: a person may have allowed something since, or an embedding model came. */
  forTurns: (info: ModelInfo) => Promise<ForTurns>;
  /** For the time when nobody asks: prepares finding tools. Ends early and quietly when `signal` aborts. */
  idle: (info: ModelInfo, signal: AbortSignal) => Promise<void>;
  close: () => Promise<void>;
}

/** Finds a model, then starts the servers. Throws ModelError before anything is started. */
export async function openSession(options: { model?: string; signal: AbortSignal }): Promise<Session> {
  const runtime = processRuntime();
  const { budget } = hostSettings(runtime.home);
  const model = modelOf(runtime);
  const machine = { local: isLocal(runtime), memoryMb: budget.memory_mb };
  const info = await pickModel(model, wantedModel(options.model, runtime), options.signal, machine);
  return joined(model, info, runtime);
}

/** The model server that the environment or kuznia.json names. */
export function modelOf(runtime: Runtime): Model {
  return ollamaModel({ host: wantedHost(runtime), journal: runtime.journal });
}

/** Servers forge with the model that the person talks to. */
export async function joined(model: Model, info: ModelInfo, runtime: Runtime): Promise<Session> {
  const env = { ...runtime.env, KUZNIA_MODEL: info.name };
  const settings = hostSettings(runtime.home);
  const connections = await connect(doors(settings.servers), { ...runtime, env, model });
  const approvals = new Approvals(runtime.home);
  const examples = await exampleRequests(settings, runtime.home);
  const closing = new AbortController();
  const make = (embedder?: Embedder) =>
    new ToolIndex({ home: runtime.home, embedder, examples, restate: restater(model, info.name) });
  let index = make();
  // Nobody waits for it: until it is there, tools are found by words.
  const looking = findEmbedder(model, settings, closing.signal).then((embedder) => {
    if (embedder && !closing.signal.aborted) index = make(embedder);
    return undefined;
  });

  return {
    settings,
    runtime,
    model,
    info,
    connections,
    approvals,
    window: () => new Window(runtime.home, settings.budget),
    async forTurns(current) {
      return {
        index,
        rules: settings.approve,
        kept: await approvals.kept(),
        mostTools: settings.budget.tools,
        maxRounds: settings.budget.rounds,
        see: (images, signal) =>
          describeImages(images, { model, info: current, settings: settings.models, signal }),
      };
    },
    async idle(current, signal) {
      const both = AbortSignal.any([signal, closing.signal]);
      try {
        await looking;
        const tools = await connections.tools(both);
        index.update(tools);
        await index.learn(both);
        const foreign = tools.filter((tool) => tool.foreign);
        await writeExamples({
          model,
          modelName: current.name,
          tools: foreign,
          home: runtime.home,
          signal: both,
        });
      } catch {
        // It can wait: the next idle time goes on where this one ended.
      }
    },
    async close() {
      closing.abort();
      await Promise.allSettled([looking, index.close()]);
      await connections.close();
      await runtime.journal.flush();
    },
  };
}

/** The servers alone, for commands that need no model. */
export async function openTools(): Promise<Connections> {
  const runtime = processRuntime();
  return connect(doors(hostSettings(runtime.home).servers), runtime);
}

/** The embedding model that is configured or installed, if any. */
async function findEmbedder(
  model: Model,
  settings: HostSettings,
  signal: AbortSignal,
): Promise<Embedder | undefined> {
  try {
    const found = pickRole('embed', { ...(await survey(model, signal)), settings: settings.models });
    return found && { model: found.name, embed: (texts, each) => model.embed(found.name, texts, each) };
  } catch {
    return undefined;
  }
}

/** Requests that tools answer: ours come with the tools, those of others were written by a model in idle time. */
async function exampleRequests(settings: HostSettings, home: string): Promise<(tool: HostTool) => string[]> {
  const names = settings.servers.flatMap((one) => (one.kind === 'own' ? [one.name] : []));
  const loaded = await Promise.all(names.map((name) => servers[name]?.()));
  const own = new Map(loaded.flatMap((one) => (one ? [...one.examples] : [])));
  const foreign = knownExamples(home);
  return (tool) => (tool.foreign ? foreign(tool) : (own.get(tool.name) ?? []));
}
