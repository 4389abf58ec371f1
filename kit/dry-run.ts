import { AsyncLocalStorage } from 'node:async_hooks';

/** A request that would have been sent. */
export interface HeldRequest {
  method: string;
  path: string;
  body?: unknown;
}

const scope = new AsyncLocalStorage<HeldRequest[]>();

/** What a held back request throws; the work ends by it, or by an error made of it. */
class HeldBack extends Error {
  override name = 'HeldBack';
}

/**
 * Runs `work` with every request that could write held back by `kit/call.ts`, and tells which they were: none means
 * that the work ends without one, or before it (its own error is thrown then). Libraries between may wrap what is thrown.
 */
export async function withoutSending(work: () => Promise<unknown>): Promise<HeldRequest[]> {
  const held: HeldRequest[] = [];
  try {
    await scope.run(held, work);
  } catch (error) {
    if (held.length === 0) throw error;
  }
  return held;
}

/** Throws inside a dry run; elsewhere it does nothing. */
export function holdBack(request: HeldRequest): void {
  const held = scope.getStore();
  if (!held) return;
  held.push(request);
  throw new HeldBack('A dry run: nothing was sent.');
}
