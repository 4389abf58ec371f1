import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import { ToolError } from '../../kit/tool.ts';
import type { Api } from './client.ts';
import { GitLabError, withoutDoubt } from './errors.ts';
import type { positionOf } from './position.ts';

/** A comment of a review as GitLab takes it. */
export interface ReviewNote {
  note: string;
  position?: ReturnType<typeof positionOf>;
}

/** Waits before each look for comments that come late. */
const LATE_MS = [0, 400, 1600];

const drafts = z.array(
  z.object({
    id: z.number(),
    note: z.string(),
    position: z
      .object({
        head_sha: z.string().nullish(),
        new_path: z.string().nullish(),
        new_line: z.coerce.number().nullish(),
        old_line: z.coerce.number().nullish(),
      })
      .nullish(),
  }),
);

type Draft = z.output<typeof drafts>[number];

const mark = ({ note, position }: Pick<Draft, 'note' | 'position'>) =>
  JSON.stringify([
    note,
    position?.head_sha ?? null,
    position?.new_path ?? null,
    position?.new_line ?? null,
    position?.old_line ?? null,
  ]);

/** Whether drafts are how far this very review came before its server was killed: its first comments, in their order. */
function begun(left: Draft[], notes: ReviewNote[]): boolean {
  const inOrder = left.toSorted((a, b) => a.id - b.id);
  return inOrder.every((one, at) => notes[at] !== undefined && mark(one) === mark(notes[at]));
}

const draftsOf = async (api: Api, path: string) =>
  drafts.parse(await api.get(`${path}/draft_notes`, { per_page: 100 }));

/**
 * Posts comments as drafts, which only their author sees, and publishes them together: the review is there whole or not
 * at all. Where a step fails, what is known of the state is said; only drafts of ours are taken back.
 */
export async function publishReview(api: Api, path: string, name: string, notes: ReviewNote[]) {
  const before = await draftsOf(api, path);
  if (!begun(before, notes)) {
    throw new ToolError(
      `Nothing was sent: you have ${before.length} unpublished draft comments on ${name} that are not of this review, and would be published with it. Publish or delete them on GitLab first.`,
    );
  }
  for (const [index, one] of notes.entries()) {
    if (index < before.length) continue;
    try {
      await api.send('POST', `${path}/draft_notes`, one);
    } catch (error) {
      throw await takenBack(api, path, notes.slice(0, index + 1), {
        name,
        error,
        what: `comment ${index + 1} of ${notes.length} was not taken`,
      });
    }
  }
  try {
    await api.send('POST', `${path}/draft_notes/bulk_publish`);
  } catch (error) {
    const { status = 500 } = error instanceof GitLabError ? error : {};
    if (!(error instanceof GitLabError)) throw error;
    if (status < 500 && error.status !== undefined) {
      throw await takenBack(api, path, notes, { name, error, what: 'it was not published' });
    }
    // Not known. A draft that is gone is published: that much can be seen.
    const left = await draftsOf(api, path).catch(() => undefined);
    if (left?.length === 0) return;
    throw new ToolError(
      left === undefined
        ? `${error.message} It is the publishing of ${notes.length} comments on ${name}.`
        : `${withoutDoubt(error.message)} The review may have been published in part: check ${name}. ${left.length} of its ${notes.length} comments are still drafts, seen by you alone; publish or delete them on GitLab, and do not send the review again.`,
      { cause: error },
    );
  }
}

interface Failed {
  name: string;
  error: unknown;
  what: string;
}

/** Removes the drafts that were made; the error says what became of the review. */
async function takenBack(api: Api, path: string, notes: ReviewNote[], { name, error, what }: Failed) {
  const ours = new Set(notes.map((one) => one.note));
  let left = 0;
  const { afterwards } = api;
  // Where the request was given up and not answered, GitLab may be at it still: it is looked again.
  const answered = error instanceof GitLabError && error.status !== undefined && error.status < 500;
  try {
    for (const wait of answered ? [0] : LATE_MS) {
      await setTimeout(wait);
      // Someone may have begun a comment in a browser in the meantime: that one stays.
      for (const { id, note } of await draftsOf(afterwards, path)) {
        if (!ours.has(note)) continue;
        left++;
        await afterwards.send('DELETE', `${path}/draft_notes/${id}`);
        left--;
      }
    }
  } catch {
    left = Math.max(left, 1);
  }
  if (!(error instanceof ToolError)) return error;
  const state =
    left === 0
      ? 'nothing is left of it'
      : `drafts of it are left, seen by you alone: delete them on GitLab before you try again`;
  return new ToolError(
    `The review of ${name} is not posted: ${what}, and ${state}. ${withoutDoubt(error.message)}`,
    { cause: error },
  );
}
