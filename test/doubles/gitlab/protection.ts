import { Refused } from './routing.ts';
import type { Project, User } from './model.ts';
import type { Repo } from './repo.ts';

/** lib/gitlab/git_ref_validator.rb: what git takes, but for what looks like an option or a whole ref. */
export async function legalRef(repo: Repo, ref: string): Promise<boolean> {
  const name = ref.split('/').slice(2).join('/');
  if (/^(-|refs\/(heads|remotes|merge-requests)\/)/.test(name) || name === 'HEAD') return false;
  return repo.git(['check-ref-format', ref]).then(
    () => true,
    () => false,
  );
}

/** Throws where a commit cannot go to a branch (GitLab's app/services/commits/create_service.rb). */
export async function writable(
  project: Project,
  user: User,
  branch: string,
  start: string | undefined,
): Promise<void> {
  const { repo } = project;
  if (!may(project, user, branch, 'push'))
    throw new Refused(403, { message: 'You are not allowed to push into this branch' });
  const there = await repo.resolve(`refs/heads/${branch}`);
  if (there && start && start !== branch)
    throw new Refused(400, {
      message: `A branch called '${branch}' already exists. Switch to that branch in order to make changes`,
    });
  if (there) return;
  const legal = await legalRef(repo, `refs/heads/${branch}`);
  if (!legal)
    throw new Refused(400, {
      message: `Invalid branch name '${branch}'`,
    });
  if (start ? !(await repo.resolve(start)) : await repo.resolve('HEAD'))
    throw new Refused(400, {
      message: start
        ? 'Invalid reference name'
        : 'You can only create or edit files when you are on a branch',
    });
}

/** As Gitaly takes paths: no folder above, none of git's own, no root. */
export const legalPath = (path: string) =>
  path !== '' && !path.split('/').some((part) => ['', '.', '..'].includes(part) || /^\.git$/i.test(part));

/** `release-*` stands for every name that it fits; a star for slashes too (docs.gitlab.com/user/project/repository/branches/protected). */
const fits = (pattern: string, name: string) =>
  new RegExp(`^${pattern.split('*').map(escaped).join('.*')}$`).test(name);

const escaped = (text: string) => text.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`);

const rulesOf = ({ protected: rules }: Project, branch: string) =>
  [...rules].flatMap(([pattern, rule]) => (fits(pattern, branch) ? [rule] : []));

export const isProtected = (project: Project, branch: string) => rulesOf(project, branch).length > 0;

/** Whether a user may push to a branch, or merge into it: of several rules the mildest counts. */
export function may(project: Project, user: User, branch: string, act: 'push' | 'merge'): boolean {
  const level = project.members.get(user.id) ?? 0;
  const rules = rulesOf(project, branch).map((one) => one[act]);
  return rules.length === 0 ? level >= 30 : rules.some((needed) => needed > 0 && level >= needed);
}

export const isProtectedTag = ({ protectedTags }: Project, tag: string) =>
  [...protectedTags.keys()].some((pattern) => fits(pattern, tag));

export const mayTag = ({ protectedTags, members }: Project, user: User, tag: string) => {
  const levels = [...protectedTags].flatMap(([pattern, level]) => (fits(pattern, tag) ? [level] : []));
  const own = members.get(user.id) ?? 0;
  return levels.length === 0 || levels.some((needed) => needed > 0 && own >= needed);
};

/**
 * What GitLab's pre-receive check says (lib/gitlab/checks): git's update hook of the double, which reads the rules that
 * World.protect writes.
 */
export const updateHook = `#!/bin/sh
no() { echo "GitLab: $1" >&2; exit 1; }
case "$1" in refs/heads/*) ;; *) exit 0 ;; esac
least= force=false
while read -r level forced pattern; do
  case "\${1#refs/heads/}" in
    $pattern)
      { [ -n "$least" ] && [ "$least" -le "$level" ]; } || least=$level
      [ "$forced" = false ] || force=true ;;
  esac
done <protected
[ -n "$least" ] || exit 0
[ "\${DOUBLE_ROLE:-0}" -ge "$least" ] || no "You are not allowed to push code to protected branches on this project."
case "$3" in *[!0]*) ;; *) no "You can only delete protected branches using the web interface." ;; esac
case "$2" in *[!0]*) ;; *) exit 0 ;; esac
[ "$force" = true ] || git merge-base --is-ancestor "$2" "$3" ||
  no "You are not allowed to force push code to a protected branch on this project."
`;
