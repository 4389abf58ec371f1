import { z } from 'zod';
import { ToolError } from '../../kit/tool.ts';
import type { Api } from './client.ts';
import { shown } from './targets.ts';

const user = z.array(z.object({ id: z.number(), username: z.string() }));

/** Ids of users by their names (`anna`, `@anna`, `me`). An empty list stays one: it removes all. */
export async function userIds(api: Api, names: string[] | undefined): Promise<number[] | undefined> {
  if (names === undefined) return undefined;
  const ids: number[] = [];
  for (const name of names) {
    const username = name.trim().replace(/^@/, '');
    if (username === 'me') {
      ids.push(z.object({ id: z.number() }).parse(await api.get('user')).id);
      continue;
    }
    const found = user
      .parse(await api.get('users', { username }))
      .find((one) => one.username.toLowerCase() === username.toLowerCase());
    if (!found)
      throw new ToolError(
        `GitLab has no user \`${shown(username)}\`. gitlab_find with what=users lists them.`,
      );
    ids.push(found.id);
  }
  return ids;
}

const milestones = z.array(z.object({ id: z.number(), title: z.string() }));

/** The id of a milestone by its title; 0 removes it, as the API has it. */
export async function milestoneId(
  api: Api,
  project: string,
  title: string | undefined,
): Promise<number | undefined> {
  if (title === undefined) return undefined;
  if (title === '') return 0;
  const query = { title, include_ancestors: true };
  const found = milestones
    .parse(await api.get(`projects/${project}/milestones`, query))
    .find((one) => one.title === title);
  if (!found)
    throw new ToolError(
      `The project has no milestone \`${shown(title)}\`. Milestones are named by their whole title.`,
    );
  return found.id;
}
