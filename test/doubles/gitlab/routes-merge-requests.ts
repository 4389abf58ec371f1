import * as json from './json.ts';
import { need, paged, Raw, Refused, isRecord, str, type Asked, type Route } from './routing.ts';
import { change, talkRoutes, usersOf } from './routes-issues.ts';
import type { MergeRequest } from './world.ts';

/** GitLab leaves out what is larger (its own limits are 200 KB and so many files; small here, so that tests reach them). */
const COLLAPSED = 20_000;
const TOO_LARGE = 100_000;

function found({ project, params }: Asked): MergeRequest {
  const mr = project.mergeRequests.find((one) => one.iid === Number(params['iid']));
  if (!mr) throw new Refused(404, '404 Not found');
  return mr;
}

const shown = (asked: Asked, mr = found(asked)) => json.mergeRequest(asked.world, asked.project, mr);

async function diffsOf(asked: Asked) {
  const { diff_refs: refs } = await shown(asked);
  return refs?.head_sha ? asked.project.repo.diffs(refs.base_sha, refs.head_sha) : [];
}

/** Whether a text position stands on a line of the diff, as Gitlab::Diff::Position has it. */
async function checked(asked: Asked, position: Record<string, unknown>): Promise<void> {
  const refuse = () => {
    throw new Refused(400, {
      message: '400 Bad request - Note {:line_code=>["can\'t be blank", "must be a valid line code"]}',
    });
  };
  const { diff_refs: refs } = await shown(asked);
  for (const name of ['base_sha', 'start_sha', 'head_sha'] as const)
    if (!refs || position[name] !== refs[name]) refuse();
  const file = (await diffsOf(asked)).find(
    (one) => one.new_path === position['new_path'] && one.old_path === position['old_path'],
  );
  if (!file) return void refuse();
  let old = 0;
  let fresh = 0;
  const line = (name: string) => (typeof position[name] === 'number' ? String(position[name]) : '');
  const wanted = `${line('old_line')}:${line('new_line')}`;
  for (const line of file.diff.split('\n')) {
    const head = /^@@ -(\d+)(?:,\d+)? \+(\d+)/.exec(line);
    if (head) [old, fresh] = [Number(head[1]), Number(head[2])];
    else if (line.startsWith('+') && wanted === `:${fresh++}`) return;
    else if (line.startsWith('-') && wanted === `${old++}:`) return;
    else if (line.startsWith(' ') && wanted === `${old++}:${fresh++}`) return;
  }
  refuse();
}

