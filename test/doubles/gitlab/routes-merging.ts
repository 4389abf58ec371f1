import { user } from './json-user.ts';
import { yes } from './params.ts';
import { Refused, type Asked, type Route } from './routing.ts';
import { closing } from './routes-issues.ts';
import { found, shown } from './routes-merge-requests.ts';

function approvals(asked: Asked) {
  const { approvedBy, id, iid, title, state } = found(asked);
  return {
    id,
    iid,
    project_id: asked.project.id,
    title,
    state,
    merge_status: 'can_be_merged',
    approved: approvedBy.length > 0,
    approvals_required: 1,
    approvals_left: approvedBy.length > 0 ? 0 : 1,
    approved_by: approvedBy.map((one) => ({ user: user(asked.world, one) })),
    user_has_approved: approvedBy.includes(asked.user),
    user_can_approve: !approvedBy.includes(asked.user),
  };
}

/** Approval, rebase and merge. */
export const mergingRoutes: Route[] = [
  [
    'PUT',
    '/projects/:id/merge_requests/:iid/rebase',
    (asked) => {
      found(asked).rebased = true;
      return { rebase_in_progress: true };
    },
  ],
  ['GET', '/projects/:id/merge_requests/:iid/approvals', approvals],
  [
    'POST',
    '/projects/:id/merge_requests/:iid/approve',
    async (asked) => {
      const mr = found(asked);
      const { sha } = await shown(asked);
      if (asked.body['sha'] !== undefined && asked.body['sha'] !== sha)
        throw new Refused(409, { message: `SHA does not match HEAD of source branch: ${sha}` });
      // "401 Unauthorized" is what GitLab says to who may not, or has done so already.
      if (mr.approvedBy.includes(asked.user)) throw new Refused(401, '401 Unauthorized');
      mr.approvedBy.push(asked.user);
      return approvals(asked);
    },
  ],
  [
    'POST',
    '/projects/:id/merge_requests/:iid/unapprove',
    (asked) => {
      const mr = found(asked);
      if (!mr.approvedBy.includes(asked.user)) throw new Refused(404, '404 Not found');
      mr.approvedBy = mr.approvedBy.filter((one) => one !== asked.user);
      return approvals(asked);
    },
  ],
  [
    'PUT',
    '/projects/:id/merge_requests/:iid/merge',
    async (asked) => {
      const mr = found(asked);
      const { sha, draft, diff_refs } = await shown(asked);
      // So do people find that may not merge into a protected branch (docs.gitlab.com/api/merge_requests).
      const level = asked.project.protected.has(mr.target) ? 40 : 30;
      if ((asked.project.members.get(asked.user.id) ?? 0) < level) throw new Refused(401, '401 Unauthorized');
      if (mr.state !== 'opened' || draft) throw new Refused(405, { message: '405 Method Not Allowed' });
      if (asked.body['sha'] !== undefined && asked.body['sha'] !== sha)
        throw new Refused(409, { message: `SHA does not match HEAD of source branch: ${sha}` });
      if (yes(asked.body['auto_merge']) || yes(asked.body['merge_when_pipeline_succeeds'])) {
        mr.autoMerge = true;
        return shown(asked);
      }
      const { repo } = asked.project;
      const target = (await repo.resolve(mr.target)) ?? '';
      const tree = await repo.mergedTree(target, sha ?? '');
      if (tree === undefined) throw new Refused(405, { message: '405 Method Not Allowed' });
      const { name, username } = asked.user;
      const email = `${username}@example.com`;
      const author = {
        GIT_AUTHOR_NAME: name,
        GIT_AUTHOR_EMAIL: email,
        GIT_COMMITTER_NAME: name,
        GIT_COMMITTER_EMAIL: email,
      };
      const squash = yes(asked.body['squash'] ?? mr.squash);
      const parents = squash ? ['-p', target] : ['-p', target, '-p', sha ?? ''];
      const message = squash ? mr.title : `Merge branch '${mr.source}'`;
      const made = await repo.git(['commit-tree', tree, ...parents, '-m', message], { env: author });
      // What it changed stays to be seen when the branches have gone on.
      mr.merged = { refs: diff_refs, sha: sha ?? null, by: asked.user };
      mr.mergeCommit = made.trim();
      await repo.git(['update-ref', `refs/heads/${mr.target}`, mr.mergeCommit]);
      mr.state = 'merged';
      for (const one of closing(mr.description, asked.project.issues)) one.state = 'closed';
      const merged = await shown(asked);
      if (yes(asked.body['should_remove_source_branch'] ?? mr.removeSource))
        await repo.git(['update-ref', '-d', `refs/heads/${mr.source}`]);
      return merged;
    },
  ],
  [
    'POST',
    '/projects/:id/merge_requests/:iid/cancel_merge_when_pipeline_succeeds',
    (asked) => {
      if (!found(asked).autoMerge) throw new Refused(406, { message: '406 Not Acceptable' });
      found(asked).autoMerge = false;
      return shown(asked);
    },
  ],
];
