import { join } from 'node:path';
import { secretStore } from '../../kit/secret-store.ts';
import type { Model } from '../../kit/model.ts';
import type { Runtime } from '../../kit/tool.ts';
import { sources } from '../../servers/auth/definition.ts';
import type { Connections } from '../mcp/connections.ts';
import type { ServerState } from '../mcp/link-types.ts';
import { isLocal, wantedModel } from '../models/models.ts';
import { pickRole, survey } from '../models/roles.ts';
import { hostSettings, roles, type Role } from '../settings.ts';

/** A role, and the model that it gets; without one, why. */
export interface RoleState {
  role: Role;
  model?: string;
  why: string;
}

/** Where secrets are, and how many; `error` where the store cannot be opened. */
export interface SecretState {
  folder: string;
  kept?: string;
  count: number;
  error?: string;
}

/** The servers as they are once each has started or failed, or `ms` are over. */
export async function serverStates(connections: Connections, ms: number): Promise<ServerState[]> {
  await connections.started(ms);
  // What a server has is counted when it is listed.
  await connections.tools(AbortSignal.timeout(ms)).catch(() => []);
  return connections.states();
}

const LACKS: Record<Role, string> = {
  default: 'no model that can talk: ollama pull qwen3:4b',
  code: 'no model that can write code: ollama pull qwen2.5-coder:7b',
  vision: 'no model that sees; pictures are left out: ollama pull qwen2.5vl:3b',
  small: 'no small model; the default one does its work: ollama pull qwen3:1.7b',
  embed: 'no embedding model; tools are found by words alone: ollama pull nomic-embed-text',
};

/** Which model each role gets. Throws ModelError without a model server. */
export async function roleStates(model: Model, runtime: Runtime, signal: AbortSignal): Promise<RoleState[]> {
  const { models, budget } = hostSettings(runtime.home);
  const wanted = wantedModel(undefined, runtime);
  const settings = { ...models, ...(wanted && { default: wanted }) };
  const known = await survey(model, signal, { local: isLocal(runtime), memoryMb: budget.memory_mb });
  return roles.map((role) => {
    const pick = pickRole(role, { ...known, settings });
    return pick ? { role, model: pick.name, why: pick.why } : { role, why: LACKS[role] };
  });
}

/** Where the secrets of a home are kept. Nothing of them is read but their number. */
export async function secretState(
  home: string,
  env: Record<string, string | undefined>,
): Promise<SecretState> {
  const folder = join(home, 'secrets');
  try {
    const store = secretStore(home, env);
    const kept = store.kept();
    if (kept === undefined) return { folder, count: 0 };
    return { folder, kept, count: Object.keys(await store.all()).length };
  } catch (error) {
    return { folder, count: 0, error: error instanceof Error ? error.message : String(error) };
  }
}

/** A mailbox or a phone that two-factor codes come from, tried. */
export interface CodeSource {
  name: string;
  kind: string;
  ok: boolean;
  note?: string;
}

const SOURCES_MS = 15_000;

/** Each place that two-factor codes come from. */
export async function codeSources(runtime: Pick<Runtime, 'home' | 'env'>): Promise<CodeSource[]> {
  try {
    const found = await sources(runtime, AbortSignal.timeout(SOURCES_MS));
    return found.map((one) => ({ ok: true, ...one }));
  } catch (error) {
    const note = error instanceof Error ? error.message : String(error);
    return [{ name: 'auth', kind: 'settings', ok: false, note }];
  }
}
