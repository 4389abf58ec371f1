import { ToolError } from '../../kit/tool.ts';

/**
 * Refuses text whose lines GitLab would run as quick actions (`/merge`, `/assign`; docs.gitlab.com/user/project/quick_actions):
 * what a model copied from an issue must not act in its user's name. GitLab runs them outside code blocks and quotes;
 * we refuse them in quotes and unclosed code blocks too.
 */
export function refuseQuickActions(text: string | undefined, allowed: boolean | undefined): void {
  if (text === undefined || allowed) return;
  let fenced: string | undefined;
  const lines = text.split(/\r\n?|\n|\u2028|\u2029/);
  for (const [index, line] of lines.entries()) {
    const fence = /^\s{0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence !== undefined && (fenced === undefined || line.trim().startsWith(fenced))) {
      const closes = lines.slice(index + 1).some((later) => later.trim().startsWith(fence));
      fenced = fenced === undefined && closes ? fence : undefined;
      continue;
    }
    const action = /^[\s>]*\/([a-z_]+)\b(?!\/)/i.exec(line)?.[1];
    if (fenced === undefined && action !== undefined) {
      throw new ToolError(
        `Nothing was sent: GitLab would run line ${index + 1} as the quick action /${action}. Reword that line, or set allow_quick_actions if it is meant.`,
      );
    }
  }
}

/** Text without terminal control: colours, cursor moves, links; a carriage return shows what was written last. */
export function plainText(text: string): string {
  return text
    .replace(/\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g, '')
    .replace(/\x1b\[[0-?]*[ -/]*[@-~]/g, '')
    .replace(/\x1b[@-Z\\-_]/g, '')
    .split('\n')
    .map(lastWritten)
    .join('\n')
    .replace(/[\0-\x08\x0b-\x1f\x7f]/g, '');
}

function lastWritten(line: string): string {
  let end = line.length;
  while (line[end - 1] === '\r') end--;
  const kept = line.slice(0, end);
  return kept.slice(kept.lastIndexOf('\r') + 1);
}

/** A name or title of others' as one line, without control or direction characters: it cannot pass for a line of ours. */
export const oneLine = (text: string) =>
  text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu, ' ');

/** The first `chars` characters, with a note of how many are left out. */
export function cut(text: string, chars: number, rest = ''): string {
  return text.length <= chars
    ? text
    : `${text.slice(0, chars)}\n… ${text.length - chars} more characters${rest}`;
}

/** `10-20`, `10` or `10-`: a range of lines, from 1. */
export function lineRange(text: string | undefined): { from: number; to: number } | undefined {
  if (text === undefined) return undefined;
  const found = /^L?(\d{1,9})(?:(-)L?(\d{1,9})?)?$/.exec(text.trim());
  const from = Number(found?.[1] ?? 0);
  const to = found?.[2] ? Number(found[3] ?? Number.MAX_SAFE_INTEGER) : from;
  if (!found || from < 1 || to < from) {
    throw new ToolError(`\`lines\` is ${JSON.stringify(text.slice(0, 40))}; a range reads 10-20.`);
  }
  return { from, to };
}

/** Bytes as text where they are some: undefined for binary files and invalid UTF-8. */
export function asText(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
