/**
 * `signal`, aborted after `ms` as well. For this `AbortSignal.timeout` must stay out of `AbortSignal.any`: Node 20
 * lets it be collected as garbage where nothing else holds it, and the time never runs out.
 */
export function within(ms: number, signal: AbortSignal): AbortSignal {
  const late = new AbortController();
  const why = new DOMException(`Nothing came within ${ms} ms.`, 'TimeoutError');
  setTimeout(() => late.abort(why), ms).unref();
  return AbortSignal.any([signal, late.signal]);
}
