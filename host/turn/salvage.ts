import { z } from 'zod';
import type { ToolCall } from '../../kit/model.ts';
import type { JsonObject } from '../../kit/tool.ts';
import { fitArguments } from './arguments.ts';
import type { HostTool } from '../mcp/connections.ts';

/** Longer answers are answers; looking through them would cost more than it finds. */
const MOST_CHARS = 20_000;
const MOST_CALLS = 8;

const object = z.record(z.string(), z.unknown());
const named = z
  .object({ name: z.string(), arguments: z.unknown(), parameters: z.unknown(), function: z.unknown() })
  .partial();

/**
 * The calls that a model wrote as text instead of making them, in the forms that are known: `<tool_call>` (Hermes, Qwen),
 * `[TOOL_CALLS]` (Mistral), fenced or bare JSON (Llama), `<function=name>` (Llama 3.1), and `name(a=1)` as in Python.
 * Only calls of tools that were shown, with arguments that fit their schema; else none.
 */
export function salvage(text: string, tools: HostTool[]): ToolCall[] {
  if (text.length > MOST_CHARS || !/[{(]/.test(text)) return [];
  const known = new Map(tools.map((tool) => [tool.name, tool]));
  const own = withoutQuotes(text);
  for (const found of [tagged, marked, fenced, bare, python]) {
    const calls = found(own, known).slice(0, MOST_CALLS);
    const fitting = calls.flatMap(({ name, args }): ToolCall[] => {
      const tool = known.get(name);
      const fitted = tool && fitArguments(tool.inputSchema, args);
      return fitted?.ok ? [{ name, arguments: fitted.value }] : [];
    });
    if (fitting.length > 0) return fitting;
  }
  return [];
}

/** What is quoted, or stands as code in a sentence, is talked about; a call that is all in backticks is one. */
function withoutQuotes(text: string): string {
  const [, alone] = /^\s*`([^`\n]+)`\s*$/.exec(text) ?? [];
  return alone ?? text.replace(/^[ \t]*>.*$/gm, '').replace(/(?<!`)`[^`\n]+`(?!`)/g, '');
}

interface Written {
  name: string;
  args: JsonObject;
}

type Tools = ReadonlyMap<string, HostTool>;

function tagged(text: string): Written[] {
  const calls = [...text.matchAll(/<(tool_call|function_call|tool)>([\s\S]*?)(?:<\/\1>|$)/g)];
  const llama = [...text.matchAll(/<function=([\w.-]+)>([\s\S]*?)<\/function>/g)];
  return [
    ...calls.flatMap(([, , inside = '']) => fromJson(inside)),
    ...llama.flatMap(([, name = '', inside = '']) => {
      const args = objectIn(inside);
      return args ? [{ name, args }] : [];
    }),
  ];
}

function marked(text: string): Written[] {
  const at = text.search(/\[TOOL_CALLS\]|<\|python_tag\|>/);
  if (at === -1) return [];
  const rest = text.slice(at).replace(/^(?:\[TOOL_CALLS\]|<\|python_tag\|>)\s*/, '');
  // Newer Mistral models write `[TOOL_CALLS]name[ARGS]{…}`.
  const short = /^([\w.-]+)(?:\[CALL_ID\][\w-]*)?\[ARGS\]/.exec(rest);
  const args = short && objectIn(rest.slice(short[0].length));
  return short?.[1] && args ? [{ name: short[1], args }] : fromJson(rest);
}

function fenced(text: string): Written[] {
  return [...text.matchAll(/```(?:json|tool_call|tool_code|python)?\s*\n([\s\S]*?)```/g)].flatMap(
    ([, inside = '']) => fromJson(inside),
  );
}

