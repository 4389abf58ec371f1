import { processRuntime } from '../kit/serve.ts';
import { version } from '../kit/version.ts';
import { painter } from './terminal/display.ts';
import { attempt, type Attempt, type AttemptScope } from './eval/attempt.ts';
import { attemptLine, faultLine, shownAttempt, table, totals } from './eval/report.ts';
import { kinds, type Kind, type Task } from './eval/task.ts';
import { tasks } from './eval/tasks.ts';
import { EXIT, parse, UsageError, type Command, type Io } from './terminal/io.ts';
import { pickModel, wantedModel } from './models/models.ts';
import { modelOf } from './session.ts';
import { clean, nearest } from './terminal/text.ts';

const help = `
kuznia eval: how well a model works with tools here: ${tasks.length} tasks, checked by machine, in temporary folders.

Usage: kuznia eval [--model NAME] [--runs N] [--only KIND] [--deadline SECONDS] [--json]

  --model NAME  the Ollama model (else KUZNIA_MODEL, models.default in kuznia.json, or one that is installed)
  --runs N      attempts at each task (default 1)
  --only KIND   ${kinds.join(', ')}; repeatable
  --deadline S  seconds for one attempt (default 300; with the forge 1800)
  --json        one JSON object: model, totals by kind, every attempt with its calls
Success, rounds, tokens (prompts and answers) and time. Ctrl-C prints what there is so far. The exit code is 1 when
the model answered nothing at all.

Example: kuznia eval --model qwen3:8b --only choose
`;

const DEADLINE_S = 300;
/** A model on a processor alone writes a tool in minutes. */
const FORGE_DEADLINE_S = 1_800;

export const command: Command = {
  help,
  async run(argv, io) {
    const { values, positionals } = parse(argv, {
      model: { type: 'string' },
      runs: { type: 'string', default: '1' },
      only: { type: 'string', multiple: true, default: [] },
      deadline: { type: 'string' },
      json: { type: 'boolean', default: false },
    });
    if (positionals.length > 0)
      throw new UsageError('kuznia eval takes no words: kuznia eval --model qwen3:8b');
    const runs = whole('--runs', values.runs, 100);
    const deadlineS =
      values.deadline === undefined ? undefined : whole('--deadline', values.deadline, 86_400);
    const only = values.only.map(kindOf);
    const chosen = tasks.filter((task) => only.length === 0 || only.includes(task.kind));
    const stop = new AbortController();
    const interrupt = () => stop.abort();
    process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
    try {
      const runtime = processRuntime();
      const model = modelOf(runtime);
      const info = await pickModel(model, wantedModel(values.model, runtime), stop.signal);
      const { env } = runtime;
      const { json } = values;
      return await evaluate(chosen, { model, info, env, signal: stop.signal, runs, deadlineS, json, io });
    } finally {
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    }
  },
};

interface Evaluation extends Omit<AttemptScope, 'deadlineMs'> {
  runs: number;
  deadlineS?: number;
  json: boolean;
  io: Io;
}

/** Runs the tasks one after another, and prints what came of them. */
export async function evaluate(chosen: readonly Task[], scope: Evaluation): Promise<number> {
  const { runs, deadlineS, json, io, signal, info } = scope;
  const { bold, dim, green, red } = painter(io);
  const began = new Date().toISOString();
  const attempts: Attempt[] = [];
  let failed: { error: unknown } | undefined;
  if (!json) io.err(`${chosen.length} tasks, ${info.name}, runs: ${runs}\n`);
  try {
    for (let run = 1; run <= runs; run++) {
      for (const task of chosen) {
        signal.throwIfAborted();
        const deadlineMs = 1000 * (deadlineS ?? (task.tools ? DEADLINE_S : FORGE_DEADLINE_S));
        const one = await attempt(task, run, { ...scope, deadlineMs });
        attempts.push(one);
        if (json) continue;
        io.err(`${one.ok ? green('✓') : red('✗')} ${attemptLine(one, runs)}\n`);
        if (one.fault) io.err(`  ${dim(faultLine(clean(one.fault), io.columns() - 2))}\n`);
      }
    }
  } catch (error) {
    // What is known by then is printed first.
    if (!signal.aborted) failed = { error };
  }
  const complete = attempts.length === runs * chosen.length;
  const rows = totals(attempts);
  if (json) {
    const results = attempts.map(shownAttempt);
    const report = { model: info, kuznia: version, began, runs, complete, totals: rows, attempts: results };
    io.out(`${JSON.stringify(report)}\n`);
  } else {
    const [head = '', ...lines] = table(rows);
    io.out(`${bold(head)}\n${lines.join('\n')}\n`);
    if (!complete) io.err(`Stopped: ${attempts.length} of ${runs * chosen.length} attempts were made.\n`);
  }
  if (failed) throw failed.error;
  if (!complete) return EXIT.interrupted;
  return attempts.every((one) => one.silent) ? EXIT.failed : EXIT.done;
}

function kindOf(text: string): Kind {
  const found = kinds.find((kind) => kind === text);
  if (found) return found;
  const [near] = nearest(text, [...kinds], 1);
  const hint = near ? `Did you mean ${near}?` : `There are: ${kinds.join(', ')}.`;
  throw new UsageError(`--only ${text.slice(0, 40)}: there is no such kind of task. ${hint}`);
}

function whole(flag: string, text: string, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= most) return value;
  throw new UsageError(`${flag} ${text.slice(0, 20)}: expected a whole number from 1 to ${most}.`);
}
