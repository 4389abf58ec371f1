/** One line of the bench: what was measured, against its bar. */
export interface Figure {
  name: string;
  what: string;
  unit: string;
  /** Undefined where it could not be measured here; `note` then says why. */
  value: number | undefined;
  /** At most this much; undefined where the figure is only told. */
  bar: number | undefined;
  ok: boolean | undefined;
  note?: string;
  details: Record<string, unknown>;
}

/** How long to measure: `--quick` is for a glance, its figures are noisy. */
export interface Scope {
  quick: boolean;
  /** Picks the number of rounds. */
  rounds: (full: number, quick: number) => number;
  /** A folder of this run's own; removed at its end. */
  folder: (name: string) => Promise<string>;
}

export function figure(made: Omit<Figure, 'ok'>): Figure {
  const { value, bar } = made;
  const measured = value === undefined ? undefined : round(value);
  const ok = measured === undefined || bar === undefined ? undefined : measured <= bar;
  const { details, ...rest } = made;
  return { ...rest, value: measured, ok, details };
}

/** A sample's middle and how far it spreads: a median without it says nothing on a busy machine. */
export interface Spread {
  median: number;
  p25: number;
  p75: number;
  p95: number;
  min: number;
  max: number;
  n: number;
}

export function spread(samples: number[]): Spread {
  const at = (q: number) => round(quantile(samples, q));
  return {
    median: at(0.5),
    p25: at(0.25),
    p75: at(0.75),
    p95: at(0.95),
    min: at(0),
    max: at(1),
    n: samples.length,
  };
}

/** Nearest rank; NaN of nothing. */
export function quantile(samples: number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export const median = (samples: number[]): number => quantile(samples, 0.5);

/** Three digits that count: nobody needs more, and they fit the table. */
export function round(value: number): number {
  return Number.isFinite(value) ? Number(value.toPrecision(value >= 1000 ? 4 : 3)) : value;
}
