import { common } from './json.ts';
import { shortPipeline } from './json-ci.ts';
import { yes } from './params.ts';
import { user } from './json-user.ts';
import type { DiffRefs, MergeRequest, Project } from './model.ts';
import type { World } from './world.ts';

/** The newest commit of its source branch. What is in a fork is fetched, as GitLab does, and stands under a ref of its own. */
async function headOf(project: Project, one: MergeRequest): Promise<string | undefined> {
  const { repo } = project;
  const branch = `refs/heads/${one.source}`;
  const kept = `refs/merge-requests/${one.iid}/head`;
  if (one.from) {
    const fetch = ['fetch', '--quiet', '--no-tags', one.from.repo.folder, `+${branch}:${kept}`];
    await repo.git(fetch).catch(() => undefined);
    return repo.resolve(kept);
  }
  const head = await repo.resolve(branch);
  if (head && head !== (await repo.resolve(kept))) await repo.git(['update-ref', kept, head]);
  return head;
}

interface Standing {
  head: string | null;
  refs: DiffRefs | null;
  conflicts: boolean;
  behind: number;
}

/** Where both branches are; of one that was merged, where they were. */
export async function standing(project: Project, one: MergeRequest): Promise<Standing> {
  const { repo } = project;
  const kept = one.merged?.refs;
  const head = kept ? kept.head_sha : ((await headOf(project, one)) ?? one.mergeCommit);
  const target = kept ? kept.start_sha : await repo.resolve(`refs/heads/${one.target}`);
  if (!head || !target) return { head, refs: null, conflicts: false, behind: 0 };
  const base = (await repo.git(['merge-base', head, target]).catch(() => '')).trim();
  const behind = Number((await repo.git(['rev-list', '--count', `${head}..${target}`])).trim());
  const conflicts = one.state === 'opened' && (await repo.mergedTree(target, head)) === undefined;
  const now = { base_sha: base, head_sha: head, start_sha: target };
  return { head, refs: kept ?? (base ? versioned(one, now) : null), conflicts, behind };
}

/** The version that the head belongs to: made anew where something was pushed, or another target chosen. */
function versioned(one: MergeRequest, now: DiffRefs): DiffRefs {
  const last = one.versions.at(-1);
  if (last?.refs.head_sha === now.head_sha && last.target === one.target) return last.refs;
  one.versions.push({ id: one.id * 100 + one.versions.length, target: one.target, refs: now });
  return now;
}

const openThreads = (one: MergeRequest) =>
  one.discussions.some((each) => each.notes.some((note) => note.resolvable && !note.resolved));

/** Why it cannot be merged now (docs.gitlab.com/api/merge_requests/#merge-status). */
export function mergeStatus(project: Project, one: MergeRequest, { conflicts }: Standing): string {
  if (one.state !== 'opened') return 'not_open';
  if (/^draft:/i.test(one.title)) return 'draft_status';
  if (project.threadsFirst && openThreads(one)) return 'discussions_not_resolved';
  return conflicts ? 'conflict' : 'mergeable';
}

/** As a list has it: no diff_refs, no pipelines, nothing that takes git. */
function basic(world: World, project: Project, one: MergeRequest, now: Standing) {
  const draft = /^draft:/i.test(one.title);
  const by = one.merged && user(world, one.merged.by);
  return {
    ...common(world, project, one, 'merge_requests', '!'),
    merged_by: by,
    merge_user: by,
    merged_at: one.merged && (one.changed ?? one.at),
    target_branch: one.target,
    source_branch: one.source,
    reviewers: one.reviewers.map((each) => user(world, each)),
    source_project_id: (one.from ?? project).id,
    target_project_id: project.id,
    draft,
    work_in_progress: draft,
    merge_when_pipeline_succeeds: one.autoMerge,
    merge_status: now.conflicts ? 'cannot_be_merged' : 'can_be_merged',
    detailed_merge_status: mergeStatus(project, one, now),
    merge_after: null,
    sha: one.merged ? one.merged.sha : now.head,
    merge_commit_sha: one.mergeCommit,
    squash_commit_sha: one.squashCommit,
    discussion_locked: null,
    should_remove_source_branch: null,
    force_remove_source_branch: one.removeSource,
    prepared_at: one.at,
    reference: `!${one.iid}`,
    squash: one.squash,
    squash_on_merge: one.squash,
    has_conflicts: now.conflicts,
    blocking_discussions_resolved: !openThreads(one),
    approvals_before_merge: null,
  };
}

export const mergeRequestLine = async (world: World, project: Project, one: MergeRequest) =>
  basic(world, project, one, await standing(project, one));

/** As one alone is shown; with `query`, also what has to be asked for. */
export async function mergeRequest(
  world: World,
  project: Project,
  one: MergeRequest,
  query = new URLSearchParams(),
) {
  // Looked at first: a rebase that ends in the meantime is told the next time.
  const { rebasing, mergeError } = one;
  const now = await standing(project, one);
  const { refs } = now;
  const files = refs?.head_sha ? await project.repo.diffs(refs.base_sha, refs.head_sha) : [];
  const found = project.pipelines.findLast((each) => each.ref === one.source);
  const pipeline = found ? shortPipeline(world, found) : null;
  const asked = (name: string) => yes(query.get(name));
  return {
    ...basic(world, project, one, now),
    subscribed: true,
    changes_count: String(files.length),
    latest_build_started_at: null,
    latest_build_finished_at: null,
    first_deployed_to_production_at: null,
    pipeline,
    head_pipeline: pipeline,
    diff_refs: refs,
    merge_error: mergeError,
    ...(asked('include_diverged_commits_count') && { diverged_commits_count: now.behind }),
    ...(asked('include_rebase_in_progress') && { rebase_in_progress: rebasing }),
    first_contribution: false,
    user: { can_merge: true },
  };
}
