import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InMemoryTransport } from '@modelcontextprotocol/server';
import { Client } from '@modelcontextprotocol/client';
import { z } from 'zod';
import { openJournal } from '../kit/journal.ts';
import { mountable, serveInProcess } from '../kit/serve.ts';
import { SecretStore, type SecretEntry } from '../kit/secret-store.ts';
import { mkdirSync, writeFileSync } from 'node:fs';
import { auth } from '../servers/auth/definition.ts';

const result = z.looseObject({
  isError: z.boolean().default(false),
  structuredContent: z.looseObject({}).optional(),
  content: z.array(z.looseObject({ text: z.string() })),
});

/** Who ends what was begun: a test, or a bench. */
export interface Ending {
  after: (end: () => Promise<void> | void) => void;
}

export interface Called {
  ok: boolean;
  text: string;
  value: Record<string, unknown>;
}

/** A folder of its own, short enough for a socket in it. */
export function authHome(t: Ending, settings: object = {}): string {
  const home = mkdtempSync(join(tmpdir(), 'kz-'));
  t.after(() => rmSync(home, { recursive: true, force: true, maxRetries: 3 }));
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, 'kuznia.json'), JSON.stringify({ servers: { auth: settings } }));
  return home;
}

/** Puts secrets into a home's store. */
export async function keep(
  home: string,
  entries: Record<string, Partial<SecretEntry> & { value: string }>,
): Promise<void> {
  await new SecretStore(home, {}).update((all) => {
    for (const [name, entry] of Object.entries(entries)) {
      all[name] = { kind: 'secret', origins: [], added: new Date().toISOString(), ...entry };
    }
  });
}

/** The auth server behind a real client, in this process. */
export async function openAuthServer(
  t: Ending,
  home: string,
  connected: Client = new Client({ name: 'test', version: '0' }, { capabilities: {} }),
) {
  const [near, far] = InMemoryTransport.createLinkedPair();
  const journal = openJournal(home);
  const served = await serveInProcess(mountable(auth), far, { home, journal, env: {} });
  const client = connected;
  await client.connect(near);
  let closed = false;
  const close = async () => {
    if (closed) return;
    closed = true;
    await client.close();
    await served.close();
  };
  t.after(close);
  const call = async (
    name: string,
    input: Record<string, unknown> = {},
    options: { signal?: AbortSignal; onprogress?: (step: { message?: string }) => void } = {},
  ): Promise<Called> => {
    const got = result.parse(await client.callTool({ name, arguments: input }, options));
    const text = got.content.map((part) => part.text).join('\n');
    return { ok: !got.isError, text, value: got.structuredContent ?? {} };
  };
  return {
    client,
    call,
    close,
    tools: async () => (await client.listTools()).tools,
    /** Calls it and expects a value. */
    async value(name: string, input?: Record<string, unknown>) {
      const got = await call(name, input);
      if (!got.ok) throw new Error(`${name}: ${got.text}`);
      return got.value;
    },
    /** Calls it and expects an error. */
    async fault(name: string, input?: Record<string, unknown>) {
      const got = await call(name, input);
      if (got.ok) throw new Error(`${name} did not fail: ${got.text}`);
      return got.text;
    },
  };
}

/** The handle of an answer. */
export const handleOf = (value: Record<string, unknown>) =>
  z.object({ handle: z.string() }).parse(value).handle;
export const ticketOf = (value: Record<string, unknown>) =>
  z.object({ ticket: z.string() }).parse(value).ticket;
