import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Repo } from './repo.ts';
import type {
  User,
  Token,
  Note,
  Discussion,
  Issue,
  Milestone,
  Label,
  MergeRequest,
  Job,
  Pipeline,
  Project,
} from './model.ts';

/** Everything on the double's GitLab. */
export class World {
  readonly folder = mkdtempSync(join(tmpdir(), 'kuznia-gitlab-'));
  readonly users: User[] = [];
  readonly tokens = new Map<string, Token>();
  readonly projects: Project[] = [];
  url = '';
  /** Whether logs are sent in parts where a reader asks for one: GitLab itself sends them whole (lib/api/ci/jobs.rb). */
  ranges = false;
  /** Whether a part of an archive of artifacts is sent where one is asked for. */
  archiveParts = true;
  /** Whether GraphQL tells the end of a log (GitLab 15.11 and later). */
  summaries = true;
  /** Requests a minute that one token may send; undefined: any number. */
  limit: number | undefined = undefined;
  readonly requests = new Map<string, number>();
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
      labels: [],
      releases: [],
      pipelines: [],
      protected: new Map([['main', { push: 40, merge: 40, force: false }]]),
      protectedTags: new Map(),
      touched: new Set(),
      threadsFirst: false,
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
    writeFile(
      join(project.repo.folder, 'protected'),
      [...project.protected].map(([name, { push, force }]) => `${push || 99} ${force} ${name}\n`).join(''),
    );

  /** Changed now: lists in order of changes begin with it. */
  touch(project: Project, item: Issue | MergeRequest): void {
    item.changed = new Date().toISOString();
    project.touched.delete(item);
    project.touched.add(item);
  }

  issue(project: Project, author: User, title: string, more: Partial<Issue> = {}): Issue {
    const issue: Issue = {
      ...this.#item(project, (project.issues.at(-1)?.iid ?? 0) + 1, author, title),
      state: 'opened',
      links: [],
      confidential: false,
      ...more,
    };
    project.issues.push(issue);
    return issue;
  }

  mergeRequest(project: Project, author: User, title: string, source: string, target = 'main'): MergeRequest {
    const mr: MergeRequest = {
      ...this.#item(project, (project.mergeRequests.at(-1)?.iid ?? 0) + 1, author, title),
      state: 'opened',
      source,
      target,
      reviewers: [],
      approvedBy: [],
      drafts: [],
      published: 0,
      autoMerge: false,
      squash: false,
      removeSource: false,
      mergeCommit: null,
      merged: null,
      squashCommit: null,
      versions: [],
      rebasing: false,
      mergeError: null,
    };
    project.mergeRequests.push(mr);
    return mr;
  }

  #item(project: Project, iid: number, author: User, title: string) {
    return {
      id: this.id(),
      iid,
      projectId: project.id,
      title,
      description: '',
      author,
      assignees: [],
      labels: [],
      milestone: null,
      due: null,
      at: new Date(Date.UTC(2026, 0, 1, 0, iid)).toISOString(),
      discussions: [],
      estimate: 0,
      spent: 0,
      type: 'ISSUE',
    };
  }

  milestone(project: Project, title: string, more: Partial<Milestone> = {}): Milestone {
    const iid = project.milestones.length + 1;
    const made: Milestone = {
      id: this.id(),
      iid,
      title,
      description: '',
      state: 'active',
      due: null,
      ...more,
    };
    project.milestones.push(made);
    return made;
  }

  /** The label of that name, made where there is none: GitLab does so when an item is given one. */
  label(project: Project, name: string, color = '#6699cc', description: string | null = null): Label {
    const known = project.labels.find((one) => one.name === name);
    if (known) return known;
    const made = { id: this.id(), name, color, description };
    project.labels.push(made);
    return made;
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
      iid: (project.pipelines.at(-1)?.iid ?? 0) + 1,
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
      retried: false,
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
