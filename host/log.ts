import { kuzniaHome } from '../kit/config.ts';
import { followJournal, readJournal, totals, type JournalFilter, type KeptEntry } from '../kit/journal.ts';
import { painter } from './terminal/display.ts';
import { EXIT, parse, UsageError, type Command, type Io } from './terminal/io.ts';
import { clean, duration, fit } from './terminal/text.ts';

const KINDS = ['tool', 'http', 'command', 'model', 'event'] as const;
const SHOWN = 200;

const help = `
kuznia log: what was called (tools, HTTP, command lines, models), how long it took, what came of it.

Usage: kuznia log [--since TIME] [--tool NAME] [--kind KIND] [--errors] [--limit N] [--follow] [--json]

  --since TIME  30m, 12h, 7d, or a date such as 2026-03-01
  --tool NAME   names that match, with * and ?
  --kind KIND   ${KINDS.join(', ')}
  --errors      only what failed
  --limit N     the newest N lines (default ${SHOWN})
  --follow      go on with what is recorded from now on, until Ctrl-C
  --json        one JSON object a line; the last one has the totals
Totals per name (calls, errors, p50 and p95 of their times) come at the end.

Example: kuznia log --since 1h --errors
`;

export const command: Command = {
  help,
  async run(argv, io) {
    const { values } = parse(argv, {
      since: { type: 'string' },
      tool: { type: 'string' },
      kind: { type: 'string' },
      limit: { type: 'string' },
      errors: { type: 'boolean', default: false },
      follow: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    });
    const kind = KINDS.find((one) => one === values.kind);
    if (values.kind !== undefined && !kind) throw new UsageError(`--kind is one of ${KINDS.join(', ')}.`);
    const filter: JournalFilter = {
      ...(values.since !== undefined && { since: timeOf(values.since) }),
      ...(values.tool !== undefined && { name: values.tool }),
      ...(kind && { kind }),
    };
    const wanted = (entry: KeptEntry) => !values.errors || failed(entry);
    const limit = limitOf(values.limit);
    const home = kuzniaHome(io.env);
    const show = (entry: KeptEntry) => io.out(values.json ? `${JSON.stringify(entry)}\n` : line(entry, io));
    if (values.follow) {
      const stop = new AbortController();
      process.once('SIGINT', () => stop.abort()).once('SIGTERM', () => stop.abort());
      const past = values.limit === undefined && values.since === undefined ? { limit: 10 } : { limit };
      for await (const entry of followJournal(home, { ...filter, ...past }, stop.signal)) {
        if (wanted(entry)) show(entry);
      }
      return EXIT.done;
    }
    const newest: KeptEntry[] = [];
    const counted = await totals(
      (async function* () {
        for await (const entry of readJournal(home, filter)) {
          if (!wanted(entry)) continue;
          newest.push(entry);
          if (newest.length > limit) newest.shift();
          yield entry;
        }
      })(),
    );
    for (const entry of newest) show(entry);
    if (values.json) io.out(`${JSON.stringify({ totals: counted })}\n`);
    else if (counted.length === 0) io.out(`Nothing is recorded in ${home}/journal that fits.\n`);
    else io.out(table(counted, io));
    return EXIT.done;
  },
};

const failed = ({ outcome }: KeptEntry) => outcome !== 'ok' && outcome !== 'cancelled';

function timeOf(text: string): Date {
  const [, number, unit] = /^(\d+)\s*(m|h|d)$/.exec(text) ?? [];
  const ms = { m: 60_000, h: 3_600_000, d: 86_400_000 };
  const ago = unit === 'm' || unit === 'h' || unit === 'd' ? Number(number) * ms[unit] : undefined;
  const time = ago === undefined ? new Date(text) : new Date(Date.now() - ago);
  if (Number.isNaN(time.getTime()))
    throw new UsageError(`--since ${text}: expected 30m, 12h, 7d or a date such as 2026-03-01.`);
  return time;
}

function limitOf(text: string | undefined): number {
  const limit = Number(text ?? SHOWN);
  if (!Number.isInteger(limit) || limit < 1) throw new UsageError('--limit is a whole number from 1 on.');
  return limit;
}

function line({ at, name, outcome, ms, server, client, detail }: KeptEntry, io: Io): string {
  const { dim, green, red, yellow } = painter(io);
  const colour = outcome === 'ok' ? green : outcome === 'cancelled' || outcome === 'denied' ? yellow : red;
  const who = [client, server].filter(Boolean).join(' > ');
  const took = ms === undefined ? '' : duration(ms);
  // The Swedish form is ISO 8601 without the T.
  const head = new Date(at).toLocaleString('sv-SE');
  const rest = fit(clean([who, detail].filter(Boolean).join(' · ')), Math.max(10, io.columns() - 64));
  return (
    `${dim(head)} ${colour(outcome.padEnd(9))} ${fit(name, 22).padEnd(22)} ${took.padStart(8)} ${dim(rest)}`.trimEnd() +
    '\n'
  );
}

function table(rows: Awaited<ReturnType<typeof totals>>, io: Io): string {
  const { bold } = painter(io);
  const head = `${'name'.padEnd(34)} ${'kind'.padEnd(8)} ${'calls'.padStart(6)} ${'errors'.padStart(6)} ${'p50'.padStart(9)} ${'p95'.padStart(9)}`;
  const lines = rows.map(({ name, kind, calls, errors, p50, p95 }) => {
    const figures = [String(calls).padStart(6), String(errors).padStart(6)];
    const times = [duration(p50).padStart(9), duration(p95).padStart(9)];
    return [fit(name, 34).padEnd(34), kind.padEnd(8), ...figures, ...times].join(' ');
  });
  return `\n${bold(head)}\n${lines.join('\n')}\n`;
}
