import { yes } from './params.ts';
import { need, paged, Refused, str, type Asked, type Route } from './routing.ts';

/** A commit as the API gives it. */
export async function commit({ project, world }: Asked, sha: string) {
  const [id = '', parents = '', author = '', email = '', date = '', title = ''] = (
    await project.repo.git(['log', '-1', '--format=%H%x00%P%x00%an%x00%ae%x00%cI%x00%s', sha])
  )
    .trim()
    .split('\0');
  const message = await project.repo.git(['log', '-1', '--format=%B', sha]);
  return {
    id,
    short_id: id.slice(0, 8),
    created_at: date,
    parent_ids: parents.split(' ').filter(Boolean),
    title,
    message: message.trimEnd() + '\n',
    author_name: author,
    author_email: email,
    authored_date: date,
    committer_name: author,
    committer_email: email,
    committed_date: date,
    trailers: {},
    extended_trailers: {},
    web_url: `${world.url}/${project.path}/-/commit/${id}`,
  };
}

/** The same with what it changed, as one commit alone is shown. */
export async function wholeCommit(asked: Asked, sha: string) {
  const { project } = asked;
  const out = await project.repo.git(['show', '--numstat', '--format=', '--first-parent', sha]);
  const [additions, deletions] = [0, 1].map((column) =>
    out.split('\n').reduce((sum, line) => sum + (Number(line.split('\t')[column]) || 0), 0),
  );
  const [added = 0, removed = 0] = [additions, deletions];
  return {
    ...(await commit(asked, sha)),
    stats: { additions: added, deletions: removed, total: added + removed },
    status: project.pipelines.findLast((one) => one.sha === sha)?.status ?? null,
    project_id: project.id,
    last_pipeline: null,
  };
}

const tag = async (asked: Asked, name: string) => ({
  name,
  message: '',
  target: await asked.project.repo.resolve(`refs/tags/${name}`),
  commit: await commit(asked, `refs/tags/${name}`),
  release: releaseIn(asked, name),
  protected: asked.project.protectedTags.has(name),
  created_at: null,
});

function releaseIn({ project }: Asked, name: string) {
  const one = project.releases.find((each) => each.tag === name);
  return one ? { tag_name: one.tag, description: one.description } : null;
}

const protection = (name: string) => ({
  id: 1,
  name,
  push_access_levels: [{ id: 1, access_level: 40, access_level_description: 'Maintainers' }],
  merge_access_levels: [{ id: 1, access_level: 40, access_level_description: 'Maintainers' }],
  allow_force_push: false,
  code_owner_approval_required: false,
});

const tagProtection = (name: string) => ({
  name,
  create_access_levels: [{ id: 1, access_level: 40, access_level_description: 'Maintainers' }],
});

const branch = async (asked: Asked, name: string) => ({
  name,
  commit: await commit(asked, `refs/heads/${name}`),
  merged: false,
  protected: asked.project.protected.has(name),
  developers_can_push: false,
  developers_can_merge: false,
  can_push: true,
  default: name === 'main',
  web_url: `${asked.world.url}/${asked.project.path}/-/tree/${name}`,
});

