import * as json from './json.ts';
import { mergeRequest, mergeRequestLine } from './json-merge-request.ts';
import * as ci from './json-ci.ts';
import { need, paged, Raw, Refused, str, type Asked, type Route } from './routing.ts';
import { fitting, inOrder } from './filters.ts';
import { change, closing, usersOf } from './routes-issues.ts';
import { draftRoutes } from './routes-drafts.ts';
import { talkRoutes } from './routes-notes.ts';
import { num, yes } from './params.ts';
import { commit } from './routes-refs.ts';
import type { MergeRequest, Project } from './model.ts';

/** GitLab leaves out what is larger (its own limits are 200 KB and so many files; small here, so that tests reach them). */
const COLLAPSED = 20_000;
const TOO_LARGE = 100_000;

/** The merge request that a path names. */
export function found({ project, params }: Asked): MergeRequest {
  const mr = project.mergeRequests.find((one) => one.iid === Number(params['iid']));
  if (!mr) throw new Refused(404, '404 Not found');
  return mr;
}

/** It as the API shows it. */
export const shown = (asked: Asked, mr = found(asked)) =>
  mergeRequest(asked.world, asked.project, mr, asked.query);

/** The project that a request to create one means: the fork's parent where it is named. */
function targetOf({ world, project, body, user }: Asked): Project {
  const id = num(body['target_project_id']);
  if (id === undefined || id === project.id) return project;
  const target = world.projects.find((one) => one.id === id);
  if (!target || (target.visibility === 'private' && !target.members.has(user.id)))
    throw new Refused(404, '404 Project Not Found');
  if (project.forkedFrom !== target && target.forkedFrom !== project)
    throw new Refused(422, { error: ['Source project is not a fork of the target project'] });
  return target;
}

