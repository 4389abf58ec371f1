import { ToolError } from '../../kit/tool.ts';

/** What an argument points at: on which GitLab, in which project, which number, file or line range. */
export interface Target {
  /** Origin of a web address, or the configured name before a colon; undefined: the default GitLab. */
  instance?: { url: URL } | { name: string };
  /** Path or id; undefined where only a number was given. */
  project?: string;
  /** Number of an issue, merge request, pipeline or job. */
  id?: number;
  /** What a web address shows. */
  kind?: string;
  ref?: string;
  path?: string;
  lines?: string;
}

const kinds: Record<string, string> = {
  issues: 'issue',
  work_items: 'issue',
  merge_requests: 'merge request',
  pipelines: 'pipeline',
  jobs: 'job',
  tree: 'folder',
  blob: 'file',
  raw: 'file',
  blame: 'file',
  commits: 'ref',
  commit: 'commit',
};

const numbered = new Set(['issues', 'merge_requests', 'pipelines', 'jobs']);

/** Reads a project: id, `group/project`, `name:group/project`, or any web address inside it. */
export function projectTarget(text: string): Target {
  const trimmed = text.trim();
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed)) return webTarget(trimmed);
  const named = /^([a-z0-9-]+):(.+)$/.exec(trimmed);
  const rest = named?.[2] ?? trimmed;
  if (!/^\d+$/.test(rest) && !isProjectPath(rest)) {
    throw new ToolError(
      `\`${shown(text)}\` is no project. Give its path (group/project), its number, or its web address.`,
    );
  }
  const instance = named?.[1];
  return { project: rest, ...(instance !== undefined && { instance: { name: instance } }) };
}

/**
 * Reads a numbered thing: `12`, `#12`, `!12`, `group/project#12`, `group/project!12`, or its web address. `project` is
 * the separate argument, if there is one.
 */
export function numberedTarget(
  text: string,
  kind: string,
  project: string | undefined,
): Target & { id: number } {
  const trimmed = text.trim();
  const base = project === undefined ? {} : projectTarget(project);
  const found = /^(?:(.*)[#!])?(\d{1,15})$/.exec(trimmed);
  if (/^https?:\/\//i.test(trimmed)) {
    const target = webTarget(trimmed);
    if (target.id === undefined || target.kind !== kind) {
      throw new ToolError(
        `${shown(text)} is the address of ${target.kind ? `a ${target.kind}` : 'something else'}, not of a ${kind}. Give the number or address of a ${kind}.`,
      );
    }
    return { ...target, id: target.id };
  }
  const number = Number(found?.[2]);
  if (!found || !Number.isSafeInteger(number) || number < 1) {
    throw new ToolError(
      `\`${shown(text)}\` is no ${kind}. Give its number, group/project${kind === 'merge request' ? '!' : '#'}12, or its web address.`,
    );
  }
  const target = found[1] ? projectTarget(found[1]) : base;
  return { ...target, id: number };
}

/** Reads a web address of GitLab. The host decides nothing here: who has the token compares it. */
function webTarget(text: string): Target {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password) {
    throw new ToolError(
      `\`${shown(text)}\` is no web address of GitLab. One reads https://host/group/project/-/issues/12.`,
    );
  }
  let parts: string[];
  try {
    parts = url.pathname.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    throw new ToolError(`\`${shown(text)}\` has broken percent signs. Copy the address again.`);
  }
  // Addresses before GitLab 12 had no `-`: group/project/issues/12 (issues, merge requests, pipelines, jobs by number).
  const old = parts.findIndex(
    (part, at) => at >= 2 && numbered.has(part) && /^\d+$/.test(parts[at + 1] ?? ''),
  );
  if (old > 0 && !parts.includes('-')) parts.splice(old, 0, '-');
  const dash = parts.indexOf('-');
  const project = (dash < 0 ? parts : parts.slice(0, dash)).join('/').replace(/\.git$/, '');
  const [section = '', first = '', ...more] = dash < 0 ? [] : parts.slice(dash + 1);
  const kind = kinds[section];
  const id = /^\d{1,15}$/.test(first) ? Number(first) : undefined;
  const base = { instance: { url }, project, kind };
  if (!isProjectPath(project)) {
    throw new ToolError(`${shown(text)} names no project. An address reads https://host/group/project.`);
  }
  if (kind === 'file' || kind === 'folder') {
    const lines = /^#L(\d+(?:-\d+)?)$/.exec(url.hash)?.[1];
    return { ...base, ref: first, path: more.join('/'), ...(lines !== undefined && { lines }) };
  }
  if (kind === 'ref' || kind === 'commit') return { ...base, ref: [first, ...more].join('/') };
  return id === undefined ? base : { ...base, id };
}

/** Paths as GitLab allows them: no `..`, no encoded slash, nothing that begins with a dash. */
function isProjectPath(text: string): boolean {
  const parts = text.split('/');
  return (
    parts.length >= 2 &&
    text.length <= 500 &&
    parts.every((part) => /^[\p{L}\p{N}_.][\p{L}\p{N}_.+ -]*$/u.test(part) && !/^\.+$/.test(part))
  );
}

/** PATH_MAX of Linux (limits.h). */
const LONGEST_PATH = 4096;

/** A path inside a repository; throws for one that leads out of it. */
export function filePath(text: string): string {
  const path = text.replace(/^\.?\/+/, '').replace(/\/+$/, '');
  const parts = path.split('/');
  if (path.length > LONGEST_PATH)
    throw new ToolError(`\`${shown(path)}\` is longer than a path can be (${LONGEST_PATH} characters).`);
  if (/[\0-\x1f]|%2f|%2e/i.test(path) || parts.some((part) => part === '..' || part === '.')) {
    throw new ToolError(
      `\`${shown(text)}\` is no path inside a repository: no \`..\`, no %2F. Give it from the repository's root.`,
    );
  }
  return path;
}

/** A branch, tag or commit as git-check-ref-format(1) allows it; never one that a command would take for an option. */
export function refName(text: string): string {
  const wrong =
    text === '' ||
    text.length > 255 ||
    /^[-/.]|[/.]$|\.\.|\/\/|@\{|[\0-\x20\x7f~^:?*[\\]|\.lock(\/|$)|\/\./.test(text) ||
    text === '@';
  if (wrong) {
    throw new ToolError(
      `\`${shown(text)}\` is no branch, tag or commit name. Names have no spaces, \`..\`, \`~^:?*[\\\` and do not begin with \`-\`.`,
    );
  }
  return text;
}

/** Text of the caller's, short enough for an error. */
export const shown = (text: string) => (text.length > 80 ? `${text.slice(0, 80)}…` : text);
