import type { ChatBody } from './ollama-bodies.ts';
import type { modelOptions } from './ollama-options.ts';

/** What the "model" says to one request; the double wraps it as Ollama would. */
export type Reply =
  | { content?: string; thinking?: string; calls?: { name: string; arguments: unknown }[]; reason?: string }
  /** An error before anything else, in Ollama's shape. */
  | { status: number; error: string }
  /** Some words, then an error line: what Ollama does when it fails after the headers. */
  | { content: string; fails: string }
  /** Some bytes as they are; then the connection is cut, or kept open and silent. */
  | { raw: string; type?: string; status?: number; end: 'end' | 'cut' | 'silent' }
  /** No headers, ever. */
  | { silent: true };

export interface Spoken {
  content?: string;
  thinking?: string;
  calls?: { name: string; arguments: unknown }[];
  tool_calls?: unknown[];
}

/** `format` binds the answer to a schema, so that no tool call comes of it. */
export function spoken({ content = '', thinking, calls = [] }: Spoken, { format }: ChatBody): Spoken {
  const tool_calls = calls.map((call, index) => ({ id: `call_${index}x`, function: { index, ...call } }));
  return { content, ...(thinking && { thinking }), ...(calls.length > 0 && !format && { tool_calls }) };
}

export function* parts(reply: Spoken, body: ChatBody): Generator<Spoken> {
  const { content = '', thinking, tool_calls } = spoken(reply, body);
  if (thinking) yield { thinking };
  for (const word of content.match(/\s*\S+\s*/g) ?? []) yield { content: word };
  if (tool_calls) yield { tool_calls };
}

/** A reply as far as `num_predict` and `stop` let it come. */
export function bounded(reply: Reply, { num_predict: most, stop }: ReturnType<typeof modelOptions>): Reply {
  if ('status' in reply || 'fails' in reply || 'raw' in reply || 'silent' in reply) return reply;
  const { thinking = '', content = '' } = reply;
  const ends = (stop ?? []).map((one) => content.indexOf(one)).filter((at) => at >= 0);
  if (ends.length > 0) return { ...reply, content: content.slice(0, Math.min(...ends)), calls: [] };
  if (!most || most < 0 || written(reply) <= most) return reply;
  const room = most * LETTERS;
  const thought = thinking.slice(0, room);
  return { thinking: thought, content: content.slice(0, room - thought.length), reason: 'length' };
}

/** A token is four letters, as in a prompt. */
const LETTERS = 4;

export function written(reply: Reply): number {
  if ('error' in reply || 'raw' in reply || 'silent' in reply) return 0;
  const { thinking = '', content = '', calls = [] }: Spoken = reply;
  const called = calls.length > 0 ? JSON.stringify(calls) : '';
  return Math.ceil((thinking.length + content.length + called.length) / LETTERS);
}
