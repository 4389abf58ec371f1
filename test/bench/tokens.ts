import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import { connect, sandboxServer } from './client.ts';
import { figure, type Figure, type Scope } from './figure.ts';

const count = (value: unknown) => encode(JSON.stringify(value)).length;

/** What the fixed tools cost a model in every conversation. */
export async function tokens(scope: Scope): Promise<Figure[]> {
  const server = await connect(sandboxServer, await scope.folder('tokens'));
  try {
    const { tools } = await server.page();
    const each = tools.map((tool) => [tool.name, count(tool)] as const).sort((a, b) => b[1] - a[1]);
    const part = (pick: (tool: (typeof tools)[number]) => unknown) => count(tools.map(pick));
    return [
      figure({
        name: 'tokens',
        what: `tools/list of the ${tools.length} fixed tools, o200k`,
        unit: 'tokens',
        value: count({ tools }),
        bar: 3000,
        details: {
          'per tool': Object.fromEntries(each),
          descriptions: part((tool) => tool.description),
          inputs: part((tool) => tool.inputSchema),
          outputs: part((tool) => tool.outputSchema),
          'titles and annotations': part(({ title, annotations }) => ({ title, annotations })),
        },
      }),
    ];
  } finally {
    await server.close();
  }
}
