import { z } from 'zod';
import { ToolError } from '../../kit/tool.ts';
import type { Api } from './client.ts';

const LINES = 100;

const found = z.object({
  job: z.object({ trace: z.object({ htmlSummary: z.string() }).nullable() }).nullable(),
});
const answer = z.object({
  project: found.nullish(),
  projects: z.object({ nodes: z.array(found) }).nullish(),
});

/**
 * The last lines of a job's log by GraphQL, which reads no more than these: the REST API sends a log whole, whatever range
 * is asked for (GitLab's lib/api/ci/jobs.rb). At most 100 lines of 16 KB (CiJobTrace). Undefined where GitLab has no such
 * field, or shows no log there.
 */
export async function logSummary(api: Api, project: string, job: number): Promise<string | undefined> {
  const trace = `job(id: "gid://gitlab/Ci::Build/${job}") { trace { htmlSummary(lastLines: ${LINES}) } }`;
  const named = decodeURIComponent(project);
  const [query, variables] = /^\d+$/.test(named)
    ? [
        `query($ids: [ID!]) { projects(ids: $ids) { nodes { ${trace} } } }`,
        { ids: [`gid://gitlab/Project/${named}`] },
      ]
    : [`query($path: ID!) { project(fullPath: $path) { ${trace} } }`, { path: named }];
  try {
    const { project: one, projects } = answer.parse(await api.graphql(query, variables));
    const html = (one ?? projects?.nodes[0])?.job?.trace?.htmlSummary;
    return html === undefined ? undefined : `… the last ${LINES} lines of a long log:\n${logOfHtml(html)}`;
  } catch (error) {
    if (error instanceof ToolError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}

/** The log again, of what GitLab made of it (its lib/gitlab/ci/ansi2html.rb): colours gone, sections as the runner marks them. */
function logOfHtml(html: string): string {
  return html
    .replaceAll(
      /<div class="section-(start|end)[^>]*data-section="([\w -]*)"[^>]*><\/div>/g,
      (_, kind, names) => {
        const name = String(names).split(' ').at(-1)?.replaceAll('-', '_') ?? '';
        return `section_${kind}:0:${name}\r`;
      },
    )
    .replaceAll(/<br\s*\/?>/g, '\n')
    .replaceAll(/<\/?(span|div)\b[^>]*>/g, '')
    .replaceAll('&lt;', '<');
}
