import { plainText } from './text.ts';

/** A job log, cut into its sections, without control codes. */
export interface Line {
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
