import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Repo } from './repo.ts';

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
  title: string;
  description: string;
  state: 'opened' | 'closed';
  author: User;
  assignees: User[];
  labels: string[];
  milestone: Milestone | null;
  due: string | null;
  at: string;
  discussions: Discussion[];
  estimate: string | null;
  spent: string | null;
  links: { to: Issue; type: string }[];
  type: string;
}
export interface Milestone {
  id: number;
  title: string;
}
export interface DraftNote {
  id: number;
  note: string;
  author: User;
  position: Record<string, unknown> | null;
}
export interface MergeRequest extends Omit<Issue, 'state' | 'links'> {
  state: 'opened' | 'closed' | 'merged';
  source: string;
  target: string;
  reviewers: User[];
  approvedBy: User[];
  drafts: DraftNote[];
  published: number;
  autoMerge: boolean;
  mergeCommit: string | null;
  rebased: boolean;
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
  /** A bridge's pipeline. */
  downstream?: Pipeline;
  variables: unknown;
}
export interface Pipeline {
  id: number;
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
  pipelines: Pipeline[];
  protected: Set<string>;
  protectedTags: Set<string>;
  movedTo: string | undefined;
  forkedFrom: Project | undefined;
}

/** Everything on the double's GitLab. */
export class World {
  readonly folder = mkdtempSync(join(tmpdir(), 'kuznia-gitlab-'));
  readonly users: User[] = [];
  readonly tokens = new Map<string, Token>();
  readonly projects: Project[] = [];
  url = '';
  /** Whether logs are sent in parts where a reader asks for one; GitLab itself may send them whole. */
  ranges = true;
  #ids = 100;

  id = () => ++this.#ids;

  user(username: string): User {
    const user = { id: this.id(), username, name: username[0]?.toUpperCase() + username.slice(1) };
    this.users.push(user);
    return user;
  }

  token(value: string, user: User, scopes = ['api']): void {
    this.tokens.set(value, { user, scopes, expired: false });
  }

  async project(path: string, owner: User, files: Record<string, string | Buffer> = {}): Promise<Project> {
    const id = this.id();
    const repo = await Repo.create(join(this.folder, `${path}.git`));
    const project: Project = {
      id,
      path,
      name: path.split('/').at(-1) ?? path,
      description: `The project ${path}`,
      visibility: 'private',
      repo,
      members: new Map([[owner.id, 40]]),
      issues: [],
      mergeRequests: [],
      milestones: [],
      pipelines: [],
      protected: new Set(['main']),
      protectedTags: new Set(),
      movedTo: undefined,
      forkedFrom: undefined,
    };
    this.projects.push(project);
    const actions = Object.entries(files).map(([file_path, content]) => ({
      action: 'create',
      file_path,
      content: Buffer.from(content),
    }));
    if (actions.length > 0) await repo.commit('main', undefined, 'Begin', actions);
    await this.protect(project);
    return project;
  }

  /** Lets the update hook know. */
  protect = (project: Project) =>
    writeFile(join(project.repo.folder, 'protected'), [...project.protected, ''].join('\n'));

  issue(project: Project, author: User, title: string, more: Partial<Issue> = {}): Issue {
    const issue: Issue = {
      ...this.#item(project.issues.length + 1, author, title),
      state: 'opened',
      links: [],
      ...more,
    };
    project.issues.push(issue);
    return issue;
  }

  mergeRequest(project: Project, author: User, title: string, source: string, target = 'main'): MergeRequest {
    const mr: MergeRequest = {
      ...this.#item(project.mergeRequests.length + 1, author, title),
      state: 'opened',
      source,
      target,
      reviewers: [],
      approvedBy: [],
      drafts: [],
      published: 0,
      autoMerge: false,
      mergeCommit: null,
      rebased: false,
    };
    project.mergeRequests.push(mr);
    return mr;
  }

  #item(iid: number, author: User, title: string) {
    return {
      id: this.id(),
      iid,
      title,
      description: '',
      author,
      assignees: [],
      labels: [],
      milestone: null,
      due: null,
      at: new Date(Date.UTC(2026, 0, 1, 0, iid)).toISOString(),
      discussions: [],
      estimate: null,
      spent: null,
      type: 'ISSUE',
    };
  }

  note(body: string, author: User, more: Partial<Note> = {}): Note {
    return {
      id: this.id(),
      body,
      author,
      at: '2026-01-02T03:04:05.000Z',
      system: false,
      resolvable: false,
      resolved: false,
      position: null,
      ...more,
    };
  }

  discuss(item: { discussions: Discussion[] }, note: Note, single = false): Discussion {
    const made = {
      id: Buffer.from(`discussion ${note.id}`).toString('hex').padEnd(40, '0').slice(0, 40),
      single,
      notes: [note],
    };
    item.discussions.push(made);
    return made;
  }

  pipeline(project: Project, ref: string, sha: string, more: Partial<Pipeline> = {}): Pipeline {
    const made: Pipeline = {
      id: this.id(),
      project,
      ref,
      sha,
      status: 'pending',
      source: 'push',
      jobs: [],
      bridges: [],
      variables: null,
      yaml_errors: null,
      tests: [],
      script: [],
      ...more,
    };
    project.pipelines.push(made);
    return made;
  }

  job(pipeline: Pipeline, name: string, status: string, more: Partial<Job> = {}): Job {
    const made: Job = {
      id: this.id(),
      name,
      stage: 'test',
      status,
      allow_failure: false,
      failure_reason: status === 'failed' ? 'script_failure' : null,
      log: Buffer.alloc(0),
      artifacts: new Map(),
      variables: null,
      ...more,
    };
    (made.downstream ? pipeline.bridges : pipeline.jobs).push(made);
    return made;
  }

  find = (id: string) =>
    this.projects.find((one) => String(one.id) === id || one.path.toLowerCase() === id.toLowerCase());

  close(): void {
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
