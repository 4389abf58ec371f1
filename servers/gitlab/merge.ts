import { z } from 'zod';
import { toolFor, ToolError } from '../../kit/tool.ts';
import { mergeRequest, project, record } from './fields.ts';
import { GitLabError, isDoubtful } from './errors.ts';
import { atNumber, type GitLab } from './gitlab.ts';
import { mergeRequestWhole, slim } from './shapes.ts';
import { oneLine } from './text.ts';

const tool = toolFor<GitLab>();

export const merge = [
  tool({
    name: 'gitlab_merge',
    title: 'Merge',
    description: 'Merge a merge request whose head is still sha, now or (auto) when its pipeline succeeds.',
    effect: 'destroy',
    openWorld: true,
    examples: ['merge !7', 'merge it when the pipeline passes'],
    input: z.object({
      project: project.optional(),
      merge_request: mergeRequest,
      sha: z
        .string()
        .regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/, 'the whole head sha, as gitlab_show_merge_request gives it'),
      auto: z.boolean().optional(),
      squash: z.boolean().optional(),
      remove_source_branch: z.boolean().optional(),
    }),
    output: record,
    async confirm({ project, merge_request, sha, auto }, gitlab, ctx) {
      const { api, id, iid } = await atNumber(gitlab, merge_request, 'merge request', project, ctx);
      const { title, source_branch, target_branch, web_url } = mergeRequestWhole.parse(
        await api.get(`projects/${id}/merge_requests/${iid}`),
      );
      return {
        message: `Merge !${iid} "${oneLine(title)}" (${source_branch} into ${target_branch}, head ${sha.slice(0, 8)})${auto ? ' when its pipeline succeeds' : ''}? ${web_url}`,
        elsewhere: `Merge it on ${web_url}.`,
      };
    },
    async run({ project, merge_request, sha, auto, squash, remove_source_branch }, gitlab, ctx) {
      const {
        api,
        id,
        iid,
        project: path,
      } = await atNumber(gitlab, merge_request, 'merge request', project, ctx);
      const { mergeRequests } = await api.rest;
      const options = {
        sha,
        ...(auto && { autoMerge: true }),
        ...(squash !== undefined && { squash }),
        ...(remove_source_branch !== undefined && { shouldRemoveSourceBranch: remove_source_branch }),
      };
      try {
        return told(mergeRequestWhole.parse(await mergeRequests.merge(path, iid, options)), auto);
      } catch (error) {
        // No answer came: looking says whether it was done, unless GitLab is at it still.
        if (isDoubtful(error)) {
          const shown = mergeRequestWhole.safeParse(
            await api.get(`projects/${id}/merge_requests/${iid}`).catch(() => undefined),
          ).data;
          if (shown?.state === 'merged' && shown.sha === sha) return told(shown, auto);
        }
        if (error instanceof GitLabError && error.status === 409) {
          throw new ToolError(
            `!${iid} was not merged: its head is no longer ${sha.slice(0, 8)}. Show it, look at what is new, and merge with the new sha.`,
          );
        }
        if (error instanceof GitLabError && error.status === 405) {
          throw new ToolError(
            `!${iid} cannot be merged now. gitlab_show_merge_request says why (merge_status): draft, conflicts, pipeline, approvals or threads.`,
          );
        }
        throw error;
      }
    },
  }),
];

const told = (shown: z.output<typeof mergeRequestWhole>, auto: boolean | undefined) =>
  slim({
    state: shown.state,
    commit: shown.merge_commit_sha,
    auto: auto && shown.state === 'opened' ? 'merges when the pipeline succeeds' : undefined,
  });
