import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { redact } from '../../kit/secrets.ts';
import type { JsonObject } from '../../kit/tool.ts';
import { toolDigest } from './approval.ts';
import type { HostTool } from '../mcp/connections.ts';

/** Nobody decides on what is older: it is asked anew. */
const PENDING_MS = 24 * 60 * 60_000;
/** A yes counts for one call, made soon. */
const DECIDED_MS = 60 * 60_000;

const asked = z.object({
  id: z.string(),
  tool: z.string(),
  arguments: z.record(z.string(), z.unknown()),
  client: z.string(),
  question: z.string().optional(),
  /** Arguments that others wrote. */
  copied: z.array(z.string()).optional(),
  digest: z.string(),
  at: z.string(),
});
/** A call of an outside agent that waits for a person. */
export type PendingApproval = z.output<typeof asked>;
const decided = z.object({ yes: z.boolean(), by: z.string(), at: z.string() });
export type Decided = z.output<typeof decided>;
const kept = z.record(z.string(), z.string());

/**
 * The decisions of one home, as files in `KUZNIA_HOME/approvals`: any front may decide (terminal, gateway client, chat),
 * the first decision wins and stays. Files: `<id>.json` what is asked, `<id>.decision.json` the answer, `kept.json`
 * what is allowed for good.
 */
export class Approvals {
  readonly #folder: string;

  constructor(home: string) {
    this.#folder = join(home, 'approvals');
  }

  /** The same call of the same client is one question, however often it is made. */
  async ask(call: {
    tool: string;
    arguments: JsonObject;
    client: string;
    question?: string;
    copied?: string[];
  }): Promise<PendingApproval> {
    const digest = callDigest(call);
    const waiting = (await this.pending()).find((one) => one.digest === digest);
    if (waiting) return waiting;
    const id = randomBytes(4).toString('hex');
    const shown = asked.shape.arguments.parse(JSON.parse(redact(JSON.stringify(call.arguments))));
    const question = { id, ...call, arguments: shown, digest, at: new Date().toISOString() };
    await this.#write(`${id}.json`, question);
    return question;
  }

  /** What waits for a decision, oldest first. What waited too long is removed. */
  async pending(): Promise<PendingApproval[]> {
    const found: PendingApproval[] = [];
    for (const { question, decision } of await this.#all()) {
      if (Date.now() - Date.parse(question.at) > PENDING_MS) await this.#remove(question.id);
      else if (!decision) found.push(question);
    }
    return found.sort((a, b) => a.at.localeCompare(b.at));
  }

  /** Decides, once: undefined where there is no such question, else the decision that counts. */
  async decide(id: string, yes: boolean, by: string): Promise<Decided | undefined> {
    const known = (await this.#all()).find(({ question }) => question.id === id);
    if (!known) return undefined;
    const decision = { yes, by, at: new Date().toISOString() };
    try {
      // Exclusive: the first front that decides wins.
      await writeFile(this.#path(`${id}.decision.json`), JSON.stringify(decision), {
        flag: 'wx',
        mode: 0o600,
      });
      return decision;
    } catch {
      return this.#read(`${id}.decision.json`, decided);
    }
  }

  /** The decision on this very call, taken back as it is told: it counts once. Undefined while nobody decided. */
  async take(call: { tool: string; arguments: JsonObject; client: string }): Promise<Decided | undefined> {
    const digest = callDigest(call);
    for (const { question, decision } of await this.#all()) {
      if (question.digest !== digest || !decision) continue;
      // Of two that take it, the one that moves the file away has it.
      const mine = this.#path(`${question.id}.${process.pid}.taken`);
      const won = await rename(this.#path(`${question.id}.decision.json`), mine).then(
        () => true,
        () => false,
      );
      await rm(mine, { force: true });
      if (!won) continue;
      await this.#remove(question.id);
      if (Date.now() - Date.parse(decision.at) <= DECIDED_MS) return decision;
    }
    return undefined;
  }

  /** What is allowed for good: by tool, the digest that it had then. */
  async kept(): Promise<Map<string, string>> {
    return new Map(Object.entries((await this.#read('kept.json', kept)) ?? {}));
  }

  async keep(tool: HostTool): Promise<void> {
    const all = Object.fromEntries(await this.kept());
    await this.#write('kept.json', { ...all, [tool.name]: toolDigest(tool) });
  }

  async forget(name: string): Promise<boolean> {
    const { [name]: had, ...others } = Object.fromEntries(await this.kept());
    if (had !== undefined) await this.#write('kept.json', others);
    return had !== undefined;
  }

  async #all(): Promise<{ question: PendingApproval; decision?: Decided }[]> {
    const names = await readdir(this.#folder).catch((): string[] => []);
    const questions = names.filter((name) => /^[0-9a-f]{8}\.json$/.test(name));
    const read = questions.map(async (name) => {
      const question = await this.#read(name, asked);
      const decision = await this.#read(name.replace('.json', '.decision.json'), decided);
      return question ? [{ question, decision }] : [];
    });
    return (await Promise.all(read)).flat();
  }

  async #read<S extends z.ZodType>(name: string, schema: S): Promise<z.output<S> | undefined> {
    try {
      return schema.parse(JSON.parse(await readFile(this.#path(name), 'utf8')));
    } catch {
      return undefined;
    }
  }

  async #write(name: string, value: unknown): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const draft = this.#path(`${name}.${process.pid}.draft`);
    await writeFile(draft, JSON.stringify(value), { mode: 0o600 });
    await rename(draft, this.#path(name));
  }

  async #remove(id: string): Promise<void> {
    await rm(this.#path(`${id}.json`), { force: true });
    await rm(this.#path(`${id}.decision.json`), { force: true });
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}

const callDigest = (call: { tool: string; arguments: JsonObject; client: string }) =>
  createHash('sha256')
    .update(JSON.stringify([call.tool, call.arguments, call.client]))
    .digest('base64url');
