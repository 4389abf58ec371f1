import { createHash } from 'node:crypto';
import type { JournalEntry } from '../../kit/journal.ts';
import { internalError } from '../../kit/log.ts';
import type { Outcome } from '../../kit/mount.ts';
import type { Asker, Form, Passed, PassingCaller } from '../../kit/passed.ts';
import { redact } from '../../kit/secrets.ts';
import type { JsonObject, Runtime } from '../../kit/tool.ts';
import { asCommand, copiedNote, copiedWarning } from '../approvals/approval.ts';
import { unknownTool, type Connections } from '../mcp/connections.ts';
import { Bounds, type BoundOptions } from './bounds.ts';
import { Flight, type Step } from './flight.ts';
import type { Offered, Offers } from './offered.ts';
import type { Deciding } from './policy.ts';
import { Readings } from './readings.ts';
import { formOf, MOST_TEXT, passed } from './results.ts';

/** What calls need to know of the gateway. */
export interface CallsOptions {
  connections: Connections;
  deciding: Deciding;
  runtime: Runtime;
  bounds?: Partial<BoundOptions>;
}

type Result = Outcome | Passed | Form;

/** Default of `wait_s`, as in the kit: clients give a call up after 60 s. */
const WAIT_S = 50;

/** The calls of outside agents: bound, decided on by policy, journalled, and passed on. */
export class Calls {
  readonly #offers: Offers;
  readonly #options: CallsOptions;
  readonly #bounds: Bounds;
  readonly #readings = new Readings();
  /** Calls that a request will come back for. */
  readonly #held = new Map<string, Flight>();

  constructor(offers: Offers, options: CallsOptions) {
    this.#offers = offers;
    this.#options = options;
    this.#bounds = new Bounds(options.bounds);
  }

  /** Counts the request; what a client is told that made too many. */
  tooMany(name: string, caller: Asker): string | undefined {
    const message = this.#bounds.tooMany(caller.client);
    if (message !== undefined) this.#record(name, caller, performance.now(), 'denied', message);
    return message;
  }

