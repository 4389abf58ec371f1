import { join } from 'node:path';
import * as json from './json-project.ts';
import { user } from './json-user.ts';
import { num, yes } from './params.ts';
import { accepted, need, paged, Refused, str, type Asked, type Route } from './routing.ts';
import { namespaceOf } from './namespaces.ts';
import { Repo } from './repo.ts';
import type { Project, User } from './model.ts';

/** A project as this user sees it. */
export const shown = async ({ world, query }: Asked, project: Asked['project']) =>
  json.project(world, project, (await project.repo.resolve('HEAD')) === undefined, yes(query.get('simple')));

/** What projects are listed in order of; the newest first, where nothing else is asked for. */
const KEYS: Record<string, (one: Project) => string | number> = {
  name: (one) => one.name.toLowerCase(),
  path: (one) => one.path.split('/').at(-1) ?? '',
};

export function inOrder(query: URLSearchParams, rows: Project[]): Project[] {
  const key = KEYS[query.get('order_by') ?? ''] ?? ((one: Project) => one.id);
  const sorted = rows.toSorted((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a.id - b.id));
  return query.get('sort') === 'asc' ? sorted : sorted.toReversed();
}

/** lib/gitlab/path_regex.rb */
const LEGAL = /^(?![-.])(?!.*\.(?:git|atom)$)[\w.-]+$/;
const ILLEGAL =
  "can contain only letters, digits, '_', '-' and '.'. Cannot start with '-', end in '.git' or end in '.atom'";

const member = ({ world, project }: Asked, one: User) => ({
  ...user(world, one),
  access_level: project.members.get(one.id),
  created_at: '2026-01-01T00:00:00.000Z',
  expires_at: null,
  membership_state: 'active',
});

function memberOf({ world, project, params }: Asked): User {
  const id = Number(params['user']);
  const one = world.users.find((each) => each.id === id);
  if (!one || !project.members.has(id)) throw new Refused(404, '404 Member Not Found');
  return one;
}

function levelOf({ body }: Asked): number {
  const level = num(body['access_level']);
  if (level === undefined) throw new Refused(400, { error: 'access_level is missing' });
  if (![10, 15, 20, 30, 40, 50].includes(level))
    throw new Refused(400, { error: 'access_level does not have a valid value' });
  return level;
}

/** Whether this user sees a project at all. */
export const seen = ({ user }: Asked, one: Project) =>
  one.members.has(user.id) || one.visibility === 'public' || (one.visibility === 'internal' && user.id !== 0);

/** What nobody on this GitLab has made. */
const EMPTY = [
  'environments',
  'deployments',
  'deploy_keys',
  'events',
  'hooks',
  'snippets',
  'variables',
  'issues/:iid/award_emoji',
  'issues/:iid/resource_label_events',
  'merge_requests/:iid/award_emoji',
  'repository/commits/:sha/statuses',
  'repository/commits/:sha/comments',
];

