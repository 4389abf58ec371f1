import { painter } from './display.ts';
import { EXIT, parse, type Command } from './io.ts';
import { openTools } from './session.ts';
import { clean, fit } from './text.ts';

const help = `
kuznia tools: list the tools.

Usage: kuznia tools [--json]

  --json  with their input schemas

Example: kuznia tools --json | jq -r '.tools[] | select(.effect == "write").name'
`;

export const command: Command = {
  help,
  async run(argv, io) {
    const { values } = parse(argv, { json: { type: 'boolean', default: false } });
    const connections = await openTools();
    try {
      const tools = await connections.tools(new AbortController().signal);
      if (values.json) {
        const shown = tools.map(({ name, server, title, description, effect, inputSchema }) => {
          return { name, server, title, effect, description, inputSchema };
        });
        io.out(`${JSON.stringify({ tools: shown })}\n`);
        return EXIT.done;
      }
      const { bold, dim } = painter(io);
      const width = Math.max(...tools.map((tool) => tool.name.length));
      for (const { name, effect, description } of tools) {
        const room = io.columns() - width - 11;
        const text = room > 20 ? fit(clean(description), room) : '';
        io.out(`${bold(name.padEnd(width))}  ${dim(effect.padEnd(7))} ${text}`.trimEnd().concat('\n'));
      }
      return EXIT.done;
    } finally {
      await connections.close();
    }
  },
};