  async call(name: string, args: JsonObject, caller: PassingCaller): Promise<Result> {
    const begun = performance.now();
    const found = this.#offers.get(name);
    if (!found) {
      const all = [...this.#offers.all.values()].map(({ listing }) => ({ name: listing.name }));
      return { kind: 'error', message: this.#offers.away(name) ?? unknownTool(name, all) };
    }
    const { tool } = found;
    const refuse = (message: string): Outcome => {
      this.#record(name, caller, begun, 'denied', message);
      return { kind: 'error', message };
    };
    const { wait_s: waitS, job, ...rest } = args;
    const call = tool.long ? rest : args;
    // Most calls are allowed and end in one request: then nobody asks what they were.
    const digest = once(() => digestOf([name, call]));
    const resumed = this.#resumed(caller, digest, tool.long && typeof job === 'string' ? job : undefined);
    if (resumed === 'gone') {
      return refuse(`${name} has no such job: it ended, or was given up. Call it again without \`job\`.`);
    }
    let flight = resumed;
    if (!flight) {
      // Going on with a call is no new one.
      const many = this.tooMany(name, caller);
      if (many !== undefined) return { kind: 'error', message: many };
      // What only reads may be asked for in anyone's words.
      const copied = tool.effect === 'read' ? undefined : this.#readings.copied(caller.client, call);
      const decision = await this.#decided(found, { args: call, digest, copied }, caller);
      if (typeof decision === 'string') return refuse(decision);
      if (decision) return decision;
      const place = this.#bounds.begin(caller.client);
      if (typeof place === 'string') return refuse(place);
      // A server of ours does the rest itself, journal and jobs included.
      if (found.own) return found.own.call(name, call, caller).finally(place);
      const { connections } = this.#options;
      const { client, canAsk, session } = caller;
      flight = new Flight({ client, digest, canAsk, copied }, (more) =>
        connections.call(tool.name, call, { ...more, asker: session }),
      );
      void flight.ended.then(place);
    }
    return this.#follow(flight, found, { caller, begun, call, wait: tool.long ? seconds(waitS) : undefined });
  }

  /** Counts, bounds and writes down what is no call of a tool. */
  async serve<T>(what: string, asker: Asker, work: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    const place = this.tooMany(what, asker) ?? this.#bounds.begin(asker.client);
    if (typeof place === 'string') throw new Error(place);
    try {
      const result = await work();
      this.#record(what, asker, begun, 'ok');
      return result;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#record(what, asker, begun, asker.signal.aborted ? 'cancelled' : 'error', why);
      throw error;
    } finally {
      place();
    }
  }

  /** Remembers text that others wrote. */
  read(client: string, text: string): void {
    this.#readings.add(client, text);
  }

  close(): void {
    for (const flight of this.#held.values()) flight.stop(new Error('the gateway stopped'));
    this.#held.clear();
  }

  /** The call that this request goes on with: by its job, or by the answer to its question. */
  #resumed(
    caller: PassingCaller,
    digest: () => string,
    job: string | undefined,
  ): Flight | 'gone' | undefined {
    const id = job ?? (caller.answer === 'none' ? undefined : caller.about);
    const flight = id === undefined ? undefined : this.#held.get(id);
    const same = flight?.client === caller.client && (job !== undefined || flight.digest() === digest());
    if (!flight || !same) return job === undefined ? undefined : 'gone';
    this.#held.delete(flight.id);
    if (caller.answer === 'accepted') flight.answer({ answer: 'yes', form: caller.form });
    else if (caller.form) flight.answer({ answer: 'no', form: caller.form });
    else if (caller.answer !== 'none') {
      flight.answer({ answer: caller.answer === 'declined' ? 'no' : 'unavailable' });
    }
    return flight;
  }

  /** Undefined where the call may be made; else the question to the person, or why it may not. */
  async #decided(
    { tool, listing: { name } }: Offered,
    { args, digest, copied }: { args: JsonObject; digest: () => string; copied: string[] | undefined },
    caller: PassingCaller,
  ): Promise<Outcome | string | undefined> {
    const { deciding } = this.#options;
    const said = deciding.policy(tool, copied !== undefined);
    const policy = typeof said === 'string' ? said : await said;
    if (policy === 'allow') return undefined;
    if (policy === 'deny') {
      return `${name} is denied by \`approve\` in kuznia.json, which only a person changes. Go on without it.`;
    }
    const warning = copied ? ` ${copiedWarning(copied)}` : '';
    const message = `Allow ${caller.client} to call ${name} (${tool.effect}, ${tool.server})? Arguments: ${shown(args)}${warning}`;
    // An answer counts for what the person saw: the same tool with the same arguments.
    const about = `policy.${digestOf([digest(), message])}`;
    const answer = caller.about === about || caller.answer !== 'accepted' ? caller.answer : 'none';
    if (answer === 'accepted') return undefined;
    const call = { tool: name, arguments: args, client: caller.client, ...(copied && { copied }) };
    if (answer === 'declined') return 'A person declined it. Do not repeat it: go on without.';
    const elsewhere = await deciding.decided(call);
    if (elsewhere === true) return undefined;
    if (elsewhere === false) return 'A person refused it. Do not repeat it: go on without.';
    if (answer === 'none' && caller.canAsk) {
      return { kind: 'ask', question: { message, elsewhere: asCommand(name, args) }, about };
    }
    return `A person has to allow this call: ${await deciding.pend(call)}. Then make the same call again.`;
  }

  async #follow(
    flight: Flight,
    { tool, listing: { name } }: Offered,
    request: { caller: PassingCaller; begun: number; call: JsonObject; wait: number | undefined },
  ): Promise<Result> {
    const { caller, begun, call, wait } = request;
    const progress = ({ done, total, note }: { done: number; total?: number; note?: string }) =>
      caller.progress(done, total, note);
    let step: Step;
    try {
      step = await flight.next(caller.signal, progress, wait);
    } catch (error) {
      if (caller.signal.aborted) {
        this.#record(name, caller, begun, 'cancelled');
        return { kind: 'error', message: `${name} was cancelled.` };
      }
      const id = internalError(error);
      this.#record(name, caller, begun, 'error', `internal error ${id}`);
      return { kind: 'error', message: `Internal error, id ${id}; its cause is in the gateway's log.` };
    }
    if (step.kind === 'done') {
      const { result } = step;
      const note = flight.copied && copiedNote(flight.copied);
      this.#record(name, caller, begun, result.ok ? 'ok' : 'error', result.ok ? note : result.text);
      if (result.untrusted) this.#readings.add(caller.client, result.text);
      if (result.ok) return passed(name, tool, result);
      // Where nobody could be asked, the server's own refusal does not say what a person can do.
      const hint =
        tool.foreign && !caller.canAsk && tool.effect !== 'read' ? ` ${elsewhere(name, call)}` : '';
      return { kind: 'error', message: redact(result.text).slice(0, MOST_TEXT) + hint };
    }
    this.#held.set(flight.id, flight);
    void flight.ended.then(() => setTimeout(() => this.#held.delete(flight.id), 60_000).unref());
    if (step.kind === 'running') {
      const value = { status: 'running', job: flight.id, note: step.note };
      return { kind: 'value', value, text: JSON.stringify(value) };
    }
    const { message, fields } = step.wanted;
    const asked = `${tool.server} asks: ${message}`;
    if (fields) return { kind: 'form', message: asked, schema: formOf(fields), about: flight.id };
    const question = { message: asked, elsewhere: elsewhere(name, call) };
    return { kind: 'ask', question, about: flight.id };
  }

  #record(
    name: string,
    caller: Asker,
    begun: number,
    outcome: JournalEntry['outcome'],
    detail?: string,
  ): void {
    const { client } = caller;
    const ms = performance.now() - begun;
    const entry = { kind: 'tool', server: 'gateway', client, name, ms, outcome } as const;
    this.#options.runtime.journal.record({ ...entry, detail: detail?.slice(0, 300) });
  }
}

/** How a person makes the call instead. */
const elsewhere = (name: string, args: JsonObject) =>
  `Outside this client a person can make it: ${redact(asCommand(name, args)).slice(0, 2_000)}`;

const shown = (args: JsonObject) => redact(JSON.stringify(args)).slice(0, 2_000);

const seconds = (wait: unknown) =>
  (typeof wait === 'number' && wait >= 0 ? Math.min(wait, 3_600) : WAIT_S) * 1_000;

const digestOf = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('base64url');

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
