import { mkdirSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import {
  chosenPlace,
  choosePlace,
  keysIn,
  recordPlace,
  refuseOpen,
  StoreError,
  type IdentityPlace,
} from './secret-identity.ts';
import { isAlive } from './alive.ts';
import { codeOf, withLock } from './secret-lock.ts';
import { replaceFile } from './secret-write.ts';

const entry = z.object({
  /** `otp` and `oauth` values are JSON, for `secret-otp.ts` and `secret-oauth.ts`. */
  kind: z.enum(['secret', 'otp', 'oauth']),
  value: z.string(),
  /** Where it may be typed or sent by reference from a tool call; a configuration needs none. */
  origins: z.array(z.string()).default([]),
  added: z.string(),
  changed: z.string().optional(),
  expires: z.string().optional(),
});

/** One secret as it is kept. */
export type SecretEntry = z.output<typeof entry>;

const entries = z.record(z.string(), entry);
type SecretEntries = z.output<typeof entries>;

const LOCK_MS = 20_000;

/** Names as in `secret://name`. */
export const secretName = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** The secrets of one data folder: `secrets/store.age`, shared by every process of ours. */
export class SecretStore {
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  #read: { stamp: string; entries: SecretEntries } | undefined;

  constructor(home: string, env: NodeJS.ProcessEnv = process.env) {
    this.#folder = join(home, 'secrets');
    this.#env = env;
  }

  /** Where the identity is kept; undefined where nothing was ever added. */
  kept(): IdentityPlace['kept'] | undefined {
    return chosenPlace(this.#folder)?.kept;
  }

  async get(name: string): Promise<SecretEntry | undefined> {
    const all = await this.all();
    return Object.hasOwn(all, name) ? all[name] : undefined;
  }

  /** Every entry; an empty object where nothing was ever added. Throws StoreError. */
  async all(): Promise<SecretEntries> {
    const place = chosenPlace(this.#folder);
    if (!place) return {};
    const stamp = this.#stamp();
    if (stamp !== undefined && stamp === this.#read?.stamp) return this.#read.entries;
    const identity = await this.#identity(place);
    if (stamp === undefined) return {};
    const found = await this.#open(identity);
    this.#read = { stamp, entries: found };
    return found;
  }

  /** Changes a copy of the entries while no other process writes, then puts it in place whole. */
  async update<T>(change: (all: SecretEntries) => T | Promise<T>): Promise<T> {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    return withLock(join(this.#folder, 'lock'), LOCK_MS, async () => {
      const place = chosenPlace(this.#folder) ?? (await this.#begin());
      const identity = await this.#identity(place);
      const all = structuredClone(await this.all());
      const result = await change(all);
      const { Encrypter, identityToRecipient } = await import('age-encryption');
      const encrypter = new Encrypter();
      for (const key of keysIn(identity)) encrypter.addRecipient(await identityToRecipient(key));
      const sealed = await encrypter.encrypt(JSON.stringify(all));
      this.#sweep();
      replaceFile(this.#path(), sealed, { keep: `${this.#path()}.last` });
      this.#read = undefined;
      return result;
    });
  }

  /** What writers that were killed left behind; under the lock, so that none of it is in use. */
  #sweep(): void {
    for (const name of readdirSync(this.#folder)) {
      const waits = /^lock\.(\d+)\.[0-9a-f]{16}$/.exec(name)?.[1];
      const left =
        waits === undefined
          ? /^(?:store\.(?:age|age\.last|json)|identity\.txt)\.\d+\.[0-9a-f]{12}$|^lock\.dead\./.test(name)
          : !isAlive(Number(waits));
      if (left) rmSync(join(this.#folder, name), { force: true });
    }
  }

  #path(): string {
    return join(this.#folder, 'store.age');
  }

  /** Changes whenever the file does: every write is a new inode. */
  #stamp(): string | undefined {
    try {
      const { ino, size, mtimeMs, mode } = statSync(this.#path());
      return `${ino} ${size} ${mtimeMs} ${mode}`;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async #begin(): Promise<IdentityPlace> {
    if (this.#stamp() !== undefined) {
      throw new StoreError(
        `${this.#path()} is there but ${join(this.#folder, 'store.json')} is not. Write {"identity": "file"} or {"identity": "keyring"} into it, whichever holds the identity.`,
      );
    }
    const { generateX25519Identity } = await import('age-encryption');
    const place = await choosePlace(this.#folder, this.#env, await generateX25519Identity());
    recordPlace(this.#folder, place);
    return place;
  }

  async #identity(place: IdentityPlace): Promise<string> {
    const identity = await place.read();
    if (identity) return identity;
    const where =
      place.kept === 'file'
        ? join(this.#folder, 'identity.txt')
        : "the system's keyring (or this session has another keyring than the one where it was kept)";
    throw new StoreError(
      `The identity is gone from ${where}. Without it nothing in ${this.#path()} can be recovered: restore it from a backup, or begin anew: mv ${this.#folder} ${this.#folder}.lost, then kuznia secret add for each token, enrol two-factor apps again (services give recovery codes for this), and kuznia login.`,
    );
  }

  async #open(identity: string): Promise<SecretEntries> {
    const path = this.#path();
    refuseOpen(path);
    const { armor, Decrypter } = await import('age-encryption');
    const decrypter = new Decrypter();
    try {
      for (const key of keysIn(identity)) decrypter.addIdentity(key);
      const sealed = readFileSync(path);
      // As `age --armor` writes it.
      const bare = sealed.subarray(0, 5).toString() === '-----' ? armor.decode(sealed.toString()) : sealed;
      const text = await decrypter.decrypt(bare, 'text');
      return entries.parse(JSON.parse(text));
    } catch {
      throw new StoreError(
        `${path} cannot be read: it is damaged, or not made for this identity. The state before the last change is kept beside it: cp ${path}.last ${path}`,
      );
    }
  }
}

const stores = new Map<string, SecretStore>();

/** The store of a data folder; one object a folder, so that it is decrypted once a change. */
export function secretStore(home: string, env: NodeJS.ProcessEnv = process.env): SecretStore {
  const known = stores.get(home) ?? new SecretStore(home, env);
  stores.set(home, known);
  return known;
}
