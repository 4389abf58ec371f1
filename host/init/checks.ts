import { CallError, callFor } from '../../kit/call.ts';
import { isObject } from '../../kit/json.ts';
import { noJournal } from '../../kit/journal.ts';
import { ollamaModel } from '../../kit/ollama.ts';
import { resolveSecret, SecretError } from '../../kit/secrets.ts';
import type { Runtime } from '../../kit/tool.ts';
import { within } from '../../kit/within.ts';
import { connect } from '../mcp/connections.ts';
import { doors } from '../mcp/doors.ts';
import { described, pickModel } from '../models/models.ts';
import { hostSettings } from '../settings.ts';
import type { Choices } from './compose.ts';

/** What was found where the configuration points. */
export interface Finding {
  name: string;
  ok: boolean;
  found: string;
  fix?: string;
}

const CHECK_MS = 10_000;

/** Whether Ollama answers, and the model that would be talked with. */
export async function checkOllama(
  { ollama, model: wanted }: Pick<Choices, 'ollama' | 'model'>,
  signal: AbortSignal,
): Promise<Finding & { model?: string }> {
  const name = 'ollama';
  const model = ollamaModel({ host: ollama, journal: noJournal });
  const soon = within(CHECK_MS, signal);
  const reached = await model.reachable(soon);
  if (!reached.ok) {
    const fix = 'Start it, or get it from https://ollama.com/download. The tools can be served without it.';
    return { name, ok: false, found: reached.reason, fix };
  }
  try {
    const info = await pickModel(model, wanted, soon);
    return { name, ok: true, found: `${reached.version}, ${described(info)}`, model: info.name };
  } catch (error) {
    const fix = `Get it: ollama pull ${wanted ?? 'qwen3:4b'}`;
    return { name, ok: false, found: said(error), fix };
  }
}

/** Whether a GitLab answers there; with the token, where it is kept already, whether it is taken. */
export async function checkGitLab(
  { url, token }: NonNullable<Choices['gitlab']>,
  signal: AbortSignal,
): Promise<Finding> {
  const name = 'gitlab';
  const value = token === undefined ? undefined : await kept(token);
  const gitlab = callFor({
    name: 'GitLab',
    setting: 'servers.gitlab.url',
    baseUrl: `${url}/api/v4`,
    headers: value === undefined ? {} : { authorization: `Bearer ${value}` },
    timeoutMs: CHECK_MS,
    maxBytes: 64 * 1024,
    retries: 0,
    readOnly: true,
  });
  try {
    const { status, body } = await gitlab.request('/version', { acceptStatus: [401], signal });
    const version = isObject(body) && typeof body['version'] === 'string' ? body['version'] : undefined;
    if (status !== 401 && version === undefined) {
      return { name, ok: false, found: `${url} answers, but is no GitLab.`, fix: 'Check the address.' };
    }
    if (status !== 401) return { name, ok: true, found: `${url}, version ${version}, the token is taken` };
    if (value === undefined) return { name, ok: true, found: `${url} answers; it wants a token` };
    const fix = `Make a new token and keep it: kuznia secret rotate ${bare(token)}`;
    return { name, ok: false, found: `${url} does not take the token.`, fix };
  } catch (error) {
    signal.throwIfAborted();
    const found = error instanceof CallError ? error.message : said(error);
    return { name, ok: false, found, fix: 'Check the address, and that this machine reaches it.' };
  } finally {
    await gitlab.close();
  }
}

/** The name in a reference. */
export const bare = (ref = '') => ref.replace('secret://', '');

async function kept(ref: string): Promise<string | undefined> {
  try {
    return await resolveSecret(ref);
  } catch (error) {
    if (error instanceof SecretError) return undefined;
    throw error;
  }
}

/** Starts the servers that a home's configuration names; each says how it is. Throws ConfigError. */
export async function checkServers(runtime: Runtime, signal: AbortSignal): Promise<Finding[]> {
  const connections = await connect(doors(hostSettings(runtime.home).servers), runtime);
  try {
    await connections.tools(signal);
    return connections.states().map(({ name, state, reason, tools }) => {
      const ok = state === 'ready';
      return {
        name: `server ${name}`,
        ok,
        found: ok ? `ready, ${tools} tools` : `${state}: ${reason ?? ''}`,
      };
    });
  } finally {
    await connections.close();
  }
}

const said = (error: unknown) => (error instanceof Error ? error.message : String(error));
