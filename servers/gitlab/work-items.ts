import { z } from 'zod';
import { ToolError } from '../../kit/tool.ts';
import type { Api } from './client.ts';
import { slim } from './shapes.ts';

const QUERY = `query($path: ID!, $types: [IssueType!], $state: IssuableState, $search: String, $after: String) {
  project(fullPath: $path) { workItems(types: $types, state: $state, search: $search, first: 20, after: $after) {
    nodes { iid title state workItemType { name } webUrl author { username } }
    pageInfo { endCursor hasNextPage } } } }`;

const answer = z.object({
  project: z
    .object({
      workItems: z.object({
        nodes: z.array(
          z.object({
            iid: z.string(),
            title: z.string(),
            state: z.string(),
            workItemType: z.object({ name: z.string() }),
            author: z.object({ username: z.string() }).nullish(),
          }),
        ),
        pageInfo: z.object({ endCursor: z.string().nullish(), hasNextPage: z.boolean() }),
      }),
    })
    .nullable(),
});

/** Work items (tasks, epics, objectives ...), which only GraphQL has. */
export async function workItems(
  api: Api,
  path: string,
  { type, state, search }: { type: string; state: string; search?: string },
  cursor: string | undefined,
) {
  const asked = { path, types: [type.toUpperCase().replaceAll(' ', '_')], state, search, after: cursor };
  const data = answer.parse(
    await api.graphql(QUERY, asked).catch((error: unknown) => {
      if (error instanceof ToolError && /\$types|IssueType/.test(error.message))
        throw new ToolError(
          '`type` is none that this GitLab has. It is one word such as ISSUE, TASK, INCIDENT, EPIC or OBJECTIVE; leave it out for issues.',
        );
      throw error;
    }),
  );
  if (!data.project)
    throw new ToolError(
      'GitLab has no such project, or the token may not see it. Give its path (group/project).',
    );
  const { nodes, pageInfo } = data.project.workItems;
  return {
    issues: nodes.map(({ workItemType, author, iid, state, ...rest }) =>
      slim({
        iid: Number(iid),
        ...rest,
        state: state.toLowerCase(),
        type: workItemType.name,
        author: author?.username,
      }),
    ),
    ...(pageInfo.hasNextPage && pageInfo.endCursor && { next: pageInfo.endCursor }),
  };
}
