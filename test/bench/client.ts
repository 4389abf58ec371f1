import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import {
  ListToolsResultSchema,
  ToolListChangedNotificationSchema,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const sandboxServer = `${root}dist/servers/sandbox/main.js`;

/** The v1 SDK's smallest server: what ours is measured against. Plain JavaScript, so that nothing compiles it. */
export const sdkServer = fileURLToPath(new URL('sdk-server.mjs', import.meta.url));

export interface Reply {
  ok: boolean;
  value: Record<string, unknown>;
  text: string;
}

const reply = z.object({
  isError: z.boolean().optional(),
  structuredContent: z.record(z.string(), z.unknown()).optional(),
  content: z.array(z.object({ text: z.string().optional() })),
});

/** A server process with a client of the first SDK on its stdio: what editors ship. */
export interface Connected {
  pid: number;
  /** When each `list_changed` came, by `performance.now()`. */
  changes: number[];
  call: (tool: string, input: Record<string, unknown>, signal?: AbortSignal) => Promise<Reply>;
  /** Throws where the tool says no. */
  must: (tool: string, input: Record<string, unknown>) => Promise<Record<string, unknown>>;
  /** One page, by the protocol alone: the client's own listTools compiles a validator a tool. */
  page: (cursor?: string) => Promise<{ tools: Tool[]; next: string | undefined }>;
  close: () => Promise<void>;
}

export async function connect(
  server: string,
  home: string,
  env: Record<string, string> = {},
): Promise<Connected> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [server],
    env: { PATH: process.env['PATH'] ?? '', HOME: home, KUZNIA_HOME: home, ...env },
    stderr: 'ignore',
  });
  const client = new Client({ name: 'bench', version: '0' });
  const changes: number[] = [];
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
    changes.push(performance.now());
  });
  await client.connect(transport);
  const { pid } = transport;
  if (pid === null) throw new Error(`${server} did not start`);
  const call: Connected['call'] = async (name, input, signal) => {
    const options = { timeout: 60_000, ...(signal && { signal }) };
    const found = reply.parse(await client.callTool({ name, arguments: input }, undefined, options));
    const text = found.content.map((part) => part.text ?? '').join('\n');
    return { ok: found.isError !== true, value: found.structuredContent ?? {}, text };
  };
  return {
    pid,
    changes,
    call,
    async must(tool, input) {
      const { ok, value, text } = await call(tool, input);
      if (!ok) throw new Error(`${tool}: ${text.slice(0, 300)}`);
      return value;
    },
    async page(cursor) {
      const params = cursor === undefined ? {} : { cursor };
      const found = await client.request({ method: 'tools/list', params }, ListToolsResultSchema);
      return { tools: found.tools, next: found.nextCursor };
    },
    close: () => client.close(),
  };
}

/** Saves, tests and publishes a tool through the server's own tools; answers with its version. */
export async function publish(server: Connected, tool: Record<string, unknown>): Promise<string> {
  const { name } = tool;
  const { version } = await server.must('sandbox_save_tool', tool);
  const { passed, gates } = await server.must('sandbox_test_tool', { name });
  if (passed !== true) throw new Error(`${String(name)} did not pass: ${JSON.stringify(gates)}`);
  await server.must('sandbox_publish_tool', { name });
  return String(version);
}
