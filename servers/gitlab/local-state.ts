import type { ToolContext } from '../../kit/tool.ts';
import { repositoryIn, withGit } from './checkout.ts';
import type { GitLab } from './gitlab.ts';

/** Branch, what is changed, and the branches of a checkout (git-status(1), porcelain version 2). */
export async function state(gitlab: GitLab, folder: string, ctx: ToolContext) {
  const { path, extra } = await repositoryIn(gitlab, folder, ctx);
  return withGit({ path, extra, home: gitlab.home }, ctx, async (git) => {
    const text = await git.raw([
      'status',
      '--porcelain=v2',
      '--branch',
      '-z',
      '--ignore-submodules=all',
      '--untracked-files=normal',
    ]);
    const branches = await git.raw([
      'for-each-ref',
      '--format=%(refname:short)',
      '--count=50',
      '--sort=-committerdate',
      'refs/heads',
    ]);
    const heads = new Map<string, string>();
    const changed: string[] = [];
    const parts = text.split('\0');
    for (let at = 0; at < parts.length; at++) {
      const line = parts[at] ?? '';
      const head = /^# branch\.(\S+) (.*)$/.exec(line);
      if (head) heads.set(head[1] ?? '', head[2] ?? '');
      else if (line.startsWith('? ')) changed.push(`?? ${line.slice(2)}`);
      else if (/^[12u] /.test(line)) {
        const fields = line.split(' ');
        changed.push(
          `${(fields[1] ?? '').replaceAll('.', ' ')} ${fields.slice(line.startsWith('1') ? 8 : line.startsWith('2') ? 9 : 10).join(' ')}`,
        );
        if (line.startsWith('2')) at++;
      }
    }
    const [, ahead, behind] = /^\+(\d+) -(\d+)$/.exec(heads.get('ab') ?? '') ?? [];
    return {
      folder: path,
      branch: heads.get('head'),
      sha: heads.get('oid')?.slice(0, 8),
      ...(ahead !== undefined && { ahead: Number(ahead), behind: Number(behind) }),
      changed: changed.slice(0, 200),
      ...(changed.length > 200 && { more: changed.length - 200 }),
      branches: branches.split('\n').filter(Boolean),
    };
  });
}
