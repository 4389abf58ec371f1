import { policyFor, type Policy } from '../approvals/approval.ts';
import { Approvals } from '../approvals/approvals.ts';
import type { HostTool } from '../mcp/connections.ts';
import type { ApproveRule } from '../settings.ts';
import type { JsonObject } from '../../kit/tool.ts';

/** A call of an outside agent, as it is decided on. */
export interface OutsideCall {
  tool: string;
  arguments: JsonObject;
  client: string;
  /** Arguments that others wrote. */
  copied?: string[];
}

/** Who decides on calls: the configuration, what a person allowed for good, and a person who is asked elsewhere. */
export interface Deciding {
  policy: (tool: HostTool, copied: boolean) => Promise<Policy> | Policy;
  /** What a person decided elsewhere on this very call; it counts once. */
  decided: (call: OutsideCall) => Promise<boolean | undefined>;
  /** Lays the call before a person; the command by which they allow it. */
  pend: (call: OutsideCall) => Promise<string>;
}

const NOTHING = { session: [], kept: new Map<string, string>() };

/** By the `approve` of kuznia.json, and the approvals that all fronts of one home share. */
export function deciding(home: string, rules: readonly ApproveRule[]): Deciding {
  const approvals = new Approvals(home);
  return {
    policy(tool, copied) {
      const policy = policyFor(tool, rules, NOTHING, copied);
      // The file is read only where it can matter.
      if (policy !== 'ask' || copied) return policy;
      return approvals.kept().then((kept) => policyFor(tool, rules, { session: [], kept }, copied));
    },
    decided: async (call) => (await approvals.take(call))?.yes,
    pend: async (call) => `kuznia approve ${(await approvals.ask(call)).id}`,
  };
}
