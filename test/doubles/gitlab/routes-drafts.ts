import { isRecord, Refused, str, type Asked, type Route } from './routing.ts';
import type { DraftNote, MergeRequest } from './model.ts';

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
  const shown = (asked: Asked, { id, note, author, position }: DraftNote) => ({
    id,
    author_id: author.id,
    merge_request_id: of(asked).id,
    resolve_discussion: false,
    discussion_id: null,
    note,
    commit_id: null,
    line_code: null,
    position,
  });
  const publish = (asked: Asked, drafts: DraftNote[]) => {
    const mr = of(asked);
    for (const { note, position } of drafts)
      asked.world.discuss(
        mr,
        asked.world.note(note, asked.user, { position, resolvable: true }),
        position === null,
      );
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
        if (position) await checked(asked, position);
        const made = { id: asked.world.id(), note, author: asked.user, position };
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
