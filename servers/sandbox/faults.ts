import { CommandError } from '../../kit/command.ts';
import { ToolError } from '../../kit/tool.ts';

/** The system's code of an error, e.g. `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** What somebody must be told when the registry cannot be read or written: what is wrong where, and the next step. */
export function explained(error: unknown, folder: string): unknown {
  if (error instanceof ToolError) return error;
  const git = error instanceof CommandError ? error : undefined;
  const text = git ? `${git.message} ${git.stderr}` : error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  const told = (message: string) => new ToolError(message, { cause: error });
  if (git?.reason === 'missing') return told(`The registry needs git: ${git.message} Then try again.`);
  if (code === 'ENOSPC' || code === 'EDQUOT' || /No space left|quota exceeded/i.test(text)) {
    return told(`The disk that holds ${folder} is full: nothing was changed. Free some space and try again.`);
  }
  if (code === 'EROFS' || /Read-only file system/i.test(text)) {
    return told(
      `${folder} lies on a read-only file system: nothing was changed. Make it writable and try again.`,
    );
  }
  if (code === 'EACCES' || code === 'EPERM' || /Permission denied|insufficient permission/i.test(text)) {
    return told(
      `${folder} may not be written by this user: nothing was changed. Run \`chmod -R u+rwX ${folder}\`, or as its owner.`,
    );
  }
  if (/not a git repository/i.test(text)) return told(damagedMessage(folder, text));
  if (git?.reason === 'deadline') {
    return told(
      `git did not finish in ${folder}: nothing is lost. Try again; if it persists, look at the disk.`,
    );
  }
  if (git)
    return told(
      `git failed in ${folder}: ${git.message} Nothing is lost. Run \`git -C ${folder} fsck\` to see more.`,
    );
  return error;
}

function damagedMessage(folder: string, text: string): string {
  return `git cannot open ${folder} (${text.trim().slice(0, 120)}). Look at ${folder}/.git/HEAD: it must say \`ref: refs/heads/main\`.`;
}
