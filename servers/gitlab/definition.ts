import type { ServerDefinition, Tool } from '../../kit/tool.ts';
import { comments } from './comments.ts';
import { commit } from './commit.ts';
import { gitlabConfig, type GitLabConfig } from './config.ts';
import { files } from './files.ts';
import { find } from './find.ts';
import { closeGitLab, openGitLab, type GitLab } from './gitlab.ts';
import { glab, hasGlab } from './glab.ts';
import { issues } from './issues.ts';
import { jobs } from './jobs.ts';
import { local } from './local.ts';
import { localRemote } from './local-remote.ts';
import { merge } from './merge.ts';
import { mergeRequests } from './merge-requests.ts';
import { pipelines } from './pipelines.ts';
import { prompts } from './prompts.ts';
import { refs } from './refs.ts';
import { resources } from './resources.ts';
import { review } from './review.ts';
import { whyFailed } from './why-failed.ts';

const extra = new Set(['gitlab_create_project']);
const core = [...find, ...issues, ...comments, ...files, ...commit, ...mergeRequests].filter(
  (one) => !extra.has(one.name),
);

/** Which tools a toolset lists; `all` lists every one. */
const sets: Record<string, Tool<GitLab>[]> = {
  core,
  review: [...review, ...merge, ...refs],
  ci: [...whyFailed, ...pipelines, ...jobs],
  git: [...localRemote, ...local],
};

/** The GitLab server: code, issues, reviews and pipelines, and git on disk. */
export const gitlab: ServerDefinition<GitLabConfig, GitLab> = {
  name: 'gitlab',
  title: 'GitLab',
  instructions:
    'GitLab by its API, and git on disk. `project` is group/project, a number or any web address; issues, merge requests, pipelines and jobs are numbers with `project`, or web addresses alone. `next` of an answer goes on where it ended. People are user names; `me` is you. Why a pipeline failed: gitlab_why_failed. A review: gitlab_diff, then gitlab_review once.',
  config: gitlabConfig,
  open: openGitLab,
  close: closeGitLab,
  tools: [
    ...core,
    ...find.filter((one) => extra.has(one.name)),
    ...review,
    ...merge,
    ...refs,
    ...whyFailed,
    ...pipelines,
    ...jobs,
    ...localRemote,
    ...local,
    ...glab,
  ],
  select: (tool, { toolsets, read_only }) => {
    if (read_only && tool.effect !== 'read') return false;
    if (glab.includes(tool)) return toolsets.includes('all') && hasGlab();
    return toolsets.includes('all') || toolsets.some((set) => sets[set]?.includes(tool));
  },
  resources,
  prompts,
};
