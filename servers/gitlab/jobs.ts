import { z } from 'zod';
import { toolFor, ToolError } from '../../kit/tool.ts';
import { idOrUrl, lines, project, record } from './fields.ts';
import { atNumber, type GitLab } from './gitlab.ts';
import { logLines, logPart, logTail } from './logs.ts';
import { job } from './shapes.ts';
import { filePath } from './targets.ts';
import { asText, cut, lineRange } from './text.ts';
import { readTrace } from './trace.ts';
import { zipEntries } from './zip.ts';

const tool = toolFor<GitLab>();

const LOG_BYTES = 24_000;
const ARTIFACT_BYTES = 4 * 1024 * 1024;
/** Where the end alone is not served, a whole archive is read up to this. */
const ARCHIVE_BYTES = 64 * 1024 * 1024;
/** The list of its files is at an archive's end; this has room for some 20,000 of them. */
const ARCHIVE_END = 'bytes=-2097152';

export const jobs = [
  tool({
    name: 'gitlab_job_log',
    title: 'Job log',
    description:
      'End of a job log; or lines (10-20); or what came since next of an earlier answer, to follow it.',
    effect: 'read',
    openWorld: true,
    untrusted: true,
    examples: ['show the log of job 99', 'what is the build printing'],
    input: z.object({
      project: project.optional(),
      job: idOrUrl,
      lines,
      next: idOrUrl.optional(),
    }),
    output: z.looseObject({ text: z.string() }),
    async run({ project, job: named, lines, next }, gitlab, ctx) {
      const { api, id, iid } = await atNumber(gitlab, named, 'job', project, ctx);
      const { status } = job.parse(await api.get(`projects/${id}/jobs/${iid}`));
      const range = lineRange(lines);
      if (range) {
        const text = await logLines(api, id, iid, range.from, Math.min(range.to, range.from + 999));
        return { status, text: clean(text) };
      }
      if (next === undefined && status !== 'running')
        return { status, text: clean(await logTail(api, id, iid, LOG_BYTES)) };
      const from = Number(next ?? 0);
      if (!Number.isSafeInteger(from) || from < 0)
        throw new ToolError('`next` is what an earlier answer gave, a number. Leave it out to begin.');
      const part = await logPart(api, id, iid, from, LOG_BYTES);
      return { status, text: clean(part.text), next: String(part.next) };
    },
  }),
  tool({
    name: 'gitlab_artifacts',
    title: 'Artifacts',
    description: 'Files in the artifacts of a job; with path, the text of one.',
    effect: 'read',
    openWorld: true,
    untrusted: true,
    examples: ['list the artifacts of job 99', 'read coverage.txt from the artifacts'],
    input: z.object({ project: project.optional(), job: idOrUrl, path: z.string().optional() }),
    output: record,
    async run({ project, job: named, path }, gitlab, ctx) {
      const { api, id, iid } = await atNumber(gitlab, named, 'job', project, ctx);
      const base = `projects/${id}/jobs/${iid}/artifacts`;
      if (path === undefined) {
        const { body } = await api.bytes(base, { maxBytes: ARCHIVE_BYTES, range: ARCHIVE_END });
        const entries = zipEntries(body);
        return {
          files: entries.slice(0, 500).map(({ name, size }) => ({ path: name, bytes: size })),
          total: entries.length,
        };
      }
      const file = filePath(path);
      const encoded = file.split('/').map(encodeURIComponent).join('/');
      const { body } = await api.bytes(`${base}/${encoded}`, { maxBytes: ARTIFACT_BYTES, pages: true });
      const text = asText(body);
      if (text === undefined) return { path: file, bytes: body.byteLength, note: 'Binary: not shown.' };
      return { path: file, text: cut(text, 40_000) };
    },
  }),
];

const clean = (text: string) =>
  readTrace(text)
    .map((line) => line.text)
    .join('\n')
    .trimEnd();
