import { Client } from '@modelcontextprotocol/client';
import type { Progress, Transport } from '@modelcontextprotocol/client';
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Outcome } from '../../kit/journal.ts';
import { redact, redactKnown, redactValue } from '../../kit/secrets.ts';
import type { Effect, JsonObject, Runtime } from '../../kit/tool.ts';
import { version } from '../../kit/version.ts';
import { untilAborted, within } from '../../kit/within.ts';
import { answerForm } from './form.ts';
import { hearChanges, keepListening } from './link-changes.ts';
import { ToolCalls } from './link-call.ts';
import { asResult, listTools } from './link-values.ts';
import { isGone, isOver, onlyAsker, reasonOf, UNREACHABLE } from './link-faults.ts';
import { Offers } from './link-offers.ts';
import type { CallOptions, CallResult, Change, HostTool, ServerState } from './link-types.ts';
import { clean } from '../terminal/text.ts';

/** An open way to a server. */
export interface OpenDoor {
  transport: Transport;
  close: () => Promise<void>;
  /** Tells, where the way knows it, in the course of which call a server asks for something. */
  during?: (hear: (call: string | number, hand: () => void) => void) => void;
  /** Why it ended, as far as the server said: the last line of its standard error. */
  lastWords?: () => string;
}

/** How a server is reached, each time it has to be. */
export interface Door {
  name: string;
  /** Not one of ours: what it says is text from outside. */
  foreign: boolean;
  open: (runtime: Runtime) => Promise<OpenDoor>;
  protocol?: 'auto' | '2025' | '2026';
  /** A call is given up after so long without progress, in ms. */
  callMs?: number;
  /** Only these of its tools, by pattern. */
  tools?: string[];
  /** What its tools do, by pattern, as the person says; the first that fits. */
  effects?: Record<string, Effect>;
}

/** Longer than a tool's own deadline, so that this is what a person hears of. */
const CALL_MS = 120_000;
/** With progress without end, at last. */
const MOST_CALL_MS = 60 * 60_000;
const JOB_WAIT_S = 50;
/** `npx` may have to fetch the server first. */
const START_MS = 60_000;
const LIST_MS = 10_000;
/** One list for all that is not there, so that nothing seems to have changed. */
const NONE: HostTool[] = [];
const RESTART_MS = { first: 1_000, most: 60_000 };

/** One server, kept connected: started again, ever more slowly, when it fails or ends. */
export class Link {
  readonly name: string;
  readonly #door: Door;
  readonly #runtime: Runtime;
  readonly #changed: (what: Change) => void;
  readonly #closing = new AbortController();
  /** Whose question a server asks in the middle of a call: known by the context that the call began in. */
  readonly #calls = new AsyncLocalStorage<CallOptions>();
  readonly #running = new Set<CallOptions>();
  readonly #asking = new Set<CallOptions>();
  #client: Client | undefined;
  #toolCalls: ToolCalls<CallOptions> | undefined;
  #open: OpenDoor | undefined;
  #stale = true;
  #listing: Promise<HostTool[]> | undefined;
  #listed = NONE;
  #state: ServerState['state'] = 'starting';
  #reason: string | undefined;
  #failures = 0;
  #renewing: Promise<void> | undefined;
  #listening: AbortController | undefined;
  /** Settles with the first attempt to connect, however it went. */
  readonly started: Promise<void>;

  constructor(door: Door, runtime: Runtime, changed: (what: Change) => void) {
    this.name = door.name;
    this.#door = door;
    this.#runtime = runtime;
    this.#changed = changed;
    this.started = this.#connect();
  }

