import { mergeRequest } from './json-merge-request.ts';
import { need, paged, Raw, Refused, isRecord, str, type Asked, type Route } from './routing.ts';
import { fileOf, flags } from './routes-files.ts';
import { yes } from './params.ts';
import { legalPath, writable } from './protection.ts';
import { commit, wholeCommit } from './routes-refs.ts';
import { GitFault } from './repo.ts';

async function at({ project, query }: Asked, name = 'ref'): Promise<string> {
  const sha = await project.repo.resolve(query.get(name) ?? 'HEAD');
  if (!sha)
    throw new Refused(404, { message: name === 'ref' ? '404 Tree Not Found' : '404 Commit Not Found' });
  return sha;
}

export const repositoryRoutes: Route[] = [
  [
    'GET',
    '/projects/:id/repository/tree',
    async (asked) => {
      const { project, query } = asked;
      const sha = await at(asked);
      const path = query.get('path') ?? '';
      const items = await project.repo.tree(sha, path, yes(query.get('recursive'))).catch(() => {
        throw new Refused(404, '404 invalid revision or path Not Found');
      });
      return paged(asked, items, `/projects/${project.id}/repository/tree`);
    },
  ],
  [
    'GET',
    '/projects/:id/repository/files/:path/raw',
    async (asked) => {
      const { content, sha, path } = await fileOf(asked);
      return new Raw(content, {
        'content-type': 'text/plain',
        'x-gitlab-last-commit-id': await asked.project.repo.lastCommit(sha, path),
        'x-gitlab-size': String(content.length),
      });
    },
  ],
  [
    'GET',
    '/projects/:id/repository/files/:path/blame',
    async (asked) => {
      const { sha, path } = await fileOf(asked);
      const [from, to] = [asked.query.get('range[start]'), asked.query.get('range[end]')];
      const out = await asked.project.repo.git([
        'blame',
        '--porcelain',
        ...(from ? ['-L', `${from},${to}`] : []),
        sha,
        '--',
        path,
      ]);
      const parts: { commit: unknown; lines: string[] }[] = [];
      let [sha1, last] = ['', ''];
      for (const line of out.split('\n')) {
        if (/^[0-9a-f]{40} /.test(line)) sha1 = line.slice(0, 40);
        if (!line.startsWith('\t')) continue;
        if (last !== sha1) parts.push({ commit: await blamed(asked, sha1), lines: [] });
        last = sha1;
        parts.at(-1)?.lines.push(line.slice(1));
      }
      return parts;
    },
  ],
  [
    'GET',
    '/projects/:id/search',
    async (asked) => {
      const { project, query } = asked;
      const [term = '', path] = (query.get('search') ?? '').split(' path:');
      const sha = await at(asked);
      const out = await project.repo
        .git(['grep', '-nF', '-e', term, sha, '--', ...(path ? [path] : [])])
        .catch(() => '');
      const hits = out
        .split('\n')
        .filter(Boolean)
        .map((line) => {
          const [, name = '', number = '', data = ''] = /^[0-9a-f]+:(.+?):(\d+):(.*)$/.exec(line) ?? [];
          return {
            basename: name,
            data: `${data}\n`,
            path: name,
            filename: name,
            id: null,
            ref: sha,
            startline: Number(number),
            project_id: project.id,
          };
        });
      return paged(asked, hits, `/projects/${project.id}/search`);
    },
  ],
  [
    'GET',
    '/projects/:id/repository/commits',
    async (asked) => {
      const { project, query } = asked;
      const from = yes(query.get('all')) ? ['--all'] : [await at(asked, 'ref_name')];
      const path = query.get('path');
      const shas = (
        await project.repo.git([
          'rev-list',
          '--max-count=500',
          ...flags(asked),
          ...from,
          ...(path ? ['--', path] : []),
        ])
      )
        .split('\n')
        .filter(Boolean);
      const shown = yes(query.get('with_stats')) ? wholeCommit : commit;
      const rows = await Promise.all(shas.map((one) => shown(asked, one)));
      // Counting commits takes too long for GitLab (lib/api/commits.rb: paginate without a count).
      return paged(asked, rows, `/projects/${project.id}/repository/commits`, false);
    },
  ],
  [
    'GET',
    '/projects/:id/repository/commits/:sha',
    async (asked) => {
      const sha = await asked.project.repo.resolve(asked.params['sha'] ?? '');
      if (!sha) throw new Refused(404, '404 Commit Not Found');
      return wholeCommit(asked, sha);
    },
  ],
  [
    'GET',
    '/projects/:id/repository/commits/:sha/diff',
    async (asked) => {
      const { project, params } = asked;
      const sha = await project.repo.resolve(params['sha'] ?? '');
      if (!sha) throw new Refused(404, '404 Commit Not Found');
      // The first commit is compared with nothing: git's name of the empty tree.
      const parent = (await project.repo.resolve(`${sha}^`)) ?? '4b825dc642cb6eb9a060e54bf8d69288fbee4904';
      const path = `/projects/${project.id}/repository/commits/${sha}/diff`;
      return paged(asked, await project.repo.diffs(parent, sha), path);
    },
  ],
  [
    'GET',
    '/projects/:id/repository/compare',
    async (asked) => {
      const { project, query, world } = asked;
      const names = ['from', 'to'].map((name) => query.get(name) ?? '');
      if (names.includes(''))
        throw new Refused(400, { error: names[0] === '' ? 'from is missing' : 'to is missing' });
      const [from, to] = [await at(asked, 'from'), await at(asked, 'to')];
      const { repo } = project;
      // The oldest comes first.
      const shas = (await repo.git(['rev-list', '--reverse', `${from}..${to}`])).split('\n').filter(Boolean);
      const base = yes(query.get('straight'))
        ? from
        : (await repo.git(['merge-base', from, to]).catch(() => '')).trim();
      const commits = await Promise.all(shas.map((one) => commit(asked, one)));
      return {
        commit: commits.at(-1) ?? null,
        commits,
        diffs: base ? await repo.diffs(base, to) : [],
        compare_timeout: false,
        compare_same_ref: from === to,
        web_url: `${world.url}/${project.path}/-/compare/${names.map(encodeURIComponent).join('...')}`,
      };
    },
  ],
  [
    'GET',
    '/projects/:id/repository/commits/:sha/merge_requests',
    async (asked) => {
      const { project, world, params } = asked;
      const sha = await project.repo.resolve(params['sha'] ?? '');
      if (!sha) throw new Refused(404, '404 Commit Not Found');
      const all = await Promise.all(project.mergeRequests.map((one) => mergeRequest(world, project, one)));
      return all.filter((one) => one.sha === sha || one.merge_commit_sha === sha);
    },
  ],
  [
    'POST',
    '/projects/:id/repository/commits',
    async (asked) => {
      need(asked, 30);
      const { project, body, user } = asked;
      const name = str(body['branch']);
      const missing = ['branch', 'commit_message', 'actions'].filter((one) => !body[one]);
      if (!name || missing.length > 0)
        throw new Refused(400, { error: missing.map((one) => `${one} is missing`).join(', ') });
      const start = str(body['start_branch']);
      await writable(project, user, name, start);
      const given = (Array.isArray(body['actions']) ? body['actions'] : []).filter(isRecord);
      checkActions(given);
      const actions = given.map((one) => {
        const content = str(one['content']);
        const previous = str(one['previous_path']);
        const last = str(one['last_commit_id']);
        return {
          action: str(one['action']) ?? '',
          file_path: str(one['file_path']) ?? '',
          ...(previous !== undefined && { previous_path: previous }),
          ...(last !== undefined && { last_commit_id: last }),
          ...(one['action'] === 'chmod' && { executable: yes(one['execute_filemode']) }),
          ...(content !== undefined && {
            content: Buffer.from(content, one['encoding'] === 'base64' ? 'base64' : 'utf8'),
          }),
        };
      });
      try {
        const sha = await project.repo.commit(name, start, str(body['commit_message']) ?? '', actions, {
          name: user.name,
          email: `${user.username}@example.com`,
        });
        return await wholeCommit(asked, sha);
      } catch (error) {
        if (error instanceof GitFault) throw new Refused(400, { message: error.message });
        throw error;
      }
    },
  ],
];

