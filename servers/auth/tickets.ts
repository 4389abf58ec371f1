import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Handles } from '../../kit/handles.ts';
import { markUsed } from '../../kit/secret-used.ts';
import { registerCode, registerSecret } from '../../kit/secrets.ts';
import { ToolError } from '../../kit/tool.ts';
import { extractCode, extractLinks } from './extract.ts';
import { claim } from './claims.ts';
import { isFrom, sourceKey, type CodeSource, type Listening, type Message } from './source.ts';

/** What a login waits for. */
interface Expectation {
  origin: string;
  from: string;
  subject?: string | undefined;
  link: boolean;
  /** Messages may have arrived so long before, in ms. */
  ageMs: number;
  withinMs: number;
  sources: CodeSource[];
}

/** What came of it: a handle, or several that a person chooses from. */
interface Arrived {
  handle?: string;
  candidates?: { handle: string; reason: string }[];
  source: string;
  from: string;
  arrived: string;
  reason?: string;
}

interface Ticket {
  expectation: Expectation;
  until: number;
  /** Makes the handles, whose two minutes begin when somebody takes them. */
  outcome: Promise<() => Promise<Arrived>>;
  stop: () => Promise<void>;
}

/** How long a code is taken to be good: most services say ten minutes. */
const CODE_MS = 10 * 60_000;
const MOST_TICKETS = 16;

/** Logins that wait for a code. Listening begins before the code is asked for, or it could come too early. */
export class Tickets {
  readonly #open = new Map<string, Ticket>();
  readonly #handles: Handles;
  readonly #home: string;
  /** Messages whose code was given: it is no other login's. */
  readonly #given = new Set<string>();

  constructor(home: string, handles: Handles) {
    this.#home = home;
    this.#handles = handles;
  }

