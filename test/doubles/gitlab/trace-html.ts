/** What `CiJobTrace.htmlSummary` gives at most. */
const BYTES = 16 * 1024;
const LINES = 100;

/** The end of a log as GitLab makes HTML of it (lib/gitlab/ci/ansi2html.rb): sections as empty divs, colours as classes. */
export function summary(log: Buffer, lastLines: number): string {
  const end = log.subarray(Math.max(0, log.length - BYTES)).toString('utf8');
  const lines = end
    .replace(/\n$/, '')
    .split('\n')
    .slice(-Math.min(LINES, Math.max(1, lastLines)));
  const sections: string[] = [];
  const classes = (more: string[]) =>
    [...more, ...(sections.length > 0 ? ['section', ...sections.map((one) => `s_${one}`)] : [])].join(' ');
  let colour: string[] = [];
  let html = '';
  const text = (part: string) => {
    const shown = part.replaceAll(/\x1b\[[0-9;]*[A-HJ-Za-ln-z]/g, '').replaceAll('<', '&lt;');
    if (shown) html += `<span class="${classes(colour)}">${shown}</span>`;
  };
  const mark = /section_(start|end):(\d+):([\w.-]+)(?:\[[^\]]*\])?\r\x1b\[0K|\x1b\[([0-9;]*)m/g;
  for (const line of lines) {
    let at = 0;
    for (const found of line.matchAll(mark)) {
      text(line.slice(at, found.index));
      at = found.index + found[0].length;
      const [, kind, time = '', name = '', codes = ''] = found;
      const plain = name.toLowerCase().replaceAll(/[^a-z0-9]/g, '-');
      const div = (what: string) =>
        `<div class="section-${what}" data-action="${what}" data-timestamp="${time}" data-section="${sections.join(' ')}"></div>`;
      if (kind === 'start') {
        sections.push(plain);
        html += div('start');
      } else if (kind === 'end') {
        while (sections.includes(plain)) {
          html += div('end');
          sections.pop();
        }
      } else colour = codes.includes('31') ? ['term-fg-l-red', 'term-bold'] : [];
    }
    text(line.slice(at));
    html += `<span class="${classes(colour)}"><br/></span>`;
  }
  return html;
}
