import { interop, type Things } from './interop-matrix.ts';
import { cleanEnv, command, serveHere, tempHome } from './support.ts';
import { slugify } from './fixtures/slugify.ts';
import { sandbox } from '../servers/sandbox/definition.ts';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../servers/sandbox/main.ts', import.meta.url));
/** Every tool needs a person, so that elicitation is used. */
const env = { SANDBOX_ASK: 'all' };

const tool = (name: string) => ({ name, version: '1.0.0' });
const saved = (name: string) => [
  { tool: 'sandbox_save_tool', input: { ...slugify, name } },
  { tool: 'sandbox_test_tool', input: tool(name) },
];

const things: Things = {
  before: [...saved('slugify'), ...saved('other')],
  value: { tool: 'sandbox_run_code', input: { code: 'input.a + 1', input: { a: 1 } }, is: { value: 2 } },
  error: {
    tool: 'sandbox_show_tool',
    input: { name: 'nope' },
    says: /^There is no tool nope\. List the tools/,
  },
  progress: { tool: 'sandbox_test_tool', input: tool('other') },
  cancel: { tool: 'sandbox_run_code', input: { code: 'while (true);' } },
  accept: {
    tool: 'sandbox_approve_tool',
    input: tool('slugify'),
    asks: /slugify 1\.0\.0/,
    is: { status: 'approved' },
  },
  decline: {
    tool: 'sandbox_approve_tool',
    input: tool('other'),
    says: /declined.*kuznia approve other 1\.0\.0/,
  },
  change: { tool: 'sandbox_publish_tool', input: { name: 'slugify' }, adds: 'forged_slugify' },
  resource: {
    template: 'sandbox://tools/{name}/{version}/{part}',
    uri: 'sandbox://tools/slugify/1.0.0/code',
    says: 'title is empty',
  },
  prompt: { name: 'forge_a_tool', args: { task: 'slugs' }, says: 'sandbox_save_tool' },
  completion: {
    template: 'sandbox://tools/{name}/{version}/{part}',
    argument: { name: 'part', value: 'h' },
    known: { name: 'slugify', version: '1.0.0' },
    values: ['history'],
  },
};

interop(
  'sandbox',
  {
    stdio: async (t) => ({ stdio: { ...command(main), env: cleanEnv(tempHome(t), env) } }),
    http: async (t) => ({ http: (await serveHere(t, sandbox, { env })).url }),
    sse: async (t) => ({ sse: (await serveHere(t, sandbox, { env, sse: true })).url.replace(/mcp$/, 'sse') }),
  },
  things,
  ['v1 client over stdio'],
);
