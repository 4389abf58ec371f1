/** A changed file as the API tells of it. */
export interface FileDiff {
  old_path: string;
  new_path: string;
  a_mode: string;
  b_mode: string;
  new_file: boolean;
  deleted_file: boolean;
  renamed_file: boolean;
  diff: string;
}

/** Changed files of what `git diff` wrote, each with its unified diff as GitLab's API gives it: hunks only. */
export function fileDiffs(raw: string): FileDiff[] {
  return raw
    .split(/^(?=diff --git )/m)
    .filter(Boolean)
    .map((part) => {
      const at = part.indexOf('\n@@');
      const head = at < 0 ? part : part.slice(0, at);
      const [, first = '', second = ''] = /^diff --git a\/(.+) b\/(.+)$/m.exec(head) ?? [];
      const old_path = /^rename from (.+)$/m.exec(head)?.[1] ?? first;
      return {
        old_path,
        new_path: /^rename to (.+)$/m.exec(head)?.[1] ?? second,
        ...modes(head),
        new_file: /^new file mode/m.test(head),
        deleted_file: /^deleted file mode/m.test(head),
        renamed_file: /^rename from/m.test(head),
        diff: at < 0 ? (/^Binary files.*$/m.exec(head)?.[0] ?? '') : part.slice(at + 1),
      };
    });
}

/** File modes before and after, as a diff's head tells them; 0 where there is no file. */
function modes(head: string): { a_mode: string; b_mode: string } {
  const mode = (pattern: RegExp) => pattern.exec(head)?.[1];
  const both = mode(/^index \S+ (\d+)$/m) ?? '100644';
  const [made, gone] = [mode(/^new file mode (\d+)$/m), mode(/^deleted file mode (\d+)$/m)];
  return {
    a_mode: made ? '0' : (gone ?? mode(/^old mode (\d+)$/m) ?? both),
    b_mode: gone ? '0' : (made ?? mode(/^new mode (\d+)$/m) ?? both),
  };
}
