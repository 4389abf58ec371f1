import type { World } from './world.ts';

/** Groups are the folders that projects are in, but for those of users. */
export const groupsOf = (world: World) =>
  [...new Set(world.projects.map((one) => one.path.split('/').slice(0, -1).join('/')))]
    .filter((path) => !world.users.some((one) => one.username === path))
    .map((path, at) => ({
      id: at + 1,
      full_path: path,
      path: path.split('/').at(-1),
      name: path,
      full_name: path.replaceAll('/', ' / '),
      description: '',
      visibility: 'private',
      parent_id: null,
      web_url: `${world.url}/groups/${path}`,
    }));

/** Where projects can be: groups and users. */
export const namespacesOf = (world: World) => [
  ...groupsOf(world).map(({ id, name, path, full_path, web_url }) => ({
    id,
    name,
    path: path ?? '',
    kind: 'group',
    full_path,
    parent_id: null,
    avatar_url: null,
    web_url,
  })),
  ...world.users.map((one) => ({
    id: one.id,
    name: one.name,
    path: one.username,
    kind: 'user',
    full_path: one.username,
    parent_id: null,
    avatar_url: null,
    web_url: `${world.url}/${one.username}`,
  })),
];

/** By number or path. */
export const namespaceOf = (world: World, named: unknown) =>
  namespacesOf(world).find((one) => String(one.id) === String(named) || one.full_path === String(named));
