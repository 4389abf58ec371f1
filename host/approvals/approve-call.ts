import { userInfo } from 'node:os';
import { copiedWarning, shownCall } from './approval.ts';
import { Approvals, type PendingApproval } from './approvals.ts';
import { painter } from '../terminal/display.ts';
import { EXIT, UsageError, type Io } from '../terminal/io.ts';
import { Prompt } from '../terminal/prompt.ts';
import { clean } from '../terminal/text.ts';

interface Flags {
  yes: boolean;
  refuse: boolean;
  json: boolean;
}

/** What outside agents wait for, and what was allowed for good. */
export async function listApprovals(home: string, io: Io, { json }: Flags): Promise<number> {
  const approvals = new Approvals(home);
  const [pending, kept] = [await approvals.pending(), [...(await approvals.kept()).keys()].sort()];
  if (json) {
    io.out(`${JSON.stringify({ pending, kept })}\n`);
    return EXIT.done;
  }
  if (pending.length === 0) io.out('No call waits for a decision.\n');
  for (const one of pending) io.out(`${shown(one, io)}\n`);
  if (pending.length > 0) io.out('\nDecide: kuznia approve ID\n');
  if (kept.length > 0) {
    io.out(`Allowed for good: ${kept.join(', ')}. Take one back: kuznia approve --forget TOOL\n`);
  }
  return EXIT.done;
}

/** Decides on one call that an outside agent wants to make. Throws UsageError for an id that is not there. */
export async function decideCall(home: string, id: string, io: Io, flags: Flags): Promise<number> {
  const approvals = new Approvals(home);
  const asked = (await approvals.pending()).find((one) => one.id === id);
  if (!asked) {
    throw new UsageError(
      `No call with the id ${id} waits for a decision. \`kuznia approve\` lists those that do.`,
    );
  }
  if (!flags.json) io.out(`${shown(asked, io)}\n`);
  let yes = flags.yes ? true : flags.refuse ? false : undefined;
  if (yes === undefined && io.interactive && !flags.json) {
    const prompt = new Prompt(process.stdin, process.stdout);
    const answer = await prompt.confirm(
      `${painter(io).bold(`Allow ${clean(asked.tool)}, once?`)} [y]es, [r]efuse, [N]othing: `,
    );
    prompt.close();
    yes = answer === 'yes' ? true : answer === 'refuse' ? false : undefined;
  }
  if (yes === undefined) {
    io.err(`Nothing was decided. Without a terminal: kuznia approve ${id} --yes, or --refuse.\n`);
    return EXIT.approval;
  }
  const decision = await approvals.decide(id, yes, userInfo().username);
  if (flags.json) io.out(`${JSON.stringify({ id, ...decision })}\n`);
  else if (decision?.yes === yes) {
    io.out(yes ? 'Allowed: the same call goes through once, within an hour.\n' : 'Refused.\n');
  } else
    io.out(
      `Already decided by ${clean(decision?.by ?? 'somebody')}: ${decision?.yes ? 'allowed' : 'refused'}.\n`,
    );
  return EXIT.done;
}

/** Takes back what was allowed for good. */
export async function forgetTool(home: string, tool: string, io: Io): Promise<number> {
  const had = await new Approvals(home).forget(tool);
  io.out(had ? `${clean(tool)} is asked about again.\n` : `${clean(tool)} was not allowed for good.\n`);
  return had ? EXIT.done : EXIT.failed;
}

function shown(approval: PendingApproval, io: Io): string {
  const { id, tool, arguments: args, client, question, copied, at } = approval;
  const { bold, dim, red } = painter(io);
  const head = `${bold(id)}  ${clean(shownCall(tool, args))}`;
  const why = question === undefined ? '' : `\n  ${clean(question)}`;
  const warning = copied === undefined ? '' : `\n  ${red('!')} ${clean(copiedWarning(copied))}`;
  return `${head}${why}${warning}\n  ${dim(`asked by ${clean(client)}, ${at.slice(0, 16).replace('T', ' ')} UTC`)}`;
}
