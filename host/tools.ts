import { processRuntime } from '../kit/serve.ts';
import type { Connections, HostTool } from './mcp/connections.ts';
import { painter } from './terminal/display.ts';
import { EXIT, parse, UsageError, type Command, type Io } from './terminal/io.ts';
import type { Ranked } from './retrieval/index.ts';
import { ownExamples } from './servers.ts';
import { modelOf, openTools } from './session.ts';
import { hostSettings } from './settings.ts';
import { clean, fit } from './terminal/text.ts';

const help = `
kuznia tools: list the tools.

Usage: kuznia tools [--json] [--for "TASK"]

  --for "TASK"  the tools that fit it best, as a model would see them beside those that make tools: how well by words
                (BM25) and, where an embedding model is installed, by meaning (cosine), and the tokens each takes
  --json        with their input schemas

Example: kuznia tools --for "who changed this line?"
         kuznia tools --json | jq -r '.tools[] | select(.effect == "write").name'
`;

/** A model server that hangs must not keep the answer, which words alone can give. */
const MODEL_MS = 5_000;
/** A list that lacks a slow server's tools would be taken for whole: longer than a chat waits. */
const SERVERS_MS = 5_000;

export const command: Command = {
  help,
  async run(argv, io) {
    const { values } = parse(argv, {
      json: { type: 'boolean', default: false },
      for: { type: 'string' },
    });
    const task = values.for?.trim();
    if (task === '') throw new UsageError('--for needs a task in quotes: kuznia tools --for "…".');
    const connections = await openTools();
    try {
      const missing = await missingServers(connections);
      for (const { server, reason } of missing)
        io.err(`Without the tools of ${clean(server)}: ${clean(reason)}\n`);
      const tools = await connections.tools(new AbortController().signal);
      if (task !== undefined) await tell(task, tools, io, values.json && { missing });
      else if (values.json) io.out(`${JSON.stringify({ tools: tools.map(plain), missing })}\n`);
      else list(tools, io);
      return EXIT.done;
    } finally {
      await connections.close();
    }
  },
};

/** Servers that are not there, and why. */
async function missingServers(connections: Connections): Promise<{ server: string; reason: string }[]> {
  await connections.started(SERVERS_MS);
  return connections
    .states()
    .filter(({ state }) => state !== 'ready')
    .map(({ name, reason }) => ({
      server: name,
      reason: reason ?? `no answer within ${SERVERS_MS / 1000} s`,
    }));
}

const plain = ({ name, server, title, description, effect, inputSchema }: HostTool) => {
  return { name, server, title, effect, description, inputSchema };
};

function list(tools: HostTool[], io: Io): void {
  const { bold, dim } = painter(io);
  const width = Math.max(...tools.map((tool) => tool.name.length));
  for (const { name, effect, description } of tools) {
    const room = io.columns() - width - 11;
    const text = room > 20 ? fit(clean(description), room) : '';
    io.out(`${bold(clean(name).padEnd(width))}  ${dim(effect.padEnd(7))} ${text}`.trimEnd().concat('\n'));
  }
}

/** What the model would be shown for a task, as it would be shown. */
async function tell(
  task: string,
  tools: HostTool[],
  io: Io,
  json: { missing: object[] } | false,
): Promise<void> {
  const { openIndex } = await import('./retrieval/open.ts');
  const { pick, tokensOf } = await import('./retrieval/pick.ts');
  const runtime = processRuntime();
  const never = new AbortController().signal;
  const index = await openIndex({
    home: runtime.home,
    model: modelOf(runtime),
    settings: hostSettings(runtime.home),
    own: await ownExamples(),
    signal: never,
    patienceMs: MODEL_MS,
  });
  try {
    index.update(tools);
    const ranked = await index.rank(task, never);
    const fits = new Map(ranked.map((one) => [one.tool.name, one]));
    const shown = pick(ranked, { pinned: [] }).map((tool) => {
      return { tool, tokens: tokensOf(tool), ...scores(fits.get(tool.name)) };
    });
    const tokens = shown.reduce((sum, one) => sum + one.tokens, 0);
    const notice = index.takeNotice();
    if (json) {
      const told = shown.map(({ tool, ...fit }) => ({ ...plain(tool), ...fit }));
      io.out(`${JSON.stringify({ task, tokens, tools: told, ...json, ...(notice && { notice }) })}\n`);
      return;
    }
    const { bold, dim } = painter(io);
    if (notice) io.err(`${notice}\n`);
    const width = Math.max(0, ...shown.map(({ tool }) => tool.name.length));
    for (const { tool, score, lexical, meaning, tokens: own } of shown) {
      const parts = [
        `score ${score.toFixed(3)}`,
        lexical === undefined ? '' : `words ${lexical.toFixed(1)}`,
        meaning === undefined ? '' : `meaning ${meaning.toFixed(2)}`,
        `${own} tokens`,
      ];
      io.out(`${bold(clean(tool.name).padEnd(width))}  ${dim(parts.filter(Boolean).join(', '))}\n`);
    }
    io.out(
      shown.length === 0
        ? 'No tool fits.\n'
        : `${shown.length} of ${tools.length} tools, about ${tokens} tokens.\n`,
    );
  } finally {
    await index.close();
  }
}

const scores = (fit: Ranked | undefined) => {
  return {
    score: fit?.score ?? 0,
    ...(fit?.lexical !== undefined && { lexical: fit.lexical }),
    ...(fit?.meaning !== undefined && { meaning: fit.meaning }),
  };
};
