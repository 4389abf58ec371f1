import { ToolError } from '../../kit/tool.ts';
import { lineCode, type FileDiff, type Row } from './patch.ts';

interface Comment {
  line: number;
  end_line?: number;
  side?: 'new' | 'old';
  suggestion?: string;
}

interface Refs {
  base_sha: string;
  head_sha: string;
  start_sha: string;
}

/**
 * Where GitLab puts a comment. A new or changed line has `new_line`, a removed one `old_line`, a context line both: with
 * anything else it answers "line_code can't be blank". Throws for a line that the diff does not show.
 */
export function positionOf(comment: Comment, file: FileDiff | undefined, refs: Refs) {
  const { line, end_line: end = line, side = 'new' } = comment;
  if (!file) throw new ToolError('the merge request does not change this file.');
  if (end < line) throw new ToolError('`end_line` is before `line`.');
  const last = rowOf(file, side, end);
  const first = end === line ? last : rowOf(file, side, line);
  if (comment.suggestion !== undefined && side === 'old') {
    throw new ToolError('a suggestion replaces lines of the new side; leave `side` out.');
  }
  return {
    position_type: 'text',
    ...refs,
    old_path: file.oldPath,
    new_path: file.newPath,
    ...(last.sign !== '+' && { old_line: last.old }),
    ...(last.sign !== '-' && { new_line: last.new }),
    ...(end !== line && { line_range: { start: edge(file, first), end: edge(file, last) } }),
  };
}

const edge = (file: FileDiff, row: Row) => ({
  line_code: lineCode(file.newPath, row),
  type: row.sign === '-' ? 'old' : 'new',
  ...(row.sign !== '+' && { old_line: row.old }),
  ...(row.sign !== '-' && { new_line: row.new }),
});

function rowOf({ rows, binary }: FileDiff, side: 'new' | 'old', line: number): Row {
  const hidden = side === 'new' ? '-' : '+';
  const shown = rows.filter((row) => row.sign !== hidden);
  const found = shown.find((row) => row[side] === line);
  if (found) return found;
  if (binary || rows.length === 0) throw new ToolError('its diff has no lines (binary, renamed or emptied).');
  const other = side === 'new' ? 'old' : 'new';
  const elsewhere = rows.some((row) => row[other] === line && row.sign !== (side === 'new' ? '+' : '-'));
  throw new ToolError(
    `line ${line} is not in the diff on the ${side} side; it shows ${ranges(shown.map((row) => row[side]))}.${elsewhere ? ` On the ${other} side there is one.` : ''}`,
  );
}

/** `1-4, 9-12` */
function ranges(lines: number[]): string {
  const parts: [number, number][] = [];
  for (const line of lines) {
    const last = parts.at(-1);
    if (last && line === last[1] + 1) last[1] = line;
    else parts.push([line, line]);
  }
  return parts.length === 0
    ? 'none there'
    : parts
        .slice(0, 8)
        .map(([from, to]) => (from === to ? from : `${from}-${to}`))
        .join(', ');
}
