import { mountable, type Mountable } from '../kit/serve.ts';

/** Our own servers by name; a definition is loaded when it is first used. */
export const servers: Record<string, () => Promise<Mountable>> = {
  sandbox: async () => mountable((await import('../servers/sandbox/definition.ts')).sandbox),
};
