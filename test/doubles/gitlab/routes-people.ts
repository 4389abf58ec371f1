import { user } from './json-user.ts';
import { groupsOf, namespaceOf, namespacesOf } from './namespaces.ts';
import { inOrder, seen, shown } from './routes-projects.ts';
import { paged, Refused, type Route } from './routing.ts';

/** Users, groups, and the instance. */
export const peopleRoutes: Route[] = [
  [
    'GET',
    '/user',
    ({ world, user: me }) => ({
      ...user(world, me),
      created_at: '2026-01-01T00:00:00.000Z',
      confirmed_at: '2026-01-01T00:00:00.000Z',
      last_sign_in_at: '2026-01-01T00:00:00.000Z',
      current_sign_in_at: '2026-01-01T00:00:00.000Z',
      last_activity_on: '2026-01-01',
      bio: '',
      identities: [],
      can_create_group: true,
      can_create_project: true,
      two_factor_enabled: false,
      external: false,
      private_profile: false,
      projects_limit: 100_000,
      namespace_id: me.id,
      bot: false,
      email: `${me.username}@example.com`,
      commit_email: `${me.username}@example.com`,
    }),
  ],
  [
    'GET',
    '/personal_access_tokens/self',
    ({ token }) => ({
      id: 1,
      name: 'kuznia',
      revoked: false,
      created_at: '2026-01-01T00:00:00.000Z',
      last_used_at: '2026-01-01T00:00:00.000Z',
      description: '',
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
        found.map((one) => user(world, one)),
        '/users',
      );
    },
  ],
  [
    'GET',
    '/groups',
    (asked) => {
      const search = asked.query.get('search')?.toLowerCase() ?? '';
      const rows = groupsOf(asked.world).filter((one) => one.full_path.toLowerCase().includes(search));
      return paged(asked, rows, '/groups');
    },
  ],
  [
    'GET',
    '/namespaces',
    (asked) => {
      const search = asked.query.get('search')?.toLowerCase() ?? '';
      const rows = namespacesOf(asked.world).filter((one) => one.full_path.toLowerCase().includes(search));
      return paged(asked, rows, '/namespaces');
    },
  ],
  [
    'GET',
    '/namespaces/:ns',
    ({ world, params }) => {
      const one = namespaceOf(world, params['ns']);
      if (!one) throw new Refused(404, '404 Namespace Not Found');
      return one;
    },
  ],
  [
    'GET',
    '/users/:user',
    ({ world, params }) => {
      const one = world.users.find(({ id }) => id === Number(params['user']));
      if (!one) throw new Refused(404, '404 User Not Found');
      return user(world, one);
    },
  ],
  ['GET', '/version', () => ({ version: '18.5.0', revision: 'double' })],
  [
    'GET',
    '/metadata',
    ({ world }) => ({
      version: '18.5.0',
      revision: 'double',
      kas: { enabled: false, externalUrl: null, version: null },
      enterprise: false,
      web_url: world.url,
    }),
  ],
  [
    'GET',
    '/groups/:group',
    ({ world, params }) => {
      const all = groupsOf(world);
      const one = all.find(
        ({ id, full_path: path }) => path === params['group'] || String(id) === params['group'],
      );
      if (!one) throw new Refused(404, '404 Group Not Found');
      return one;
    },
  ],
  [
    'GET',
    '/groups/:group/projects',
    async (asked) => {
      const all = groupsOf(asked.world);
      const named = asked.params['group'];
      const one = all.find(({ id, full_path: path }) => path === named || String(id) === named);
      if (!one) throw new Refused(404, '404 Group Not Found');
      const rows = asked.world.projects.filter(
        (each) => each.path.startsWith(`${one.full_path}/`) && seen(asked, each),
      );
      return paged(
        asked,
        await Promise.all(inOrder(asked.query, rows).map((each) => shown(asked, each))),
        `/groups/${one.id}/projects`,
      );
    },
  ],
];
