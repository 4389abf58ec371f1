import { buildSchema, graphql, GraphQLError } from 'graphql';
import { summary } from './trace-html.ts';
import { isRecord, Refused } from './routing.ts';
import type { Issue, Project, Token } from './model.ts';
import type { World } from './world.ts';

/** The part of GitLab's schema that is answered (docs.gitlab.com/api/graphql/reference/); the rest is refused by name. */
const schema = buildSchema(`
  enum IssueType { ISSUE INCIDENT TEST_CASE REQUIREMENT TASK TICKET OBJECTIVE KEY_RESULT EPIC }
  enum WorkItemState { OPEN CLOSED }
  enum IssuableState { opened closed locked all }
  scalar Time
  type UserCore { id: ID! username: String! name: String! webUrl: String! }
  type WorkItemType { id: ID! name: String! }
  type WorkItem {
    id: ID! iid: String! title: String! description: String state: WorkItemState! workItemType: WorkItemType!
    author: UserCore webUrl: String createdAt: Time!
  }
  type PageInfo { endCursor: String startCursor: String hasNextPage: Boolean! hasPreviousPage: Boolean! }
  type WorkItemConnection { nodes: [WorkItem] pageInfo: PageInfo! count: Int! }
  scalar JobID
  type CiJobTrace { htmlSummary(lastLines: Int = 10): String! }
  type CiJob { id: JobID name: String status: String trace: CiJobTrace }
  type ProjectConnection { nodes: [Project] }
  type Project {
    job(id: JobID!): CiJob
    id: ID! name: String! fullPath: ID! path: String! description: String webUrl: String visibility: String
    workItems(types: [IssueType!], state: IssuableState, search: String, first: Int, after: String): WorkItemConnection
  }
  type Metadata { version: String! revision: String! enterprise: Boolean! }
  type Query {
    projects(ids: [ID!]): ProjectConnection
    currentUser: UserCore project(fullPath: ID!): Project metadata: Metadata echo(text: String!): String!
  }
`);

const gid = (type: string, id: number) => `gid://gitlab/${type}/${id}`;

/** Answers a GraphQL document for the user of a token; errors are told in a 200, as GitLab tells them. */
export async function answerGraphql(
  world: World,
  token: Token | undefined,
  body: Record<string, unknown>,
): Promise<unknown> {
  if (token?.expired || !token) throw new Refused(401, { errors: [{ message: 'Invalid token' }] });
  const { user } = token;
  const shownUser = { ...user, id: gid('User', user.id), webUrl: `${world.url}/${user.username}` };
  const seen = (found: Project | undefined) =>
    !found || (found.visibility === 'private' && !found.members.has(user.id))
      ? null
      : projectOf(world, found);
  const rootValue = {
    currentUser: shownUser,
    metadata: { version: '18.5.0', revision: 'double', enterprise: false },
    echo: ({ text }: { text: string }) => `"${user.username}" says: ${text}`,
    project: ({ fullPath }: { fullPath: string }) => seen(world.find(fullPath)),
    projects: ({ ids = [] }: { ids?: string[] }) => ({
      nodes: ids.flatMap((id) => seen(world.find(id.replace('gid://gitlab/Project/', ''))) ?? []),
    }),
  };
  const variableValues = isRecord(body['variables']) ? body['variables'] : {};
  const source = typeof body['query'] === 'string' ? body['query'] : '';
  if (source === '') return { errors: [{ message: 'Unexpected end of document' }] };
  return graphql({ schema, source, rootValue, variableValues });
}

interface Wanted {
  types?: string[];
  state?: string;
  search?: string;
  first?: number;
  after?: string;
}

const projectOf = (world: World, project: Project) => ({
  id: gid('Project', project.id),
  name: project.name,
  path: project.name,
  fullPath: project.path,
  description: project.description,
  visibility: project.visibility,
  webUrl: `${world.url}/${project.path}`,
  job({ id }: { id: string }) {
    const job = project.pipelines
      .flatMap((one) => one.jobs)
      .find((one) => id === `gid://gitlab/Ci::Build/${one.id}`);
    if (!job) return null;
    if (!world.summaries) throw new GraphQLError("Field 'htmlSummary' doesn't exist on type 'CiJobTrace'");
    const htmlSummary = ({ lastLines }: { lastLines: number }) => summary(job.log, lastLines);
    return { id, name: job.name, status: job.status.toUpperCase(), trace: { htmlSummary } };
  },
  workItems({ types, state, search, first = 100, after }: Wanted) {
    const all = project.issues
      .filter((one) => !types || types.includes(one.type))
      .filter((one) => !state || state === 'all' || one.state === state)
      .filter((one) => !search || one.title.toLowerCase().includes(search.toLowerCase()))
      .toReversed();
    const from = after === undefined ? 0 : Number(Buffer.from(after, 'base64').toString()) || 0;
    const to = Math.min(all.length, from + Math.min(100, first));
    const cursor = (at: number) => Buffer.from(String(at)).toString('base64');
    return {
      count: all.length,
      nodes: all.slice(from, to).map((one) => workItem(world, project, one)),
      pageInfo: {
        endCursor: to > from ? cursor(to) : null,
        startCursor: to > from ? cursor(from) : null,
        hasNextPage: to < all.length,
        hasPreviousPage: from > 0,
      },
    };
  },
});

const workItem = (world: World, project: Project, one: Issue) => ({
  id: gid('WorkItem', one.id),
  iid: String(one.iid),
  title: one.title,
  description: one.description,
  state: one.state === 'opened' ? 'OPEN' : 'CLOSED',
  workItemType: { id: gid('WorkItems::Type', 1), name: one.type[0] + one.type.slice(1).toLowerCase() },
  author: {
    ...one.author,
    id: gid('User', one.author.id),
    webUrl: `${world.url}/${one.author.username}`,
  },
  webUrl: `${world.url}/${project.path}/-/work_items/${one.iid}`,
  createdAt: one.at,
});
