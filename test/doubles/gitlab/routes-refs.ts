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
        await asked.project.repo.git(['for-each-ref', '--format=%(refname:short)', 'refs/heads'])
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
      const names = (await asked.project.repo.git(['for-each-ref', '--format=%(refname:short)', 'refs/tags']))
        .split('\n')
        .filter(Boolean);
      return paged(
        asked,
        await Promise.all(
          names.map(async (name) => ({
            name,
            message: '',
            target: '',
            commit: await commit(asked, `refs/tags/${name}`),
            release: null,
            protected: false,
          })),
        ),
        '/tags',
      );
    },
  ],
  [
    'POST',
    '/projects/:id/repository/branches',
    async (asked) => {
      need(asked, 30);
      const { project, query, body } = asked;
      const name = query.get('branch') ?? str(body['branch']) ?? '';
      const ref = query.get('ref') ?? str(body['ref']) ?? '';
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
      const name = str(asked.body['tag_name']) ?? '';
      const sha = await asked.project.repo.resolve(str(asked.body['ref']) ?? '');
      if (!sha) throw new Refused(400, { message: 'Target is invalid' });
      await asked.project.repo.git(['update-ref', `refs/tags/${name}`, sha]);
      return {
        name,
        message: asked.body['message'] ?? '',
        target: sha,
        commit: await commit(asked, sha),
        release: null,
        protected: false,
      };
    },
  ],
  [
    'DELETE',
    '/projects/:id/repository/tags/:tag',
    async ({ project, params }) => {
      await project.repo.git(['update-ref', '-d', `refs/tags/${params['tag']}`]);
      return undefined;
    },
  ],
  [
    'POST',
    '/projects/:id/protected_branches',
    async (asked) => {
      need(asked, 40);
      const name = str(asked.body['name']) ?? asked.query.get('name') ?? '';
      asked.project.protected.add(name);
      await asked.world.protect(asked.project);
      return { id: 1, name, push_access_levels: [], merge_access_levels: [], allow_force_push: false };
    },
  ],
  [
    'DELETE',
    '/projects/:id/protected_branches/:name',
    async (asked) => {
      need(asked, 40);
      asked.project.protected.delete(asked.params['name'] ?? '');
      await asked.world.protect(asked.project);
      return undefined;
    },
  ],
];
