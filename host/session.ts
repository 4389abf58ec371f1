import { ollamaModel, type Model, type ModelInfo } from '../kit/ollama.ts';
import { processRuntime } from '../kit/serve.ts';
import type { Runtime } from '../kit/tool.ts';
import { connect, type Connections } from './connections.ts';
import { pickModel, wantedHost, wantedModel } from './models.ts';
import { doors } from './doors.ts';
import { hostSettings, type HostSettings } from './settings.ts';

/** A model and the tools that it may use. */
export interface Session {
  model: Model;
  info: ModelInfo;
  connections: Connections;
  settings: HostSettings;
  runtime: Runtime;
  close: () => Promise<void>;
}

/** Finds a model, then starts the servers. Throws ModelError before anything is started. */
export async function openSession(options: { model?: string; signal: AbortSignal }): Promise<Session> {
  const runtime = processRuntime();
  const model = modelOf(runtime);
  const info = await pickModel(model, wantedModel(options.model, runtime), options.signal);
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
  return {
    settings,
    runtime,
    model,
    info,
    connections,
    async close() {
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
