import { z } from 'zod';
import { toolFor, ToolError } from '../../kit/tool.ts';
import type { Api } from './client.ts';
import { further } from './errors.ts';
import { mergeRequest, next, project, record } from './fields.ts';
import { atNumber, type GitLab } from './gitlab.ts';
import { diffPage, diffRefs, PER_PAGE, type FileDiff } from './patch.ts';
import { positionOf } from './position.ts';
import { publishReview, type ReviewNote } from './publish.ts';
import { slim } from './shapes.ts';
import { shown } from './targets.ts';
import { oneLine, refuseQuickActions } from './text.ts';

const tool = toolFor<GitLab>();

/** Characters of one answer's diff. */
const SHOWN = 24_000;
const PAGES = 150;

const comment = z.object({
  file: z.string(),
  line: z.number().int().positive(),
  end_line: z.number().int().positive().optional(),
  side: z.enum(['new', 'old']).optional().describe('old: removed lines'),
  text: z.string().min(1).max(100_000),
  suggestion: z.string().optional().describe('replaces line..end_line'),
});

type Comment = z.output<typeof comment>;

const input = z.object({
  project: project.optional(),
  merge_request: mergeRequest,
  comments: z.array(comment).max(100),
  summary: z.string().max(1_000_000).optional(),
  approve: z.boolean().optional(),
  sha: z.string().optional(),
  allow_quick_actions: z.boolean().optional(),
});

export const review = [
  tool({
    name: 'gitlab_diff',
    title: 'Diff of a merge request',
    description:
      'Numbered diff: `+` and space lines carry new numbers, `-` lines old ones, as gitlab_review takes them.',
    effect: 'read',
    openWorld: true,
    untrusted: true,
    examples: ['what changes in !7', 'show the diff of merge request 7'],
    input: z.object({
      project: project.optional(),
      merge_request: mergeRequest,
      file: z.string().optional(),
      context: z.number().int().min(0).max(3).optional().describe('unchanged lines around each change (1)'),
      next,
    }),
    output: z.object({ sha: z.string().optional(), diff: z.string(), next }),
    async run({ project, merge_request, file, context = 1, next: cursor }, gitlab, ctx) {
      const { api, id, iid } = await atNumber(gitlab, merge_request, 'merge request', project, ctx);
      const path = `projects/${id}/merge_requests/${iid}`;
      // Enough of it to tell one head from another.
      const sha = (await diffRefs(api, path)).head_sha.slice(0, 12);
      if (file !== undefined) {
        const found = (await diffsOf(api, path, new Set([file]))).get(file);
        if (!found)
          throw new ToolError(
            `${shown(file)} is not changed by !${iid}. Leave \`file\` out to see which files are.`,
          );
        const { text, next } = rendered([found], context, 0, startRow(cursor));
        return { sha, diff: text, ...(next && { next: `0.${next.row}` }) };
      }
      const from = Number(/^\d+/.exec(cursor ?? '0')?.[0] ?? 0);
      const page = Math.floor(from / PER_PAGE) + 1;
      const { files, more } = await diffPage(api, path, page);
      const { text, next } = rendered(files, context, from % PER_PAGE, startRow(cursor));
      const going = next
        ? `${(page - 1) * PER_PAGE + next.file}.${next.row}`
        : more
          ? `${page * PER_PAGE}`
          : undefined;
      return { sha, diff: text, ...(going !== undefined && { next: going }) };
    },
  }),
  tool({
    name: 'gitlab_review',
    title: 'Review',
    description:
      'Post line comments as one review, checked against the diff first: all or none. May approve.',
    effect: 'write',
    openWorld: true,
    examples: ['review !7', 'comment on line 12 of main.ts in !7', 'approve !7'],
    input,
    output: record,
    preview: async (given, gitlab, ctx) => {
      const { notes, sha } = await prepared(given, gitlab, ctx);
      return { notes, ...(given.approve && { approve: sha }) };
    },
    async run(given, gitlab, ctx) {
      const { place, iid, notes, sha } = await prepared(given, gitlab, ctx);
      const { api, id, project } = place;
      const path = `projects/${id}/merge_requests/${iid}`;
      const { approvals } = await api.rest;
      if (notes.length > 0) await publishReview(api, path, `!${iid}`, notes);
      if (given.approve) {
        const approve = async () => void (await approvals.approve(project, iid, { sha }));
        await (notes.length > 0 ? further(`The review of !${iid} is published`, approve) : approve());
      }
      const comments = given.comments.map(({ file, line, end_line: end }) => ({
        file,
        line: end ?? line,
        status: 'posted',
      }));
      return slim({
        published: notes.length || undefined,
        comments,
        approved: given.approve ? sha.slice(0, 8) : undefined,
      });
    },
  }),
];

