import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { ChatRequest } from '../kit/model.ts';

type Prompt = Pick<ChatRequest, 'messages' | 'tools'>;

/** What a picture costs is the model's secret; these are the tokens of a common size. */
const PICTURE_TOKENS = 800;
/** What a chat template puts around a message. */
const MESSAGE_TOKENS = 4;
/** Answers that a correction is learned from, weighed towards the newer ones. */
const NEWEST = 0.4;
const factors = z.record(z.string(), z.number().min(0.3).max(4));

interface Known {
  /** Every message of the prompt, and how many tokens the model counted for all of it. */
  parts: string[];
  tools: string;
  counted: number;
}

/**
 * Tokens of a prompt before it is sent: a rough count of words, corrected by what the model counted in its earlier
 * prompts. What was sent before and is sent again costs what it cost then. Corrections are kept per model.
 */
export class Gauge {
  readonly #file: string | undefined;
  readonly #factors: Map<string, number>;
  readonly #last = new Map<string, Known>();
  /** Tokens that a rough one of what is added counts: without the template's own words, which come once. */
  readonly #slopes = new Map<string, number>();

  /** Without a home nothing is kept. */
  constructor(home?: string) {
    this.#file = home && join(home, 'cache', 'tokens.json');
    this.#factors = new Map(Object.entries(this.#file ? readFactors(this.#file) : {}));
  }

  /** True once the model counted a prompt of ours: before that an estimate may be off by a third. */
  knows(model: string): boolean {
    return this.#factors.has(model);
  }

  /** Tokens that the model will count, about. */
  estimate(model: string, prompt: Prompt): number {
    const factor = this.#factors.get(model) ?? 1;
    const parts = partsOf(prompt);
    const last = this.#last.get(model);
    const shared = last && last.tools === toolsOf(prompt) ? common(last.parts, parts) : 0;
    if (!last || shared === 0) return Math.ceil(rough(prompt) * factor);
    const slope = this.#slopes.get(model) ?? factor;
    const more = roughParts(parts.slice(shared)) - roughParts(last.parts.slice(shared));
    const pictures = picturesOf(prompt) * PICTURE_TOKENS;
    return Math.max(1, Math.ceil(last.counted + more * slope + pictures));
  }

  /** Learns from what the model counted for a prompt. */
  learn(model: string, prompt: Prompt, counted: number): void {
    const guess = rough(prompt);
    if (guess < 20 || counted < 20 || picturesOf(prompt) > 0) return;
    const before = this.#factors.get(model);
    const now = weighed(before, counted / guess);
    const parts = partsOf(prompt);
    const last = this.#last.get(model);
    if (last && last.tools === toolsOf(prompt)) {
      const shared = common(last.parts, parts);
      const more = roughParts(parts.slice(shared)) - roughParts(last.parts.slice(shared));
      if (shared > 0 && Math.abs(more) >= 30) {
        this.#slopes.set(model, weighed(this.#slopes.get(model), (counted - last.counted) / more));
      }
    }
    this.#last.set(model, { parts, tools: toolsOf(prompt), counted });
    this.#factors.set(model, now);
    if (before === undefined || Math.abs(now - before) > 0.02) this.#keep();
  }

  /** A lost correction is learned again: no write is worth an error. */
  #keep(): void {
    if (!this.#file) return;
    try {
      mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
      const draft = `${this.#file}.${process.pid}`;
      writeFileSync(draft, JSON.stringify(Object.fromEntries(this.#factors)), { mode: 0o600 });
      renameSync(draft, this.#file);
    } catch {
      // Told by `doctor`, not here.
    }
  }
}

function readFactors(file: string): Record<string, number> {
  try {
    return factors.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return {};
  }
}

const toolsOf = ({ tools = [] }: Prompt) => JSON.stringify(tools);
const picturesOf = ({ messages }: Prompt) =>
  messages.reduce((sum, { images }) => sum + (images?.length ?? 0), 0);

function partsOf({ messages }: Prompt): string[] {
  return messages.map(({ role, content, tool_calls: calls }) =>
    calls ? `${role} ${content} ${JSON.stringify(calls)}` : `${role} ${content}`,
  );
}

function weighed(before: number | undefined, seen: number): number {
  const bounded = Math.min(4, Math.max(0.3, seen));
  return before === undefined ? bounded : before + (bounded - before) * NEWEST;
}

const roughParts = (parts: string[]) =>
  parts.reduce((sum, part) => sum + roughText(part) + MESSAGE_TOKENS, 0);

function common(a: string[], b: string[]): number {
  let at = 0;
  while (at < a.length && at < b.length && a[at] === b[at]) at++;
  return at;
}

function rough(prompt: Prompt): number {
  const { tools = [] } = prompt;
  // A format counts nothing: it becomes a grammar, which the model does not read.
  const offered = tools.length > 0 ? roughText(JSON.stringify(tools)) + 60 : 0;
  return roughParts(partsOf(prompt)) + offered + picturesOf(prompt) * PICTURE_TOKENS;
}

/**
 * Words as byte pair encoders cut them: a short English word is one token, longer and accented ones more; digits go
 * one to three; each mark is one; a Chinese or Japanese character about one.
 */
function roughText(text: string): number {
  let tokens = 0;
  for (const [word] of text.matchAll(/\p{L}+|\p{N}{1,3}|[^\s\p{L}\p{N}]+|\n+/gu)) {
    const bytes = Buffer.byteLength(word);
    if (bytes > word.length * 2) tokens += word.length;
    else if (/^\p{L}/u.test(word))
      tokens += bytes > word.length ? Math.ceil(bytes / 3) : Math.ceil(bytes / 7);
    else if (/^[\p{N}\n]/u.test(word)) tokens += 1;
    else tokens += Math.ceil(bytes / 2);
  }
  return tokens;
}