export const projectRoutes: Route[] = [
  [
    'GET',
    '/projects',
    async (asked) => {
      const search = asked.query.get('search')?.toLowerCase() ?? '';
      const { query, user } = asked;
      const narrow = yes(query.get('membership')) || yes(query.get('owned'));
      const rows = asked.world.projects.filter(
        (one) =>
          seen(asked, one) &&
          (!narrow || one.members.has(user.id)) &&
          (query.get('visibility') ?? one.visibility) === one.visibility &&
          one.path.toLowerCase().includes(search),
      );
      return paged(
        asked,
        await Promise.all(inOrder(query, rows).map((one) => shown(asked, one))),
        '/projects',
      );
    },
  ],
  [
    'POST',
    '/projects',
    async (asked) => {
      const { body, user, world } = asked;
      const title = str(body['name']) ?? str(body['path']);
      // A name makes a path where none is given.
      const name =
        str(body['path']) ??
        title
          ?.normalize('NFKD')
          .toLowerCase()
          .replaceAll(/[^\w.]+/g, '-')
          .replaceAll(/^-|-$/g, '');
      if (!name || !title)
        throw new Refused(400, { error: 'name, path are missing, at least one parameter must be provided' });
      if (name.length > 255)
        throw new Refused(400, { message: { path: ['is too long (maximum is 255 characters)'] } });
      if (!LEGAL.test(name))
        throw new Refused(400, { message: { 'project_namespace.path': [ILLEGAL], path: [ILLEGAL] } });
      const into = body['namespace_id'] ?? undefined;
      const namespace = into === undefined ? undefined : namespaceOf(world, into);
      if (into !== undefined && !namespace)
        throw new Refused(400, { message: { namespace: ['is not valid'] } });
      const path = `${namespace?.full_path ?? user.username}/${name}`;
      if (world.find(path))
        throw new Refused(400, {
          message: { 'project_namespace.path': ['has already been taken'], path: ['has already been taken'] },
        });
      const made = await world.project(
        path,
        user,
        body['initialize_with_readme'] ? { 'README.md': `# ${name}\n` } : {},
      );
      made.name = title;
      made.description = str(body['description']) ?? '';
      made.visibility = str(body['visibility']) ?? 'private';
      return shown(asked, made);
    },
  ],
  ['GET', '/projects/:id', (asked) => shown(asked, asked.project)],
  [
    'POST',
    '/projects/:id/fork',
    async (asked) => {
      const { project, world, user, body } = asked;
      const into = body['namespace_path'] ?? body['namespace_id'] ?? body['namespace'] ?? user.username;
      const namespace = namespaceOf(world, into);
      if (!namespace) throw new Refused(404, '404 Target Namespace Not Found');
      const path = `${namespace.full_path}/${str(body['path']) ?? project.path.split('/').at(-1)}`;
      if (world.find(path))
        throw new Refused(409, {
          message: ['Project namespace name has already been taken', 'Name has already been taken'],
        });
      const made = await world.project(path, user);
      await made.repo.close();
      await project.repo.git(['clone', '--quiet', '--bare', project.repo.folder, made.repo.folder]);
      Object.assign(made, { repo: new Repo(join(world.folder, `${path}.git`)), forkedFrom: project });
      return shown(asked, made);
    },
  ],
  ...['members/all', 'members'].flatMap((path): Route[] => [
    [
      'GET',
      `/projects/:id/${path}`,
      (asked) => {
        const { world, project, query } = asked;
        const term = query.get('query')?.toLowerCase() ?? '';
        const members = world.users.filter(
          (one) => project.members.has(one.id) && `${one.username} ${one.name}`.toLowerCase().includes(term),
        );
        const rows = members.map((one) => member(asked, one));
        return paged(asked, rows, `/projects/${project.id}/${path}`);
      },
    ],
    ['GET', `/projects/:id/${path}/:user`, (asked) => member(asked, memberOf(asked))],
  ]),
  [
    'PUT',
    '/projects/:id/members/:user',
    (asked) => {
      need(asked, 40);
      const one = memberOf(asked);
      asked.project.members.set(one.id, levelOf(asked));
      return member(asked, one);
    },
  ],
  [
    'POST',
    '/projects/:id/members',
    (asked) => {
      need(asked, 40);
      const { world, project, body } = asked;
      const one = world.users.find((each) => each.id === num(body['user_id']));
      const level = levelOf(asked);
      if (!one) throw new Refused(404, '404 User Not Found');
      if (project.members.has(one.id)) throw new Refused(409, { message: 'Member already exists' });
      project.members.set(one.id, level);
      return member(asked, one);
    },
  ],
  [
    'DELETE',
    '/projects/:id/members/:user',
    (asked) => {
      need(asked, 40);
      if (!asked.project.members.delete(Number(asked.params['user'])))
        throw new Refused(404, '404 Not found');
      return undefined;
    },
  ],
  [
    'PUT',
    '/projects/:id',
    (asked) => {
      need(asked, 40);
      const { project, body } = asked;
      project.description = str(body['description']) ?? project.description;
      project.visibility = str(body['visibility']) ?? project.visibility;
      project.name = str(body['name']) ?? project.name;
      if (body['only_allow_merge_if_all_discussions_are_resolved'] !== undefined)
        project.threadsFirst = yes(body['only_allow_merge_if_all_discussions_are_resolved']);
      return shown(asked, project);
    },
  ],
  [
    'DELETE',
    '/projects/:id',
    async (asked) => {
      need(asked, 40);
      const { world, project } = asked;
      world.projects.splice(world.projects.indexOf(project), 1);
      await project.repo.close();
      return accepted;
    },
  ],
  [
    'GET',
    '/projects/:id/forks',
    async (asked) => {
      const { world, project } = asked;
      const forks = world.projects.filter((one) => one.forkedFrom === project);
      return paged(
        asked,
        await Promise.all(forks.map((one) => shown(asked, one))),
        `/projects/${project.id}/forks`,
      );
    },
  ],
  [
    'GET',
    '/projects/:id/templates/:type/:name',
    ({ params }) => {
      if (params['name'] !== 'Default') throw new Refused(404, '404 Template Not Found');
      return { name: 'Default', content: '## What\n\n## Why\n' };
    },
  ],
  [
    'GET',
    '/search',
    async (asked) => {
      const { query, world } = asked;
      const term = query.get('search')?.toLowerCase();
      if (!term) throw new Refused(400, { error: 'search is missing' });
      if (query.get('scope') !== 'projects')
        throw new Refused(400, { error: 'scope does not have a valid value' });
      const rows = world.projects.filter((one) => seen(asked, one) && one.path.toLowerCase().includes(term));
      return paged(asked, await Promise.all(rows.map((one) => shown(asked, one))), '/search');
    },
  ],
  ...EMPTY.map((path): Route => [
    'GET',
    `/projects/:id/${path}`,
    (asked) => paged(asked, [], `/projects/:id/${path}`),
  ]),
];
