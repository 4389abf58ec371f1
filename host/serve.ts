import { serveMain } from '../kit/serve.ts';
import { UsageError, type Command } from './io.ts';
import { servers } from './servers.ts';
import { nearest } from './text.ts';

const help = `
kuznia serve: serve the tools over MCP, to an editor or another agent.

Usage: kuznia serve [SERVER]... [--http [HOST:]PORT] [--sse] [--allow-host NAME]...

  SERVER             ${Object.keys(servers).join(', ')}; all of them when none is named
  --http HOST:PORT   over HTTP at /mcp instead of standard input and output; the host is 127.0.0.1 when left out
  --sse              with --http: also the old HTTP+SSE transport at /sse
  --allow-host NAME  with --http: another host name that clients may use; repeatable
KUZNIA_TOKEN is the bearer token that clients send; any address but loopback needs one.

Example: kuznia serve sandbox --http 8808
`;

export const command: Command = {
  help,
  async run(argv) {
    const flags = argv.findIndex((word) => word.startsWith('-'));
    const named = flags === -1 ? argv : argv.slice(0, flags);
    const names = named.length > 0 ? named : Object.keys(servers);
    const mountables = await Promise.all(
      names.map((name) => {
        const load = Object.hasOwn(servers, name) ? servers[name] : undefined;
        if (load) return load();
        const known = Object.keys(servers);
        const near = nearest(name, known, 1)[0];
        const hint = near ? `Did you mean ${near}?` : `There are: ${known.join(', ')}.`;
        throw new UsageError(`There is no server \`${name.slice(0, 40)}\`. ${hint}`);
      }),
    );
    await serveMain(mountables, flags === -1 ? [] : argv.slice(flags));
    // Its transport keeps the process; a fault in its arguments has set the exit code.
    return process.exitCode === undefined ? undefined : Number(process.exitCode);
  },
};
