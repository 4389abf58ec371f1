import { createHash } from 'node:crypto';
import { redact } from '../../kit/secrets.ts';
import type { JsonObject } from '../../kit/tool.ts';
import type { Answer, HostTool } from '../mcp/connections.ts';
import { matches } from './pattern.ts';
import type { ApproveRule } from '../settings.ts';

/** What a person decides on: a call, or the question that a server asks in the middle of one. */
export interface Approval {
  tool: string;
  arguments: JsonObject;
  question?: string;
  /** Arguments whose text came from outside: someone else may have wanted this call. */
  copied?: string[];
}

/** Which arguments of a call were copied. */
export const copiedNote = (copied: string[]) =>
  `${copied.map((name) => `\`${name}\``).join(', ')}: written by others, in what a tool read`;

/** Said where a person decides on such a call. */
export const copiedWarning = (copied: string[]) => `${copiedNote(copied)}. Make sure that you want this.`;

export type Approve = (approval: Approval) => Promise<Answer>;

export type Policy = ApproveRule['policy'];

/**
 * Writes that need no question here: most make drafts only, approve asks a person on its own, and execute_task publishes
 * what it forged only where the sandbox's policy (SANDBOX_ASK) wants no person for it.
 */
const UNASKED = [
  'sandbox_save_tool',
  'sandbox_test_tool',
  'sandbox_approve_tool',
  'sandbox_forge_tool',
  'sandbox_improve_tool',
  'sandbox_execute_task',
];

/** What a person allowed before: for this session, by `--allow`, or for good. */
export interface Remembered {
  /** Names or patterns, for this session. */
  session: readonly string[];
  /** By name, the digest that the tool had when it was allowed for good. */
  kept: ReadonlyMap<string, string>;
}

/**
 * Whether a call may be made. The configuration's first fitting rule decides; without one reads and drafts are allowed, writes
 * ask, and destroys ask every time (ours by their server, in words that say what would be lost). What a person allowed
 * before counts for writes, but not for arguments that were copied from text of others.
 */
export function policyFor(
  tool: HostTool,
  rules: readonly ApproveRule[],
  remembered: Remembered,
  copied: boolean,
): Policy {
  // A server's tools are meant by its name too, whatever it calls them: `files_*` for `write_file` of `files`.
  const names = tool.foreign ? [tool.name, `${tool.server}_${tool.name}`] : [tool.name];
  const rule = rules.find(
    (one) =>
      names.some((name) => matches([one.tool], name)) &&
      (one.effect === undefined || one.effect === tool.effect),
  );
  if (rule && (rule.policy !== 'allow' || tool.effect !== 'destroy')) return rule.policy;
  if (tool.effect === 'read' || (!tool.foreign && UNASKED.includes(tool.name))) return 'allow';
  if (tool.effect === 'destroy') return tool.foreign ? 'ask' : 'allow';
  if (copied) return 'ask';
  const allowed =
    matches(remembered.session, tool.name) || remembered.kept.get(tool.name) === toolDigest(tool);
  return allowed ? 'allow' : 'ask';
}

/** What an approval for good is bound to: with another description or schema it is another tool. */
export function toolDigest({ server, name, description, inputSchema, effect }: HostTool): string {
  const text = JSON.stringify([server, name, description, inputSchema, effect]);
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}

/** A call as a person would make it at the command line: the exact one, in signs that a terminal shows. */
export function asCommand(tool: string, args: JsonObject): string {
  return `kuznia call ${quoted(tool)} ${quoted(shownJson(args))}`;
}

/** One word of a POSIX shell, whatever is in it. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;

/** The same JSON, with what a terminal would obey or not show written as escapes. */
export const shownJson = (value: unknown): string =>
  JSON.stringify(value).replace(/[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]/gu, (sign) =>
    sign
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );

const MOST_SHOWN = 4_000;

/** What a call would be made with, for a person to decide on: secrets by name, of a long text its beginning and its end. */
export function shownCall(tool: string, args: JsonObject): string {
  const text = `${tool} ${redact(shownJson(args))}`;
  if (text.length <= MOST_SHOWN) return text;
  const [head, tail] = [text.slice(0, MOST_SHOWN * 0.6), text.slice(-MOST_SHOWN * 0.4)];
  return `${head}\n[… ${text.length - head.length - tail.length} of ${text.length} characters are not shown …]\n${tail}`;
}
