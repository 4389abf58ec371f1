import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clients } from '../../kit/clients.ts';
import { ConfigError } from '../../kit/config.ts';
import { internalError } from '../../kit/log.ts';
import { codeOf, withLock } from '../../kit/secret-lock.ts';
import { replaceFile } from '../../kit/secret-write.ts';
import { matches } from '../approvals/pattern.ts';

const entry = z.object({
  /** SHA-256 in hex. Tokens are 256 random bits, which no slow hash makes harder to guess. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  /** Patterns of the tools that it may use; all of them where there is none. */
  tools: z.array(z.string()).default([]),
  added: z.string(),
  /** How long a token of it lasts, and until when this one does; for good, where they are not there. */
  days: z.number().positive().optional(),
  expires: z.iso.datetime().optional(),
});
const file = z.object({ clients: z.record(z.string(), entry) });
type Entries = z.output<typeof file>['clients'];

/** One client of the gateway, without its token, which only it has. */
export interface TokenClient {
  name: string;
  tools: string[];
  added: string;
  expires?: string;
  expired: boolean;
}

/** Names as they stand in the journal: `token:NAME`. */
export const clientName = /^[a-z0-9][a-z0-9._-]{0,63}$/;

const LOCK_MS = 10_000;

/** The clients of the gateway and their tokens: `tokens.json` in the data folder, read anew when it changes. */
export class Tokens implements Clients {
  readonly #home: string;
  readonly #path: string;
  #read: { stamp: string; entries: Entries } | undefined;

  constructor(home: string) {
    this.#home = home;
    this.#path = join(home, 'tokens.json');
  }

  list(): TokenClient[] {
    return Object.entries(this.#load())
      .map(([name, one]) => {
        const { tools, added, expires } = one;
        return { name, tools, added, ...(expires && { expires }), expired: isOver(one) };
      })
      .sort((a, b) => a.name.localeCompare(b.name));
  }

  /** A new token, which is kept nowhere: undefined where the name is taken. */
  async add(name: string, tools: string[], days?: number): Promise<string | undefined> {
    const { token, hash } = made();
    const added = await this.#change((all) => {
      if (Object.hasOwn(all, name)) return false;
      all[name] = { hash, tools, ...lasting(days) };
      return true;
    });
    return added ? token : undefined;
  }

  /** Another token for the same client, with the same tools: the one of before is refused from now on. */
  async rotate(name: string): Promise<string | undefined> {
    const { token, hash } = made();
    const rotated = await this.#change((all) => {
      const known = Object.hasOwn(all, name) ? all[name] : undefined;
      if (!known) return false;
      all[name] = { hash, tools: known.tools, ...lasting(known.days) };
      return true;
    });
    return rotated ? token : undefined;
  }

  /** False where there was none. */
  async remove(name: string): Promise<boolean> {
    return this.#change((all) => {
      if (!Object.hasOwn(all, name)) return false;
      delete all[name];
      return true;
    });
  }

  any(): boolean {
    return Object.keys(this.#current()).length > 0;
  }

  /** Every entry is compared, in the same time for each: how long it takes tells nothing of what is kept. */
  find(digest: Buffer): string | undefined {
    let found: string | undefined;
    for (const [name, one] of Object.entries(this.#current())) {
      if (timingSafeEqual(digest, Buffer.from(one.hash, 'hex')) && !isOver(one)) found = name;
    }
    return found;
  }

  /** Nothing, for a client that was removed. */
  readonly allows = (client: string, tool: string): boolean => {
    const all = this.#current();
    const tools = Object.hasOwn(all, client) ? all[client]?.tools : undefined;
    return tools !== undefined && (tools.length === 0 || matches(tools, tool));
  };

  /** While it serves, a file that got broken lets nobody in, and opens nothing. */
  #current(): Entries {
    try {
      return this.#load();
    } catch (error) {
      if (this.#read?.stamp !== 'broken') internalError(error);
      const nobody = { hash: '0'.repeat(64), tools: [], added: '' };
      this.#read = { stamp: 'broken', entries: { '(tokens.json is broken)': nobody } };
      return this.#read.entries;
    }
  }

  #load(): Entries {
    const stat = statSync(this.#path, { throwIfNoEntry: false });
    const stamp = stat ? `${stat.ino} ${stat.size} ${stat.mtimeMs}` : 'none';
    if (stamp === this.#read?.stamp) return this.#read.entries;
    const entries = stat ? parsed(this.#path) : {};
    this.#read = { stamp, entries };
    return entries;
  }

  async #change(change: (all: Entries) => boolean): Promise<boolean> {
    mkdirSync(this.#home, { recursive: true, mode: 0o700 });
    return withLock(`${this.#path}.lock`, LOCK_MS, async () => {
      const all = structuredClone(this.#load());
      const changed = change(all);
      if (changed) replaceFile(this.#path, `${JSON.stringify({ clients: all }, null, 2)}\n`);
      return changed;
    });
  }
}

const DAY_MS = 86_400_000;

const isOver = ({ expires }: { expires?: string }) =>
  expires !== undefined && Date.parse(expires) <= Date.now();

function made(): { token: string; hash: string } {
  const token = `kuz_${randomBytes(32).toString('base64url')}`;
  return { token, hash: createHash('sha256').update(token).digest('hex') };
}

function lasting(days: number | undefined) {
  const added = new Date().toISOString();
  if (days === undefined) return { added };
  return { added, days, expires: new Date(Date.now() + days * DAY_MS).toISOString() };
}

function parsed(path: string): Entries {
  try {
    return file.parse(JSON.parse(readFileSync(path, 'utf8'))).clients;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return {};
    throw new ConfigError(
      `${path} cannot be read. Move it away, then give each client a new token: kuznia token add NAME.`,
    );
  }
}
