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

export const UNREACHABLE = 'nobody listens at its address';

/** Why a server could not be reached, in words that say what to look at. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (isObject(error)) {
    const { code, syscall, path, input } = error;
    if (code === 'ENOENT' && String(syscall).startsWith('spawn')) {
      return `there is no program ${String(path)}, or no folder to start it in: install it, or see its command and cwd`;
    }
    if (code === 'EACCES' && String(syscall).startsWith('spawn')) return `${String(path)} may not be run`;
    if (code === 'ERR_INVALID_URL') return `its url is no address: ${String(input).slice(0, 80)}`;
  }
  if (isGone(error)) return UNREACHABLE;
  if (error instanceof SdkHttpError && error.status === 404) {
    return 'nothing is at the path of its url (404): most servers have /mcp';
  }
  if (message === 'fetch failed' && error instanceof Error && error.cause instanceof Error) {
    return `no connection: ${error.cause.message}`;
  }
  return message === 'Connection closed' ? 'it ended before it answered' : message;
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
