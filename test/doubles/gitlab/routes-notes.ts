import { human, secondsOf } from './durations.ts';
import * as json from './json.ts';
import { user } from './json-user.ts';
import { yes } from './params.ts';
import { isRecord, ok, paged, Refused, str, type Asked, type Route } from './routing.ts';
import type { Discussion, Issue, MergeRequest, Note } from './model.ts';

interface Options {
  /** Throws where a comment cannot stand on a line; only merge requests have lines. */
  checked?: (asked: Asked, position: Record<string, unknown>) => Promise<void>;
}

/** Notes, discussions and time tracking, for issues and merge requests. */
export function talkRoutes(
  section: string,
  of: (asked: Asked) => Issue | MergeRequest,
  { checked }: Options = {},
): Route[] {
  const base = `/projects/:id/${section}/:iid`;
  const thread = (asked: Asked): Discussion => {
    const one = of(asked).discussions.find((each) => each.id === asked.params['thread']);
    if (!one) throw new Refused(404, '404 Discussion Not Found');
    return one;
  };
  const noteOf = (asked: Asked, threads = of(asked).discussions): { note: Note; from: Discussion } => {
    for (const from of threads) {
      const note = from.notes.find((each) => each.id === Number(asked.params['note']));
      if (note) return { note, from };
    }
    throw new Refused(404, '404 Note Not Found');
  };
  const own = ({ note }: { note: Note }, { user, project }: Asked) => {
    const maintains = (project.members.get(user.id) ?? 0) >= 40;
    if (note.author !== user && !maintains) throw new Refused(403, '403 Forbidden');
  };
  const edited = (asked: Asked, found: { note: Note; from: Discussion }) => {
    own(found, asked);
    if (asked.body['body'] !== undefined) found.note.body = textOf(asked);
    if (asked.body['resolved'] !== undefined) resolve(asked, found.note);
    return json.note(asked.world, found.note, of(asked), section);
  };
  const removed = (asked: Asked, found: { note: Note; from: Discussion }) => {
    own(found, asked);
    const item = of(asked);
    found.from.notes = found.from.notes.filter((each) => each !== found.note);
    item.discussions = item.discussions.filter((each) => each.notes.length > 0);
    return undefined;
  };
  const inThread = (asked: Asked) => noteOf(asked, [thread(asked)]);

  return [
    [
      'GET',
      `${base}/discussions`,
      (asked) => {
        const item = of(asked);
        const rows = item.discussions.map((one) => json.discussion(asked.world, one, item, section));
        return paged(asked, rows, `/projects/${asked.project.id}/${section}/${item.iid}/discussions`);
      },
    ],
    [
      'GET',
      `${base}/discussions/:thread`,
      (asked) => json.discussion(asked.world, thread(asked), of(asked), section),
    ],
    [
      'POST',
      `${base}/discussions`,
      async (asked) => {
        const { world, user, body } = asked;
        const text = textOf(asked);
        const position = isRecord(body['position']) ? body['position'] : null;
        if (position && checked) await checked(asked, position);
        const note = world.note(text, user, {
          position,
          threaded: true,
          resolvable: section === 'merge_requests',
        });
        asked.world.touch(asked.project, of(asked));
        return json.discussion(world, world.discuss(of(asked), note), of(asked), section);
      },
    ],
    [
      'PUT',
      `${base}/discussions/:thread`,
      (asked) => {
        const one = thread(asked);
        if (asked.body['resolved'] === undefined) throw new Refused(400, { error: 'resolved is missing' });
        for (const note of one.notes) if (note.resolvable) resolve(asked, note);
        return json.discussion(asked.world, one, of(asked), section);
      },
    ],
    [
      'POST',
      `${base}/discussions/:thread/notes`,
      (asked) => {
        const one = thread(asked);
        const note = asked.world.note(textOf(asked), asked.user, {
          threaded: true,
          resolvable: one.notes[0]?.resolvable ?? false,
        });
        for (const each of one.notes) each.threaded = true;
        asked.world.touch(asked.project, of(asked));
        one.notes.push(note);
        one.single = false;
        return json.note(asked.world, note, of(asked), section);
      },
    ],
    ['PUT', `${base}/discussions/:thread/notes/:note`, (asked) => edited(asked, inThread(asked))],
    ['DELETE', `${base}/discussions/:thread/notes/:note`, (asked) => removed(asked, inThread(asked))],
    [
      'GET',
      `${base}/notes`,
      (asked) => {
        const item = of(asked);
        const notes = item.discussions.flatMap((one) => one.notes).sort((a, b) => b.id - a.id);
        if (asked.query.get('sort') === 'asc') notes.reverse();
        const rows = notes.map((one) => json.note(asked.world, one, item, section));
        return paged(asked, rows, `/projects/${asked.project.id}/${section}/${item.iid}/notes`);
      },
    ],
    [
      'POST',
      `${base}/notes`,
      (asked) => {
        const internal = yes(asked.body['internal'] ?? asked.body['confidential']);
        const note = asked.world.note(textOf(asked), asked.user, { internal });
        asked.world.touch(asked.project, of(asked));
        asked.world.discuss(of(asked), note, true);
        return json.note(asked.world, note, of(asked), section);
      },
    ],
    ['GET', `${base}/notes/:note`, (asked) => json.note(asked.world, noteOf(asked).note, of(asked), section)],
    ['PUT', `${base}/notes/:note`, (asked) => edited(asked, noteOf(asked))],
    ['DELETE', `${base}/notes/:note`, (asked) => removed(asked, noteOf(asked))],
    [
      'GET',
      `${base}/participants`,
      (asked) => {
        const item = of(asked);
        const all = [
          item.author,
          ...item.assignees,
          ...item.discussions.flatMap((one) => one.notes.map((note) => note.author)),
        ];
        return [...new Set(all)].map((one) => user(asked.world, one));
      },
    ],
    ...timeRoutes(base, of),
  ];
}

