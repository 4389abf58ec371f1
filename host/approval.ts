import type { JsonObject } from '../kit/tool.ts';
import type { Answer, HostTool } from './connections.ts';

/** What a person decides on: a call, or the question that a server asks in the middle of one. */
export interface Approval {
  tool: string;
  arguments: JsonObject;
  question?: string;
}

export type Approve = (approval: Approval) => Promise<Answer>;

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

/**
 * Reads and the writes above are allowed, other writes ask. A destroy is asked about by its server, every time, in words that say what
 * would be lost.
 */
export function mustAsk(tool: HostTool, allowed: readonly string[]): boolean {
  return tool.effect === 'write' && !UNASKED.includes(tool.name) && !allowed.includes(tool.name);
}

/** A call as a person would make it at the command line. */
export function asCommand(tool: string, args: JsonObject): string {
  return `kuznia call ${tool} '${JSON.stringify(args).replaceAll("'", String.raw`'\''`)}'`;
}