  async expect(
    expectation: Expectation,
  ): Promise<{ ticket: string; until: number; listening: string[]; away: Away[] }> {
    if (this.#open.size >= MOST_TICKETS) {
      throw new ToolError(
        `${MOST_TICKETS} logins wait for a code already. Wait for them with auth_wait_code first.`,
      );
    }
    const until = Date.now() + expectation.withinMs;
    const release = await claim(join(this.#home, 'run'), expectation, until);
    const listening: Listening[] = [];
    const ending = new AbortController();
    let settled = false;
    const stop = async () => {
      ending.abort();
      clearTimeout(timer);
      release();
      await Promise.allSettled(listening.map((one) => one.close()));
    };
    const { promise: outcome, resolve, reject } = deferred<() => Promise<Arrived>>();
    outcome.catch(() => undefined); // told when somebody waits
    const finish = (settle: () => void) => {
      if (settled) return;
      settled = true;
      settle();
      void stop();
    };
    const away = new Map<string, Error>();
    // A mailbox that is gone does not keep an SMS from coming; where nothing listens any more nothing is waited for.
    const lost = (name: string, error: Error) => {
      away.set(name, error);
      if (away.size === expectation.sources.length) finish(() => reject(error));
    };
    const late = () => finish(() => reject(none(expectation, told(away))));
    const timer = setTimeout(late, expectation.withinMs);
    timer.unref();
    const opening = await Promise.allSettled(
      expectation.sources.map((source) =>
        source.listen({
          since: Date.now() - expectation.ageMs,
          signal: ending.signal,
          wanted: ({ from, subject }) => fits(expectation, from, subject),
          failed: (error) => lost(source.name, error),
          heard: (message) => {
            try {
              const arrived = this.#judge(expectation, source, message);
              if (arrived) finish(() => resolve(arrived));
            } catch (error) {
              finish(() => reject(error));
            }
          },
        }),
      ),
    );
    for (const [i, one] of opening.entries()) {
      if (one.status === 'fulfilled') listening.push(one.value);
      else lost(expectation.sources[i]?.name ?? '', asError(one.reason));
    }
    if (listening.length === 0) {
      await stop();
      throw [...away.values()][0] ?? none(expectation, []);
    }
    if (settled) void stop();
    const ticket = `ticket-${randomBytes(9).toString('base64url')}`;
    this.#open.set(ticket, { expectation, until, outcome, stop });
    setTimeout(() => this.#open.delete(ticket), expectation.withinMs + CODE_MS).unref();
    const heard = expectation.sources.map(({ name }) => name).filter((name) => !away.has(name));
    return { ticket, until, listening: heard, away: told(away) };
  }

  /** Waits for what a ticket stands for. A ticket is good once: a second look would make a second handle. */
  async wait(ticket: string, signal: AbortSignal, progress: (left: number) => void): Promise<Arrived> {
    const open = this.#open.get(ticket);
    if (!open) {
      throw new ToolError(
        'There is no such ticket here: it was used, has expired, or was of another process (each `kuznia call` is one). Begin again with auth_expect_code.',
      );
    }
    const tell = () => progress(Math.max(0, Math.round((open.until - Date.now()) / 1000)));
    const ticking = setInterval(tell, 5_000);
    const { promise: cancelled, reject } = deferred<never>();
    const onAbort = () => reject(signal.reason instanceof Error ? signal.reason : new Error('cancelled'));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      tell();
      const hand = await Promise.race([open.outcome, cancelled]);
      this.#open.delete(ticket);
      return await hand();
    } catch (error) {
      if (!signal.aborted) this.#open.delete(ticket);
      throw error;
    } finally {
      clearInterval(ticking);
      signal.removeEventListener('abort', onAbort);
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#open.values()].map(({ stop }) => stop()));
    this.#open.clear();
  }

  /** undefined: not what is waited for. */
  #judge(
    expectation: Expectation,
    source: CodeSource,
    message: Message,
  ): (() => Promise<Arrived>) | undefined {
    const { origin, link } = expectation;
    if (!fits(expectation, message.from, message.subject ?? message.text)) return undefined;
    const about = {
      source: source.name,
      from: message.from,
      arrived: new Date(message.arrived).toISOString(),
    };
    const host = new URL(origin).hostname;
    const found = link ? linksIn(message, host) : codesIn(message, host);
    const id = `${source.name} ${message.id}`;
    if (found.length === 0 || this.#given.has(id)) return undefined;
    this.#given.add(id);
    markUsed(this.#home, sourceKey(source.name));
    const expiresAt = Date.now() + CODE_MS;
    const label = `code from ${source.name}`;
    for (const { value } of found) {
      if (link) registerSecret(value, { label });
      else registerCode(value, { label, expiresAt });
    }
    const purpose = link ? 'link' : 'two-factor';
    return async () => {
      const candidates = [];
      for (const { value, reason } of found) {
        const handle = await this.#handles.issue(value, { label, expiresAt, origin, purpose });
        candidates.push({ handle, reason });
      }
      const [only, ...others] = candidates;
      return only && others.length === 0 ? { ...about, ...only } : { ...about, candidates };
    };
  }
}

interface Found {
  value: string;
  reason: string;
}

const linksIn = (message: Message, host: string): Found[] =>
  extractLinks(message, host)
    .slice(0, 4)
    .map((value) => ({ value, reason: `a link to ${host}` }));

function codesIn(message: Message, host: string): Found[] {
  const found = extractCode(message);
  if (found.kind === 'none') return [];
  if (found.kind === 'ambiguous') {
    return found.candidates.map(({ code, reasons }) => ({ value: code, reason: reasons.join(', ') }));
  }
  // The message says where the code is good (wicg.github.io/sms-one-time-codes): nobody else gets it.
  if (found.host !== undefined && host !== found.host && !host.endsWith(`.${found.host}`)) {
    throw new ToolError(
      `A code came, but its sender made it for ${found.host}, not for ${host}: it is not given out. Check the address of the login page.`,
    );
  }
  return [{ value: found.code, reason: found.reason }];
}

function deferred<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

function fits({ from, subject }: Expectation, sender: string, title = ''): boolean {
  return (
    isFrom(sender, from) && (subject === undefined || title.toLowerCase().includes(subject.toLowerCase()))
  );
}

/** A source that does not listen, and why. */
interface Away {
  name: string;
  note: string;
}

const told = (away: Map<string, Error>): Away[] =>
  [...away].map(([name, { message }]) => ({ name, note: message }));

const asError = (reason: unknown) => (reason instanceof Error ? reason : new Error(String(reason)));

const none = ({ from, withinMs }: Expectation, away: Away[]) =>
  new ToolError(
    [
      `No code came from ${from} within ${Math.round(withinMs / 1000)} s. Check the sender (exact address, domain or number), then begin again with auth_expect_code and have the code sent once more.`,
      ...away.map(({ name, note }) => `${name} did not listen: ${note}`),
    ].join(' '),
  );
