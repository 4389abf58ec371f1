import { z } from 'zod';
import { toolFor, ToolError } from '../../kit/tool.ts';
import { applyEdit } from './edits.ts';
import { project, record } from './fields.ts';
import { atProject, type GitLab, type Place } from './gitlab.ts';
import { GitLabError } from './errors.ts';
import { filePath, refName, shown } from './targets.ts';
import { asText, cut } from './text.ts';

const tool = toolFor<GitLab>();

const action = z.object({
  action: z.enum(['create', 'update', 'edit', 'delete', 'move']),
  path: z.string(),
  content: z.string().max(8_000_000).optional(),
  old_text: z.string().min(1).optional().describe('edit: stands once in the file'),
  new_text: z.string().optional(),
  previous_path: z.string().optional(),
  encoding: z.enum(['base64']).optional(),
  last_commit_id: z.string().optional(),
});

type Action = z.output<typeof action>;

const input = z.object({
  project,
  branch: z.string(),
  start_branch: z.string().optional().describe('makes the branch from it'),
  message: z.string().min(1).max(100_000),
  actions: z.array(action).min(1).max(100),
});

export const commit = [
  tool({
    name: 'gitlab_commit',
    title: 'Commit files',
    description: 'One commit that creates, updates, edits (old_text to new_text), moves or deletes files.',
    effect: 'write',
    openWorld: true,
    examples: ['change the version in package.json on a branch', 'add a file to the repository'],
    input,
    output: record,
    preview: async (given, gitlab, ctx) => {
      const { body } = await prepared(given, gitlab, ctx);
      // As they were given: what stands around an edit was written by others, and can be long.
      return { ...body, actions: given.actions.map(shortened) };
    },
    async run(given, gitlab, ctx) {
      const { place, body } = await prepared(given, gitlab, ctx);
      const { commits } = await place.api.rest;
      const { branch, commit_message, actions, ...options } = body;
      const made = await commits.create(place.project, branch, commit_message, actions, options);
      const { id, web_url, stats } = result.parse(made);
      return {
        sha: id,
        branch,
        ...(stats && { added: stats.additions, removed: stats.deletions }),
        url: web_url,
      };
    },
  }),
];

const shortened = ({ content, ...rest }: Action) => ({
  ...rest,
  ...(content !== undefined && { content: cut(content, 4000) }),
});

const result = z.object({
  id: z.string(),
  web_url: z
    .string()
    .nullish()
    .transform((url) => url ?? undefined),
  stats: z.object({ additions: z.number(), deletions: z.number() }).nullish(),
});

/** All edits are made here first: one that does not fit stops the commit before anything is sent. */
async function prepared(
  { project, branch, start_branch, message, actions }: z.output<typeof input>,
  gitlab: GitLab,
  ctx: Parameters<typeof atProject>[2],
) {
  refName(branch);
  if (start_branch !== undefined) refName(start_branch);
  const place = await atProject(gitlab, project, ctx);
  const ref = start_branch ?? branch;
  const made = [];
  const edited = new Map<string, Edited>();
  for (const one of actions) {
    const path = filePath(one.path);
    if (path === '') throw new ToolError('An action has an empty `path`. Name the file.');
    if (one.action === 'edit') {
      await edit(place, ref, path, one, edited);
      continue;
    }
    if (edited.has(path))
      throw new ToolError(`${path} is edited and ${one.action}d in the same commit. Make it one action.`);
    made.push(plainAction(one, path));
  }
  for (const [path, { text, lastCommitId }] of edited) {
    made.push({ action: 'update' as const, filePath: path, content: text, lastCommitId });
  }
  const body = {
    branch,
    commit_message: message,
    actions: made,
    ...(start_branch !== undefined && { startBranch: start_branch }),
  };
  return { place, body };
}

function plainAction({ action, content, encoding, last_commit_id, previous_path }: Action, path: string) {
  if (action === 'edit') throw new Error('edits are made before');
  if ((action === 'create' || action === 'update') && content === undefined) {
    throw new ToolError(
      `${action} of ${shown(path)} needs \`content\` (\`edit\` takes old_text and new_text).`,
    );
  }
  if (action === 'move' && previous_path === undefined)
    throw new ToolError(`move to ${shown(path)} needs \`previous_path\`.`);
  if (encoding === 'base64' && !/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(content ?? '')) {
    throw new ToolError(
      `The content of ${shown(path)} is no base64. Encode it, or leave \`encoding\` out for text.`,
    );
  }
  return {
    action,
    filePath: path,
    ...(content !== undefined && { content }),
    ...(previous_path !== undefined && { previousPath: filePath(previous_path) }),
    ...(encoding && { encoding }),
    ...(last_commit_id !== undefined && { lastCommitId: last_commit_id }),
  };
}

interface Edited {
  text: string;
  lastCommitId: string | undefined;
}

async function edit(
  place: Place,
  ref: string,
  path: string,
  one: Action,
  edited: Map<string, Edited>,
): Promise<void> {
  if (one.old_text === undefined || one.new_text === undefined) {
    throw new ToolError(`edit of ${shown(path)} needs \`old_text\` and \`new_text\`.`);
  }
  const before = edited.get(path) ?? (await read(place, ref, path));
  if (
    one.last_commit_id !== undefined &&
    before.lastCommitId !== undefined &&
    one.last_commit_id !== before.lastCommitId
  ) {
    throw new ToolError(
      `${path} has changed since ${one.last_commit_id.slice(0, 8)}; nothing was committed. Read it again and repeat.`,
    );
  }
  edited.set(path, { ...before, text: applyEdit(path, before.text, one.old_text, one.new_text) });
}

async function read({ api, id }: Place, ref: string, path: string): Promise<Edited> {
  try {
    const { body, headers } = await api.bytes(
      `projects/${id}/repository/files/${encodeURIComponent(path)}/raw`,
      { query: { ref, lfs: false } },
    );
    const text = asText(body);
    if (text === undefined)
      throw new ToolError(
        `${path} is binary or no valid UTF-8: it cannot be edited by text. Use update with base64.`,
      );
    // GitLab itself checks it again when it commits: who was faster wins, nobody is overwritten.
    return { text, lastCommitId: headers['x-gitlab-last-commit-id'] };
  } catch (error) {
    if (error instanceof GitLabError && error.status === 404) {
      throw new ToolError(
        `${path} is not on ${ref}; nothing was committed. Use create for a new file, or correct the path.`,
      );
    }
    throw error;
  }
}
