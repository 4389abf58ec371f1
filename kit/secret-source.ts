import { kuzniaHome } from './config.ts';
import { accessToken } from './secret-oauth.ts';
import { secretStore } from './secret-store.ts';
import { markUsed } from './secret-used.ts';
import type { SecretSource } from './secrets.ts';

/** The store as a source of `secret://name`; a token of a sign-in comes fresh. Seeds of two-factor apps never come. */
export function storeSecrets(home: string = kuzniaHome()): SecretSource {
  return {
    name: 'the secret store',
    how: (name) => `Add it: kuznia secret add ${name}`,
    async get(name) {
      const entry = await secretStore(home).get(name);
      if (!entry || entry.kind === 'otp') return undefined;
      const value = entry.kind === 'oauth' ? await accessToken(home, name) : entry.value;
      markUsed(home, name);
      return value;
    },
  };
}
