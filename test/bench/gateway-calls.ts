import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import type { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

/** The server behind every gateway that is measured. */
export const server = fileURLToPath(new URL('gateway-server.mjs', import.meta.url));

/** One call, by whichever way; throws on a wrong answer. */
export type Call = (text: string) => Promise<void>;

/** What has to be ended after a figure. */
export interface Started {
  end: () => Promise<unknown>;
}

/** How long one call takes, in ms. */
export async function timed(call: Call, i: number): Promise<number> {
  const begun = performance.now();
  await call(`Ala ma kota ${i}`);
  return performance.now() - begun;
}

const answer = z.object({ content: z.array(z.object({ text: z.string() })) });

/** Calls by the first SDK's client, which most editors ship. */
export async function client(
  transport: StdioClientTransport | StreamableHTTPClientTransport,
  started: Started[],
): Promise<Call> {
  const one = new Client({ name: 'bench', version: '0' });
  await one.connect(transport);
  started.push({ end: () => one.close() });
  return async (text) => {
    const found = answer.parse(await one.callTool({ name: 'echo', arguments: { text } }));
    if (found.content[0]?.text !== text) throw new Error(`echo answered ${JSON.stringify(found)}`);
  };
}

/** Starts a server, and waits for its address. */
export async function listening(
  args: string[],
  more: Record<string, string>,
  started: Started[],
): Promise<string> {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'] ?? '', ...more },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  started.push({ end: () => ended(child) });
  let said = '';
  for await (const chunk of child.stderr) {
    said += String(chunk);
    const url = /MCP at (\S+)/.exec(said)?.[1];
    if (url) {
      child.stderr.resume();
      return url;
    }
  }
  throw new Error(`${args.join(' ')} did not start: ${said.slice(-300)}`);
}

export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await exit;
  clearTimeout(late);
}
