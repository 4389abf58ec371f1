import type { Dispatcher } from 'undici';
import type { CallRequest, CallResponse } from './call.ts';
import { bounded, collect, decode, firstOf, flat } from './call-body.ts';
import type { Tally } from './call-body.ts';
import { CallError, connectionError, inTime, retryAfterMs, statusError } from './call-error.ts';
import type { Callee, CallReason } from './call-error.ts';
import { longestWaitMs } from './call-limits.ts';
import type { Clock, Host, Pass } from './call-limits.ts';
import type { Journal, Outcome } from './journal.ts';

/** All that one try needs. */
export interface Attempt {
  callee: Callee;
  url: URL;
  method: string;
  template: string;
  options: CallRequest;
  maxBytes: number;
  headers: Record<string, string>;
  body: string | Uint8Array | undefined;
  clock: Clock;
  host: Host;
  connect: (url: URL) => Promise<Dispatcher>;
  journal: Journal;
}

const outcomes: Partial<Record<CallReason, Outcome>> = {
  deadline: 'timeout',
  cancelled: 'cancelled',
  circuit_open: 'refused',
  rate_limit: 'refused',
  refused: 'refused',
};

/** One try: its place among the others, the request, its redirects, the answer; one journal entry. */
export async function attempt(job: Attempt, tried: number): Promise<CallResponse<unknown>> {
  const { clock, host, journal, url, method, template, options } = job;
  const started = performance.now();
  const tally: Tally = { received: 0, status: undefined, sent: false };
  let pass: Pass | undefined;
  let leave: (() => void) | undefined;
  let over = false;
  const finish = (failure?: CallError) => {
    if (over) return;
    over = true;
    leave?.();
    pass?.settle(verdict(failure, tally));
    const details = [tally.status && `status ${tally.status}`, tried > 1 && `try ${tried}`, failure?.message];
    journal.record({
      kind: 'http',
      name: `${method} ${url.host}${template}`,
      outcome: failure ? (outcomes[failure.reason] ?? 'error') : 'ok',
      ms: Math.round(performance.now() - started),
      bytes_in: tally.received,
      bytes_out: Buffer.byteLength(job.body ?? ''),
      detail: details.filter(Boolean).join(', '),
    });
  };
  try {
    const leaveToCall = host.pass();
    if ('wait' in leaveToCall) throw openError(job, leaveToCall.wait);
    pass = leaveToCall;
    leave = await admit(job);
    const { response, type } = await exchange(job, tally);
    const { statusCode: status, body } = response;
    const headers = flat(response.headers);
    const chunks = bounded(job, body, tally);
    if (options.expect === 'stream') {
      // For a reader that never comes. One that reads is told first, and more exactly.
      body.once('close', () => {
        clock.stop();
        setImmediate(() => finish(body.errored ? overError(job, body.errored, true) : undefined));
      });
      return { status, headers, body: streamed(job, chunks, tally, finish) };
    }
    const bytes = await collect(chunks);
    const answer = { status, headers, body: decode(job, bytes, options.expect, status, type) };
    finish();
    clock.stop();
    return answer;
  } catch (error) {
    const failure = error instanceof CallError ? error : overError(job, error, tally.status !== undefined);
    finish(failure);
    throw failure;
  }
}

/** An answer that the caller reads; the try is over when it is read, left or broken. */
async function* streamed(
  job: Attempt,
  chunks: AsyncIterable<Uint8Array>,
  tally: Tally,
  finish: (failure?: CallError) => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    const failure = error instanceof CallError ? error : overError(job, error, tally.status !== undefined);
    finish(failure);
    throw failure;
  } finally {
    finish();
    job.clock.stop();
  }
}

/** Why a call ended that threw something of the library's: its deadline, its caller, or the connection. */
export function overError(job: Attempt, error: unknown, answering: boolean): CallError {
  const { callee, clock, method, template, url } = job;
  const what = `${method} ${template}`;
  const ended = clock.ended();
  if (ended === 'cancelled') return new CallError(`${what} was cancelled.`, { reason: 'cancelled' });
  if (ended === 'deadline') {
    const text = answering ? 'did not finish its answer to' : 'did not answer';
    return new CallError(
      `${callee.name} ${text} ${what} within ${clock.timeoutMs} ms. Try again, or ask for less.`,
      { reason: 'deadline' },
    );
  }
  return connectionError(error, callee, url.origin, answering);
}

