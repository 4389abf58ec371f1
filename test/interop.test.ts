import { every } from './fixtures/every.ts';
import { interop } from './interop-matrix.ts';
import { cleanEnv, command, serveHere, tempHome } from './support.ts';

interop(
  'every',
  {
    stdio: async (t) => ({ stdio: { ...command('every-main'), env: cleanEnv(tempHome(t)) } }),
    http: async (t) => ({ http: (await serveHere(t, every)).url }),
    sse: async (t) => ({ sse: (await serveHere(t, every, { sse: true })).url.replace(/mcp$/, 'sse') }),
  },
  {
    value: { tool: 'every_say', input: { text: 'Zażółć 🔥' }, is: { text: 'Zażółć 🔥' } },
    error: {
      tool: 'every_fail',
      input: { how: 'told' },
      says: /^You asked for it\. Ask for something else\.$/,
    },
    progress: { tool: 'every_count', input: { to: 3, ms: 0 }, steps: [1, 2, 3] },
    cancel: {
      tool: 'every_count',
      input: { to: 1_000, ms: 20 },
      seen: { tool: 'every_seen', input: {}, is: { aborted: 1 } },
    },
    accept: { tool: 'every_erase', input: { what: 'a' }, asks: /^Erase a\?/, is: { erased: 'a' } },
    decline: {
      tool: 'every_erase',
      input: { what: 'b' },
      says: /^A person declined it\. Outside this client: every erase b$/,
    },
    change: { tool: 'every_publish', input: { name: 'made' }, adds: 'forged_made' },
    resource: {
      template: 'every://notes/{name}/{part}',
      uri: 'every://notes/first/z%20body',
      says: 'z body of first',
    },
    prompt: { name: 'every_greeting', args: { who: 'Ala' }, says: 'Say hello to Ala.' },
    completion: {
      template: 'every://notes/{name}/{part}',
      argument: { name: 'part', value: 'first' },
      known: { name: 'first' },
      values: ['first-body'],
    },
  },
);
