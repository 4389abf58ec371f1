import type { Figure } from './figure.ts';

/** For people: a line a figure, and what is missed said at the end. */
export function table(figures: Figure[], broken: string[]): string {
  const rows = figures.map((one) => {
    const value = one.value === undefined ? '-' : `${one.value} ${one.unit}`;
    const bar = one.bar === undefined ? '' : `<= ${one.bar}`;
    const verdict = one.ok === undefined ? (one.note ?? '') : one.ok ? 'ok' : 'MISSED';
    return [one.name, value, bar, verdict, one.what];
  });
  const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const missed = figures.filter((one) => one.ok === false);
  const told = missed.map((one) => `${one.name} (${one.value} ${one.unit}, bar ${one.bar})`);
  const end = missed.length > 0 ? `Missed: ${told.join('; ')}.` : 'No bar is missed.';
  return `\n${[...lines, '', end, ...broken.map((one) => `Broke off: ${one}`)].join('\n')}\n`;
}
