import { SdkHttpError } from '@modelcontextprotocol/client';
import { isObject } from '../../kit/json.ts';
import type { CallOptions } from './link-types.ts';

/**
 * The server did not take the request: it no longer knows the session ("the client MUST start a new session", MCP
 * 2025-11-25, Session Management) or the token, which may have been refreshed since.
 */
export const isOver = (error: unknown): boolean =>
  error instanceof SdkHttpError && [401, 404].includes(error.status);

const GONE = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'UND_ERR_CONNECT_TIMEOUT']);

/** Nobody listens there. A connection that breaks says less: proxies end idle streams all the time. */
export function isGone(error: unknown): boolean {
  if (!isObject(error)) return false;
  const { code, cause } = error;
  return (typeof code === 'string' && GONE.has(code)) || (cause !== error && isGone(cause));
}

/**
 * Who is asked when a server does not say for which call it asks: whose the running calls all are, by one of them that
 * asks nothing yet.
 */
export function onlyAsker(
  running: ReadonlySet<CallOptions>,
  asking: ReadonlySet<CallOptions>,
): CallOptions | undefined {
  const [first, ...others] = running;
  const one = others.every(({ asker }) => asker !== undefined && asker === first?.asker);
  return one ? [...running].find((call) => !asking.has(call)) : undefined;
}
