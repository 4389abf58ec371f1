import { z } from 'zod';
import { toolFor, ToolError } from '../../kit/tool.ts';
import { further } from './errors.ts';
import { idOrUrl, project, record } from './fields.ts';
import { atNumber, type GitLab } from './gitlab.ts';
import { discussion, slim, type note } from './shapes.ts';
import { cut, refuseQuickActions } from './text.ts';

const tool = toolFor<GitLab>();

export const comments = [
  tool({
    name: 'gitlab_comment',
    title: 'Comment',
    description: 'Comment on an issue or merge request, reply in a thread, or resolve (reopen) a thread.',
    effect: 'write',
    openWorld: true,
    examples: ['comment on issue 4 that it is fixed', 'reply to the review thread', 'resolve that thread'],
    input: z.object({
      project: project.optional(),
      issue: idOrUrl.optional(),
      merge_request: idOrUrl.optional(),
      text: z.string().max(1_000_000).optional(),
      thread: z.string().optional().describe('its id'),
      resolve: z.boolean().optional(),
      allow_quick_actions: z.boolean().optional(),
    }),
    output: record,
    preview: async (input, gitlab, ctx) => {
      const { iid, kind } = await aim(input, gitlab, ctx);
      return slim({ [kind]: iid, thread: input.thread, text: input.text, resolve: input.resolve });
    },
    async run(input, gitlab, ctx) {
      const { api, id, project, iid, kind } = await aim(input, gitlab, ctx);
      const { text, thread, resolve } = input;
      const path = `projects/${id}/${kind === 'issue' ? 'issues' : 'merge_requests'}/${iid}`;
      const { issueNotes, mergeRequestNotes } = await api.rest;
      let made: unknown;
      if (text !== undefined && thread === undefined) {
        made = await (kind === 'issue' ? issueNotes : mergeRequestNotes).create(project, iid, text);
      } else if (text !== undefined) {
        made = await api.send('POST', `${path}/discussions/${encodeURIComponent(thread ?? '')}/notes`, {
          body: text,
        });
      }
      if (resolve !== undefined) {
        const put = () =>
          api.send('PUT', `${path}/discussions/${encodeURIComponent(thread ?? '')}?resolved=${resolve}`);
        await (made === undefined ? put() : further('The comment is posted', put));
      }
      const noteId = z.object({ id: z.number() }).safeParse(made).data?.id;
      return slim({
        note: noteId,
        thread,
        ...(resolve !== undefined && { resolved: resolve ? 'yes' : 'no' }),
      });
    },
  }),
];

interface Wanted {
  project?: string;
  issue?: string;
  merge_request?: string;
  text?: string;
  thread?: string;
  resolve?: boolean;
  allow_quick_actions?: boolean;
}

async function aim(input: Wanted, gitlab: GitLab, ctx: Parameters<typeof atNumber>[4]) {
  const { issue, merge_request, text, thread, resolve } = input;
  refuseQuickActions(text, input.allow_quick_actions);
  if ((issue === undefined) === (merge_request === undefined))
    throw new ToolError('Give `issue` or `merge_request`, one of them.');
  if (text === undefined && resolve === undefined)
    throw new ToolError('Give `text`, or `thread` with `resolve`.');
  if (text?.trim() === '') throw new ToolError('`text` is empty. Write the comment.');
  if (resolve !== undefined && thread === undefined)
    throw new ToolError('`resolve` needs `thread`: the id that gitlab_show_merge_request gives.');
  if (thread !== undefined && !/^[0-9a-f]{6,64}$/i.test(thread))
    throw new ToolError(
      '`thread` is no thread id. Take it from gitlab_show_issue or gitlab_show_merge_request.',
    );
  const kind = issue === undefined ? 'merge request' : 'issue';
  const place = await atNumber(gitlab, issue ?? merge_request ?? '', kind, input.project, ctx);
  return { ...place, kind };
}

/** Characters of all notes of an answer, of one of them, and of one once the answer is full. */
const ALL = 30_000;
const EACH = 4000;
const SHORT = 160;
/** Notes of one thread, the first and the newest ones; and once the answer is full. */
const NOTES = 20;
const FEW = 2;

/** Discussions in few words, without what GitLab itself wrote down (label added ...). */
export function threadsOf(items: unknown[]): Record<string, unknown>[] {
  let left = ALL;
  const said = ({ author, body, created_at: at }: z.output<typeof note>) => {
    const text = cut(body, left > 0 ? EACH : SHORT);
    left -= text.length;
    return { by: author, at, text };
  };
  return items.flatMap((item) => {
    const { id, notes, individual_note: single } = discussion.parse(item);
    const written = notes.filter((one) => !one.system);
    const [first] = written;
    if (!first) return [];
    const { position } = first;
    const most = left > 0 ? NOTES : FEW;
    const open = written.some((one) => one.resolvable && !one.resolved);
    return [
      slim({
        thread: id,
        file: position ? (position.new_path ?? position.old_path) : undefined,
        line: position?.new_line ?? position?.old_line,
        side: position && !position.new_line && position.old_line ? 'old' : undefined,
        resolved: first.resolvable ? (open ? 'no' : 'yes') : undefined,
        single: single || undefined,
        notes: [first, ...written.slice(1).slice(1 - most)].map(said),
        notes_left_out: Math.max(0, written.length - most) || undefined,
      }),
    ];
  });
}
