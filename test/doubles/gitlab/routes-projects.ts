import { join } from 'node:path';
import * as json from './json.ts';
import { paged, Refused, str, type Asked, type Route } from './routing.ts';
import { Repo } from './repo.ts';

const shown = async ({ world }: Asked, project: Asked['project']) =>
  json.project(world, project, (await project.repo.resolve('HEAD')) === undefined);

export const projectRoutes: Route[] = [
  [
    'GET',
    '/user',
    ({ world, user }) => ({
      ...json.user(world, user),
      email: `${user.username}@example.com`,
      commit_email: `${user.username}@example.com`,
    }),
  ],
  [
    'GET',
    '/personal_access_tokens/self',
    ({ token }) => ({
      id: 1,
      name: 'kuznia',
      revoked: false,
      scopes: token.scopes,
      user_id: token.user.id,
      active: true,
      expires_at: '2027-01-01',
    }),
  ],
  [
    'GET',
    '/users',
    (asked) => {
      const { world, query } = asked;
      const name = query.get('username')?.toLowerCase();
      const search = query.get('search')?.toLowerCase() ?? '';
      const found = world.users.filter((one) =>
        name === undefined ? one.username.includes(search) : one.username.toLowerCase() === name,
      );
      return paged(
        asked,
        found.map((one) => json.user(world, one)),
        '/users',
      );
    },
  ],
  [
    'GET',
    '/groups',
    (asked) => {
      const groups = [...new Set(asked.world.projects.map((one) => one.path.split('/')[0] ?? ''))];
      return paged(
        asked,
        groups.map((full_path, id) => ({
          id: id + 1,
          full_path,
          name: full_path,
          description: '',
          visibility: 'private',
          web_url: '',
        })),
        '/groups',
      );
    },
  ],
  [
    'GET',
    '/namespaces/:ns',
    ({ params }) => ({
      id: 1,
      name: params['ns'],
      path: params['ns'],
      kind: 'group',
      full_path: params['ns'],
    }),
  ],
  [
    'GET',
    '/projects',
    async (asked) => {
      const search = asked.query.get('search')?.toLowerCase() ?? '';
      const mine = asked.world.projects.filter(
        (one) => one.members.has(asked.user.id) && one.path.toLowerCase().includes(search),
      );
      return paged(asked, await Promise.all(mine.map((one) => shown(asked, one))), '/projects');
    },
  ],
  [
    'POST',
    '/projects',
    async (asked) => {
      const { body, user, world } = asked;
      const name = str(body['path']) ?? str(body['name']);
      if (!name)
        throw new Refused(400, { error: 'name, path are missing, at least one parameter must be provided' });
      const path = `${body['namespace_id'] ? 'group' : user.username}/${name}`;
      if (world.find(path))
        throw new Refused(400, {
          message: { 'project_namespace.path': ['has already been taken'], path: ['has already been taken'] },
        });
      const made = await world.project(
        path,
        user,
        body['initialize_with_readme'] ? { 'README.md': `# ${name}\n` } : {},
      );
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
      const path = `${str(body['namespace_path']) ?? user.username}/${str(body['path']) ?? project.name}`;
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
  [
    'GET',
    '/projects/:id/members/all',
    (asked) => {
      const { world, project } = asked;
      const members = world.users.filter((one) => project.members.has(one.id));
      return paged(
        asked,
        members.map((one) => ({ ...json.user(world, one), access_level: project.members.get(one.id) })),
        '/members',
      );
    },
  ],
  [
    'GET',
    '/projects/:id/milestones',
    ({ project, query }) =>
      project.milestones
        .filter((one) => one.title === query.get('title'))
        .map((one) => ({ ...one, state: 'active' })),
  ],
  [
    'GET',
    '/projects/:id/templates/:type/:name',
    ({ params }) => {
      if (params['name'] !== 'Default') throw new Refused(404, '404 Template Not Found');
      return { name: 'Default', content: '## What\n\n## Why\n' };
    },
  ],
];