/** Everything is checked before anything is sent: text, files, lines, the head that was reviewed. */
async function prepared(given: z.output<typeof input>, gitlab: GitLab, ctx: Parameters<typeof atNumber>[4]) {
  const { comments, summary, approve, allow_quick_actions } = given;
  for (const one of comments) refuseQuickActions(one.text, allow_quick_actions);
  refuseQuickActions(summary, allow_quick_actions);
  if (comments.length === 0 && !summary && !approve)
    throw new ToolError('Give `comments`, a `summary` or `approve`.');
  const place = await atNumber(gitlab, given.merge_request, 'merge request', given.project, ctx);
  const { api, id, iid } = place;
  const path = `projects/${id}/merge_requests/${iid}`;
  const refs = await diffRefs(api, path);
  if (given.sha !== undefined && !refs.head_sha.startsWith(given.sha)) {
    throw new ToolError(
      `Nothing was sent: the head of !${iid} is now ${refs.head_sha}, not ${given.sha.slice(0, 12)}. Read the diff again.`,
    );
  }
  const diffs = await diffsOf(api, path, new Set(comments.map((one) => one.file)));
  const faults: string[] = [];
  const notes: ReviewNote[] = [];
  for (const [index, one] of comments.entries()) {
    try {
      notes.push({ note: withSuggestion(one), position: positionOf(one, diffs.get(one.file), refs) });
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      faults.push(`comment ${index + 1} (${shown(one.file)}:${one.line}): ${error.message}`);
    }
  }
  if (faults.length > 0) {
    const fine = comments.length - faults.length;
    throw new ToolError(
      `Nothing was sent${fine > 0 ? ` (${fine} of ${comments.length} comments fit)` : ''}. ${faults.join(' ')}`,
    );
  }
  if (summary) notes.push({ note: summary });
  return { place, iid, notes, sha: refs.head_sha };
}

/** docs.gitlab.com/user/project/merge_requests/reviews/suggestions: `-2+0` counts lines above and below the comment's. */
function withSuggestion({ text, suggestion, line, end_line: end = line }: Comment): string {
  if (suggestion === undefined) return text;
  const longest = Math.max(2, ...[...suggestion.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = '`'.repeat(longest + 1);
  return `${text}\n\n${fence}suggestion:-${end - line}+0\n${suggestion.replace(/\n$/, '')}\n${fence}`;
}

/** Diffs of the files named, by either of their paths; reads no more pages than it needs. */
async function diffsOf(api: Api, path: string, names: Set<string>): Promise<Map<string, FileDiff>> {
  const found = new Map<string, FileDiff>();
  for (let page = 1; page <= PAGES && found.size < names.size; page++) {
    const { files, more } = await diffPage(api, path, page);
    for (const file of files) {
      if (names.has(file.newPath)) found.set(file.newPath, file);
      else if (names.has(file.oldPath)) found.set(file.oldPath, file);
    }
    if (!more) break;
  }
  return found;
}

/** Whether a row is a change, or stands so near to one. */
const near = (rows: FileDiff['rows'], row: number, context: number) =>
  rows.slice(Math.max(0, row - context), row + context + 1).some((one) => one.sign !== ' ');

const startRow = (cursor: string | undefined) => Number(/^\d+\.(\d+)$/.exec(cursor ?? '')?.[1] ?? 0);

/** The diff with line numbers, from a file and row on, until the answer is full. */
function rendered(files: FileDiff[], context: number, fromFile: number, fromRow: number) {
  let text = '';
  for (let at = fromFile; at < files.length; at++) {
    const file = files[at];
    if (!file) break;
    const { oldPath, newPath, state, rows, hunks, binary } = file;
    const mark =
      state === 'changed' ? '' : state === 'renamed' ? ` (renamed from ${oneLine(oldPath)})` : ` (${state})`;
    text += `== ${oneLine(newPath)}${mark}${binary ? ' binary' : ''}\n`;
    let gap = false;
    let begun = false;
    for (let row = at === fromFile ? fromRow : 0; row < rows.length; row++) {
      const line = rows[row];
      if (!line) break;
      if (text.length > SHOWN) return { text, next: { file: at, row } };
      gap ||= begun && (hunks.has(row) || !near(rows, row, context));
      if (!near(rows, row, context)) continue;
      if (gap) text += '@@\n';
      [gap, begun] = [false, true];
      text += `${line.sign}${line.sign === '-' ? line.old : line.new} ${line.text.slice(0, 2000)}\n`;
    }
    if (text.length > SHOWN && at + 1 < files.length) return { text, next: { file: at + 1, row: 0 } };
  }
  return { text };
}
