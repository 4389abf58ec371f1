import { ollamaModel, type Model, type ModelInfo } from '../kit/ollama.ts';
import { processRuntime } from '../kit/serve.ts';
import type { Runtime } from '../kit/tool.ts';
import { Approvals } from './approvals/approvals.ts';
import { connect, type Connections } from './mcp/connections.ts';
import { doors } from './mcp/doors.ts';
import { describeImages } from './models/images.ts';
import type { TurnOptions } from './turn/loop.ts';
import { isLocal, pickModel, wantedHost, wantedModel } from './models/models.ts';
import { writeExamples } from './retrieval/examples.ts';
import { ToolIndex } from './retrieval/index.ts';
import { openIndex } from './retrieval/open.ts';
import { ownExamples } from './servers.ts';
import { removeOld } from './sessions/keeping.ts';
import { hostSettings, type HostSettings } from './settings.ts';
import { Window } from './turn/window.ts';

/** What a turn needs beside its conversation. */
type ForTurns = Required<Pick<TurnOptions, 'rules' | 'kept' | 'index' | 'see'>> &
  Pick<TurnOptions, 'mostTools' | 'maxRounds' | 'think'>;

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
  const own = await ownExamples();
  const { home } = runtime;
  removeOld(home, settings.sessions.keep_days);
  const closing = new AbortController();
  let index = new ToolIndex({ home, examples: own });
  // Nobody waits for the embedding model: until it is there, tools are found by words.
  const { signal } = closing;
  const looking = openIndex({ home, model, settings, modelName: info.name, own, signal }).then(
    (found) => {
      index = found;
      return undefined;
    },
    () => undefined,
  );

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
        think: settings.think,
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
          others: tools.filter((tool) => !tool.foreign),
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

/** The servers alone, for commands that need no model; with `own`, that one of ours only. */
export async function openTools(own?: string): Promise<Connections> {
  const runtime = processRuntime();
  const { servers } = hostSettings(runtime.home);
  const wanted = servers.filter(({ kind, name }) => own === undefined || (kind === 'own' && name === own));
  return connect(doors(wanted), runtime);
}
