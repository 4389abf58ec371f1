import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
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

const KEYRING_MS = 5_000;
const SERVICE = 'kuznia';

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
 * The system's keyring where it keeps what it is given, else a file. The keyring holds the identity only and the secrets
 * stay in the age file either way: keyrings list nothing, cut long values (2,560 bytes on Windows) and replace nothing
 * atomically.
 */
export async function choosePlace(folder: string, env: NodeJS.ProcessEnv): Promise<IdentityPlace> {
  const file = identityFile(folder);
  const system = keyring(folder);
  let place = file;
  if (env['KUZNIA_KEYRING'] !== 'off' && (process.platform !== 'linux' || env['DBUS_SESSION_BUS_ADDRESS'])) {
    try {
      const probe = `probe-${process.pid}`;
      await system.write(probe);
      if ((await system.read()) === probe) place = system;
    } catch {
      // No keyring, or a locked one: the file does it.
    }
  }
  return place;
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

/** One entry a data folder; on Linux in the Secret Service, since the kernel's own keyring forgets at every start. */
function keyring(folder: string): IdentityPlace {
  const entry = async () => {
    const { AsyncEntry } = await import('@napi-rs/keyring');
    return new AsyncEntry(SERVICE, folder, { linux: { store: 'secret-service' } });
  };
  const locked = (error: unknown) =>
    new StoreError(
      `The system's keyring did not give the identity (${error instanceof Error ? error.message : 'no answer'}). Unlock it, then try again.`,
    );
  return {
    kept: 'keyring',
    async read() {
      try {
        return (await (await entry()).getPassword(AbortSignal.timeout(KEYRING_MS))) ?? undefined;
      } catch (error) {
        throw locked(error);
      }
    },
    async write(identity) {
      try {
        await (await entry()).setPassword(identity, AbortSignal.timeout(KEYRING_MS));
      } catch (error) {
        throw locked(error);
      }
    },
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
