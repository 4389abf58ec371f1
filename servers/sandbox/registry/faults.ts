import { dirname } from 'node:path';
import { CommandError } from '../../../kit/command.ts';
import { ToolError } from '../../../kit/tool.ts';

/** The system's code of an error, e.g. `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

interface Fault {
  reason: CommandError['reason'] | undefined;
  code: string | undefined;
  text: string;
  /** What could not be read or written, as near as it is known. */
  at: string;
  /** The registry's folder. */
  folder: string;
}

const rules: { fits: (fault: Fault) => boolean; told: (fault: Fault) => string }[] = [
  {
    fits: ({ reason, text }) => reason === 'missing' || /spawn git ENOENT/.test(text),
    told: () =>
      'The registry needs git, which is not in PATH: install it (`apt-get install git`, `xcode-select --install` or ' +
      'https://git-scm.com), then try again.',
  },
  {
    fits: ({ code, text }) =>
      code === 'ENOSPC' || code === 'EDQUOT' || /No space left|quota exceeded/i.test(text),
    told: ({ at }) => `The disk that holds ${at} is full. Nothing is lost: free some space and try again.`,
  },
  {
    fits: ({ code, text }) => code === 'EROFS' || /Read-only file system/i.test(text),
    told: ({ at }) =>
      `${at} lies on a read-only file system. Nothing is lost: make it writable and try again.`,
  },
  {
    fits: ({ code, text }) =>
      code === 'EACCES' || code === 'EPERM' || /Permission denied|insufficient permission/i.test(text),
    told: ({ at }) =>
      `This user may not read and write ${at}. Nothing is lost: run \`chmod -R u+rwX ${at}\` or work as its owner, and try again.`,
  },
  {
    fits: ({ text }) => /not a git repository/i.test(text),
    told: ({ folder }) =>
      `git cannot open ${folder}. Nothing is lost: look at ${folder}/.git/HEAD, which must say \`ref: refs/heads/main\`.`,
  },
  {
    fits: ({ reason }) => reason === 'deadline',
    told: ({ folder }) =>
      `git did not finish in ${folder}. Nothing is lost: look at the disk, and try again.`,
  },
  {
    fits: ({ reason }) => reason !== undefined,
    told: ({ folder, text }) =>
      `git failed in ${folder}: ${text.slice(0, 300)} Nothing is lost: run \`git -C ${folder} fsck\` to see more.`,
  },
];

/** What somebody must be told when the registry cannot be read or written: what is wrong where, and the next step. */
export function explained(error: unknown, folder: string): unknown {
  if (error instanceof ToolError) return error;
  const git = error instanceof CommandError ? error : undefined;
  const message = error instanceof Error ? error.message : String(error);
  const path = error instanceof Error && 'path' in error ? error.path : undefined;
  const fault = {
    reason: git?.reason,
    code: codeOf(error),
    text: git ? `${message} ${git.stderr}` : message,
    at: typeof path === 'string' ? dirname(path) : folder,
    folder,
  };
  const rule = rules.find(({ fits }) => fits(fault));
  return rule ? new ToolError(rule.told(fault), { cause: error }) : error;
}