function openError({ callee, host, url }: Attempt, wait: number): CallError {
  const check = callee.setting === undefined ? '' : ` Check ${callee.setting} and that the server is up.`;
  return new CallError(
    `${callee.name} (${url.origin}) failed ${host.failures()} times in a row, so it is left alone for now.${check} Try again ${inTime(wait)}.`,
    { reason: 'circuit_open', retryAfter: Math.ceil(wait / 1000) },
  );
}

/** Whether the host did its part; undefined where it had none. */
function verdict(failure: CallError | undefined, { sent }: Tally): boolean | undefined {
  if (!failure) return true;
  const { reason, status = 0 } = failure;
  if (['cancelled', 'refused', 'rate_limit'].includes(reason)) return undefined;
  if (reason === 'deadline') return sent ? false : undefined;
  if (reason === 'connect' || reason === 'connection_lost' || reason === 'tls') return false;
  return ![502, 503, 504].includes(status);
}

async function admit(job: Attempt): Promise<() => void> {
  const { callee, clock, host } = job;
  const wait = host.take();
  if (wait >= clock.left()) {
    host.giveBack();
    throw new CallError(
      `${callee.name} has had all the calls it may get for now; none was made. Try again ${inTime(wait)}.`,
      { reason: 'rate_limit', retryAfter: Math.ceil(wait / 1000) },
    );
  }
  if (wait > 0) await clock.pause(wait);
  return host.enter(clock.signal).catch((error: unknown) => {
    host.giveBack();
    throw overError(job, error, false);
  });
}

/** Sends it and follows redirects within the origin; what comes back is an answer to be read. */
async function exchange(
  job: Attempt,
  tally: Tally,
): Promise<{ response: Dispatcher.ResponseData; type: string }> {
  const { clock, host, options } = job;
  let { url, method, body } = job;
  const headers: Record<string, string> = {
    'user-agent': 'kuznia',
    accept: (options.expect ?? 'json') === 'json' ? 'application/json' : '*/*',
    ...(options.json !== undefined && { 'content-type': 'application/json' }),
    ...job.headers,
  };
  for (let hops = 0; ; hops++) {
    const agent = await job.connect(url);
    tally.sent = true;
    const path = url.pathname + url.search;
    const response = await agent.request({
      origin: url.origin,
      path,
      method,
      headers,
      body,
      signal: clock.signal,
    });
    const status = response.statusCode;
    tally.status = status;
    const type = flat(response.headers)['content-type'] ?? '';
    if (status < 300 || options.acceptStatus?.includes(status)) return { response, type };
    const location = flat(response.headers).location;
    if ([301, 302, 303, 307, 308].includes(status) && location !== undefined) {
      // undici tells an unread body's end as an error, to whoever listens; nobody listening would end the process.
      response.body.on('error', () => undefined).destroy();
      const target = redirectTarget(job, url, location, status, method, hops);
      url = target;
      // RFC 9110 15.4.4: See Other is answered by a GET.
      if (status === 303 && method !== 'HEAD') [method, body] = ['GET', undefined];
      continue;
    }
    const retryMs = retryAfterMs(flat(response.headers)['retry-after']);
    if (retryMs !== undefined && (status === 429 || status === 503))
      host.quiet(Math.min(retryMs, longestWaitMs));
    const text = await firstOf(response.body, 16 * 1024);
    if (clock.ended()) throw overError(job, undefined, true);
    throw statusError(job.callee, `${job.method} ${job.template}`, {
      status,
      contentType: type,
      text,
      retryMs,
    });
  }
}

/** The next address, or an error: a token never follows to another origin, and no write turns silently into a read. */
function redirectTarget(
  { callee }: Attempt,
  from: URL,
  location: string,
  status: number,
  method: string,
  hops: number,
): URL {
  const fail = (text: string) =>
    new CallError(`${callee.name} ${text} Check ${callee.setting ?? 'its address'}.`, {
      reason: 'redirect',
      status,
    });
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (!to) throw fail('answered with a redirect that leads nowhere.');
  if (to.origin !== from.origin) {
    throw fail(
      `answered with a redirect to ${to.origin}, which was not followed: the token is for ${from.origin}.`,
    );
  }
  if (hops >= 5) throw fail('redirects in a circle.');
  if (status < 303 && method !== 'GET' && method !== 'HEAD') {
    throw fail(
      `answered ${method} with a redirect to another path (status ${status}), which was not followed.`,
    );
  }
  return to;
}