/** What blame tells of a commit. */
async function blamed(asked: Asked, sha: string) {
  const all = await commit(asked, sha);
  const { id, message, parent_ids, authored_date, author_name, author_email } = all;
  const { committed_date, committer_name, committer_email } = all;
  return {
    id,
    message,
    parent_ids,
    authored_date,
    author_name,
    author_email,
    committed_date,
    committer_name,
    committer_email,
  };
}

/** GitLab's lib/api/commits.rb: what each action of a commit must have. */
function checkActions(actions: Record<string, unknown>[]): void {
  if (actions.length === 0) throw new Refused(400, { error: 'actions is empty' });
  const faults = actions.flatMap((one, at) => {
    const { action } = one;
    const known = ['create', 'update', 'move', 'delete', 'chmod'].includes(String(action));
    const needs = ['file_path', ...(action === 'create' || action === 'update' ? ['content'] : [])];
    return [
      ...(action === undefined
        ? [`actions[${at}][action] is missing`]
        : known
          ? []
          : [`actions[${at}][action] does not have a valid value`]),
      ...needs.filter((name) => one[name] === undefined).map((name) => `actions[${at}][${name}] is missing`),
      ...['file_path', 'previous_path']
        .filter((name) => typeof one[name] === 'string' && !legalPath(one[name]))
        .map((name) => `actions[${at}][${name}] should be a valid file path`),
    ];
  });
  if (faults.length > 0) throw new Refused(400, { error: faults.join(', ') });
}
