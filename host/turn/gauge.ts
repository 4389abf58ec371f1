import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { ChatMessage, ChatRequest, OfferedTool } from '../../kit/model.ts';

type Prompt = Pick<ChatRequest, 'messages' | 'tools'>;

/** What a picture costs is the model's secret until it was shown one; these are the tokens of a common size. */
const PICTURE_TOKENS = 800;
const LEAST_PICTURE = 32;
const MOST_PICTURE = 20_000;
/** What a chat template puts around a message. */
const MESSAGE_TOKENS = 4;
/** Answers that a correction is learned from, weighed towards the newer ones. */
const NEWEST = 0.4;
/** How far past its limit a refused prompt is taken to be: nobody says how long it was. */
const RAISE = 1.2;
const factors = z.record(z.string(), z.number().min(0.3).max(4));

interface Known {
  /** Every message of the prompt, and how many tokens the model counted for all of it. */
  parts: Part[];
  tools: number;
  counted: number;
}

/** A message, with what it counts roughly. */
interface Part {
  content: string;
  calls: ChatMessage['tool_calls'];
  tokens: number;
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

  /** Tokens of a picture, by model; for this conversation, since its size counts as well. */
  readonly #pictures = new Map<string, number>();

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
    const tools = toolTokens(prompt);
    const shared = last && last.tools === tools ? common(last.parts, parts) : 0;
    const pictures = picturesOf(prompt) * this.#pictureTokens(model);
    if (!last || shared === 0) return Math.ceil((sum(parts) + tools) * factor) + pictures;
    const slope = this.#slopes.get(model) ?? factor;
    const more = sum(parts.slice(shared)) - sum(last.parts.slice(shared));
    return Math.max(1, Math.ceil(last.counted + more * slope + pictures));
  }

  /** Learns from what the model counted for a prompt. */
  learn(model: string, prompt: Prompt, counted: number): void {
    const parts = partsOf(prompt);
    const tools = toolTokens(prompt);
    const guess = sum(parts) + tools;
    if (guess < 20 || counted < 20) return;
    const before = this.#factors.get(model);
    const pictures = picturesOf(prompt);
    if (pictures > 0) {
      // Of a model that is not known yet nothing tells words and pictures apart.
      if (before !== undefined) this.#pictures.set(model, costOf(counted - guess * before, pictures));
      return;
    }
    const now = weighed(before, counted / guess);
    const last = this.#last.get(model);
    if (last && last.tools === tools) {
      const shared = common(last.parts, parts);
      const more = sum(parts.slice(shared)) - sum(last.parts.slice(shared));
      if (shared > 0 && Math.abs(more) >= 30) {
        this.#slopes.set(model, weighed(this.#slopes.get(model), (counted - last.counted) / more));
      }
    }
    this.#last.set(model, { parts, tools, counted });
    this.#factors.set(model, now);
    if (before === undefined || Math.abs(now - before) > 0.02) this.#keep();
  }

  /** A server refused a prompt as longer than `size`: what was estimated is raised past that. False where it already was. */
  raise(model: string, prompt: Prompt, size: number): boolean {
    const guess = sum(partsOf(prompt)) + toolTokens(prompt);
    const before = this.#factors.get(model) ?? 1;
    const pictures = picturesOf(prompt);
    if (pictures > 0) {
      const cost = costOf(size * RAISE - guess * before, pictures);
      if (cost <= this.#pictureTokens(model)) return false;
      this.#pictures.set(model, cost);
      return true;
    }
    const now = Math.min(4, Math.max(before, (size / Math.max(1, guess)) * RAISE));
    if (now <= before) return false;
    this.#last.delete(model);
    this.#slopes.delete(model);
    this.#factors.set(model, now);
    return true;
  }

  #pictureTokens(model: string): number {
    return this.#pictures.get(model) ?? PICTURE_TOKENS;
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

const picturesOf = ({ messages }: Prompt) =>
  messages.reduce((sum, { images }) => sum + (images?.length ?? 0), 0);

const parts = new WeakMap<ChatMessage, Part>();

/** A conversation is measured several times a round: each message is counted once, until it is changed. */
function partsOf({ messages }: Prompt): Part[] {
  return messages.map((message) => {
    const { content: said, thinking = '', tool_calls: calls } = message;
    const content = thinking ? `${thinking}\n${said}` : said;
    const before = parts.get(message);
    if (before && before.content === content && before.calls === calls) return before;
    const text = calls ? `${content} ${JSON.stringify(calls)}` : content;
    const part = { content, calls, tokens: roughText(text) + MESSAGE_TOKENS };
    parts.set(message, part);
    return part;
  });
}

const counts = new WeakMap<OfferedTool, number>();

/** What the tools count. A format counts nothing: it becomes a grammar, which the model does not read. */
function toolTokens({ tools = [] }: Prompt): number {
  if (tools.length === 0) return 0;
  return tools.reduce((sum, tool) => {
    const count = counts.get(tool) ?? roughText(JSON.stringify(tool));
    counts.set(tool, count);
    return sum + count;
  }, 60);
}

function weighed(before: number | undefined, seen: number): number {
  const bounded = Math.min(4, Math.max(0.3, seen));
  return before === undefined ? bounded : before + (bounded - before) * NEWEST;
}

const costOf = (tokens: number, pictures: number) =>
  Math.min(MOST_PICTURE, Math.max(LEAST_PICTURE, Math.ceil(tokens / pictures)));

const sum = (parts: Part[]) => parts.reduce((tokens, part) => tokens + part.tokens, 0);

function common(a: Part[], b: Part[]): number {
  let at = 0;
  while (at < a.length && at < b.length && same(a[at], b[at])) at++;
  return at;
}

const same = (a: Part | undefined, b: Part | undefined) =>
  a === b || (a?.content === b?.content && JSON.stringify(a?.calls) === JSON.stringify(b?.calls));

const WORDS = /\p{L}+|\p{N}{1,3}|[^\s\p{L}\p{N}]+|\n+/gu;
const LETTER = /^\p{L}/u;
const DIGIT = /^[\p{N}\n]/u;

/**
 * Words as byte pair encoders cut them: a short English word is one token, longer and accented ones more; digits go
 * one to three; each mark is one; a Chinese or Japanese character about one.
 */
function roughText(text: string): number {
  let tokens = 0;
  for (const word of text.match(WORDS) ?? []) {
    const bytes = Buffer.byteLength(word);
    if (bytes > word.length * 2) tokens += word.length;
    else if (LETTER.test(word)) tokens += bytes > word.length ? Math.ceil(bytes / 3) : Math.ceil(bytes / 7);
    else if (DIGIT.test(word)) tokens += 1;
    else tokens += Math.ceil(bytes / 2);
  }
  return tokens;
}
