import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ListToolsResultSchema, type Tool } from '@modelcontextprotocol/sdk/types.js';
import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { HostTool } from '../../host/mcp/link-types.ts';
import { cache as kept } from './recall-embedders.ts';

const run = promisify(execFile);

interface Peer {
  server: string;
  package: string;
  version: string;
  args?: string[];
  env?: Record<string, string>;
}

/** Public servers as people install them. Some refuse to start without settings: none of these values is real. */
const PEERS: Peer[] = [
  {
    server: 'gitlab',
    package: '@zereight/mcp-gitlab',
    version: '2.1.64',
    env: {
      GITLAB_PERSONAL_ACCESS_TOKEN: 'none',
      GITLAB_API_URL: 'http://127.0.0.1:9/api/v4',
    },
  },
  { server: 'playwright', package: '@playwright/mcp', version: '0.0.83' },
  {
    server: 'chrome',
    package: 'chrome-devtools-mcp',
    version: '1.11.0',
    args: ['--no-usage-statistics'],
  },
  {
    server: 'mongodb',
    package: 'mongodb-mcp-server',
    version: '3.0.4',
    env: {
      MDB_MCP_TELEMETRY: 'disabled',
    },
  },
  {
    server: 'notion',
    package: '@notionhq/notion-mcp-server',
    version: '2.5.2',
    env: { NOTION_TOKEN: 'none' },
  },
  {
    server: 'filesystem',
    package: '@modelcontextprotocol/server-filesystem',
    version: '2026.8.31',
    args: ['.'],
  },
  { server: 'memory', package: '@modelcontextprotocol/server-memory', version: '2026.8.31' },
  { server: 'github', package: '@modelcontextprotocol/server-github', version: '2025.4.8' },
  {
    server: 'slack',
    package: '@modelcontextprotocol/server-slack',
    version: '2025.4.25',
    env: { SLACK_BOT_TOKEN: 'none', SLACK_TEAM_ID: 'none' },
  },
  {
    server: 'maps',
    package: '@modelcontextprotocol/server-google-maps',
    version: '0.6.2',
    env: { GOOGLE_MAPS_API_KEY: 'none' },
  },
  {
    server: 'brave',
    package: '@modelcontextprotocol/server-brave-search',
    version: '0.6.2',
    env: { BRAVE_API_KEY: 'none' },
  },
];

const cache = join(kept, 'recall');

/** The tools of all peers as the host would know them. Installed and listed once, then kept in the user's cache. */
export async function peerTools(): Promise<HostTool[]> {
  const stamp = JSON.stringify(PEERS);
  const before = await readFile(join(cache, 'tools.json'), 'utf8').catch(() => '');
  const known = before === '' ? undefined : listing.safeParse(JSON.parse(before)).data;
  if (known?.stamp === stamp) return known.tools.map(hostTool);
  await mkdir(cache, { recursive: true });
  await writeFile(join(cache, 'package.json'), '{"name":"recall","private":true}');
  const quiet = ['--no-audit', '--no-fund', '--silent', '--prefer-offline', '--ignore-scripts'];
  const wanted = PEERS.map((peer) => `${peer.package}@${peer.version}`);
  await run('npm', ['install', ...quiet, ...wanted], { cwd: cache });
  const tools: Listed[] = [];
  for (const peer of PEERS) tools.push(...(await listed(peer)));
  await writeFile(join(cache, 'tools.new'), JSON.stringify({ stamp, tools }));
  await rename(join(cache, 'tools.new'), join(cache, 'tools.json'));
  return tools.map(hostTool);
}

async function listed(peer: Peer): Promise<Listed[]> {
  const folder = join(cache, 'node_modules', peer.package);
  const { name, bin } = manifest.parse(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')));
  const script = typeof bin === 'string' ? bin : (bin[name.split('/').at(-1) ?? ''] ?? Object.values(bin)[0]);
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [join(folder, script ?? ''), ...(peer.args ?? [])],
    cwd: cache,
    env: { PATH: process.env['PATH'] ?? '', HOME: cache, ...peer.env },
    stderr: 'ignore',
  });
  const client = new Client({ name: 'bench', version: '0' });
  await client.connect(transport, { timeout: 60_000 });
  try {
    const tools: Listed[] = [];
    let cursor: string | undefined;
    do {
      const params = cursor === undefined ? {} : { cursor };
      const page = await client.request({ method: 'tools/list', params }, ListToolsResultSchema);
      tools.push(...page.tools.map((tool) => shortened(peer.server, tool)));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    if (tools.length === 0) throw new Error(`${peer.package} lists no tools`);
    return tools;
  } finally {
    await client.close();
  }
}

const shortened = (server: string, { name, title = name, description = '', inputSchema }: Tool): Listed => {
  return { server, name, title, description, inputSchema };
};

const hostTool = (tool: Listed): HostTool => {
  return { ...tool, effect: 'destroy', long: false, foreign: true, openWorld: true };
};

const manifest = z.object({ name: z.string(), bin: z.union([z.string(), z.record(z.string(), z.string())]) });
const listedTool = z.object({
  server: z.string(),
  name: z.string(),
  title: z.string(),
  description: z.string(),
  inputSchema: z.record(z.string(), z.unknown()),
});
type Listed = z.infer<typeof listedTool>;
const listing = z.object({ stamp: z.string(), tools: z.array(listedTool) });
