import { createHash } from 'node:crypto';
import { num, yes } from './params.ts';
import { isRecord, Refused, str, type Asked, type Route } from './routing.ts';
import type { DraftNote, MergeRequest } from './model.ts';

/** Gitlab::Git.diff_line_code */
const lineCode = ({ new_path, old_path, old_line, new_line }: Record<string, unknown>) =>
  `${createHash('sha1')
    .update(String(new_path ?? old_path))
    .digest('hex')}_${num(old_line) ?? 0}_${num(new_line) ?? 0}`;

/** Comments of a review that is not published yet: seen by their author only. */
export function draftRoutes(
  of: (asked: Asked) => MergeRequest,
  checked: (asked: Asked, position: Record<string, unknown>) => Promise<void>,
): Route[] {
  const base = '/projects/:id/merge_requests/:iid/draft_notes';
  const mine = (asked: Asked) => of(asked).drafts.filter((one) => one.author === asked.user);
  const draft = (asked: Asked): DraftNote => {
    const one = mine(asked).find(({ id }) => id === Number(asked.params['draft']));
    if (!one) throw new Refused(404, '404 Not found');
    return one;
  };
  const shown = (asked: Asked, { id, note, author, position, thread, resolves }: DraftNote) => ({
    id,
    author_id: author.id,
    merge_request_id: of(asked).id,
    resolve_discussion: resolves ?? false,
    discussion_id: thread?.id ?? null,
    note,
    commit_id: null,
    line_code: position && lineCode(position),
    position,
  });
  const publish = (asked: Asked, drafts: DraftNote[]) => {
    const mr = of(asked);
    const { world, user } = asked;
    for (const { note, position, thread, resolves } of drafts) {
      const stands = position !== null || thread !== undefined;
      const made = world.note(note, user, { position, threaded: stands, resolvable: stands });
      if (thread) thread.notes.push(made);
      else world.discuss(mr, made, position === null);
      if (thread && resolves)
        for (const one of thread.notes)
          Object.assign(one, { resolved: true, resolvedBy: { user, at: new Date().toISOString() } });
    }
    world.touch(asked.project, mr);
    mr.drafts = mr.drafts.filter((one) => !drafts.includes(one));
  };
  return [
    ['GET', base, (asked) => mine(asked).map((one) => shown(asked, one))],
    [
      'POST',
      base,
      async (asked) => {
        const note = str(asked.body['note']);
        if (note === undefined) throw new Refused(400, { error: 'note is missing' });
        const position = isRecord(asked.body['position']) ? asked.body['position'] : null;
        if (note.trim() === '') throw new Refused(400, { message: { note: ["can't be blank"] } });
        if (position) await checked(asked, position);
        const answers = str(asked.body['in_reply_to_discussion_id']);
        const thread = of(asked).discussions.find((one) => one.id === answers);
        if (answers !== undefined && !thread) throw new Refused(404, '404 Discussion Not Found');
        const resolves = yes(asked.body['resolve_discussion']);
        const made = { id: asked.world.id(), note, author: asked.user, position, resolves };
        if (thread) Object.assign(made, { thread });
        of(asked).drafts.push(made);
        return shown(asked, made);
      },
    ],
    ['GET', `${base}/:draft`, (asked) => shown(asked, draft(asked))],
    [
      'PUT',
      `${base}/:draft`,
      (asked) => {
        const one = draft(asked);
        one.note = str(asked.body['note']) ?? one.note;
        return shown(asked, one);
      },
    ],
    [
      'DELETE',
      `${base}/:draft`,
      (asked) => {
        const gone = draft(asked);
        of(asked).drafts = of(asked).drafts.filter((one) => one !== gone);
        return undefined;
      },
    ],
    [
      'PUT',
      `${base}/:draft/publish`,
      (asked) => {
        publish(asked, [draft(asked)]);
        return undefined;
      },
    ],
    [
      'POST',
      `${base}/bulk_publish`,
      (asked) => {
        publish(asked, mine(asked));
        of(asked).published++;
        return undefined;
      },
    ],
  ];
}
