import { ConfigError } from './config.ts';
import { registerSecret } from './secrets.ts';

const LOOPBACK = ['127.0.0.1', '::1', 'localhost'];

/** Where to listen, and the token to ask for; any address but loopback needs one. */
export function address(
  where: string,
  token: string | undefined,
  clients: boolean,
): { host: string; port: number; token?: string } {
  const found = /^(?:(\[[0-9a-f:]+\]|[^:]+):)?(\d{1,5})$/i.exec(where);
  const port = Number(found?.[2]);
  if (!found || port > 65_535) {
    throw new ConfigError(`--http ${where}: expected a port or HOST:PORT, for example --http 8808.`);
  }
  const host = (found[1] ?? '127.0.0.1').replace(/^\[|\]$/g, '');
  if (token) {
    registerSecret(token, { label: 'KUZNIA_TOKEN' });
    return { host, port, token };
  }
  if (LOOPBACK.includes(host) || clients) return { host, port };
  throw new ConfigError(
    `KUZNIA_TOKEN is not set. ${host} can be reached from elsewhere, so a bearer token is required: give each client one (kuznia token add NAME), set KUZNIA_TOKEN to a long random text, or use --http 127.0.0.1:${port}.`,
    'KUZNIA_TOKEN',
  );
}

const ADDRESS_FAULTS: Record<string, string> = {
  EADDRINUSE: 'That port is in use. Choose another with --http [HOST:]PORT.',
  EACCES: 'That address may not be bound. Choose a port above 1023.',
  EADDRNOTAVAIL: 'That is no address of this machine. Choose one that is with --http HOST:PORT.',
  ENOTFOUND: 'That is no address of this machine. Choose one that is with --http HOST:PORT.',
};

/** Why an address cannot be listened at, in a person's words. */
export function addressFault(error: unknown): ConfigError | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const why = ADDRESS_FAULTS[code];
  return why === undefined ? undefined : new ConfigError(why);
}
