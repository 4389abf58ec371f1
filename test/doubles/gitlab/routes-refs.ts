import { isProtected, isProtectedTag, legalRef, may, mayTag } from './protection.ts';
import { accepted, need, paged, Refused, str, type Asked, type Route } from './routing.ts';

/** A commit as the API gives it. */
export async function commit({ project, world }: Asked, sha: string) {
  const format = '%H%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%s%x00%B';
  const [
    id = '',
    parents = '',
    author = '',
    email = '',
    authored = '',
    committer = '',
    committerEmail = '',
    date = '',
    title = '',
    message = '',
  ] = (await project.repo.git(['log', '-1', `--format=${format}`, sha])).trim().split('\0');
  return {
    id,
    short_id: id.slice(0, 8),
    created_at: date,
    parent_ids: parents.split(' ').filter(Boolean),
    title,
    message: message.trimEnd() + '\n',
    author_name: author,
    author_email: email,
    authored_date: authored,
    committer_name: committer,
    committer_email: committerEmail,
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

/** Of a tag that has a message its own object is told, and when it was made. */
async function tag(asked: Asked, name: string) {
  const { repo } = asked.project;
  const format = '%(objecttype)%00%(objectname)%00%(taggerdate:iso-strict)%00%(contents)';
  const out = await repo.git(['for-each-ref', `--format=${format}`, '--count=1', `refs/tags/${name}`]);
  const [type, target, date, message = ''] = out.split('\0');
  const annotated = type === 'tag';
  return {
    name,
    message: annotated ? message.trimEnd() : '',
    target,
    commit: await commit(asked, `refs/tags/${name}`),
    release: releaseIn(asked, name),
    protected: isProtectedTag(asked.project, name),
    created_at: annotated ? date : null,
  };
}

function releaseIn({ project }: Asked, name: string) {
  const one = project.releases.find((each) => each.tag === name);
  return one ? { tag_name: one.tag, description: one.description } : null;
}

/** What a developer may do with a protected branch. */
function developers({ project }: Asked, name: string, act: 'push' | 'merge'): boolean {
  const developer = { id: -1, username: '', name: '' };
  const members = new Map([[developer.id, 30]]);
  return isProtected(project, name) && may({ ...project, members }, developer, name, act);
}

/** Whether all that is in a branch is in the default one. */
async function isMerged({ project }: Asked, name: string): Promise<boolean> {
  if (name === 'main') return false;
  const within = ['merge-base', '--is-ancestor', `refs/heads/${name}`, 'refs/heads/main'];
  return project.repo.git(within).then(
    () => true,
    () => false,
  );
}

const branch = async (asked: Asked, name: string) => ({
  name,
  commit: await commit(asked, `refs/heads/${name}`),
  merged: await isMerged(asked, name),
  protected: isProtected(asked.project, name),
  developers_can_push: developers(asked, name, 'push'),
  developers_can_merge: developers(asked, name, 'merge'),
  can_push: may(asked.project, asked.user, name, 'push'),
  default: name === 'main',
  web_url: `${asked.world.url}/${asked.project.path}/-/tree/${name}`,
});

/** docs.gitlab.com/api/tags, as git names them. */
const TAG_ORDERS: Record<string, string> = {
  name: 'refname',
  updated: 'creatordate',
  version: 'version:refname',
};

/** `^v1` begins with, `v1$` ends with (docs.gitlab.com/api/branches); else it is somewhere in the name. */
function searched({ query }: Asked): (name: string) => boolean {
  const term = query.get('search') ?? '';
  if (term.startsWith('^')) return (name) => name.startsWith(term.slice(1));
  return term.endsWith('$') ? (name) => name.endsWith(term.slice(0, -1)) : (name) => name.includes(term);
}

/** Branches and tags. */
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
        await Promise.all(names.filter(searched(asked)).map((one) => branch(asked, one))),
        '/branches',
      );
    },
  ],
  [
    'GET',
    '/projects/:id/repository/tags',
    async (asked) => {
      const names = (
        await asked.project.repo.git([
          'for-each-ref',
          '--format=%(refname:lstrip=2)',
          `--sort=${TAG_ORDERS[asked.query.get('order_by') ?? 'updated'] ?? 'creatordate'}`,
          'refs/tags',
        ])
      )
        .split('\n')
        .filter((one) => one !== '' && searched(asked)(one));
      const path = `/projects/${asked.project.id}/repository/tags`;
      if (asked.query.get('sort') !== 'asc') names.reverse();
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
      if (!(await legalRef(project.repo, `refs/heads/${name}`)))
        throw new Refused(400, { message: 'Branch name is invalid' });
      if (await project.repo.resolve(`refs/heads/${name}`))
        throw new Refused(400, { message: 'Branch already exists' });
      const sha = await project.repo.resolve(ref);
      if (!sha) throw new Refused(400, { message: `Invalid reference name: ${ref}` });
      if (!may(project, asked.user, name, 'push'))
        throw new Refused(403, {
          message: `You are not allowed to create protected branches on this project.`,
        });
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
      if (isProtected(asked.project, name))
        throw new Refused(403, { message: 'Protected branches cannot be deleted' });
      await asked.project.repo.git(['update-ref', '-d', `refs/heads/${name}`]);
      return undefined;
    },
  ],
  [
    'DELETE',
    '/projects/:id/repository/merged_branches',
    async (asked) => {
      need(asked, 30);
      const { project } = asked;
      const merged = ['branch', '--format=%(refname:lstrip=2)', '--merged', 'refs/heads/main'];
      const out = await project.repo.git(merged).catch(() => '');
      for (const name of out.split('\n').filter(Boolean))
        if (name !== 'main' && !isProtected(project, name))
          await project.repo.git(['update-ref', '-d', `refs/heads/${name}`]);
      return accepted;
    },
  ],
  [
    'POST',
    '/projects/:id/repository/tags',
    async (asked) => {
      need(asked, 30);
      const { project, body, user } = asked;
      const name = str(body['tag_name']) ?? '';
      if (!name) throw new Refused(400, { error: 'tag_name is missing' });
      if (!(await legalRef(project.repo, `refs/tags/${name}`)))
        throw new Refused(400, { message: 'Tag name invalid' });
      if (await project.repo.resolve(`refs/tags/${name}`))
        throw new Refused(400, { message: `Tag ${name} already exists` });
      const sha = await project.repo.resolve(str(body['ref']) ?? '');
      if (!sha) throw new Refused(400, { message: `Target ${str(body['ref']) ?? ''} is invalid` });
      if (!mayTag(project, user, name))
        throw new Refused(403, {
          message: 'You are not allowed to create this tag as it is protected.',
        });
      const message = str(body['message']);
      const who = { NAME: user.name, EMAIL: `${user.username}@example.com` };
      const env = Object.fromEntries(
        Object.entries(who).map(([key, value]) => [`GIT_COMMITTER_${key}`, value]),
      );
      if (message) await project.repo.git(['tag', '-a', '-m', message, '--', name, sha], { env });
      else await project.repo.git(['update-ref', `refs/tags/${name}`, sha]);
      return tag(asked, name);
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
      if (isProtectedTag(project, name) && (project.members.get(asked.user.id) ?? 0) < 40)
        throw new Refused(403, { message: 'Protected tags cannot be deleted' });
      await project.repo.git(['update-ref', '-d', `refs/tags/${name}`]);
      project.releases = project.releases.filter((one) => one.tag !== name);
      return undefined;
    },
  ],
];
