import { mergeStatus, standing } from './json-merge-request.ts';
import { user } from './json-user.ts';
import { yes } from './params.ts';
import { may } from './protection.ts';
import { Raw, Refused, str, type Asked, type Route } from './routing.ts';
import { close, closing } from './routes-issues.ts';
import { found, shown } from './routes-merge-requests.ts';
import type { MergeRequest, Project } from './model.ts';

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

async function rebase({ project, world }: Asked, mr: MergeRequest, source: Project): Promise<void> {
  try {
    const { head } = await standing(project, mr);
    const onto = await project.repo.resolve(`refs/heads/${mr.target}`);
    if (source !== project)
      await source.repo.git(['fetch', '--quiet', project.repo.folder, `refs/heads/${mr.target}`]);
    const made = head && onto ? await source.repo.rebased(head, onto) : undefined;
    mr.mergeError = made
      ? null
      : 'Rebase failed: Rebase locally, resolve all conflicts, then push the branch.';
    if (made && head) await source.repo.git(['update-ref', `refs/heads/${mr.source}`, made, head]);
    world.touch(project, mr);
  } catch {
    mr.mergeError = 'Rebase failed. Please try again.';
  } finally {
    mr.rebasing = false;
  }
}

/** Approval, rebase and merge. */
export const mergingRoutes: Route[] = [
  [
    'PUT',
    '/projects/:id/merge_requests/:iid/rebase',
    (asked) => {
      const [mr, { project, user }] = [found(asked), asked];
      const source = mr.from ?? project;
      if (mr.state !== 'opened' || !may(source, user, mr.source, 'push'))
        throw new Refused(403, '403 Forbidden - Cannot push to source branch');
      // It is done in the background, and told by include_rebase_in_progress and merge_error.
      mr.rebasing = true;
      void rebase(asked, mr, source);
      return new Raw(
        JSON.stringify({ rebase_in_progress: true }),
        { 'content-type': 'application/json' },
        202,
      );
    },
  ],
  ['GET', '/projects/:id/merge_requests/:iid/approvals', approvals],
  [
    'GET',
    '/projects/:id/merge_requests/:iid/approval_state',
    (asked) => {
      const { approvedBy } = found(asked);
      const users = approvedBy.map((one) => user(asked.world, one));
      const rule = {
        id: 1,
        name: 'All Members',
        rule_type: 'any_approver',
        eligible_approvers: [],
        approvals_required: 1,
        users: [],
        groups: [],
        contains_hidden_groups: false,
        approved_by: users,
        approved: users.length > 0,
      };
      return { approval_rules_overwritten: false, rules: [rule] };
    },
  ],
  [
    'GET',
    '/projects/:id/merge_requests/:iid/reviewers',
    (asked) => {
      const { reviewers, approvedBy, at } = found(asked);
      return reviewers.map((one) => ({
        user: user(asked.world, one),
        state: approvedBy.includes(one) ? 'approved' : 'unreviewed',
        created_at: at,
      }));
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
      const { sha, diff_refs } = await shown(asked);
      // So do people find that may not merge into a protected branch (docs.gitlab.com/api/merge_requests).
      if (!may(asked.project, asked.user, mr.target, 'merge')) throw new Refused(401, '401 Unauthorized');
      if (mergeStatus(asked.project, mr, await standing(asked.project, mr)) !== 'mergeable')
        throw new Refused(405, { message: '405 Method Not Allowed' });
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
      const commit = async (message: string, ...parents: string[]) => {
        const from = parents.flatMap((one) => ['-p', one]);
        return (await repo.git(['commit-tree', tree, ...from, '-m', message], { env: author })).trim();
      };
      if (squash)
        mr.squashCommit = await commit(str(asked.body['squash_commit_message']) ?? mr.title, target);
      // docs.gitlab.com/user/project/merge_requests/commit_templates: what the message is where none is given.
      const standard = `Merge branch '${mr.source}' into '${mr.target}'\n\n${mr.title}\n\nSee merge request ${asked.project.path}!${mr.iid}`;
      const message = str(asked.body['merge_commit_message']) ?? standard;
      const made = await commit(message, target, mr.squashCommit ?? sha ?? '');
      // What it changed stays to be seen when the branches have gone on.
      mr.merged = { refs: diff_refs, sha: sha ?? null, by: asked.user };
      mr.mergeCommit = made;
      await repo.git(['update-ref', `refs/heads/${mr.target}`, mr.mergeCommit]);
      mr.state = 'merged';
      asked.world.touch(asked.project, mr);
      for (const one of closing(mr.description, asked.project.issues)) close(asked, one);
      const merged = await shown(asked);
      if (yes(asked.body['should_remove_source_branch'] ?? mr.removeSource))
        await (mr.from ?? asked.project).repo.git(['update-ref', '-d', `refs/heads/${mr.source}`]);
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
