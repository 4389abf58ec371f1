import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { inKeyring, KeyringError } from './secret-keyring.ts';
import { codeOf } from './secret-lock.ts';
import { replaceFile } from './secret-write.ts';
import { ToolError } from './tool.ts';

/** The store cannot be used; the message says why, and by which command it is mended. */
export class StoreError extends ToolError {
  override name = 'StoreError';
}

const choice = z.object({ identity: z.enum(['keyring', 'file']) });
type Kept = z.output<typeof choice>['identity'];

/** Where the age identity that opens the store is kept; chosen once, at the first write. */
export interface IdentityPlace {
  kept: Kept;
  read: () => Promise<string | undefined>;
  write: (identity: string) => Promise<void>;
}

/** The keys of an identity file, which `age-keygen` begins with comments. */
export const keysIn = (identity: string) =>
  identity.split('\n').flatMap((line) => (/^AGE-SECRET-KEY-\S+$/.test(line.trim()) ? [line.trim()] : []));

/** The place that was chosen; undefined before the first secret is added. */
export function chosenPlace(folder: string): IdentityPlace | undefined {
  let text: string;
  try {
    text = readFileSync(join(folder, 'store.json'), 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const kept = choice.safeParse(jsonOf(text)).data?.identity;
  if (kept === undefined) {
    const path = join(folder, 'store.json');
    throw new StoreError(`${path} does not say where the identity is. Write {"identity": "file"} into it.`);
  }
  return kept === 'keyring' ? keyring(folder) : identityFile(folder);
}

/**
 * The system's keyring where it keeps what it is given, else a file; with a fresh identity in it. One that is there
 * already stays: it may open a store that was moved away. The keyring holds the identity only and the secrets stay in
 * the age file either way: keyrings list nothing, cut long values (2,560 bytes on Windows) and replace nothing
 * atomically. One that is locked is no reason to begin beside it.
 */
export async function choosePlace(
  folder: string,
  env: NodeJS.ProcessEnv,
  fresh: string,
): Promise<IdentityPlace> {
  if (env['KUZNIA_KEYRING'] !== 'off' && (process.platform !== 'linux' || env['DBUS_SESSION_BUS_ADDRESS'])) {
    const system = keyring(folder);
    try {
      if ((await begun(system, fresh)) !== undefined) return system;
    } catch (error) {
      if (!(error instanceof KeyringError)) throw error;
      if (error.locked)
        throw new StoreError(
          `${error.message} Or keep the identity in a file of mode 0600 instead: set KUZNIA_KEYRING=off.`,
        );
      // No keyring, or none that keeps anything: the file does it.
    }
  }
  const file = identityFile(folder);
  await begun(file, fresh);
  return file;
}

async function begun(place: IdentityPlace, fresh: string): Promise<string | undefined> {
  const there = await place.read();
  if (there !== undefined && keysIn(there).length > 0) return there;
  await place.write(fresh);
  const kept = await place.read();
  return kept === fresh ? kept : undefined;
}

/** Written after the identity is in its place and before the first secrets are. */
export function recordPlace(folder: string, { kept }: IdentityPlace): void {
  replaceFile(join(folder, 'store.json'), `${JSON.stringify({ identity: kept })}\n`);
}

function identityFile(folder: string): IdentityPlace {
  const path = join(folder, 'identity.txt');
  return {
    kept: 'file',
    async read() {
      try {
        refuseOpen(path);
        return readFileSync(path, 'utf8').trim();
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return undefined;
        throw error;
      }
    },
    write: async (identity) => replaceFile(path, `${identity}\n`),
  };
}

/** One entry a data folder. */
function keyring(folder: string): IdentityPlace {
  return {
    kept: 'keyring',
    read: () => inKeyring(folder),
    write: async (identity) => void (await inKeyring(folder, identity)),
  };
}

/** As ssh does with its keys: what others can read is no secret any more. */
export function refuseOpen(path: string): void {
  if (process.platform === 'win32') return;
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) === 0) return;
  const shown = mode.toString(8).padStart(4, '0');
  throw new StoreError(
    `${path} has mode ${shown}: others may read it, so it is not used. Mend it: chmod 600 ${path}. If others use this computer, rotate what it holds.`,
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
