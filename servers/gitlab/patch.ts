import { createHash } from 'node:crypto';
import { z } from 'zod';
import { ToolError } from '../../kit/tool.ts';
import type { Api } from './client.ts';

/** A line of a unified diff with its numbers on both sides. */
export interface Row {
  sign: ' ' | '+' | '-';
  old: number;
  new: number;
  text: string;
}

export interface FileDiff {
  oldPath: string;
  newPath: string;
  state: 'new' | 'deleted' | 'renamed' | 'changed';
  rows: Row[];
  /** Rows at which a hunk begins. */
  hunks: Set<number>;
  binary: boolean;
}

/** Reads hunks. `old` and `new` are the numbers of the next line on each side, as GitLab counts them in line codes. */
export function parseHunks(diff: string): Pick<FileDiff, 'rows' | 'hunks'> {
  const rows: Row[] = [];
  const hunks = new Set<number>();
  let old = 0;
  let fresh = 0;
  let inside = false;
  for (const line of diff.split('\n')) {
    const head = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/.exec(line);
    if (head) {
      [old, fresh, inside] = [Number(head[1]), Number(head[2]), true];
      hunks.add(rows.length);
      continue;
    }
    const sign = line[0];
    if (!inside || (sign !== ' ' && sign !== '+' && sign !== '-')) continue;
    rows.push({ sign, old, new: fresh, text: line.slice(1) });
    if (sign !== '+') old++;
    if (sign !== '-') fresh++;
  }
  return { rows, hunks };
}

const entry = z.object({
  old_path: z.string(),
  new_path: z.string(),
  new_file: z.boolean(),
  renamed_file: z.boolean(),
  deleted_file: z.boolean(),
  diff: z.string(),
  collapsed: z.boolean().nullish(),
  too_large: z.boolean().nullish(),
});

export const PER_PAGE = 20;

/** One page of a merge request's files; what GitLab left out (collapsed, too large) comes from its raw diffs. */
export async function diffPage(
  api: Api,
  path: string,
  page: number,
): Promise<{ files: FileDiff[]; more: boolean }> {
  const found = await api.page(`${path}/diffs`, { per_page: PER_PAGE, page });
  const entries = found.items.map((one) => entry.parse(one));
  const left = entries.some((one) => (one.collapsed || one.too_large) && one.diff === '');
  const raw = left ? await rawDiffs(api, path) : undefined;
  const files = entries.map((one): FileDiff => {
    const text = one.diff || raw?.get(one.new_path) || '';
    return {
      oldPath: one.old_path,
      newPath: one.new_path,
      state: one.new_file ? 'new' : one.deleted_file ? 'deleted' : one.renamed_file ? 'renamed' : 'changed',
      binary: /^Binary files /m.test(text) && !text.includes('@@'),
      ...parseHunks(text),
    };
  });
  return { files, more: found.next !== undefined };
}

/** `git diff` as a text, by the new path (the old one of a deleted file). */
async function rawDiffs(api: Api, path: string): Promise<Map<string, string>> {
  const { body } = await api.bytes(`${path}/raw_diffs`, { maxBytes: 32 * 1024 * 1024 });
  const files = new Map<string, string>();
  for (const part of new TextDecoder().decode(body).split(/^(?=diff --git )/m)) {
    const head = part.slice(0, Math.max(0, part.indexOf('\n@@')));
    const name = /^\+\+\+ b\/(.+)$/m.exec(head)?.[1] ?? /^--- a\/(.+)$/m.exec(head)?.[1];
    if (name !== undefined) files.set(name.replace(/\t$/, ''), part.slice(part.indexOf('\n@@') + 1));
  }
  return files;
}

const sha = z.string().nullable();
const versions = z.object({
  diff_refs: z.object({ base_sha: sha, head_sha: sha, start_sha: sha }).nullable(),
});

/** The three commits that positions refer to. */
export async function diffRefs(api: Api, path: string) {
  const { base_sha, head_sha, start_sha } = versions.parse(await api.get(path)).diff_refs ?? {};
  if (!base_sha || !head_sha || !start_sha)
    throw new ToolError(
      'GitLab has not made the diff yet (the merge request is new or has no commits). Try again in some seconds.',
    );
  return { base_sha, head_sha, start_sha };
}

/** GitLab's name of a diff line: hash of the path, line on the old side, line on the new one. */
export const lineCode = (path: string, row: Row) =>
  `${createHash('sha1').update(path).digest('hex')}_${row.old}_${row.new}`;
