import { InMemoryTransport } from '@modelcontextprotocol/client';
import { McpServer } from '@modelcontextprotocol/server';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { connect } from '../host/mcp/connections.ts';
import { doors, inProcess } from '../host/mcp/doors.ts';
import { gateway, type GatewayOptions } from '../host/gateway/gateway.ts';
import { models } from '../host/gateway/models.ts';
import { deciding } from '../host/gateway/policy.ts';
import { Tokens } from '../host/gateway/tokens.ts';
import type { Door } from '../host/mcp/link.ts';
import type { ApproveRule } from '../host/settings.ts';
import { serveHttp, type HttpOptions } from '../kit/http.ts';
import { openJournal } from '../kit/journal.ts';
import type { Model } from '../kit/model.ts';
import { scriptedModel } from '../kit/scripted.ts';
import { mountable, open } from '../kit/serve.ts';
import { serverFactory } from '../kit/server.ts';
import { every } from './fixtures/every.ts';
import { command } from './support.ts';

/** The fixture with one of everything, inside this process, as a server of ours. */
export const near = (): Door => inProcess('near', async () => mountable(every));

/** The same as somebody else's, over stdio. */
export function far(home: string): Door[] {
  const { command: program, args } = command('every-main');
  return doors([
    { kind: 'command', name: 'far', command: program, args, env: { KUZNIA_HOME: `${home}/far` } },
  ]);
}

/** Somebody else's server with what ours do not have: a form of several fields, a picture, no output schema. */
export function odd(): Door {
  return {
    name: 'odd',
    foreign: true,
    async open() {
      const [transport, theirs] = InMemoryTransport.createLinkedPair();
      const server = new McpServer({ name: 'odd', version: '0' });
      server.registerTool('odd_picture', { annotations: { readOnlyHint: true } }, () => ({
        content: [
          { type: 'text', text: 'a dot' },
          { type: 'image', data: 'iVBORw0KGgoAAAAN', mimeType: 'image/png' },
        ],
      }));
      server.registerTool('odd_form', { annotations: { readOnlyHint: true } }, async () => {
        const { action, content } = await server.server.elicitInput({
          message: 'Where to?',
          requestedSchema: {
            type: 'object',
            properties: {
              city: { type: 'string', title: 'City' },
              nights: { type: 'integer', title: 'Nights' },
            },
            required: ['city'],
          },
        });
        return { content: [{ type: 'text', text: `${action} ${JSON.stringify(content ?? {})}` }] };
      });
      await server.connect(theirs);
      return { transport, close: () => server.close() };
    },
  };
}

export interface GatewayHere extends Partial<Pick<GatewayOptions, 'bounds' | 'search'>> {
  doors: (home: string) => Door[];
  approve?: ApproveRule[];
  model?: Model;
  home?: string;
  http?: Partial<HttpOptions>;
}

/** A gateway over HTTP inside the test's process, until the test ends. */
export async function serveGateway(t: TestContext, given: GatewayHere) {
  const { bounds, search, approve = [], http, model = scriptedModel({ answers: [] }) } = given;
  const home = given.home ?? mkdtempSync(join(tmpdir(), 'kuznia-gateway-'));
  const journal = openJournal(home);
  const runtime = { home, journal, env: {}, model };
  const tokens = new Tokens(home);
  const connections = await connect(given.doors(home), runtime);
  const own = [await mountable(models).mount(runtime)];
  const options = { connections, own, runtime, bounds, search, allows: tokens.allows };
  const mount = () => gateway({ ...options, deciding: deciding(home, approve) });
  const opened = await open([{ name: 'gateway', examples: new Map(), mount }], runtime);
  const changes = (listener: () => void) => {
    const stops = opened.mounted.map((one) => one.onChange(listener));
    return () => stops.forEach((stop) => stop());
  };
  const server = await serveHttp(serverFactory({ ...opened, allows: tokens.allows }), changes, {
    host: '127.0.0.1',
    port: 0,
    sse: true,
    allowedHosts: [],
    clients: tokens,
    ...http,
  });
  t.after(async () => {
    await server.close(opened.finish(0));
    await opened.close();
    // Hooks run in the order that they were given in: what writes there must have ended before.
    if (given.home === undefined) rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  });
  return { url: server.url, home, journal, tokens, connections };
}
