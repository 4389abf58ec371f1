import { plainText } from './text.ts';

/** A job log, cut into its sections, without control codes. */
interface Line {
  text: string;
  /** The innermost section that is open there. */
  section: string | undefined;
}

/**
 * Reads a runner's log. Sections are marked `section_start:TIME:NAME[options]\r` and `section_end:TIME:NAME\r`
 * (docs.gitlab.com/ci/jobs/job_logs). Runners may put a timestamp before each line; those go too.
 */
export function readTrace(raw: string): Line[] {
  const open: string[] = [];
  const lines: Line[] = [];
  const stamped = /^\d{4}-\d\d-\d\dT[\d:.]+Z \d\d[OE][ +]?/gm;
  for (const whole of raw.replace(stamped, '').split('\n')) {
    let rest = whole;
    for (;;) {
      const mark = /section_(start|end):\d{1,20}:([\w.-]{1,200})(?:\[[^\]]{0,500}\])?\r?(?:\x1b\[0K)?/.exec(
        rest,
      );
      if (!mark) break;
      const [found, kind, name = ''] = mark;
      const before = plainText(rest.slice(0, mark.index));
      if (before.trim()) lines.push({ text: before, section: open.at(-1) });
      if (kind === 'start') open.push(name);
      else if (open.includes(name)) open.splice(open.lastIndexOf(name));
      rest = rest.slice(mark.index + found.length);
    }
    lines.push({ text: plainText(rest).trimEnd(), section: open.at(-1) });
  }
  return lines;
}

/** Sections that a runner has after the script; a failure there is rarely why the job failed. */
const after =
  /^(after_script|upload_artifacts_on_failure|upload_artifacts_on_success|archive_cache|archive_cache_on_failure|cleanup_file_variables)$/;

const ended = /^(ERROR: Job failed|ERROR: Job canceled|ERROR: Preparation failed|Job succeeded)/;

/** What compilers, test runners and shells print where it went wrong. */
const wrong =
  /\b(error|errors|fatal|panic|exception|traceback|failed|failure|fail|killed|oom|out of memory|segmentation fault|denied|unauthorized|timed? ?out|timeout|undefined reference|unresolved|cannot|can't|could not|no such file|not found|refused|not ok)\b|^\s*(E {2,}|✗|✕|×|✖|FAIL|--- FAIL|>>>)|\w(Error|Exception)\b|AssertionError|\berr!|exit (code|status) [1-9]/i;

/** Lines that only look like it: counts of nothing, flags, names of files and switches. */
const harmless =
  /\b(0 (errors?|failed|failures?)|no errors?|errors?: 0|failures?: 0|failed: 0|--fail|set -e|warn(ing)?s? only)\b|^\s*\$ |^Downloading|^npm warn|\berror\.(js|ts|go|py)\b|on_failure/i;

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
  const older = ours.slice(0, -endLines);
  const tells = older.map((one) => wrong.test(one.text) && !harmless.test(one.text));
  // What went wrong often stands in the line after the one that says that something did.
  const early = older.filter((_, at) => tells[at] || (tells[at - 1] && !tells[at - 2]));
  // The first errors are causes, the last ones sums: both ends are kept.
  const kept =
    early.length <= errorLines
      ? early
      : [...early.slice(0, Math.ceil(errorLines * 0.75)), ...early.slice(-Math.floor(errorLines / 4))];
  const last = finish < 0 ? [] : lines.slice(finish, finish + 3);
  return {
    section,
    errors: kept.map((one) => one.text.trim().slice(0, 400)),
    end: [...shown, ...last].map((one) => one.text.slice(0, 1000)).join('\n'),
  };
}

/** From where a section was first entered: sections within it belong to it. */
function since(lines: Line[], section: string): Line[] {
  const at = lines.findIndex((one) => one.section === section);
  const inner = lines.slice(at);
  // A section of the script's own: what stands before it in the script can be the cause as well.
  const script = lines.findIndex((one) => one.section === 'step_script' || one.section === 'build_script');
  return script >= 0 && script < at ? lines.slice(script) : inner;
}
