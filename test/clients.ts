import {
  Client as Client2,
  SSEClientTransport as Sse2,
  StreamableHTTPClientTransport as Http2,
} from '@modelcontextprotocol/client';
import { StdioClientTransport as Stdio2 } from '@modelcontextprotocol/client/stdio';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport as Sse1 } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport as Stdio1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as Http1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import type { TestContext } from 'node:test';
import { z } from 'zod';
import { MODERN } from './support.ts';

/** The clients that people have: the first SDK's, and the second one's in its three ways of agreeing on a revision. */
export const CLIENTS = ['v1', 'v2 legacy', 'v2 auto', 'v2 pinned'] as const;
export type ClientKind = (typeof CLIENTS)[number];

/** Where a server is. */
export type Way =
  | { stdio: { command: string; args: string[]; env: Record<string, string> } }
  | { http: string; token?: string }
  | { sse: string; token?: string };

/** What a call came to, whatever the client. */
export interface Called {
  isError: boolean;
  value: unknown;
  text: string;
}

/** A connected client, with the differences between SDKs folded away. */
export interface Driver {
  /** The revision that was agreed on; empty where the client does not tell. */
  version: string;
  tools: () => Promise<string[]>;
  call: (
    name: string,
    input?: Record<string, unknown>,
    options?: { onprogress?: (step: { progress: number; message?: string }) => void; signal?: AbortSignal },
  ) => Promise<Called>;
  templates: () => Promise<string[]>;
  read: (uri: string) => Promise<string>;
  prompt: (name: string, args: Record<string, string>) => Promise<string>;
  complete: (
    template: string,
    argument: { name: string; value: string },
    known?: Record<string, string>,
  ) => Promise<string[]>;
  /** How often `list_changed` came. */
  changes: () => number;
  /** Every question that was put to the person. */
  asked: string[];
  /** The server's, over stdio. */
  pid: number;
  close: () => Promise<void>;
}

export interface DriverOptions {
  /** The person at the client; without one it cannot ask. */
  person?: (question: string) => Answer;
}

type Answer = { action: 'accept'; content: Record<string, boolean> } | { action: 'decline' | 'cancel' };

/** A person who approves, or does not. */
export const approves = (): Answer => ({ action: 'accept', content: { approve: true } });
export const declines = (): Answer => ({ action: 'decline' });

/** Connects a client; it is closed after the test. */
export async function connect(
  t: TestContext,
  kind: ClientKind,
  way: Way,
  options: DriverOptions = {},
): Promise<Driver> {
  const driver = await (kind === 'v1' ? connect1(way, options) : connect2(kind, way, options));
  t.after(driver.close);
  return driver;
}

const info = { name: 'interop', version: '0' };

function bearer(token: string | undefined): { requestInit: { headers: Record<string, string> } } {
  return { requestInit: { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } } };
}

async function connect1(way: Way, { person }: DriverOptions): Promise<Driver> {
  const client = new Client1(info, { capabilities: person ? { elicitation: {} } : {} });
  const asked: string[] = [];
  let changes = 0;
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void changes++);
  if (person) {
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      asked.push(params.message);
      return person(params.message);
    });
  }
  let pid = 0;
  if ('stdio' in way) {
    const transport = new Stdio1({ ...way.stdio, stderr: 'ignore' });
    await client.connect(transport);
    pid = transport.pid ?? 0;
  } else if ('http' in way) await client.connect(new Http1(new URL(way.http), bearer(way.token)));
  else await client.connect(new Sse1(new URL(way.sse), bearer(way.token)));
  return driver({
    version: '',
    list: () => client.listTools(),
    call: (params, options) => client.callTool(params, undefined, options),
    templates: () => client.listResourceTemplates(),
    read: (uri) => client.readResource({ uri }),
    prompt: (name, args) => client.getPrompt({ name, arguments: args }),
    complete: (params) => client.complete(params),
    close: () => client.close(),
    changes: () => changes,
    asked,
    pid,
  });
}

