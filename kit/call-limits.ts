/** What one host is spared: too many calls a second or at once, and calls while it is down. */

/** No call sleeps longer than this for a server that asks it to. */
export const longestWaitMs = 60_000;

export interface Limits {
  /** Token bucket: so many calls a second, `burst` at once (default: one second's worth, at least 1). */
  rate?: { perSecond: number; burst?: number };
  /** Calls under way at once; default 8. */
  concurrency?: number;
  /** Circuit breaker: after `failures` in a row (default 5) no call is made for `resetMs` (default 15,000). */
  breaker?: { failures?: number; resetMs?: number };
}

/** Tells how the call ended; undefined says nothing about the host (cancelled, never sent). */
export interface Pass {
  settle(ok: boolean | undefined): void;
}

export interface Host {
  /** Takes one token; the time until it is worth its call, in ms. `giveBack` when the call is not made. */
  take(): number;
  giveBack(): void;
  /** The host asked for quiet (Retry-After): later calls wait as well. */
  quiet(ms: number): void;
  /** Waits for a free place; the result frees it, once. Rejects when `signal` aborts. */
  enter(signal: AbortSignal): Promise<() => void>;
  /** Leave to call, or the time until the next trial, in ms. While the circuit is open, one call is the trial. */
  pass(): Pass | { wait: number };
  /** Failures in a row. */
  failures(): number;
}

export function hostFor(limits: Limits): Host {
  const { rate, concurrency = 8, breaker: { failures: allowed = 5, resetMs = 15_000 } = {} } = limits;
  const burst = rate ? (rate.burst ?? Math.max(1, rate.perSecond)) : 0;
  let tokens = burst;
  let filled = performance.now();
  let quietUntil = 0;
  let busy = 0;
  const queue: (() => void)[] = [];
  let failed = 0;
  let openUntil = 0;
  let trial = false;

  return {
    take() {
      const now = performance.now();
      const pause = Math.max(0, quietUntil - now);
      if (!rate) return pause;
      tokens = Math.min(burst, tokens + ((now - filled) / 1000) * rate.perSecond) - 1;
      filled = now;
      return Math.max(pause, tokens < 0 ? (-tokens / rate.perSecond) * 1000 : 0);
    },
    giveBack() {
      if (rate) tokens = Math.min(burst, tokens + 1);
    },
    quiet(ms) {
      quietUntil = Math.max(quietUntil, performance.now() + ms);
    },
    async enter(signal) {
      if (busy >= concurrency) await turn(queue, signal);
      else busy++;
      let left = false;
      return () => {
        if (left) return;
        left = true;
        // The place goes straight to the next in line, so that nobody slips in between.
        const next = queue.shift();
        if (next) next();
        else busy--;
      };
    },
    pass() {
      const open = failed >= allowed;
      const wait = openUntil - performance.now();
      if (open && (wait > 0 || trial)) return { wait: Math.max(wait, 1000) };
      if (open) trial = true;
      return {
        settle(ok) {
          if (open) trial = false;
          if (ok === undefined) return;
          failed = ok ? 0 : failed + 1;
          if (!ok && failed >= allowed) openUntil = performance.now() + resetMs;
        },
      };
    },
    failures: () => failed,
  };
}

function turn(queue: (() => void)[], signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const go = () => {
      signal.removeEventListener('abort', give);
      resolve();
    };
    const give = () => {
      queue.splice(queue.indexOf(go), 1);
      reject(new Error('gave up waiting'));
    };
    if (signal.aborted) return reject(new Error('gave up waiting'));
    signal.addEventListener('abort', give, { once: true });
    queue.push(go);
  });
}

/** One deadline over a whole call, together with the caller's own signal. */
export interface Clock {
  signal: AbortSignal;
  timeoutMs: number;
  ended(): 'deadline' | 'cancelled' | undefined;
  /** In ms. */
  left(): number;
  /** Sleeps, or returns early when the time is over. */
  pause(ms: number): Promise<void>;
  stop(): void;
}

export function startClock(timeoutMs: number, signal: AbortSignal | undefined): Clock {
  const controller = new AbortController();
  const until = performance.now() + timeoutMs;
  let ended: 'deadline' | 'cancelled' | undefined;
  const end = (why: 'deadline' | 'cancelled') => {
    ended ??= why;
    controller.abort();
  };
  const cancel = () => end('cancelled');
  // setTimeout turns anything past 2^31-1 into 1 ms.
  const timer = timeoutMs < 2 ** 31 ? setTimeout(end, timeoutMs, 'deadline') : undefined;
  if (signal?.aborted) cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  return {
    signal: controller.signal,
    timeoutMs,
    ended: () => ended,
    left: () => until - performance.now(),
    pause: (ms) =>
      new Promise((resolve) => {
        if (ended) return resolve();
        const done = () => {
          clearTimeout(sleep);
          controller.signal.removeEventListener('abort', done);
          resolve();
        };
        const sleep = setTimeout(done, ms);
        controller.signal.addEventListener('abort', done);
      }),
    stop() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
    },
  };
}
