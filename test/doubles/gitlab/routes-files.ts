import { createHash } from 'node:crypto';
import { yes } from './params.ts';
import { legalPath, writable } from './protection.ts';
import { need, paged, Raw, Refused, str, type Asked, type Route } from './routing.ts';
import { commit } from './routes-refs.ts';
import { GitFault } from './repo.ts';

/** A file at the ref that the query names, which for reading one may be missing: then it is the default branch. */
export async function fileOf(asked: Asked): Promise<{ content: Buffer; sha: string; path: string }> {
  const { project, params, query } = asked;
  const path = params['path'] ?? '';
  if (!legalPath(path)) throw new Refused(400, { error: 'file_path should be a valid file path' });
  const sha = await project.repo.resolve(query.get('ref') ?? 'HEAD');
  if (!sha) throw new Refused(404, '404 Commit Not Found');
  const content = await project.repo.blob(sha, path);
  if (!content) throw new Refused(404, '404 File Not Found');
  return { content, sha, path };
}

async function described(asked: Asked) {
  if (!asked.query.get('ref')) throw new Refused(400, { error: 'ref is missing' });
  const { content, sha, path } = await fileOf(asked);
  const { repo } = asked.project;
  const [mode = '', , blob = ''] = (await repo.git(['ls-tree', sha, '--', path])).split(/[ \t]/);
  const facts = {
    file_name: path.split('/').at(-1) ?? path,
    file_path: path,
    size: content.length,
    encoding: 'base64',
    content_sha256: createHash('sha256').update(content).digest('hex'),
    ref: asked.query.get('ref') ?? '',
    blob_id: blob,
    commit_id: sha,
    last_commit_id: await repo.lastCommit(sha, path),
    execute_filemode: mode === '100755',
  };
  return { facts, content };
}

/** As `X-Gitlab-File-Path`, for reading without the content. */
const asHeaders = (facts: object) =>
  Object.fromEntries(
    Object.entries(facts).map(([name, value]) => [`x-gitlab-${name.replaceAll('_', '-')}`, String(value)]),
  );

async function written(asked: Asked, action: 'create' | 'update' | 'delete') {
  need(asked, 30);
  const { project, params, body, user } = asked;
  const [path = '', branch = '', message = ''] = [
    params['path'],
    str(body['branch']),
    str(body['commit_message']),
  ];
  const needed = {
    branch,
    commit_message: message,
    ...(action !== 'delete' && { content: body['content'] }),
  };
  const missing = Object.entries(needed).flatMap(([name, value]) =>
    value === undefined || value === '' ? [`${name} is missing`] : [],
  );
  if (missing.length > 0) throw new Refused(400, { error: missing.join(', ') });
  if (!legalPath(path)) throw new Refused(400, { error: 'file_path should be a valid file path' });
  await writable(project, user, branch, str(body['start_branch']));
  const last = str(body['last_commit_id']);
  const encoding = body['encoding'] === 'base64' ? 'base64' : 'utf8';
  const one = {
    action,
    file_path: path,
    ...(last !== undefined && { last_commit_id: last }),
    ...(action !== 'delete' && { content: Buffer.from(str(body['content']) ?? '', encoding) }),
  };
  const author = {
    name: str(body['author_name']) ?? user.name,
    email: str(body['author_email']) ?? `${user.username}@example.com`,
  };
  try {
    await project.repo.commit(branch, str(body['start_branch']), message, [one], author);
  } catch (error) {
    if (error instanceof GitFault) throw new Refused(400, { message: error.message });
    throw error;
  }
  return action === 'delete' ? undefined : { file_path: path, branch };
}

const KINDS: Record<string, string> = {
  'tar.gz': 'application/x-gzip',
  tar: 'application/x-tar',
  zip: 'application/zip',
};

async function archive({ project, params, query }: Asked) {
  const format = params['suffix']?.slice(1) ?? 'tar.gz';
  const type = KINDS[format];
  const sha = await project.repo.resolve(query.get('sha') ?? 'HEAD');
  if (!type) throw new Refused(404, { error: '404 Not Found' });
  if (!sha) throw new Refused(404, '404 File Not Found');
  const prefix = `--prefix=${project.name}-${sha}/`;
  return new Raw(await project.repo.bytes(['archive', `--format=${format}`, prefix, sha]), {
    'content-type': type,
    'content-disposition': `attachment; filename="${project.name}.${format}"`,
  });
}

