import { ToolError } from '../../kit/tool.ts';

/** Replaces the one place where `old` stands; clear about it when it stands nowhere or more than once. */
export function applyEdit(path: string, text: string, old: string, fresh: string): string {
  const at = text.indexOf(old);
  if (at >= 0) {
    const again = text.indexOf(old, at + 1);
    if (again >= 0) {
      const lines = [at, again].map((place) => lineOf(text, place));
      throw new ToolError(
        `old_text stands more than once in ${path} (lines ${lines.join(' and ')}); nothing was committed. Give more of the lines around it.`,
      );
    }
    return text.slice(0, at) + fresh + text.slice(at + old.length);
  }
  // Models write \n; a file with \r\n keeps its own line ends.
  if (text.includes('\r\n') && !old.includes('\r\n') && old.includes('\n')) {
    const crlf = (part: string) => part.replaceAll('\n', '\r\n');
    return applyEdit(path, text, crlf(old), crlf(fresh));
  }
  const near = nearest(text, old);
  throw new ToolError(
    `old_text is not in ${path}; nothing was committed. Read the file again and copy it exactly, spaces included.${near}`,
  );
}

const lineOf = (text: string, at: number) => text.slice(0, at).split('\n').length;

/** Where the first line of what was looked for stands, spaces aside. */
function nearest(text: string, old: string): string {
  const first = old
    .split('\n')
    .map((line) => line.trim())
    .find((line) => line !== '');
  const at = first === undefined ? -1 : text.split('\n').findIndex((line) => line.trim() === first);
  return at < 0
    ? ''
    : ` Its first line stands in line ${at + 1}, so the lines after it or the spaces differ.`;
}
