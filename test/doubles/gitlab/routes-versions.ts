import { Refused, type Asked, type Route } from './routing.ts';
import { commit } from './routes-refs.ts';
import { found, shown } from './routes-merge-requests.ts';
import type { DiffVersion } from './model.ts';

const version = (asked: Asked, { id, refs }: DiffVersion) => ({
  id,
  head_commit_sha: refs.head_sha,
  base_commit_sha: refs.base_sha,
  start_commit_sha: refs.start_sha,
  created_at: found(asked).at,
  merge_request_id: found(asked).id,
  state: 'collected',
  real_size: '1',
});

/** Versions of a merge request's diff, the newest first. */
export const versionRoutes: Route[] = [
  [
    'GET',
    '/projects/:id/merge_requests/:iid/versions',
    async (asked) => {
      await shown(asked);
      return found(asked)
        .versions.toReversed()
        .map((one) => version(asked, one));
    },
  ],
  [
    'GET',
    '/projects/:id/merge_requests/:iid/versions/:version',
    async (asked) => {
      await shown(asked);
      const { repo } = asked.project;
      const one = found(asked).versions.find(({ id }) => id === Number(asked.params['version']));
      if (!one) throw new Refused(404, '404 Not found');
      const { base_sha: base, head_sha: head } = one.refs;
      const out = await repo.git(['rev-list', `${base}..${head}`]);
      const commits = out.split('\n').filter(Boolean);
      return {
        ...version(asked, one),
        commits: await Promise.all(commits.map((each) => commit(asked, each))),
        diffs: await repo.diffs(base, head ?? ''),
      };
    },
  ],
];
