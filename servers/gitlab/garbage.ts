import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes that a stream may bring before its read parts are freed. */
const EVERY = 4 * 1024 * 1024;

/**
 * Frees the parts of a long stream as they are dropped. V8 lets about 64 MB of buffers pile up outside its heap before it
 * collects by itself (kExternalAllocationSoftLimit): a log of hundreds of MB would cost that much memory for nothing.
 * A young collection takes about a millisecond. Does nothing for short streams, or where V8 gives no `gc`.
 */
export function sweeper(): (bytes: number) => void {
  let seen = 0;
  let gc: unknown;
  return (bytes) => {
    seen += bytes;
    if (seen < EVERY) return;
    seen = 0;
    gc ??= collector();
    if (typeof gc === 'function') gc({ type: 'minor' });
  };
}

/** nodejs.org/api/v8.html#v8setflagsfromstringflags: a flag that a new context picks up. */
function collector(): unknown {
  setFlagsFromString('--expose-gc');
  return runInNewContext('typeof gc === "function" ? gc : null');
}
