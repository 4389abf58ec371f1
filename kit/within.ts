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

/** Rejects as soon as the signal does, whether or not the work listens to it; the work goes on. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason instanceof Error ? signal.reason : new Error('cancelled'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
