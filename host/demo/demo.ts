import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openJournal } from '../../kit/journal.ts';
import type { ChatMessage } from '../../kit/model.ts';
import { scriptedModel } from '../../kit/scripted.ts';
import { QUESTIONS, SCRIPT } from './demo-script.ts';
import { painter, TurnDisplay } from '../terminal/display.ts';
import { EXIT, type Io } from '../terminal/io.ts';
import { turn } from '../turn/loop.ts';
import { joined } from '../session.ts';
import { wrap } from '../terminal/text.ts';

const LABEL = [
  'DEMONSTRATION: no model runs. Answers written beforehand stand in for one; all else is real: the',
  'registry, the gates, the sandbox, publishing, use, change and rollback (in a temporary folder, removed',
  'afterwards).',
].join(' ');

/** Nobody is asked during it, and these would ask. */
const ALLOWED = ['sandbox_publish_tool', 'sandbox_rollback_tool'];

/** What to type next, in the way that this was started. */
function next(env: Io['env']): [string, string][] {
  const { npm_lifecycle_event: event } = env;
  const kuznia = event === 'start' ? 'npm start --' : event === 'npx' ? 'npx kuznia' : 'kuznia';
  return [
    [`ollama pull qwen3:4b && ${kuznia.replace(' --', '')}`, 'the same with a real model'],
    [`${kuznia} doctor`, 'what is there, what is missing, how to get it'],
    [`${kuznia} call sandbox_run_code '{"code": "2 ** 64"}'`, 'a tool without a model'],
  ];
}

const nobody = () => Promise.resolve('no' as const);

/** Where no model is: says so in one line, then shows with scripted answers what one would do. */
export async function demonstrate(io: Io, why: string): Promise<number> {
  const columns = () => Math.min(io.columns(), 96);
  const narrow: Io = { ...io, columns };
  const { bold, dim, yellow } = painter(io);
  io.out(`${why}\n\n`);
  for (const line of wrap(LABEL, columns() - 2)) io.out(`${yellow('▌')} ${line}\n`);
  const home = await mkdtemp(join(tmpdir(), 'kuznia-demo-'));
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    const model = scriptedModel(SCRIPT);
    const [info] = SCRIPT.models ?? [];
    if (!info) throw new Error('the script of the demonstration names no model');
    const journal = openJournal(home);
    const session = await joined(model, info, {
      home,
      journal,
      env: { PATH: io.env['PATH'], KUZNIA_HOME: home },
    });
    try {
      const messages: ChatMessage[] = [];
      const { connections } = session;
      for (const question of QUESTIONS) {
        io.out('\n');
        for (const [n, line] of wrap(question, columns() - 2).entries())
          io.out(`${bold(n === 0 ? '›' : ' ')} ${line}\n`);
        messages.push({ role: 'user', content: question });
        // Still lines only: each call is over before an animation would help.
        const display = new TurnDisplay(narrow, { answers: true, calls: true, animated: false });
        const events = turn({
          model,
          info,
          connections,
          messages,
          approve: nobody,
          allowed: ALLOWED,
          signal: stop.signal,
        });
        for await (const event of events) display.show(event);
      }
    } finally {
      await session.close();
    }
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    await rm(home, { recursive: true, force: true });
  }
  io.out(
    `\n${dim('End of the demonstration. Publishing was allowed in it; else you are asked.')}\nTry next:\n`,
  );
  for (const [line, says] of next(io.env)) io.out(`  ${bold(line)}\n      ${dim(says)}\n`);
  return EXIT.done;
}
