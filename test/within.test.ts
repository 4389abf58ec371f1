import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { within } from '../kit/within.ts';

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

test('a deadline comes, though all garbage is collected meanwhile; the signal itself comes at once', async () => {
  assert.ok(typeof collect === 'function');
  const never = new AbortController();
  const ended = new Promise<unknown>((resolve) => {
    const signal = within(50, never.signal);
    signal.addEventListener('abort', () => resolve(signal.reason), { once: true });
  });
  const sweeping = setInterval(() => void collect(), 10);
  const reason = await Promise.race([
    ended,
    new Promise((resolve) => setTimeout(() => resolve('never'), 5000).unref()),
  ]).finally(() => clearInterval(sweeping));
  assert.ok(reason instanceof DOMException, String(reason));
  assert.equal(reason.name, 'TimeoutError');
  const stop = new AbortController();
  const stopped = within(60_000, stop.signal);
  stop.abort();
  assert.ok(stopped.aborted);
});
