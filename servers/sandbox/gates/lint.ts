import type { JsonObject } from '../../../kit/tool.ts';

/** What lint reads of a tool. */
interface Linted {
  name: string;
  description: string;
  code: string;
  input_schema: JsonObject;
  output_schema?: JsonObject;
  tests: { name: string }[];
}

/**
 * Characters that show nothing or reorder what is shown: zero-width, bidirectional controls (CVE-2021-42574, "Trojan
 * Source"), tag characters, invisible operators, Hangul fillers, soft hyphen.
 */
const HIDDEN =
  /[\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\u{e0000}-\u{e0fff}]|[\ufe00-\ufe0e]|\ufe0f{2}|[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\u034f|\u17b4|\u17b5/u;

/** Sentences that address the model that reads a tool list, instead of saying what the tool does. */
const COMMANDS: { pattern: RegExp; what: string }[] = [
  {
    pattern:
      /\b(ignore|disregard|forget|override)\b.{0,40}\b(instructions?|rules?|prompts?|above|previous|prior)\b/i,
    what: 'tells the reader to ignore something',
  },
  {
    pattern:
      /\b(do not|don't|never|without)\b.{0,25}\b(tell|telling|mention|inform|ask|asking|show|reveal)\w*\b.{0,30}\b(user|person|human|anyone)\b/i,
    what: 'asks for secrecy',
  },
  {
    pattern: /\b(before|after|instead of)\b.{0,30}\b(using|calling|any other|other tools?|this tool)\b/i,
    what: 'steers the use of other tools',
  },
  {
    pattern: /\b(always|must|first)\b.{0,20}\b(call|use|invoke|run|prefer)\b.{0,30}\b(tool|function)\b/i,
    what: 'orders the reader to call tools',
  },
  {
    pattern: /\b(you|the (assistant|model|ai|agent)) (must|should|shall|have to|need to)\b/i,
    what: 'gives orders',
  },
  {
    pattern: /\bsystem prompt\b|<\/?\s*(system|important|instructions?|assistant|user)\s*>|\[INST\]|<\|/i,
    what: 'imitates a prompt',
  },
  {
    pattern:
      /\b(send|upload|post|include|pass|read)\b.{0,40}\b(passwords?|tokens?|api keys?|credentials?|secrets?|\.ssh|\.env|private keys?)\b/i,
    what: 'asks for secrets',
  },
  {
    pattern: /(?<!\p{L})(zignoruj|pomi[nń]|zapomnij)(?!\p{L}).{0,40}(instrukcj|polece|zasad)/iu,
    what: 'tells the reader to ignore something',
  },
];

/** Prefixes of our own servers' tools; a forged tool that carried one would look like theirs. */
const PREFIXES = [
  'sandbox_',
  'gitlab_',
  'git_',
  'vscode_',
  'browser_',
  'chat_',
  'auth_',
  'model_',
  'forged_',
];

/** Faults of a tool's text and name, each with what to do. `others` are the names of the published tools. */
export function lint(tool: Linted, others: string[]): string[] {
  const texts: [string, string][] = [
    ['the description', tool.description],
    ['the code', tool.code],
    ...strings(tool.input_schema, 'input_schema'),
    ...strings(tool.output_schema ?? {}, 'output_schema'),
    ...tool.tests.map((test, i): [string, string] => [`the name of test ${i + 1}`, test.name]),
  ];
  const hidden = texts.flatMap(([where, text]) => hiddenCharacter(where, text));
  const commands = texts
    .filter(([where]) => where !== 'the code')
    .flatMap(([where, text]) => command(where, text));
  return [...hidden, ...commands, ...shadows(tool.name, others)];
}

function hiddenCharacter(where: string, text: string): string[] {
  const found = HIDDEN.exec(text);
  if (!found) return [];
  const point = (found[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  const line = text.slice(0, found.index).split('\n').length;
  return [
    `${where} has a hidden character, U+${point}, in line ${line}: remove it, or write it as an escape (\\u{${point.toLowerCase()}}) in code.`,
  ];
}

function command(where: string, text: string): string[] {
  // As a reader sees it: look-alike widths folded, on one line.
  const plain = text.normalize('NFKC').replaceAll(/\s+/g, ' ');
  const found = COMMANDS.find(({ pattern }) => pattern.test(plain));
  if (!found) return [];
  return [`${where} ${found.what}: say only what the tool does, in a plain sentence.`];
}

function shadows(name: string, others: string[]): string[] {
  const prefix = PREFIXES.find((one) => name.startsWith(one));
  if (prefix) {
    return [
      `the name begins with \`${prefix}\`, which belongs to Kuźnia's own tools: save it under a name without it.`,
    ];
  }
  const twin = others.find((other) => other !== name && skeleton(other) === skeleton(name));
  return twin
    ? [`the name can be mistaken for the published \`${twin}\`: choose a clearly different one.`]
    : [];
}

/** What is left of a name when look-alikes are the same (after Unicode TS 39, for the characters a name may have). */
function skeleton(name: string): string {
  return name
    .replaceAll('_', '')
    .replaceAll('0', 'o')
    .replace(/[1i]/g, 'l')
    .replaceAll('rn', 'm')
    .replaceAll('vv', 'w')
    .replace(/s$/, '');
}

/** Every text in a schema, its keys too; a schema's depth is bounded by the manifest gate. */
function strings(value: unknown, where: string): [string, string][] {
  if (typeof value === 'string') return [[where, value]];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]): [string, string][] => [
    [`a key in ${where}`, key],
    ...strings(inner, `${where}.${key}`),
  ]);
}