/** Single files, blobs, and the whole as an archive. */
export const fileRoutes: Route[] = [
  [
    'GET',
    '/projects/:id/repository/files/:path',
    async (asked) => {
      const { facts, content } = await described(asked);
      return new Raw(JSON.stringify({ ...facts, content: content.toString('base64') }), {
        'content-type': 'application/json',
        ...asHeaders(facts),
      });
    },
  ],
  [
    'HEAD',
    '/projects/:id/repository/files/:path',
    async (asked) => new Raw('', asHeaders((await described(asked)).facts)),
  ],
  ['POST', '/projects/:id/repository/files/:path', (asked) => written(asked, 'create')],
  ['PUT', '/projects/:id/repository/files/:path', (asked) => written(asked, 'update')],
  ['DELETE', '/projects/:id/repository/files/:path', (asked) => written(asked, 'delete')],
  [
    'GET',
    '/projects/:id/repository/blobs/:sha',
    async ({ project, params }) => {
      const content = await blobOf(project, params['sha']);
      return {
        size: content.length,
        encoding: 'base64',
        content: content.toString('base64'),
        sha: params['sha'],
      };
    },
  ],
  [
    'GET',
    '/projects/:id/repository/blobs/:sha/raw',
    async ({ project, params }) => new Raw(await blobOf(project, params['sha'])),
  ],
  ['GET', '/projects/:id/repository/archive', archive],
  ['GET', '/projects/:id/repository/archive*suffix', archive],
  [
    'GET',
    '/projects/:id/repository/merge_base',
    async (asked) => {
      const refs = Array.isArray(asked.body['refs']) ? asked.body['refs'].map(String) : [];
      const shas = await Promise.all(refs.map((one) => asked.project.repo.resolve(one)));
      const [first, second] = shas;
      if (!first || !second)
        throw new Refused(400, { message: `Could not find ref: ${refs.find((_, at) => !shas[at])}` });
      const base = (await asked.project.repo.git(['merge-base', first, second])).trim();
      return commit(asked, base);
    },
  ],
  [
    'GET',
    '/projects/:id/repository/contributors',
    async (asked) => {
      const log = await asked.project.repo.git(['log', '--format=%an%x00%ae', 'HEAD']).catch(() => '');
      const counts = new Map<string, number>();
      for (const line of log.split('\n').filter(Boolean)) counts.set(line, (counts.get(line) ?? 0) + 1);
      const rows = [...counts].map(([line, commits]) => {
        const [name = '', email = ''] = line.split('\0');
        return { name, email, commits, additions: 0, deletions: 0 };
      });
      rows.sort((a, b) => a.commits - b.commits);
      if (asked.query.get('sort') === 'desc') rows.reverse();
      return paged(asked, rows, `/projects/${asked.project.id}/repository/contributors`);
    },
  ],
  [
    'GET',
    '/projects/:id/repository/commits/:sha/refs',
    async ({ project, params }) => {
      const sha = await project.repo.resolve(params['sha'] ?? '');
      if (!sha) throw new Refused(404, '404 Commit Not Found');
      const out = await project.repo.git(['for-each-ref', '--contains', sha, '--format=%(refname)']);
      return out
        .split('\n')
        .filter(Boolean)
        .map((ref) => ({
          type: ref.startsWith('refs/tags/') ? 'tag' : 'branch',
          name: ref.split('/').slice(2).join('/'),
        }));
    },
  ],
];

async function blobOf(project: Asked['project'], sha = ''): Promise<Buffer> {
  if (!/^[0-9a-f]{40}$/.test(sha)) throw new Refused(404, '404 Blob Not Found');
  try {
    return await project.repo.bytes(['cat-file', 'blob', sha]);
  } catch {
    throw new Refused(404, '404 Blob Not Found');
  }
}

/** Whether a filter of a list of commits is asked for. */
export const flags = (asked: Asked): string[] => {
  const { query } = asked;
  const value = (name: string, flag: string) => {
    const text = query.get(name);
    return text ? [`${flag}=${text}`] : [];
  };
  return [
    ...value('since', '--since'),
    ...value('until', '--until'),
    ...value('author', '--author'),
    ...(yes(query.get('first_parent')) ? ['--first-parent'] : []),
  ];
};
