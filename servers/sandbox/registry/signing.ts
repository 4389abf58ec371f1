import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { chmod, link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ToolError } from '../../../kit/tool.ts';
import { codeOf } from './faults.ts';

/** What a signature is for; part of what is signed, so that one kind never passes for the other. */
type Purpose = 'catalogue' | 'verdict';

/**
 * The registry's Ed25519 key (RFC 8032), kept outside of the registry: `keys/registry.key` in KUZNIA_HOME, 0600. Made
 * when something is first signed; checking a signature makes nothing.
 */
export class Signer {
  readonly #folder: string;
  #private: KeyObject | undefined;
  #public: KeyObject | undefined;

  constructor(home: string) {
    this.#folder = join(home, 'keys');
  }

  /** Signs with the key, making one where there is none. */
  async sign(purpose: Purpose, text: string): Promise<string> {
    this.#private ??= await this.#load();
    return sign(null, payload(purpose, text), this.#private).toString('base64');
  }

  /** Whether this registry's key signed the text. No key: nothing can be right. */
  async verify(purpose: Purpose, text: string, signature: string): Promise<boolean> {
    this.#public ??= await this.#known();
    if (!this.#public) return false;
    return verify(null, payload(purpose, text), this.#public, Buffer.from(signature.trim(), 'base64'));
  }

  get #keyFile(): string {
    return join(this.#folder, 'registry.key');
  }

  get #publicFile(): string {
    return join(this.#folder, 'registry.pub');
  }

  async #known(): Promise<KeyObject | undefined> {
    const pem = (await readIfThere(this.#publicFile)) ?? (await readIfThere(this.#keyFile));
    return pem === undefined ? undefined : this.#parsed(pem, createPublicKey);
  }

  async #load(): Promise<KeyObject> {
    let pem = await readIfThere(this.#keyFile);
    const known = await readIfThere(this.#publicFile);
    if (pem === undefined && known !== undefined) {
      throw new ToolError(
        `${this.#keyFile} is missing, while ${this.#publicFile} is there: nothing can be signed. Restore the key, or ` +
          'move registry.pub away to begin with a new key; every tool must then be tested and published again.',
      );
    }
    pem ??= await this.#make();
    const key = this.#parsed(pem, createPrivateKey);
    const own = publicPem(key);
    if (known === undefined) await this.#replace(this.#publicFile, own);
    else if (known !== own) {
      throw new ToolError(
        `${this.#publicFile} does not belong to ${this.#keyFile}: nothing is signed. Restore the one that was changed.`,
      );
    }
    return key;
  }

  /** `link` fails where the name is taken, so of many processes that make a key at once all end up with one. */
  async #make(): Promise<string> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const fresh = generateKeyPairSync('ed25519')
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString();
    const temporary = `${this.#keyFile}.${randomBytes(6).toString('hex')}`;
    try {
      await writeFile(temporary, fresh, { mode: 0o600, flush: true });
      await link(temporary, this.#keyFile);
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    } finally {
      await rm(temporary, { force: true });
    }
    return readFile(this.#keyFile, 'utf8');
  }

  async #replace(file: string, text: string): Promise<void> {
    const temporary = `${file}.${randomBytes(6).toString('hex')}`;
    try {
      await writeFile(temporary, text, { mode: 0o600 });
      await chmod(temporary, 0o644);
      await rename(temporary, file);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  #parsed(pem: string, parse: (pem: string) => KeyObject): KeyObject {
    try {
      return parse(pem);
    } catch (cause) {
      throw new ToolError(
        `The key in ${this.#folder} is damaged. Restore registry.key and registry.pub from a copy, or move both away to ` +
          'begin with a new key; every tool must then be tested and published again.',
        { cause },
      );
    }
  }
}

function payload(purpose: Purpose, text: string): Buffer {
  return Buffer.from(`kuznia ${purpose} 1\n${text}`);
}

function publicPem(key: KeyObject): string {
  return createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