export const mergeRequestRoutes: Route[] = [
  [
    'GET',
    '/projects/:id/merge_requests',
    async (asked) => {
      const { project, query } = asked;
      const state = query.get('state');
      const source = query.get('source_branch');
      const reviewer = query.get('reviewer_username');
      const rows = project.mergeRequests.filter(
        (one) =>
          (!state || one.state === state) &&
          (!source || one.source === source) &&
          (!reviewer || one.reviewers.some((user) => user.username === reviewer)),
      );
      return paged(
        asked,
        await Promise.all(rows.toReversed().map((one) => shown(asked, one))),
        '/merge_requests',
      );
    },
  ],
  [
    'GET',
    '/merge_requests',
    async (asked) => {
      const { world, user, query } = asked;
      const seen = world.projects.filter((one) => one.members.has(user.id));
      const rows = seen.flatMap((project) =>
        project.mergeRequests
          .filter((one) => !query.get('state') || one.state === query.get('state'))
          .filter((one) =>
            query.get('scope') === 'all'
              ? one.reviewers.some((each) => each.username === query.get('reviewer_username')) ||
                one.author.username === query.get('author_username')
              : one.assignees.includes(user),
          )
          .map((one) => json.mergeRequest(world, project, one)),
      );
      return paged(asked, await Promise.all(rows), '/merge_requests');
    },
  ],
  [
    'POST',
    '/projects/:id/merge_requests',
    async (asked) => {
      need(asked, 30);
      const { world, project, body, user } = asked;
      const [source = '', target = '', title = ''] = [
        str(body['source_branch']),
        str(body['target_branch']),
        str(body['title']),
      ];
      if (!(await project.repo.resolve(`refs/heads/${source}`)))
        throw new Refused(400, { message: [`Source branch "${source}" does not exist`] });
      const other = project.mergeRequests.find(
        (one) => one.source === source && one.target === target && one.state === 'opened',
      );
      if (other)
        throw new Refused(409, {
          message: [`Another open merge request already exists for this source branch: !${other.iid}`],
        });
      const made = world.mergeRequest(project, user, title, source, target);
      change(asked, made);
      made.reviewers = usersOf(asked, body['reviewer_ids']) ?? [];
      return shown(asked, made);
    },
  ],
  ['GET', '/projects/:id/merge_requests/:iid', (asked) => shown(asked)],
  [
    'PUT',
    '/projects/:id/merge_requests/:iid',
    (asked) => {
      const mr = found(asked);
      change(asked, mr);
      mr.target = str(asked.body['target_branch']) ?? mr.target;
      mr.reviewers = usersOf(asked, asked.body['reviewer_ids']) ?? mr.reviewers;
      return shown(asked);
    },
  ],
  [
    'PUT',
    '/projects/:id/merge_requests/:iid/rebase',
    (asked) => {
      found(asked).rebased = true;
      return { rebase_in_progress: true };
    },
  ],
  [
    'GET',
    '/projects/:id/merge_requests/:iid/approvals',
    (asked) => {
      const { approvedBy } = found(asked);
      return {
        id: 1,
        iid: 1,
        approved: approvedBy.length > 0,
        approvals_required: 1,
        approvals_left: approvedBy.length > 0 ? 0 : 1,
        approved_by: approvedBy.map((one) => ({ user: json.user(asked.world, one) })),
      };
    },
  ],
  [
    'POST',
    '/projects/:id/merge_requests/:iid/approve',
    async (asked) => {
      const mr = found(asked);
      const { sha } = await shown(asked);
      if (asked.body['sha'] !== undefined && asked.body['sha'] !== sha)
        throw new Refused(409, { message: `SHA does not match HEAD of source branch: ${sha}` });
      mr.approvedBy.push(asked.user);
      return { id: 1, iid: mr.iid, approved: true };
    },
  ],
  [
    'PUT',
    '/projects/:id/merge_requests/:iid/merge',
    async (asked) => {
      need(asked, 40);
      const mr = found(asked);
      const { sha, draft } = await shown(asked);
      if (mr.state !== 'opened' || draft) throw new Refused(405, { message: '405 Method Not Allowed' });
      if (asked.body['sha'] !== undefined && asked.body['sha'] !== sha)
        throw new Refused(409, { message: `SHA does not match HEAD of source branch: ${sha}` });
      if (asked.body['auto_merge'] === true) {
        mr.autoMerge = true;
        return shown(asked);
      }
      const { repo } = asked.project;
      const target = (await repo.resolve(mr.target)) ?? '';
      const tree = (await repo.git(['rev-parse', `${sha}^{tree}`])).trim();
      const author = {
        GIT_AUTHOR_NAME: 'R',
        GIT_AUTHOR_EMAIL: 'r@example.com',
        GIT_COMMITTER_NAME: 'R',
        GIT_COMMITTER_EMAIL: 'r@example.com',
      };
      const squash = asked.body['squash'] === true;
      const parents = squash ? ['-p', target] : ['-p', target, '-p', sha ?? ''];
      const message = squash ? mr.title : `Merge branch '${mr.source}'`;
      const made = await repo.git(['commit-tree', tree, ...parents, '-m', message], { env: author });
      mr.mergeCommit = made.trim();
      await repo.git(['update-ref', `refs/heads/${mr.target}`, mr.mergeCommit]);
      mr.state = 'merged';
      const merged = await shown(asked);
      if (asked.body['should_remove_source_branch'] === true)
        await repo.git(['update-ref', '-d', `refs/heads/${mr.source}`]);
      return merged;
    },
  ],
  [
    'GET',
    '/projects/:id/merge_requests/:iid/diffs',
    async (asked) => {
      const rows = (await diffsOf(asked)).map((one) => {
        const collapsed = one.diff.length > COLLAPSED;
        const too_large = one.diff.length > TOO_LARGE;
        return {
          ...one,
          diff: collapsed ? '' : one.diff,
          collapsed,
          too_large,
          a_mode: '100644',
          b_mode: '100644',
          generated_file: false,
        };
      });
      return paged(asked, rows, '/diffs');
    },
  ],
  [
    'GET',
    '/projects/:id/merge_requests/:iid/raw_diffs',
    async (asked) => {
      const { diff_refs: refs } = await shown(asked);
      return new Raw(
        await asked.project.repo.bytes([
          'diff',
          '--no-color',
          '-M',
          refs?.base_sha ?? '',
          refs?.head_sha ?? '',
        ]),
        { 'content-type': 'text/plain' },
      );
    },
  ],
  [
    'GET',
    '/projects/:id/merge_requests/:iid/draft_notes',
    (asked) =>
      found(asked)
        .drafts.filter((one) => one.author === asked.user)
        .map(({ id, note, position }) => ({ id, author_id: 1, note, position, resolve_discussion: false })),
  ],
  [
    'POST',
    '/projects/:id/merge_requests/:iid/draft_notes',
    async (asked) => {
      const note = str(asked.body['note']) ?? asked.query.get('note') ?? '';
      const position = isRecord(asked.body['position']) ? asked.body['position'] : null;
      if (position) await checked(asked, position);
      const made = { id: asked.world.id(), note, author: asked.user, position };
      found(asked).drafts.push(made);
      return { id: made.id, author_id: asked.user.id, note, position, resolve_discussion: false };
    },
  ],
  [
    'DELETE',
    '/projects/:id/merge_requests/:iid/draft_notes/:draft',
    (asked) => {
      const mr = found(asked);
      mr.drafts = mr.drafts.filter((one) => one.id !== Number(asked.params['draft']));
      return undefined;
    },
  ],
  [
    'POST',
    '/projects/:id/merge_requests/:iid/draft_notes/bulk_publish',
    (asked) => {
      const mr = found(asked);
      for (const { note, position } of mr.drafts)
        asked.world.discuss(
          mr,
          asked.world.note(note, asked.user, { position, resolvable: true }),
          position === null,
        );
      mr.drafts = [];
      mr.published++;
      return undefined;
    },
  ],
  ...talkRoutes('merge_requests', found),
];
