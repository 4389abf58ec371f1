import { z } from 'zod';
import { toolFor, ToolError } from '../../kit/tool.ts';
import { Api } from './client.ts';
import { next, project, record, records } from './fields.ts';
import { allow, atProject, instanceFor, isAllowed, type GitLab } from './gitlab.ts';
import { projectLine, projectWhole, slim } from './shapes.ts';
import { projectTarget, shown } from './targets.ts';

const tool = toolFor<GitLab>();

const group = z
  .object({
    id: z.number(),
    full_path: z.string(),
    description: z.string().nullish(),
    visibility: z.string().nullish(),
  })
  .transform(({ full_path: path, ...rest }) => slim({ path, ...rest }));
const user = z
  .object({ id: z.number(), username: z.string(), name: z.string().nullish(), state: z.string().nullish() })
  .transform(({ state, ...rest }) => slim({ ...rest, state: state === 'active' ? undefined : state }));
const roles: Record<number, string> = {
  10: 'guest',
  15: 'planner',
  20: 'reporter',
  30: 'developer',
  40: 'maintainer',
  50: 'owner',
};
const member = z
  .object({ username: z.string(), name: z.string().nullish(), access_level: z.number() })
  .transform(({ access_level, ...rest }) => ({ ...rest, role: roles[access_level] ?? String(access_level) }));
const me = z.object({ id: z.number(), username: z.string(), name: z.string().nullish() });
const ownToken = z.object({
  name: z.string(),
  scopes: z.array(z.string()),
  expires_at: z.string().nullish(),
});

export const find = [
  tool({
    name: 'gitlab_find',
    title: 'Find',
    description:
      'Find projects, groups or users; show one project or its members; me: who the token is, its scopes and expiry.',
    effect: 'read',
    openWorld: true,
    untrusted: true,
    examples: ['which projects do I have', 'who am I on GitLab', 'who are the members of group/project'],
    input: z.object({
      what: z.enum(['projects', 'project', 'members', 'groups', 'users', 'me']),
      query: z.string().optional(),
      project: project.optional(),
      next,
    }),
    output: z.object({ found: records, next }),
    async run({ what, query, project, next: cursor }, gitlab, ctx) {
      if (what === 'project' || what === 'members') {
        if (project === undefined)
          throw new ToolError(`what=${what} needs \`project\`: its path, number or web address.`);
        const { api, id, project: path } = await atProject(gitlab, project, ctx);
        if (what === 'project') {
          const { projects } = await api.rest;
          return { found: [projectWhole.parse(await projects.show(path))] };
        }
        const page = await api.page(`projects/${id}/members/all`, { query }, cursor);
        return { found: page.items.map((one) => member.parse(one)), next: page.next };
      }
      const target = project === undefined ? {} : { instance: projectTarget(project).instance };
      const api = new Api(instanceFor(gitlab, target), ctx);
      if (what === 'me') return { found: [await whoami(api, gitlab)] };
      if (what === 'projects') {
        const keyset = { pagination: 'keyset', order_by: 'id', simple: true };
        const page = await api.page(
          'projects',
          {
            ...keyset,
            search: query,
            search_namespaces: query ? true : undefined,
            membership: query ? undefined : true,
          },
          cursor,
        );
        const { allowed } = api.instance;
        const found = page.items.map((one) => projectLine.parse(one));
        return { found: found.filter((one) => isAllowed(allowed, String(one['path']))), next: page.next };
      }
      const page = await api.page(what, { search: query }, cursor);
      return {
        found: page.items.map((one) => (what === 'groups' ? group : user).parse(one)),
        next: page.next,
      };
    },
  }),
  tool({
    name: 'gitlab_create_project',
    title: 'Create a project',
    description: 'New project, or with fork_of a fork of that one.',
    effect: 'write',
    openWorld: true,
    untrusted: true,
    examples: ['make a new private project called notes', 'fork group/project'],
    input: z.object({
      path: z.string().describe('name or group/name'),
      fork_of: project.optional(),
      description: z.string().optional(),
      visibility: z.enum(['private', 'internal', 'public']).optional(),
      readme: z.boolean().optional(),
    }),
    output: record,
    async run({ path, fork_of, description, visibility, readme }, gitlab, ctx) {
      const parts = path.split('/');
      const name = parts.pop() ?? path;
      const namespace = parts.length > 0 ? parts.join('/') : undefined;
      const here = fork_of === undefined ? {} : projectTarget(fork_of);
      await checkNew(new Api(instanceFor(gitlab, here), ctx), namespace, name);
      if (fork_of !== undefined) {
        const { api, project } = await atProject(gitlab, fork_of, ctx);
        const { projects } = await api.rest;
        const fork = {
          name,
          path: name,
          ...(namespace !== undefined && { namespacePath: namespace }),
          ...(visibility && { visibility }),
        };
        return projectWhole.parse(await projects.fork(project, fork));
      }
      const api = new Api(instanceFor(gitlab, {}), ctx);
      const namespaceId =
        namespace === undefined
          ? undefined
          : z
              .object({ id: z.number() })
              .safeParse(await api.maybe(`namespaces/${encodeURIComponent(namespace)}`)).data?.id;
      if (namespace !== undefined && namespaceId === undefined)
        throw new ToolError(
          `GitLab has no group or user \`${shown(namespace)}\`, or the token may not see it. Give \`path\` as group/name with a group that gitlab_find (what: groups) lists, or the name alone.`,
        );
      const made = {
        name,
        path: name,
        description,
        visibility,
        namespace_id: namespaceId,
        initialize_with_readme: readme,
      };
      return projectWhole.parse(await api.send('POST', 'projects', made));
    },
  }),
];

/** Without a namespace a project is made in the user's own. */
async function checkNew(api: Api, namespace: string | undefined, name: string): Promise<void> {
  if (api.instance.allowed.length === 0) return;
  const own = namespace ?? me.parse(await api.get('user')).username;
  await allow(api, `${own}/${name}`);
}

async function whoami(api: Api, { config }: GitLab) {
  const { id, username, name } = me.parse(await api.get('user'));
  const token = ownToken.safeParse(await api.maybe('personal_access_tokens/self')).data;
  return slim({
    id,
    username,
    name,
    gitlab: api.instance.url,
    token: token?.name,
    scopes: token?.scopes ?? 'unknown: no personal access token',
    expires: token?.expires_at,
    read_only: config.read_only,
  });
}
