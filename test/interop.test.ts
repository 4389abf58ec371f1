import { everyThings } from './fixtures/every-things.ts';
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
  everyThings,
);