const modes = { 'v2 legacy': 'legacy', 'v2 auto': 'auto', 'v2 pinned': { pin: MODERN } } as const;

async function connect2(kind: keyof typeof modes, way: Way, { person }: DriverOptions): Promise<Driver> {
  const client = new Client2(info, {
    capabilities: person ? { elicitation: {} } : {},
    versionNegotiation: { mode: modes[kind] },
  });
  const asked: string[] = [];
  let changes = 0;
  client.setNotificationHandler('notifications/tools/list_changed', () => void changes++);
  if (person) {
    client.setRequestHandler('elicitation/create', ({ params }) => {
      asked.push(params.message);
      return person(params.message);
    });
  }
  let pid = 0;
  if ('stdio' in way) {
    const transport = new Stdio2({ ...way.stdio, stderr: 'ignore' });
    await client.connect(transport);
    pid = transport.pid ?? 0;
  } else if ('http' in way) await client.connect(new Http2(new URL(way.http), bearer(way.token)));
  else await client.connect(new Sse2(new URL(way.sse), bearer(way.token)));
  // In 2026-07-28 nobody is told of changes unasked.
  if (client.getProtocolEra() === 'modern') await client.listen({ toolsListChanged: true });
  return driver({
    version: client.getNegotiatedProtocolVersion() ?? '',
    list: () => client.listTools(),
    call: (params, options) => client.callTool(params, options),
    templates: () => client.listResourceTemplates(),
    read: (uri) => client.readResource({ uri }),
    prompt: (name, args) => client.getPrompt({ name, arguments: args }),
    complete: (params) => client.complete(params),
    close: () => client.close(),
    changes: () => changes,
    asked,
    pid,
  });
}

interface Raw extends Pick<Driver, 'version' | 'changes' | 'asked' | 'pid' | 'close'> {
  list: () => Promise<unknown>;
  call: (
    params: { name: string; arguments: Record<string, unknown> },
    options: Parameters<Driver['call']>[2],
  ) => Promise<unknown>;
  templates: () => Promise<unknown>;
  read: (uri: string) => Promise<unknown>;
  prompt: (name: string, args: Record<string, string>) => Promise<unknown>;
  complete: (params: {
    ref: { type: 'ref/resource'; uri: string };
    argument: { name: string; value: string };
    context: { arguments: Record<string, string> };
  }) => Promise<unknown>;
}

const text = z.object({ text: z.string() });
const listed = z.object({ tools: z.array(z.object({ name: z.string() })) });
const called = z.object({
  isError: z.boolean().default(false),
  structuredContent: z.unknown().optional(),
  content: z.array(z.object({ text: z.string().default('') })),
});
const templates = z.object({ resourceTemplates: z.array(z.object({ uriTemplate: z.string() })) });
const contents = z.object({ contents: z.array(text) });
const messages = z.object({ messages: z.array(z.object({ content: text })) });
const completion = z.object({ completion: z.object({ values: z.array(z.string()) }) });

const joined = (parts: { text: string }[]) => parts.map((part) => part.text).join('\n');

function driver({ version, changes, asked, pid, close, ...raw }: Raw): Driver {
  return {
    version,
    changes,
    asked,
    pid,
    close,
    tools: async () => listed.parse(await raw.list()).tools.map((tool) => tool.name),
    async call(name, input = {}, options = {}) {
      const found = called.parse(await raw.call({ name, arguments: input }, options));
      return { isError: found.isError, value: found.structuredContent, text: joined(found.content) };
    },
    templates: async () =>
      templates.parse(await raw.templates()).resourceTemplates.map((one) => one.uriTemplate),
    read: async (uri) => joined(contents.parse(await raw.read(uri)).contents),
    prompt: async (name, args) =>
      joined(messages.parse(await raw.prompt(name, args)).messages.map((one) => one.content)),
    complete: async (uri, argument, known = {}) =>
      completion.parse(
        await raw.complete({ ref: { type: 'ref/resource', uri }, argument, context: { arguments: known } }),
      ).completion.values,
  };
}
