import { z } from 'zod';
import type { JsonObject, Runtime } from '../../kit/tool.ts';
import { connect, type Connections } from '../mcp/connections.ts';
import { doors, inProcess } from '../mcp/doors.ts';
import { sameResult, type HiddenCase, type Prepared, type Task } from './task.ts';
import { serverWith } from './toolbox.ts';

/** The servers of one task: some tools of the toolbox, or the sandbox with what is prepared for it. */
export async function layOut(task: Task, runtime: Runtime, signal: AbortSignal): Promise<Connections> {
  const { tools } = task;
  if (tools) return connect([inProcess('office', async () => serverWith(tools))], runtime);
  const connections = await connect(doors([{ kind: 'own', name: 'sandbox', isolated: false }]), runtime);
  try {
    if (task.prepared) await publish(task.prepared, connections, signal);
    return connections;
  } catch (error) {
    await connections.close();
    throw error;
  }
}

async function publish({ ...draft }: Prepared, connections: Connections, signal: AbortSignal): Promise<void> {
  const { name } = draft;
  await made(connections, 'sandbox_save_tool', draft, signal);
  const tested = await made(connections, 'sandbox_test_tool', { name }, signal);
  if (tested['passed'] !== true) throw new Error(`${name} fails its own tests: ${JSON.stringify(tested)}`);
  await made(connections, 'sandbox_publish_tool', { name }, signal);
}

async function made(
  connections: Connections,
  tool: string,
  args: JsonObject,
  signal: AbortSignal,
): Promise<JsonObject> {
  const { ok, text, value = {} } = await connections.call(tool, args, { signal });
  if (!ok) throw new Error(`${tool}: ${text}`);
  return value;
}

const listed = z.object({
  tools: z.array(
    z.object({ name: z.string(), version: z.string(), status: z.string(), live: z.string().optional() }),
  ),
});

/** What is wrong with the forged tools that a turn left; undefined where nothing is, or none are asked for. */
export async function shelfFault(
  task: Task,
  connections: Connections,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (task.tools) return undefined;
  const { tools } = listed.parse(await made(connections, 'sandbox_list_tools', {}, signal));
  const { prepared, hidden = [] } = task;
  if (task.kind === 'reuse') {
    const fresh = tools.filter((one) => one.name !== prepared?.name).map((one) => one.name);
    return fresh.length > 0 ? `${fresh.join(', ')} was forged, though a tool was there.` : undefined;
  }
  if (prepared) {
    const live = tools.find((one) => one.name === prepared.name)?.live;
    if (live === undefined || live === '1.0.0') return `No new version of ${prepared.name} is live.`;
    return trial(prepared.name, hidden, connections, signal);
  }
  let why = 'No tool was forged.';
  for (const { name, status, live } of tools) {
    if (live === undefined && status !== 'approved') {
      why = `${name} was begun, but is ${status}: it did not pass its gates.`;
      continue;
    }
    if (live === undefined) await made(connections, 'sandbox_publish_tool', { name }, signal);
    const wrong = await trial(name, hidden, connections, signal);
    if (wrong === undefined) return undefined;
    why = wrong;
  }
  return why;
}

async function trial(
  name: string,
  hidden: readonly HiddenCase[],
  connections: Connections,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const { input, output } of hidden) {
    const result = await connections.call(`forged_${name}`, input, { signal });
    const shown = `forged_${name} gives ${(result.ok ? JSON.stringify(result.value) : result.text).slice(0, 300)}`;
    if (!result.ok || !(sameResult(result.value, output) || sameOnly(result.value, output))) {
      return `${shown} for ${JSON.stringify(input)}, expected ${JSON.stringify(output)}.`;
    }
  }
  return undefined;
}

/** The names of outputs are the model's own, where there is only one. */
function sameOnly(result: unknown, output: unknown): boolean {
  const values = typeof output === 'object' && output !== null ? Object.values(output) : [];
  return values.length === 1 && sameResult(result, values[0]);
}