/** Only where the answer is nothing else: an explanation may show JSON. */
function bare(text: string): Written[] {
  const trimmed = text.trim();
  return /^[[{]/.test(trimmed) ? fromJson(trimmed) : [];
}

function fromJson(text: string): Written[] {
  const value = firstJson(text);
  return (Array.isArray(value) ? value : [value]).flatMap((one): Written[] => {
    const call = named.safeParse(one).data;
    if (!call) return [];
    const inner = named.safeParse(call.function).data;
    const { name, arguments: given, parameters } = call.name === undefined && inner ? inner : call;
    if (name === undefined) return [];
    const raw = given ?? parameters ?? {};
    const args = object.safeParse(typeof raw === 'string' ? firstJson(raw) : raw).data;
    return args ? [{ name, args }] : [];
  });
}

const objectIn = (text: string) => object.safeParse(firstJson(text)).data;

/** The first JSON value in a text, whatever follows it. */
function firstJson(text: string): unknown {
  const start = text.search(/[[{]/);
  if (start === -1) return undefined;
  let depth = 0;
  let quoted = false;
  for (let at = start; at < text.length; at++) {
    const sign = text[at];
    if (quoted) {
      if (sign === '\\') at++;
      else if (sign === '"') quoted = false;
    } else if (sign === '"') quoted = true;
    else if (sign === '{' || sign === '[') depth++;
    else if ((sign === '}' || sign === ']') && --depth === 0) {
      try {
        return JSON.parse(text.slice(start, at + 1));
      } catch {
        return undefined;
      }
    }
  }
  return undefined;
}

const WORDS: Record<string, unknown> = {
  True: true,
  true: true,
  False: false,
  false: false,
  None: null,
  null: null,
};

/** `name(a=1, b='x')`, as in Python: all that a fence holds, or the end of the answer. Among other code it is an example. */
function python(text: string, known: Tools): Written[] {
  const fences = [...text.matchAll(/```\w*\s*\n([\s\S]*?)```/g)];
  if (fences.length > 0) return fences.flatMap(([, inside = '']) => callsOnly(inside, known));
  const starts = [...text.matchAll(/(?:^|\n)\s*(?:\[\s*)?(?:print\()?[a-z]\w*\(/g)].slice(0, MOST_CALLS * 4);
  for (const { index } of starts) {
    const calls = callsOnly(text.slice(index), known);
    if (calls.length > 0) return calls;
  }
  return [];
}

/** The calls that a text is made of; none where it is made of anything else as well. */
function callsOnly(text: string, known: Tools): Written[] {
  const calls: Written[] = [];
  let rest = text;
  for (;;) {
    rest = rest.replace(/^(?:[\s[\](),;]|print\()+/, '');
    if (rest === '') return calls;
    const name = /^([a-z]\w*)\(/.exec(rest)?.[1];
    const args = name && known.has(name) ? keywords(rest.slice(name.length + 1)) : undefined;
    if (!name || !args) return [];
    calls.push({ name, args: args.value });
    rest = rest.slice(name.length + 1 + args.length);
  }
}

function keywords(text: string): { value: JsonObject; length: number } | undefined {
  const args: JsonObject = {};
  let rest = text.trimStart();
  while (!rest.startsWith(')')) {
    const key = /^(\w+)\s*=\s*/.exec(rest);
    if (!key?.[1]) return undefined;
    rest = rest.slice(key[0].length);
    const value = literal(rest);
    if (!value) return undefined;
    args[key[1]] = value.value;
    rest = rest.slice(value.length).replace(/^\s*,?\s*/, '');
  }
  return { value: args, length: text.length - rest.length + 1 };
}

function literal(text: string): { value: unknown; length: number } | undefined {
  const quoted = /^'((?:[^'\\]|\\.)*)'|^"((?:[^"\\]|\\.)*)"/.exec(text);
  if (quoted) {
    const inside = quoted[1] ?? quoted[2] ?? '';
    const value = inside.replace(/\\(.)/g, (_all, sign: string) => ({ n: '\n', t: '\t' })[sign] ?? sign);
    return { value, length: quoted[0].length };
  }
  const number = /^-?\d+(?:\.\d+)?(?![\w.])/.exec(text);
  if (number) return { value: Number(number[0]), length: number[0].length };
  const word = /^(?:True|true|False|false|None|null)\b/.exec(text);
  if (word) return { value: WORDS[word[0]], length: word[0].length };
  const list = /^(?:\[[^[\]]*\]|\{[^{}]*\})/.exec(text);
  if (!list) return undefined;
  const json = list[0].includes('"') ? list[0] : list[0].replaceAll("'", '"');
  const value = firstJson(json);
  return value === undefined ? undefined : { value, length: list[0].length };
}
