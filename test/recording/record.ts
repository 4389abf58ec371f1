import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

/**
 * Makes the README's picture, `forge.svg`, of a real run of `npm start` in a terminal of 80 columns without a model
 * server: each line appears when it appeared. `npm run build && npm run record`; needs util-linux's `script`.
 */
const COLUMNS = 80;
const LINE_PX = 17;
const CHAR_PX = 7.83;
const MARGIN_PX = 14;

interface Line {
  at: number;
  text: string;
}

const CLASSES: Record<string, string> = { '1': 'b', '2': 'd', '31': 'r', '32': 'g', '33': 'y' };

const home = mkdtempSync(join(tmpdir(), 'kuznia-record-'));
const lines = await record(join(import.meta.dirname, '..', '..', 'dist', 'host', 'main.js'));
rmSync(home, { recursive: true, force: true });
const file = join(import.meta.dirname, 'forge.svg');
writeFileSync(file, svg(lines));
process.stdout.write(`${file}: ${lines.length} lines, ${((lines.at(-1)?.at ?? 0) / 1000).toFixed(1)} s\n`);

async function record(main: string): Promise<Line[]> {
  const child = spawn(
    'script',
    ['-qec', `stty cols ${COLUMNS}; exec '${process.execPath}' '${main}'`, '/dev/null'],
    {
      env: {
        PATH: process.env['PATH'],
        HOME: home,
        KUZNIA_HOME: home,
        OLLAMA_HOST: 'http://127.0.0.1:9',
        TERM: 'xterm-256color',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const started = performance.now();
  const found: Line[] = [];
  let rest = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    const at = performance.now() - started;
    // A line that was drawn several times counts as it was left.
    for (const part of parts) found.push({ at, text: part.replace(/\r$/, '').split('\r').at(-1) ?? '' });
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(`the demonstration ended with ${String(code)}`);
  return found;
}

function svg(all: Line[]): string {
  const width = Math.ceil(COLUMNS * CHAR_PX + 2 * MARGIN_PX);
  const height = all.length * LINE_PX + 2 * MARGIN_PX;
  const rows = all.map(({ at, text }, i) => {
    const y = MARGIN_PX + (i + 1) * LINE_PX - 4;
    const delay = (at / 1000).toFixed(2);
    return `<text xml:space="preserve" x="${MARGIN_PX}" y="${y}" style="animation-delay:${delay}s">${spans(text)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>A local model forges a tool: a recording of npm start</title>
<style>
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d8dee9;white-space:pre;animation:show .01s backwards}
.b{font-weight:bold;fill:#fff}.d{fill:#8b95a7}.r{fill:#ef6b73}.g{fill:#8fce7e}.y{fill:#e8c15a}
@keyframes show{from{opacity:0}}
@media (prefers-reduced-motion:reduce){text{animation:none}}
</style>
<rect width="${width}" height="${height}" rx="8" fill="#1b1f27"/>
${rows.join('\n')}
</svg>
`;
}

/** SGR colours as spans. */
function spans(text: string): string {
  let kind: string | undefined;
  return text
    .split(/(\u001b\[[0-9;]*m)/)
    .map((part) => {
      const sgr = /^\u001b\[([0-9;]*)m$/.exec(part)?.[1];
      if (sgr !== undefined) {
        kind = CLASSES[sgr];
        return '';
      }
      const plain = stripVTControlCharacters(part).replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
      if (plain === '') return '';
      return kind === undefined ? plain : `<tspan class="${kind}">${plain}</tspan>`;
    })
    .join('');
}
