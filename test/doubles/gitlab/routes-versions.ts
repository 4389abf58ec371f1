import { Refused, type Asked, type Route } from './routing.ts';
import { commit } from './routes-refs.ts';
import { diffsOf, found, shown } from './routes-merge-requests.ts';

const version = (
  asked: Asked,
  id: number,
  refs: { base_sha: string; head_sha: string | null | undefined; start_sha: string | undefined },
) => ({
  id,
  head_commit_sha: refs.head_sha,
  base_commit_sha: refs.base_sha,
  start_commit_sha: refs.start_sha,
  created_at: found(asked).at,
  merge_request_id: id,
  state: 'collected',
  real_size: '1',
});

/** Versions of a merge request's diff: the double has the one of now. */
export const versionRoutes: Route[] = [
  [
    'GET',
    '/projects/:id/merge_requests/:iid/versions',
    async (asked) => {
      const { diff_refs: refs, id } = await shown(asked);
      return refs ? [version(asked, id, refs)] : [];
    },
  ],
  [
    'GET',
    '/projects/:id/merge_requests/:iid/versions/:version',
    async (asked) => {
      const { diff_refs: refs, id } = await shown(asked);
      if (!refs || Number(asked.params['version']) !== id) throw new Refused(404, '404 Not found');
      const out = await asked.project.repo.git(['rev-list', `${refs.base_sha}..${refs.head_sha}`]);
      const commits = out.split('\n').filter(Boolean);
      return {
        ...version(asked, id, refs),
        commits: await Promise.all(commits.map((one) => commit(asked, one))),
        diffs: await diffsOf(asked),
      };
    },
  ],
];
