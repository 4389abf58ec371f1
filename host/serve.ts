import { kuzniaHome } from '../kit/config.ts';
import { mountable, serveProcess, type Mountable } from '../kit/serve.ts';
import type { Runtime } from '../kit/tool.ts';
import type { BoundOptions } from './gateway/bounds.ts';
import { Tokens } from './gateway/tokens.ts';
import { parse, UsageError, type Command } from './terminal/io.ts';
import { ownExamples, servers } from './servers.ts';
import type { HostSettings } from './settings.ts';
import { nearest } from './terminal/text.ts';

const help = `
kuznia serve: serve the tools over MCP, to an editor or another agent. Without a name it is the gateway: our servers,
those of \`mcpServers\` in kuznia.json and the model itself behind one endpoint, with the policy of \`approve\`.

Usage: kuznia serve [SERVER]... [--http [HOST:]PORT] [--sse] [--allow-host NAME]... [--public-url URL]
                    [--search [--pin TOOL]...] [--rate CALLS] [--at-once CALLS]

  SERVER             ${Object.keys(servers).join(', ')}: only these, without the gateway
  --http HOST:PORT   over HTTP at /mcp instead of standard input and output; the host is 127.0.0.1 when left out
  --sse              with --http: also the old HTTP+SSE transport at /sse
  --allow-host NAME  with --http: another host name that clients may use; repeatable
  --public-url URL   with --http: the address that clients use, where a proxy stands in front
  --search           list find_tools and call_tool instead of all tools, for clients with small windows
  --pin TOOL         with --search: list this tool too; repeatable
  --rate CALLS       of one client, in a minute; a quarter of it at once (120)
  --at-once CALLS    of one client that may run side by side (8)
KUZNIA_TOKEN is a bearer token that may do everything; \`kuznia token\` gives each client its own. Any address but
loopback needs one of them.

Example: kuznia serve --http 8808 --search --pin sandbox_run_code
`;

export const command: Command = {
  help,
  async run(argv, io) {
    const { values, positionals: names } = parse(argv, {
      http: { type: 'string' },
      sse: { type: 'boolean', default: false },
      'allow-host': { type: 'string', multiple: true, default: [] },
      'public-url': { type: 'string' },
      search: { type: 'boolean', default: false },
      pin: { type: 'string', multiple: true, default: [] },
      rate: { type: 'string' },
      'at-once': { type: 'string' },
    });
    const bounds = {
      ...(values.rate !== undefined && paced(count('rate', values.rate))),
      ...(values['at-once'] !== undefined && { concurrent: count('at-once', values['at-once']) }),
    };
    if (values.pin.length > 0 && !values.search) throw new UsageError('--pin goes with --search.');
    const ofGateway = (['search', 'rate', 'at-once'] as const).find((flag) => values[flag]);
    if (ofGateway && names.length > 0) {
      throw new UsageError(`--${ofGateway} is for the gateway: leave the names of servers out.`);
    }
    const tokens = new Tokens(kuzniaHome(io.env));
    tokens.list(); // a broken file is told now
    const search = values.search ? { pinned: values.pin } : undefined;
    const mountables =
      names.length > 0 ? await Promise.all(names.map(own)) : [theGateway(tokens, bounds, search)];
    await serveProcess(mountables, {
      http: values.http,
      sse: values.sse,
      allowedHosts: values['allow-host'],
      publicUrl: values['public-url'],
      clients: tokens,
    });
    return undefined; // its transport keeps the process
  },
};

function count(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new UsageError(`--${flag} ${text.slice(0, 40)}: expected a whole number above 0, for example 120.`);
}

const paced = (rate: number) => ({ rate, burst: Math.ceil(rate / 4) });

function own(name: string): Promise<Mountable> {
  const load = Object.hasOwn(servers, name) ? servers[name] : undefined;
  if (load) return load();
  const known = Object.keys(servers);
  const near = nearest(name, known, 1)[0];
  const hint = near ? `Did you mean ${near}?` : `There are: ${known.join(', ')}.`;
  throw new UsageError(`There is no server \`${name.slice(0, 40)}\`. ${hint}`);
}

function theGateway(
  tokens: Tokens,
  bounds: Partial<BoundOptions>,
  search: { pinned: string[] } | undefined,
): Mountable {
  return {
    name: 'gateway',
    examples: new Map(),
    async mount(runtime) {
      const [{ connect }, { doors }, { hostSettings }, { gateway }, { models }, { deciding }] =
        await Promise.all([
          import('./mcp/connections.ts'),
          import('./mcp/doors.ts'),
          import('./settings.ts'),
          import('./gateway/gateway.ts'),
          import('./gateway/models.ts'),
          import('./gateway/policy.ts'),
        ]);
      const settings = hostSettings(runtime.home);
      const [connections, model, indexes] = await Promise.all([
        connect(doors(settings.servers), runtime),
        mountable(models).mount(runtime),
        search && toolIndexes(runtime, settings),
      ]);
      return gateway({
        connections,
        own: [model],
        deciding: deciding(runtime.home, settings.approve),
        allows: tokens.allows,
        runtime,
        bounds,
        search: search && indexes && { ...search, ...indexes },
      });
    },
  };
}

/** By words at once, and as soon as an embedding model is found by meaning too. */
async function toolIndexes(runtime: Runtime, settings: HostSettings) {
  const [{ ToolIndex }, { openIndex }, { modelOf }] = await Promise.all([
    import('./retrieval/index.ts'),
    import('./retrieval/open.ts'),
    import('./session.ts'),
  ]);
  const { home } = runtime;
  const own = await ownExamples();
  const model = modelOf(runtime);
  return {
    index: new ToolIndex({ home, examples: own }),
    better: (signal: AbortSignal) => openIndex({ home, model, settings, own, signal }),
  };
}
