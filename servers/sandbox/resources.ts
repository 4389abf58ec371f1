import { ToolError, type Resource } from '../../kit/tool.ts';
import type { Sandbox } from './sandbox.ts';

const PARTS = ['code', 'tests', 'verdict', 'history'];

export const resources: Resource<Sandbox>[] = [
  {
    template: 'sandbox://tools/{name}/{version}/{part}',
    name: 'forged-tool',
    title: 'Forged tool',
    description: 'Code, tests, verdict or history of a version of a forged tool.',
    mimeType: 'application/json',
    async read({ name = '', version = '', part = '' }, { registry }) {
      const stored = await registry.read(name, version);
      switch (part) {
        case 'code':
          return { text: stored.code, mimeType: `text/${stored.manifest.language}` };
        case 'tests':
          return { text: JSON.stringify(stored.tests, null, 2) };
        case 'verdict':
          return { text: JSON.stringify(stored.verdict ?? { gates: [], note: 'not tested yet' }, null, 2) };
        case 'history':
          return { text: JSON.stringify(await registry.history(name), null, 2) };
        default:
          throw new ToolError(`A tool has no part \`${part}\`; there are ${PARTS.join(', ')}.`);
      }
    },
    async complete(variable, prefix, known, { registry }) {
      const values = await candidates(variable, known['name'], registry);
      return values.filter((value) => value.startsWith(prefix));
    },
  },
];

async function candidates(variable: string, name: string | undefined, registry: Sandbox['registry']) {
  if (variable === 'part') return PARTS;
  if (variable === 'name') return (await registry.list()).map((one) => one.name);
  if (variable === 'version' && name !== undefined) {
    return (await registry.versions(name)).map((one) => one.version);
  }
  return [];
}
