import { copiedWarning, shownCall, type Approval, type Approve } from './approval.ts';
import type { Toolbox } from '../mcp/connections.ts';
import { painter, type TurnDisplay } from '../terminal/display.ts';
import type { Io } from '../terminal/io.ts';
import type { Prompt } from '../terminal/prompt.ts';
import { clean, wrap } from '../terminal/text.ts';

/**
 * Asks the person at the terminal, with what they need to decide: the server's own words, or the call and the code.
 * Without a terminal nobody is asked: a line in a pipe was written before the question.
 */
export function decider(options: {
  io: Io;
  prompt: Prompt;
  connections: Toolbox;
  display: () => TurnDisplay | undefined;
  signal: () => AbortSignal;
  /** Tools that are allowed from now on, when the person says so. */
  allow: (tool: string) => void;
  /** And for good. */
  keep?: (tool: string) => Promise<void>;
}): Approve {
  const { io, prompt } = options;
  const { bold, dim, red } = painter(io);
  return async (approval) => {
    if (!io.interactive) return 'unavailable';
    options.display()?.pause();
    const text = approval.question ?? (await preview(approval, options.connections, options.signal()));
    for (const line of clean(text).split('\n')) {
      for (const part of wrap(line, io.columns() - 2)) io.out(`${dim('│')} ${part}\n`);
    }
    if (approval.copied) {
      for (const part of wrap(clean(copiedWarning(approval.copied)), io.columns() - 2))
        io.out(`${red('!')} ${part}\n`);
    }
    // What others wrote is decided on each time, and so is what a server asks.
    const once = approval.question !== undefined || approval.copied !== undefined;
    const more = options.keep ? ', [a]lways in this session, [f]or good' : ', [a]lways in this session';
    const answer = await prompt.confirm(
      `${bold(`Allow ${clean(approval.tool)}?`)} [y]es${once ? '' : more}, [N]o: `,
    );
    if (!once && answer === 'always') options.allow(approval.tool);
    if (!once && answer === 'forever') await options.keep?.(approval.tool);
    return answer === 'yes' || (!once && (answer === 'always' || answer === 'forever')) ? 'yes' : 'no';
  };
}

/** What a call would do; for a forged tool's version, the code that would go live. */
async function preview(
  { tool, arguments: args }: Approval,
  connections: Toolbox,
  signal: AbortSignal,
): Promise<string> {
  const call = shownCall(tool, args);
  if (!tool.startsWith('sandbox_') || typeof args['name'] !== 'string') return call;
  const version = typeof args['version'] === 'string' ? { version: args['version'] } : {};
  const shown = await connections.call('sandbox_show_tool', { name: args['name'], ...version }, { signal });
  const { version: found, status, description, code } = shown.value ?? {};
  if (typeof code !== 'string') return call;
  return [call, `${args['name']} ${String(found)} (${String(status)}): ${String(description)}`, code].join(
    '\n',
  );
}
