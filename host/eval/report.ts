import { duration, fit } from '../terminal/text.ts';
import type { Attempt } from './attempt.ts';
import { kinds, type Kind } from './task.ts';

/** Attempts of one kind, or all, summed up: rounds, tokens and time are means of one attempt. */
export interface Totals {
  kind: Kind | 'total';
  passed: number;
  attempts: number;
  success: number;
  rounds: number;
  prompt_tokens: number;
  answer_tokens: number;
  ms: number;
}

/** By kind, in the order of the tasks, and all of them last. */
export function totals(attempts: readonly Attempt[]): Totals[] {
  const byKind = kinds.flatMap((kind) => {
    const some = attempts.filter((one) => one.kind === kind);
    return some.length > 0 ? [sum(kind, some)] : [];
  });
  return [...byKind, sum('total', attempts)];
}

function sum(kind: Totals['kind'], attempts: readonly Attempt[]): Totals {
  const mean = (of: (one: Attempt) => number) => {
    return attempts.reduce((all, one) => all + of(one), 0) / Math.max(1, attempts.length);
  };
  const passed = attempts.filter((one) => one.ok).length;
  return {
    kind,
    passed,
    attempts: attempts.length,
    success: Math.round((1000 * passed) / Math.max(1, attempts.length)) / 1000,
    rounds: Math.round(10 * mean((one) => one.rounds)) / 10,
    prompt_tokens: Math.round(mean((one) => one.promptTokens)),
    answer_tokens: Math.round(mean((one) => one.answerTokens)),
    ms: Math.round(mean((one) => one.ms)),
  };
}

/** The totals as a table; figures are of one attempt. */
export function table(rows: readonly Totals[]): string[] {
  const lines = rows.map((row) => [
    row.kind,
    `${row.passed}/${row.attempts}`,
    `${(100 * row.success).toFixed(0)} %`,
    row.rounds.toFixed(1),
    String(row.prompt_tokens + row.answer_tokens),
    duration(row.ms),
  ]);
  const all = [['kind', 'passed', 'success', 'rounds', 'tokens', 'time'], ...lines];
  const widths = all[0]?.map((_, at) => Math.max(...all.map((line) => line[at]?.length ?? 0))) ?? [];
  return all.map((line) => {
    const cells = line.map((cell, at) =>
      at === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[at] ?? 0),
    );
    return cells.join('  ');
  });
}

/** One attempt on one line, without its mark. */
export function attemptLine(
  { id, run, rounds, promptTokens, answerTokens, ms }: Attempt,
  runs: number,
): string {
  const name = runs > 1 ? `${id} #${run}` : id;
  const tokens = promptTokens + answerTokens;
  return `${name.padEnd(22)} ${rounds} round${rounds === 1 ? '' : 's'}, ${tokens} tokens, ${duration(ms)}`;
}

/** Why an attempt failed, on one line of at most `columns`. */
export function faultLine(said: string, columns: number): string {
  return fit(said, Math.max(40, columns));
}

/** One attempt as it stands in the JSON. */
export function shownAttempt(attempt: Attempt) {
  const { id, kind, run, ok, fault, rounds, promptTokens, answerTokens, ms, calls, answer } = attempt;
  const tokens = { prompt_tokens: promptTokens, answer_tokens: answerTokens };
  return { id, kind, run, ok, ...(fault && { fault }), rounds, ...tokens, ms, calls, answer };
}