  state(): ServerState {
    const { name } = this;
    return { name, state: this.#state, reason: this.#reason, tools: this.#listed.length };
  }

  /** The same list as before, where asking for it would change nothing. */
  get known(): HostTool[] | undefined {
    if (!this.#client) return NONE;
    return this.#stale ? undefined : this.#listed;
  }

  /** The tools of now; while the server is away, none. */
  async tools(signal: AbortSignal): Promise<HostTool[]> {
    const client = this.#client;
    if (!client) return NONE;
    if (!this.#stale) return this.#listed;
    this.#listing ??= this.#list(client).finally(() => {
      this.#listing = undefined;
    });
    // The list goes on for whoever asks next.
    return untilAborted(this.#listing, signal);
  }

  async call(tool: HostTool, own: string, args: JsonObject, options: CallOptions): Promise<CallResult> {
    let result = await this.#once(own, tool.long ? { ...args, wait_s: JOB_WAIT_S } : args, options);
    while (tool.long && result.value?.['status'] === 'running' && typeof result.value['job'] === 'string') {
      result = await this.#once(own, { job: result.value['job'], wait_s: JOB_WAIT_S }, options);
    }
    // What wrote may have published: the notification of it can still be on its way. Others' servers are not asked for all
    // their tools after each call: where nothing is told, most count as writing.
    if (tool.effect !== 'read' && !tool.foreign) this.#stale = true;
    return result;
  }

  /** What it offers beside tools: resources and prompts. Throws while the server is away. */
  offers(): Offers {
    if (this.#client) return new Offers(this.name, this.#client);
    throw new Error(
      `The server ${this.name} is away${this.#reason ? `: ${this.#reason}` : ''}. Try again later.`,
    );
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#leave();
  }

  async #connect(): Promise<void> {
    try {
      const open = await this.#door.open(this.#runtime);
      this.#open = open;
      const mode = { auto: 'auto' as const, '2025': 'legacy' as const, '2026': { pin: '2026-07-28' } };
      const client = new Client(
        { name: 'kuznia', version },
        {
          capabilities: { elicitation: { form: {} } },
          versionNegotiation: { mode: mode[this.#door.protocol ?? '2025'] },
        },
      );
      const changed = (what: Change) => {
        if (what === 'tools') this.#stale = true;
        this.#changed(what);
      };
      hearChanges(client, changed);
      client.setRequestHandler('elicitation/create', async ({ params }) => {
        const call = this.#calls.getStore() ?? onlyAsker(this.#running, this.#asking);
        if (call) this.#asking.add(call);
        return answerForm(redactValue(params), call).finally(() => call && this.#asking.delete(call));
      });
      await client.connect(open.transport, { timeout: START_MS, signal: this.#closing.signal });
      // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK has nothing else
      client.onclose = () => this.#lost('it ended');
      // Over HTTP nothing ends: what fails beside a call (the stream of notifications) tells of it.
      // oxlint-disable-next-line unicorn/prefer-add-event-listener -- as above
      client.onerror = (error) => {
        if (this.#client === client && isGone(error)) this.#lost(UNREACHABLE);
      };
      this.#client = client;
      this.#toolCalls = new ToolCalls(client, open, (options, hand) => this.#calls.run(options, hand));
      this.#stale = true;
      await this.#list(client);
      this.#listening = new AbortController();
      void keepListening(client, changed, this.#listening.signal);
      this.#failures = 0;
      this.#told('ready');
    } catch (error) {
      this.#lost(reasonOf(error));
    }
  }

  /** Connects anew at once: the server is there, but knows neither session nor token any more. */
  async #renew(client: Client): Promise<void> {
    if (this.#client === client) {
      this.#renewing = this.#leave()
        .then(() => this.#connect())
        .finally(() => {
          this.#renewing = undefined;
        });
    }
    await this.#renewing;
  }

  /** The server failed or is gone: says why, and tries again later. */
  #lost(why: string): void {
    if (this.#closing.signal.aborted || this.#state === 'degraded') return;
    const words = this.#open?.lastWords?.() ?? '';
    void this.#leave();
    this.#told('degraded', [why, words].filter(Boolean).join(': '));
    const wait = Math.min(RESTART_MS.most, RESTART_MS.first * 2 ** this.#failures);
    this.#failures += 1;
    void this.#again(wait);
  }

  async #again(wait: number): Promise<void> {
    try {
      // Not referenced: a command that is done does not wait for a server that may come back.
      await sleep(wait, undefined, { signal: this.#closing.signal, ref: false });
    } catch {
      return;
    }
    this.#state = 'starting';
    await this.#connect();
  }

  #told(state: ServerState['state'], reason?: string): void {
    this.#state = state;
    this.#reason = reason && clean(redact(reason)).slice(0, 300);
    this.#changed('state');
  }

  async #leave(): Promise<void> {
    const [client, open] = [this.#client, this.#open];
    this.#listening?.abort();
    this.#client = undefined;
    this.#toolCalls = undefined;
    this.#open = undefined;
    this.#listed = NONE;
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- as above
    if (client) [client.onclose, client.onerror] = [undefined, undefined];
    await client?.close().catch(() => undefined);
    await open?.close().catch(() => undefined);
  }

  async #list(client: Client): Promise<HostTool[]> {
    this.#stale = false;
    try {
      const signal = within(LIST_MS, this.#closing.signal);
      this.#listed = await listTools(client, this.#door, signal);
      return this.#listed;
    } catch (error) {
      this.#stale = true;
      throw error;
    }
  }

  async #once(name: string, args: JsonObject, options: CallOptions, again = false): Promise<CallResult> {
    const { signal, onProgress } = options;
    await this.#renewing;
    const [client, calls] = [this.#client, this.#toolCalls];
    if (!client || !calls) {
      const why = this.#reason ? ` (${this.#reason})` : '';
      const text = `The server ${this.name} is away${why}. Go on without it, or try again later.`;
      return { ok: false, text };
    }
    this.#running.add(options);
    const record = this.#recorder(name, options);
    try {
      const params = {
        name,
        arguments: args,
        ...(options.turn && { _meta: { 'kuznia/turn': options.turn } }),
      };
      const limits = {
        signal,
        timeout: this.#door.callMs ?? CALL_MS,
        maxTotalTimeout: Math.max(this.#door.callMs ?? 0, MOST_CALL_MS),
        onprogress: ({ progress, total, message }: Progress) =>
          onProgress?.({ done: progress, total, note: message && redactKnown(message) }),
      };
      // What runs in this process keeps the context; where it is never used, Node need not follow each promise.
      const result = await (this.#door.foreign
        ? calls.call(params, limits, options)
        : this.#calls.run(options, () => calls.call(params, limits, options)));
      record(result.isError ? 'error' : 'ok');
      return asResult(result, this.#door.foreign);
    } catch (error) {
      record(signal.aborted ? 'cancelled' : 'error');
      signal.throwIfAborted();
      // It was refused before anything was done: the one case in which any call may be sent twice.
      if (isOver(error) && !again) {
        await this.#renew(client);
        return await this.#once(name, args, options, true);
      }
      if (this.#client === client && isGone(error)) this.#lost(UNREACHABLE);
      return { ok: false, text: redact(error instanceof Error ? error.message : String(error)) };
    } finally {
      this.#running.delete(options);
    }
  }

  /** Our servers write their calls down themselves; the others' are written here. */
  #recorder(name: string, { turn }: CallOptions): (outcome: Outcome) => void {
    const started = performance.now();
    return (outcome) => {
      if (!this.#door.foreign) return;
      const ms = performance.now() - started;
      const entry = { kind: 'tool' as const, name, server: this.name, client: 'kuznia', turn };
      this.#runtime.journal.record({ ...entry, outcome, ms });
    };
  }
}
