import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { far, serveGateway } from './gateway-kit.ts';
import { everyThings } from './fixtures/every-things.ts';
import { interop } from './interop-matrix.ts';
import { cleanEnv, command, tempHome } from './support.ts';

const main = fileURLToPath(new URL('../host/main.ts', import.meta.url));
const approve = [{ tool: 'every_publish', policy: 'allow' as const }];

interop(
  'gateway',
  {
    async stdio(t) {
      const home = tempHome(t);
      const own = { sandbox: false, gitlab: false, auth: false };
      const mcpServers = { ...own, far: { ...command('every-main'), env: { KUZNIA_HOME: `${home}/far` } } };
      writeFileSync(join(home, 'kuznia.json'), JSON.stringify({ mcpServers, approve }));
      return { stdio: { ...command(main, 'serve'), env: cleanEnv(home) } };
    },
    http: async (t) => ({ http: (await serveGateway(t, { doors: far, approve })).url }),
    sse: async (t) => ({
      sse: (await serveGateway(t, { doors: far, approve })).url.replace(/mcp$/, 'sse'),
    }),
  },
  {
    ...everyThings,
    // A foreign tool that sounds like ours has its server in its name.
    change: { tool: 'every_publish', input: { name: 'made' }, adds: 'far_forged_made' },
    // The policy asks first, then the server itself.
    accept: { tool: 'every_erase', input: { what: 'a' }, asks: /^far asks: Erase a\?/, is: { erased: 'a' } },
    decline: {
      tool: 'every_erase',
      input: { what: 'b' },
      says: /^A person declined it\. Do not repeat it: go on without\.$/,
    },
  },
  ['v1 client over stdio', 'v2 pinned client over HTTP'],
);
