import type { Repo } from './repo.ts';

export interface User {
  id: number;
  username: string;
  name: string;
}
export interface Token {
  user: User;
  scopes: string[];
  expired: boolean;
}
export interface Note {
  id: number;
  body: string;
  author: User;
  at: string;
  system: boolean;
  resolvable: boolean;
  resolved: boolean;
  /** Who resolved it, and when. */
  resolvedBy?: { user: User; at: string };
  /** It stands in a thread, or began one: GitLab's DiscussionNote. */
  threaded?: boolean;
  internal?: boolean;
  position: Record<string, unknown> | null;
}
export interface Discussion {
  id: string;
  single: boolean;
  notes: Note[];
}
export interface Issue {
  id: number;
  iid: number;
  projectId: number;
  title: string;
  description: string;
  state: 'opened' | 'closed';
  author: User;
  assignees: User[];
  labels: string[];
  milestone: Milestone | null;
  due: string | null;
  at: string;
  /** When it was changed last; undefined: never. */
  changed?: string;
  closed?: { at: string; by: User };
  discussions: Discussion[];
  /** Seconds. */
  estimate: number;
  spent: number;
  links: Link[];
  confidential: boolean;
  type: string;
}
export interface Milestone {
  id: number;
  iid: number;
  title: string;
  description: string;
  state: 'active' | 'closed';
  due: string | null;
}
export interface Label {
  id: number;
  name: string;
  color: string;
  description: string | null;
}
export interface Release {
  tag: string;
  name: string;
  description: string;
  author: User;
  at: string;
}
export interface Link {
  id: number;
  to: Issue;
  project: Project;
  type: string;
}
export interface DraftNote {
  id: number;
  note: string;
  author: User;
  position: Record<string, unknown> | null;
  /** The thread that it answers, and whether it resolves it. */
  thread?: Discussion;
  resolves?: boolean;
}
export interface DiffRefs {
  base_sha: string;
  head_sha: string | null;
  start_sha: string | undefined;
}
/** The diff as it was when something was pushed; commits that come to the target later do not change it. */
export interface DiffVersion {
  id: number;
  target: string;
  refs: DiffRefs;
}
export interface MergeRequest extends Omit<Issue, 'state' | 'links' | 'confidential'> {
  state: 'opened' | 'closed' | 'merged';
  /** The fork that the source branch is in; undefined: the project itself. */
  from?: Project;
  source: string;
  target: string;
  reviewers: User[];
  approvedBy: User[];
  drafts: DraftNote[];
  published: number;
  autoMerge: boolean;
  squash: boolean;
  removeSource: boolean;
  mergeCommit: string | null;
  merged: { refs: DiffRefs | null; sha: string | null; by: User } | null;
  squashCommit: string | null;
  versions: DiffVersion[];
  rebasing: boolean;
  /** Why the last rebase did not do. */
  mergeError: string | null;
}
export interface Job {
  id: number;
  name: string;
  stage: string;
  status: string;
  allow_failure: boolean;
  failure_reason: string | null;
  log: Buffer;
  artifacts: Map<string, Buffer>;
  /** Another job was made of it. */
  retried: boolean;
  /** A bridge's pipeline. */
  downstream?: Pipeline;
  variables: unknown;
}
export interface Pipeline {
  id: number;
  iid: number;
  project: Project;
  ref: string;
  sha: string;
  status: string;
  source: string;
  jobs: Job[];
  bridges: Job[];
  variables: unknown;
  yaml_errors: string | null;
  tests: { name: string; status: string; system_output: string }[];
  /** Statuses it takes on one after the other, each time that it is shown. */
  script: string[];
}
export interface Project {
  id: number;
  path: string;
  name: string;
  description: string;
  visibility: string;
  repo: Repo;
  members: Map<number, number>;
  issues: Issue[];
  mergeRequests: MergeRequest[];
  milestones: Milestone[];
  labels: Label[];
  releases: Release[];
  pipelines: Pipeline[];
  /** Names or patterns (`release-*`), and who may push and merge (docs.gitlab.com/api/access_levels; 0: nobody). */
  protected: Map<string, { push: number; merge: number; force: boolean }>;
  /** Who may create them. */
  protectedTags: Map<string, number>;
  /** What was changed after it was made, in the order of the last changes. */
  touched: Set<Issue | MergeRequest>;
  /** Merging waits for open threads; off on a new project. */
  threadsFirst: boolean;
  movedTo: string | undefined;
  forkedFrom: Project | undefined;
}
