import { callFor } from '../../kit/call.ts';

const KEPT_MS = 10 * 60_000;
/** The header has whole seconds, and the way there takes some. */
const LEAST_MS = 2_000;

const known = new Map<string, { offset: number; at: number }>();

/**
 * How far the clock of a site is from ours, in ms, by the Date header of its answer (RFC 9110 6.6.1); 0 where the
 * difference is too small to tell, or the site says nothing. A site learns no more than that it was asked.
 */
export async function clockOffset(origin: string, signal: AbortSignal): Promise<number> {
  const before = known.get(origin);
  if (before && Date.now() - before.at < KEPT_MS) return before.offset;
  const site = callFor({ name: new URL(origin).host, baseUrl: origin, retries: 0, timeoutMs: 3_000 });
  try {
    const started = Date.now();
    const statuses = Array.from({ length: 300 }, (_, index) => 300 + index);
    const { headers } = await site.request('/', {
      method: 'HEAD',
      expect: 'text',
      signal,
      acceptStatus: statuses,
    });
    const middle = (started + Date.now()) / 2;
    const theirs = Date.parse(headers['date'] ?? '') + 500;
    const offset =
      Number.isNaN(theirs) || Math.abs(theirs - middle) < LEAST_MS ? 0 : Math.round(theirs - middle);
    known.set(origin, { offset, at: Date.now() });
    return offset;
  } catch {
    return 0;
  } finally {
    await site.close();
  }
}
