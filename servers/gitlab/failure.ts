import { readTrace, type Line } from './trace.ts';

/** Sections that a runner has after the script; a failure there is rarely why the job failed. */
const after =
  /^(after_script|upload_artifacts_on_failure|upload_artifacts_on_success|archive_cache|archive_cache_on_failure|cleanup_file_variables)$/;

const ended = /^(ERROR: Job failed|ERROR: Job canceled|ERROR: Preparation failed|Job succeeded)/;

const PLACE = /^\s*(\.?\.?\/)?[\w@./-]+\.\w{1,8}[:(]\d+([:,]\d+)?\)?:? /;

/** How surely a line tells of what went wrong, by what tools print; the first that fits counts. */
const SIGNS: [RegExp, number][] = [
  // Passed tests and tables: names in them say "error" without one.
  [/^\s*(✓|✔|√|ok \d+\b|PASS\b|Passed\b|\[ *OK *\])|\.\.+ *(ok|passed)\s*$|\bPASSED( in [\d.]+m?s)?\s*$/, 0],
  [/^[\w./-]+\s+(\d+\s+)+[\d.]+%|\|\s+[\d.]+\s+\|/, 0],
  // Counts of nothing, flags, names of files and switches.
  [
    /\b(0 (errors?|failed|failures?)|no errors?|errors?: *0|failures?: *0|failed[:=] *0|--fail|set -e|warn(ing)?s? only)\b|^\s*\$ |^Downloading|^npm warn|\berrors?\.(js|ts|go|py)\b|on_failure|^[\w ()-]{1,40}: *0$/i,
    0,
  ],
  [/^\s*(\[warn(ing)?\]|warn(ing)?\b|w: )|\bwarning[:\s]|\bdeprecat/i, 1],
  // Compilers, test runners and shells begin so.
  [
    /^[\s│]*(\[?error\]?|error\[\w+\]|fatal|e|FAIL|FAILED|not ok|✗|✕|×|✖|✘|●|❌|--- FAIL|panic|npm err(or|!)|\S*make(\[\d+\])?: \*\*\*|E {2,}|>>>)(?=[\s:[(!]|$)/i,
    4,
  ],
  [
    /: (fatal )?error\b|\w(Error|Exception|Failure)\b\s*[:(]|panicked at|AssertionError|\bFAILED\b|<<< FAIL/,
    4,
  ],
  [
    /\b(error|errors|fatal|panic|exception|traceback|failed|failure|fail|killed|oom|out of memory|segmentation fault|denied|unauthorized|timed? ?out|timeout|undefined reference|unresolved|cannot|can't|could not|no such file|not found|refused|not ok)\b|^\s*FAIL|\w(Error|Exception)\b|\berr!|exit (code|status) [1-9]/i,
    3,
  ],
  [
    /\b(unable to|not (reached|met|allowed|permitted|available|supported)|forbidden|invalid|unexpected|mismatch|missing|does not exist|doesn't exist|rejected|aborted|conflicts?|no space left|no rule|issues?(?=:)|issues? found|leaks? found|[1-9]\d* (issues|problems|vulnerabilities|violations|offen[cs]es))\b/i,
    2,
  ],
  // What is not as it should be, in words that say no more.
  [
    /\b(un(known|defined|declared|bound|used|handled|recogni[sz]ed|resolvable|initiali[sz]ed|reachable|supported|satisfied|trusted)|is ?n['o]t|are ?n['o]t|does ?n['o]t|did ?n['o]t|was ?n['o]t|would (be )?re\w+|(must|should) (not )?(be|have|contain|start|end|match|use)|requires?|incorrect\w*|illegal)\b/i,
    2,
  ],
  // A linter names the place, and what it finds there: `app.py:3:13: F821 ...`.
  [PLACE, 2],
];

/** Characters at each end of a line that signs are looked for in. */
const LOOKED = 400;
/** Lines of one shape that are more than this are noise of the program: what fails in the end is said seldom. */
const OFTEN = 8;
/** Of one shape, so many are shown. */
const ALIKE = 3;

export interface Failure {
  /** The section that was open where the script ended. */
  section: string | undefined;
  /** Lines that tell of errors, oldest first. */
  errors: string[];
  /** How the log ends. */
  end: string;
}

/** The part of a log that says why the job failed. */
export function failureOf(raw: string, { endLines = 25, errorLines = 12 } = {}): Failure {
  const lines = readTrace(raw).filter((one) => one.text.trim() !== '');
  const finish = lines.findLastIndex((one) => ended.test(one.text));
  const upTo = finish < 0 ? lines.length : finish;
  const script = lines.slice(0, upTo).filter((one) => one.section === undefined || !after.test(one.section));
  const section = script.findLast((one) => one.section !== undefined)?.section;
  const ours = section === undefined ? script : since(script, section);
  const shown = ours.slice(-endLines);
  const last = finish < 0 ? [] : lines.slice(finish, finish + 3);
  return {
    section,
    errors: telling(
      ours.slice(0, -endLines).map((one) => one.text),
      errorLines,
    ),
    end: [...shown, ...last].map((one) => one.text.slice(0, 1000)).join('\n'),
  };
}

/** The lines that tell most of what went wrong, in their order. */
function telling(lines: string[], most: number): string[] {
  const shapes = lines.map(shapeOf);
  const counts = new Map<string, number>();
  for (const shape of shapes) counts.set(shape, (counts.get(shape) ?? 0) + 1);
  const seen = new Map<string, number>();
  const rows = lines.map((line, at) => {
    const shape = shapes[at] ?? '';
    const all = counts.get(shape) ?? 1;
    const looked = line.length > LOOKED ? `${line.slice(0, LOOKED)} ${line.slice(-LOOKED)}` : line;
    const found = SIGNS.find(([pattern]) => pattern.test(looked))?.[1];
    const sign = found ?? 0;
    const nth = (seen.get(shape) ?? 0) + 1;
    if (sign > 0) seen.set(shape, nth);
    const often = all > OFTEN;
    const weight = nth > (often ? 1 : ALIKE) ? 0 : often ? Math.min(1, sign) : sign;
    const text = `${line.trim().slice(0, 400)}${often ? ` (${all} lines like it)` : ''}`;
    return { at, text, weight, beside: !often && found !== 0 };
  });
  const chosen = new Set<(typeof rows)[number]>();
  const take = (some: typeof rows) => {
    const fresh = some.filter((one) => !chosen.has(one));
    const room = most - chosen.size;
    // The first errors are causes, the last ones sums: both ends are kept.
    const late = fresh.length <= room ? 0 : Math.floor(room / 4);
    for (const one of [...fresh.slice(0, room - late), ...(late > 0 ? fresh.slice(-late) : [])])
      chosen.add(one);
  };
  for (const weight of [4, 3, 2]) take(rows.filter((one) => one.weight === weight));
  // What went wrong often stands beside the line that says that something did.
  for (const least of [3, 2]) {
    const sure = [...chosen].filter((one) => one.weight >= least);
    for (const away of [1, 2, 3, 4])
      take(
        sure
          .flatMap(({ at }) => [rows[at + away] ?? [], rows[at - away] ?? []].flat())
          .filter((one) => one.beside),
      );
  }
  take(rows.filter((one) => one.weight === 1));
  return [...chosen].sort((a, b) => a.at - b.at).map((one) => one.text);
}

/** What lines of one kind have in common: all but their numbers. */
const shapeOf = (line: string) =>
  line
    .slice(0, 300)
    .toLowerCase()
    .replaceAll(/\b[0-9a-f]{7,}\b|\d+/g, '0')
    .replaceAll(/\s+/g, ' ')
    .trim();

/** From where a section was first entered: sections within it belong to it. */
function since(lines: Line[], section: string): Line[] {
  const at = lines.findIndex((one) => one.section === section);
  const inner = lines.slice(at);
  // A section of the script's own: what stands before it in the script can be the cause as well.
  const script = lines.findIndex((one) => one.section === 'step_script' || one.section === 'build_script');
  return script >= 0 && script < at ? lines.slice(script) : inner;
}