/** Resolved, or open again, as the request says. */
function resolve({ body, user }: Asked, note: Note): void {
  note.resolved = yes(body['resolved']);
  note.resolvedBy = { user, at: new Date().toISOString() };
}

function textOf(asked: Asked): string {
  const text = str(asked.body['body']);
  if (text === undefined) throw new Refused(400, { error: 'body is missing' });
  if (text.trim() === '')
    throw new Refused(400, { message: '400 Bad request - Note {:note=>["can\'t be blank"]}' });
  return text;
}

function timeRoutes(base: string, of: (asked: Asked) => Issue | MergeRequest): Route[] {
  const duration = ({ body }: Asked) => {
    const text = str(body['duration']);
    if (text === undefined) throw new Refused(400, { error: 'duration is missing' });
    return secondsOf(text);
  };
  return [
    ['GET', `${base}/time_stats`, (asked) => times(of(asked))],
    [
      'POST',
      `${base}/time_estimate`,
      (asked) => {
        of(asked).estimate = duration(asked);
        return ok(times(of(asked)));
      },
    ],
    [
      'POST',
      `${base}/reset_time_estimate`,
      (asked) => {
        of(asked).estimate = 0;
        return ok(times(of(asked)));
      },
    ],
    [
      'POST',
      `${base}/add_spent_time`,
      (asked) => {
        const item = of(asked);
        const spent = item.spent + duration(asked);
        if (spent < 0)
          throw new Refused(400, { message: { base: ['Time to subtract exceeds the total time spent'] } });
        item.spent = spent;
        return times(item);
      },
    ],
    [
      'POST',
      `${base}/reset_spent_time`,
      (asked) => {
        of(asked).spent = 0;
        return ok(times(of(asked)));
      },
    ],
  ];
}

/** Estimate and time spent, as the API tells them. */
export const times = ({ estimate, spent }: Pick<Issue, 'estimate' | 'spent'>) => ({
  time_estimate: estimate,
  total_time_spent: spent,
  human_time_estimate: human(estimate),
  human_total_time_spent: human(spent),
});
