import { z } from 'zod';
import { toolFor, ToolError } from '../../kit/tool.ts';
import { lines, next, project } from './fields.ts';
import { atPath, type GitLab } from './gitlab.ts';
import { slim } from './shapes.ts';
import { asText, cut, lineRange } from './text.ts';

const tool = toolFor<GitLab>();

const entry = z.object({ path: z.string(), type: z.string() });
const hit = z.object({ path: z.string(), startline: z.number().nullish(), data: z.string() });
const blame = z.array(
  z.object({
    commit: z.object({ id: z.string(), author_name: z.string().nullish(), message: z.string().nullish() }),
    lines: z.array(z.string()),
  }),
);

/** Of one file, as much as a call's answer takes. */
const FILE_BYTES = 10 * 1024 * 1024;
const SHOWN = 40_000;

export const files = [
  tool({
    name: 'gitlab_list_files',
    title: 'List or search files',
    description: 'Files of a folder; with search, places in the code where it stands.',
    effect: 'read',
    openWorld: true,
    untrusted: true,
    examples: ['what files are in src', 'where is parseConfig used in group/project'],
    input: z.object({
      project,
      path: z.string().optional(),
      ref: z.string().optional(),
      recursive: z.boolean().optional(),
      search: z.string().optional(),
      next,
    }),
    output: z.object({ files: z.array(z.unknown()), next }),
    async run({ project, path, ref, recursive, search, next: cursor }, gitlab, ctx) {
      const place = await atPath(gitlab, { project, ref, path }, ctx);
      const { api, id } = place;
      const named = place.ref === 'HEAD' ? undefined : place.ref;
      if (search !== undefined) {
        const term = place.path ? `${search} path:${place.path}` : search;
        const page = await api.page(
          `projects/${id}/search`,
          { scope: 'blobs', search: term, ref: named },
          cursor,
        );
        const found = page.items.map((one) => hit.parse(one));
        return {
          files: found.map(({ path, startline: line, data }) =>
            slim({ path, line, text: cut(data.trimEnd(), 600) }),
          ),
          next: page.next,
        };
      }
      const query = {
        path: place.path || undefined,
        ref: named,
        recursive,
        pagination: 'keyset',
        per_page: 100,
      };
      const page = await api.page(`projects/${id}/repository/tree`, query, cursor);
      const rows = page.items.map((one) => entry.parse(one));
      return { files: rows.map(({ path, type }) => (type === 'tree' ? `${path}/` : path)), next: page.next };
    },
  }),
  tool({
    name: 'gitlab_read_file',
    title: 'Read a file',
    description:
      'A file at any ref, whole or some lines (10-20), with blame if asked. Its last_commit_id guards a commit.',
    effect: 'read',
    openWorld: true,
    untrusted: true,
    examples: ['show README.md of group/project', 'who last changed line 10 of main.ts'],
    input: z.object({
      project,
      path: z.string().optional(),
      ref: z.string().optional(),
      lines,
      blame: z.boolean().optional(),
    }),
    output: z.looseObject({ text: z.string().optional() }),
    async run({ project, path, ref, lines, blame: withBlame }, gitlab, ctx) {
      const place = await atPath(gitlab, { project, ref, path }, ctx);
      if (place.path === '')
        throw new ToolError('Which file? Give `path`, or the web address of the file as `project`.');
      const range = lineRange(lines ?? place.lines);
      const { api, id } = place;
      const address = `projects/${id}/repository/files/${encodeURIComponent(place.path)}`;
      if (withBlame) {
        const query = {
          ref: place.ref,
          'range[start]': range?.from,
          'range[end]': range && Math.min(range.to, range.from + 999),
        };
        const parts = blame.parse(await api.get(`${address}/blame`, query));
        return {
          path: place.path,
          text: cut(blamed(parts, range?.from ?? 1), SHOWN, ': ask for fewer `lines`.'),
        };
      }
      const { body, headers } = await api.bytes(`${address}/raw`, {
        query: { ref: place.ref, lfs: false },
        maxBytes: FILE_BYTES,
      });
      const lastCommit = headers['x-gitlab-last-commit-id'];
      const meta = { path: place.path, ...(lastCommit && { last_commit_id: lastCommit }) };
      const text = asText(body);
      if (text === undefined) {
        return {
          ...meta,
          bytes: body.byteLength,
          note: 'Binary, or no valid UTF-8: not shown. git_clone brings it to disk.',
        };
      }
      const all = text.split('\n');
      if (all.at(-1) === '') all.pop();
      const from = range?.from ?? 1;
      if (range && from > all.length)
        throw new ToolError(`${place.path} has ${all.length} lines. Ask for lines within them.`);
      const part = range ? all.slice(from - 1, range.to) : all;
      const kept = fitting(part);
      const last = from + kept - 1;
      return {
        ...meta,
        ...(range || kept < all.length ? { lines: `${from}-${last} of ${all.length}` } : {}),
        text: cut(
          range || kept < part.length ? part.slice(0, kept).join('\n') : text,
          2 * SHOWN,
          ' of this line: git_clone brings it to disk',
        ),
        ...(kept < part.length && {
          note: `Cut: go on with lines ${last + 1}-${Math.min(all.length, last + kept)}.`,
        }),
      };
    },
  }),
];

/** How many lines fit into an answer; at least one. */
function fitting(lines: string[]): number {
  let size = 0;
  for (const [index, line] of lines.entries()) {
    size += line.length + 1;
    if (size > SHOWN) return Math.max(1, index);
  }
  return lines.length;
}

function blamed(parts: z.output<typeof blame>, from: number): string {
  let line = from;
  const rows: string[] = [];
  for (const { commit, lines } of parts) {
    const who = `${commit.id.slice(0, 8)} ${commit.author_name ?? ''}: ${(commit.message ?? '').split('\n')[0]?.slice(0, 60)}`;
    rows.push(`[${who}]`, ...lines.map((text) => `${line++} ${text}`));
  }
  return rows.join('\n');
}