/** Whether a merge request passes what the query narrows a list by. */
function wanted(asked: Asked): (one: MergeRequest) => boolean {
  const { query } = asked;
  const fits = fitting(asked);
  const [source, target, reviewer] = ['source_branch', 'target_branch', 'reviewer_username'].map((name) =>
    query.get(name),
  );
  return (one) =>
    fits(one) &&
    (!source || one.source === source) &&
    (!target || one.target === target) &&
    (!reviewer || one.reviewers.some((user) => user.username === reviewer));
}

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
  // Grape's part (GitLab's lib/api/discussions.rb).
  const missing = ['base_sha', 'start_sha', 'head_sha', 'position_type'].filter(
    (name) => position[name] === undefined,
  );
  if (missing.length > 0)
    throw new Refused(400, { error: missing.map((name) => `position[${name}] is missing`).join(', ') });
  if (!['text', 'image', 'file'].includes(String(position['position_type'])))
    throw new Refused(400, { error: 'position[position_type] does not have a valid value' });
  await shown(asked);
  // A place in any version of the diff will do.
  const names = ['base_sha', 'start_sha', 'head_sha'] as const;
  const { versions } = found(asked);
  const { refs } = versions.find((one) => names.every((name) => one.refs[name] === position[name])) ?? {};
  if (!refs?.head_sha) return void refuse();
  const file = (await asked.project.repo.diffs(refs.base_sha, refs.head_sha)).find(
    (one) => one.new_path === position['new_path'] && one.old_path === position['old_path'],
  );
  if (!file) return void refuse();
  let old = 0;
  let fresh = 0;
  // A form's numbers are texts.
  const line = (name: string) => String(num(position[name]) ?? '');
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
      const { project } = asked;
      const rows = inOrder(asked.query, project, project.mergeRequests.filter(wanted(asked)));
      const path = `/projects/${project.id}/merge_requests`;
      const lines = rows.map((one) => mergeRequestLine(asked.world, project, one));
      return paged(asked, await Promise.all(lines), path);
    },
  ],
  [
    'GET',
    '/merge_requests',
    async (asked) => {
      const { world, user, query } = asked;
      if (!query.has('scope')) query.set('scope', 'created_by_me');
      const seen = world.projects.filter((one) => one.members.has(user.id));
      const rows = seen.flatMap((project) =>
        inOrder(query, project, project.mergeRequests.filter(wanted(asked))).map((one) =>
          mergeRequestLine(world, project, one),
        ),
      );
      return paged(asked, await Promise.all(rows), '/merge_requests');
    },
  ],
  [
    'POST',
    '/projects/:id/merge_requests',
    async (asked) => {
      need(asked, 30);
      const { world, body, user } = asked;
      const [source = '', target = '', title = ''] = [
        str(body['source_branch']),
        str(body['target_branch']),
        str(body['title']),
      ];
      const missing = ['source_branch', 'target_branch', 'title'].filter((name) => !str(body[name]));
      if (missing.length > 0)
        throw new Refused(400, { error: missing.map((name) => `${name} is missing`).join(', ') });
      const project = targetOf(asked);
      const from = project === asked.project ? undefined : asked.project;
      if (source === target && !from)
        throw new Refused(422, { error: "You can't use same project/branch for source and target" });
      if (!(await asked.project.repo.resolve(`refs/heads/${source}`)))
        throw new Refused(400, { message: [`Source branch "${source}" does not exist`] });
      if (!(await project.repo.resolve(`refs/heads/${target}`)))
        throw new Refused(400, { message: [`Target branch "${target}" does not exist`] });
      const other = project.mergeRequests.find(
        (one) =>
          one.source === source && one.target === target && one.from === from && one.state === 'opened',
      );
      if (other)
        throw new Refused(409, {
          message: [`Another open merge request already exists for this source branch: !${other.iid}`],
        });
      const made = world.mergeRequest(project, user, title, source, target);
      if (from) made.from = from;
      const there = { ...asked, project };
      try {
        change(there, made);
      } catch (error) {
        project.mergeRequests.pop();
        throw error;
      }
      made.reviewers = usersOf(asked, body['reviewer_ids']) ?? [];
      made.squash = yes(body['squash']);
      made.removeSource = yes(body['remove_source_branch']);
      return shown(there, made);
    },
  ],
  ['GET', '/projects/:id/merge_requests/:iid', (asked) => shown(asked)],
  [
    'PUT',
    '/projects/:id/merge_requests/:iid',
    (asked) => {
      const mr = found(asked);
      change(asked, mr);
      asked.world.touch(asked.project, mr);
      mr.target = str(asked.body['target_branch']) ?? mr.target;
      if (asked.body['squash'] !== undefined) mr.squash = yes(asked.body['squash']);
      if (asked.body['remove_source_branch'] !== undefined)
        mr.removeSource = yes(asked.body['remove_source_branch']);
      mr.reviewers = usersOf(asked, asked.body['reviewer_ids']) ?? mr.reviewers;
      return shown(asked);
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
      const diff = ['diff', '--no-color', '-M', refs?.base_sha ?? '', refs?.head_sha ?? ''];
      const text = refs ? await asked.project.repo.bytes(diff) : '';
      return new Raw(text, { 'content-type': 'text/plain' });
    },
  ],
  [
    'GET',
    '/projects/:id/merge_requests/:iid/changes',
    async (asked) => ({ ...(await shown(asked)), changes: await diffsOf(asked), overflow: false }),
  ],
  [
    'GET',
    '/projects/:id/merge_requests/:iid/commits',
    async (asked) => {
      const { diff_refs: refs } = await shown(asked);
      const range = `${refs?.base_sha}..${refs?.head_sha}`;
      const shas = refs
        ? (await asked.project.repo.git(['rev-list', range])).split('\n').filter(Boolean)
        : [];
      const path = `/projects/${asked.project.id}/merge_requests/${found(asked).iid}/commits`;
      return paged(asked, await Promise.all(shas.map((one) => commit(asked, one))), path);
    },
  ],
  [
    'GET',
    '/projects/:id/merge_requests/:iid/pipelines',
    (asked) => {
      const { source } = found(asked);
      const rows = asked.project.pipelines.filter((one) => one.ref === source).toReversed();
      return rows.map((one) => ci.shortPipeline(asked.world, one));
    },
  ],
  [
    'GET',
    '/projects/:id/merge_requests/:iid/closes_issues',
    (asked) =>
      closing(found(asked).description, asked.project.issues).map((one) =>
        json.issue(asked.world, asked.project, one),
      ),
  ],
  [
    'DELETE',
    '/projects/:id/merge_requests/:iid',
    (asked) => {
      need(asked, 40);
      const gone = found(asked);
      asked.project.mergeRequests = asked.project.mergeRequests.filter((one) => one !== gone);
      return undefined;
    },
  ],
  ...draftRoutes(found, checked),
  ...talkRoutes('merge_requests', found, { checked }),
];
