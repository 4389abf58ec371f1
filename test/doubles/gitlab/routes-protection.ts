import { num, yes } from './params.ts';
import { need, paged, Refused, str, type Asked, type Route } from './routing.ts';
import type { Project } from './model.ts';

/** docs.gitlab.com/api/protected_branches */
const NAMES: Record<number, string> = {
  0: 'No one',
  30: 'Developers + Maintainers',
  40: 'Maintainers',
  60: 'Administrators',
};

const levels = (level: number) => [
  {
    id: level + 1,
    access_level: level,
    access_level_description: NAMES[level] ?? '',
    deploy_key_id: null,
    user_id: null,
    group_id: null,
  },
];

function shown({ protected: rules }: Project, name: string) {
  const rule = rules.get(name);
  if (!rule) throw new Refused(404, '404 Not found');
  return {
    id: [...rules.keys()].indexOf(name) + 1,
    name,
    push_access_levels: levels(rule.push),
    merge_access_levels: levels(rule.merge),
    allow_force_push: rule.force,
    unprotect_access_levels: [],
    code_owner_approval_required: false,
    inherited: false,
  };
}

function shownTag({ protectedTags }: Project, name: string) {
  const level = protectedTags.get(name);
  if (level === undefined) throw new Refused(404, '404 Not found');
  return { name, create_access_levels: levels(level) };
}

function named({ body }: Asked, what: string, taken: (name: string) => boolean): string {
  const name = str(body['name']) ?? '';
  if (!name) throw new Refused(400, { error: 'name is missing' });
  if (taken(name)) throw new Refused(409, { message: `${what} '${name}' already exists` });
  return name;
}

/** Who may push to, merge into and create what. */
export const protectionRoutes: Route[] = [
  [
    'GET',
    '/projects/:id/protected_branches',
    (asked) => {
      need(asked, 30);
      const { project, query } = asked;
      const names = [...project.protected.keys()].filter((one) => one.includes(query.get('search') ?? ''));
      const rows = names.map((one) => shown(project, one));
      return paged(asked, rows, `/projects/${project.id}/protected_branches`);
    },
  ],
  [
    'GET',
    '/projects/:id/protected_branches/:name',
    (asked) => {
      need(asked, 30);
      return shown(asked.project, asked.params['name'] ?? '');
    },
  ],
  [
    'POST',
    '/projects/:id/protected_branches',
    async (asked) => {
      need(asked, 40);
      const { project, body, world } = asked;
      const name = named(asked, 'Protected branch', (one) => project.protected.has(one));
      project.protected.set(name, {
        push: num(body['push_access_level']) ?? 40,
        merge: num(body['merge_access_level']) ?? 40,
        force: yes(body['allow_force_push']),
      });
      await world.protect(project);
      return shown(project, name);
    },
  ],
  [
    'PATCH',
    '/projects/:id/protected_branches/:name',
    async (asked) => {
      need(asked, 40);
      const { project, body, world, params } = asked;
      const rule = project.protected.get(params['name'] ?? '');
      if (!rule) throw new Refused(404, '404 Not found');
      if (body['allow_force_push'] !== undefined) rule.force = yes(body['allow_force_push']);
      await world.protect(project);
      return shown(project, params['name'] ?? '');
    },
  ],
  [
    'DELETE',
    '/projects/:id/protected_branches/:name',
    async ({ project, world, params, ...asked }) => {
      need({ project, ...asked }, 40);
      if (!project.protected.delete(params['name'] ?? '')) throw new Refused(404, '404 Not found');
      await world.protect(project);
      return undefined;
    },
  ],
  [
    'GET',
    '/projects/:id/protected_tags',
    (asked) => {
      need(asked, 30);
      const { project } = asked;
      const rows = [...project.protectedTags.keys()].map((one) => shownTag(project, one));
      return paged(asked, rows, `/projects/${project.id}/protected_tags`);
    },
  ],
  [
    'GET',
    '/projects/:id/protected_tags/:name',
    (asked) => {
      need(asked, 30);
      return shownTag(asked.project, asked.params['name'] ?? '');
    },
  ],
  [
    'POST',
    '/projects/:id/protected_tags',
    (asked) => {
      need(asked, 40);
      const { project, body } = asked;
      const name = named(asked, 'Protected tag', (one) => project.protectedTags.has(one));
      project.protectedTags.set(name, num(body['create_access_level']) ?? 40);
      return shownTag(project, name);
    },
  ],
  [
    'DELETE',
    '/projects/:id/protected_tags/:name',
    (asked) => {
      need(asked, 40);
      if (!asked.project.protectedTags.delete(asked.params['name'] ?? ''))
        throw new Refused(404, '404 Not found');
      return undefined;
    },
  ],
];