/** Branches, tags, and their protection. */
export const refRoutes: Route[] = [
  [
    'GET',
    '/projects/:id/repository/branches',
    async (asked) => {
      const names = (
        await asked.project.repo.git(['for-each-ref', '--format=%(refname:lstrip=2)', 'refs/heads'])
      )
        .split('\n')
        .filter(Boolean);
      return paged(
        asked,
        await Promise.all(
          names
            .filter((one) => one.includes(asked.query.get('search') ?? ''))
            .map((one) => branch(asked, one)),
        ),
        '/branches',
      );
    },
  ],
  [
    'GET',
    '/projects/:id/repository/tags',
    async (asked) => {
      const names = (
        await asked.project.repo.git(['for-each-ref', '--format=%(refname:lstrip=2)', 'refs/tags'])
      )
        .split('\n')
        .filter((one) => one !== '' && one.includes(asked.query.get('search') ?? ''));
      const path = `/projects/${asked.project.id}/repository/tags`;
      return paged(asked, await Promise.all(names.map((one) => tag(asked, one))), path);
    },
  ],
  [
    'GET',
    '/projects/:id/repository/tags/:tag',
    async (asked) => {
      const name = asked.params['tag'] ?? '';
      if (!(await asked.project.repo.resolve(`refs/tags/${name}`)))
        throw new Refused(404, '404 Tag Not Found');
      return tag(asked, name);
    },
  ],
  [
    'GET',
    '/projects/:id/repository/branches/:branch',
    async (asked) => {
      const name = asked.params['branch'] ?? '';
      if (!(await asked.project.repo.resolve(`refs/heads/${name}`)))
        throw new Refused(404, '404 Branch Not Found');
      return branch(asked, name);
    },
  ],
  [
    'POST',
    '/projects/:id/repository/branches',
    async (asked) => {
      need(asked, 30);
      const { project, body } = asked;
      const [name = '', ref = ''] = [str(body['branch']), str(body['ref'])];
      if (!name || !ref) throw new Refused(400, { error: `${name ? 'ref' : 'branch'} is missing` });
      if (!(await legal(project, `refs/heads/${name}`)))
        throw new Refused(400, { message: 'Branch name is invalid' });
      if (await project.repo.resolve(`refs/heads/${name}`))
        throw new Refused(400, { message: 'Branch already exists' });
      const sha = await project.repo.resolve(ref);
      if (!sha) throw new Refused(400, { message: `Invalid reference name: ${ref}` });
      await project.repo.git(['update-ref', `refs/heads/${name}`, sha]);
      return branch(asked, name);
    },
  ],
  [
    'DELETE',
    '/projects/:id/repository/branches/:branch',
    async (asked) => {
      need(asked, 30);
      const name = asked.params['branch'] ?? '';
      if (!(await asked.project.repo.resolve(`refs/heads/${name}`)))
        throw new Refused(404, '404 Branch Not Found');
      if (asked.project.protected.has(name))
        throw new Refused(403, { message: 'Protected branches cannot be deleted' });
      await asked.project.repo.git(['update-ref', '-d', `refs/heads/${name}`]);
      return undefined;
    },
  ],
  [
    'POST',
    '/projects/:id/repository/tags',
    async (asked) => {
      need(asked, 30);
      const { project, body } = asked;
      const name = str(body['tag_name']) ?? '';
      if (!name) throw new Refused(400, { error: 'tag_name is missing' });
      if (!(await legal(project, `refs/tags/${name}`)))
        throw new Refused(400, { message: 'Tag name invalid' });
      if (await project.repo.resolve(`refs/tags/${name}`))
        throw new Refused(400, { message: `Tag ${name} already exists` });
      const sha = await project.repo.resolve(str(body['ref']) ?? '');
      if (!sha) throw new Refused(400, { message: `Target ${str(body['ref']) ?? ''} is invalid` });
      await project.repo.git(['update-ref', `refs/tags/${name}`, sha]);
      return { ...(await tag(asked, name)), message: body['message'] ?? '' };
    },
  ],
  [
    'DELETE',
    '/projects/:id/repository/tags/:tag',
    async (asked) => {
      need(asked, 30);
      const { project, params } = asked;
      const name = params['tag'] ?? '';
      if (!(await project.repo.resolve(`refs/tags/${name}`))) throw new Refused(404, '404 Tag Not Found');
      if (project.protectedTags.has(name) && (project.members.get(asked.user.id) ?? 0) < 40)
        throw new Refused(403, { message: 'Protected tags cannot be deleted' });
      await project.repo.git(['update-ref', '-d', `refs/tags/${name}`]);
      project.releases = project.releases.filter((one) => one.tag !== name);
      return undefined;
    },
  ],
  [
    'GET',
    '/projects/:id/protected_branches',
    (asked) => {
      need(asked, 30);
      return paged(
        asked,
        [...asked.project.protected].map(protection),
        `/projects/${asked.project.id}/protected_branches`,
      );
    },
  ],
  [
    'GET',
    '/projects/:id/protected_branches/:name',
    (asked) => {
      need(asked, 30);
      const name = asked.params['name'] ?? '';
      if (!asked.project.protected.has(name)) throw new Refused(404, '404 Not found');
      return protection(name);
    },
  ],
  [
    'POST',
    '/projects/:id/protected_branches',
    async (asked) => {
      need(asked, 40);
      const name = str(asked.body['name']) ?? '';
      if (!name) throw new Refused(400, { error: 'name is missing' });
      if (asked.project.protected.has(name))
        throw new Refused(409, { message: `Protected branch '${name}' already exists` });
      asked.project.protected.add(name);
      await asked.world.protect(asked.project);
      return { ...protection(name), allow_force_push: yes(asked.body['allow_force_push']) };
    },
  ],
  [
    'DELETE',
    '/projects/:id/protected_branches/:name',
    async (asked) => {
      need(asked, 40);
      if (!asked.project.protected.delete(asked.params['name'] ?? ''))
        throw new Refused(404, '404 Not found');
      await asked.world.protect(asked.project);
      return undefined;
    },
  ],
  [
    'GET',
    '/projects/:id/protected_tags',
    (asked) => {
      need(asked, 30);
      return paged(
        asked,
        [...asked.project.protectedTags].map(tagProtection),
        `/projects/${asked.project.id}/protected_tags`,
      );
    },
  ],
  [
    'POST',
    '/projects/:id/protected_tags',
    (asked) => {
      need(asked, 40);
      const name = str(asked.body['name']) ?? '';
      if (!name) throw new Refused(400, { error: 'name is missing' });
      if (asked.project.protectedTags.has(name))
        throw new Refused(409, { message: `Protected tag '${name}' already exists` });
      asked.project.protectedTags.add(name);
      return tagProtection(name);
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

async function legal(project: Asked['project'], ref: string): Promise<boolean> {
  try {
    await project.repo.git(['check-ref-format', ref]);
    return true;
  } catch {
    return false;
  }
}
