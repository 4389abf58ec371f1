import { mountable, type Mountable } from '../kit/serve.ts';

/** Our own servers by name; a definition is loaded when it is first used. */
export const servers: Record<string, () => Promise<Mountable>> = {
  auth: async () => mountable((await import('../servers/auth/definition.ts')).auth),
  gitlab: async () => mountable((await import('../servers/gitlab/definition.ts')).gitlab),
  sandbox: async () => mountable((await import('../servers/sandbox/definition.ts')).sandbox),
};

/** By what the names of their tools begin with. */
const owners = new Map(
  Object.entries({ auth: 'auth', git: 'gitlab', gitlab: 'gitlab', forged: 'sandbox', sandbox: 'sandbox' }),
);

/** The server of ours that a tool of this name belongs to: no other's tool is called so. */
export const ownerOf = (tool: string): string | undefined => owners.get(tool.split('_', 1)[0] ?? '');

/** Requests that our own tools answer, by tool; they come with the tools. */
export async function ownExamples(): Promise<(tool: { name: string; foreign: boolean }) => string[]> {
  const loaded = await Promise.all(Object.values(servers).map((load) => load()));
  const known = new Map(loaded.flatMap((one) => [...one.examples]));
  return ({ name, foreign }) => (foreign ? [] : (known.get(name) ?? []));
}
