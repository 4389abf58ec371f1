import { user } from './json-user.ts';
import { namespaceOf } from './namespaces.ts';
import type { Project } from './model.ts';
import type { World } from './world.ts';

/** The part of a project that the API gives where little is asked for: `simple`, and of what it was forked from. */
const simple = (world: World, one: Project, empty: boolean) => ({
  id: one.id,
  description: one.description,
  name: one.name,
  name_with_namespace: [...one.path.split('/').slice(0, -1), one.name].join(' / '),
  path: one.path.split('/').at(-1),
  path_with_namespace: one.path,
  created_at: '2026-01-01T00:00:00.000Z',
  default_branch: empty ? null : 'main',
  tag_list: [],
  topics: [],
  ssh_url_to_repo: `git@gitlab.example:${one.path}.git`,
  http_url_to_repo: `${world.url}/${one.path}.git`,
  web_url: `${world.url}/${one.path}`,
  readme_url: empty ? null : `${world.url}/${one.path}/-/blob/main/README.md`,
  forks_count: world.projects.filter((each) => each.forkedFrom === one).length,
  avatar_url: null,
  star_count: 0,
  last_activity_at: '2026-01-01T00:00:00.000Z',
  namespace: namespaceOf(world, one.path.split('/').slice(0, -1).join('/')) ?? null,
});

/** What can be switched on and off, as a new project has it. */
const FEATURES = ['issues', 'merge_requests', 'wiki', 'jobs', 'snippets', 'container_registry'];
const ACCESS = ['issues', 'repository', 'merge_requests', 'forking', 'wiki', 'builds', 'snippets'];

export function project(world: World, one: Project, empty: boolean, brief = false) {
  const short = simple(world, one, empty);
  if (brief) return short;
  const self = `${world.url}/api/v4/projects/${one.id}`;
  const owner = world.users.find((each) => one.path === `${each.username}/${short.path}`);
  return {
    ...short,
    _links: {
      self,
      issues: `${self}/issues`,
      merge_requests: `${self}/merge_requests`,
      repo_branches: `${self}/repository/branches`,
      labels: `${self}/labels`,
      events: `${self}/events`,
      members: `${self}/members`,
    },
    ...(owner && { owner: user(world, owner) }),
    creator_id: [...one.members.keys()][0] ?? null,
    visibility: one.visibility,
    archived: false,
    empty_repo: empty,
    open_issues_count: one.issues.filter((each) => each.state === 'opened').length,
    ...Object.fromEntries(FEATURES.map((name) => [`${name}_enabled`, true])),
    ...Object.fromEntries(ACCESS.map((name) => [`${name}_access_level`, 'enabled'])),
    merge_method: 'merge',
    squash_option: 'default_off',
    only_allow_merge_if_pipeline_succeeds: false,
    only_allow_merge_if_all_discussions_are_resolved: one.threadsFirst,
    remove_source_branch_after_merge: true,
    autoclose_referenced_issues: true,
    request_access_enabled: true,
    public_jobs: true,
    ci_config_path: null,
    import_status: one.forkedFrom ? 'finished' : 'none',
    import_error: null,
    ...(one.forkedFrom && { forked_from_project: simple(world, one.forkedFrom, false) }),
    permissions: { project_access: null, group_access: null },
    ci_default_git_depth: 20,
    shared_runners_enabled: true,
  };
}
