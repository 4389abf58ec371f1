import { mountable, serveInProcess, type Mountable } from '../kit/serve.ts';
import type { InProcessServer } from './connections.ts';

/** Our own servers by name; a definition is loaded when it is first used. */
export const servers: Record<string, () => Promise<Mountable>> = {
  sandbox: async () => mountable((await import('../servers/sandbox/definition.ts')).sandbox),
};

/** Every server of ours, to be run inside this process. */
export function ownServers(): InProcessServer[] {
  return Object.entries(servers).map(([name, load]) => {
    return {
      name,
      start: async (transport, runtime) => serveInProcess(await load(), transport, runtime),
    };
  });
}
