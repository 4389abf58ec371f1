import type { CallRequest } from '../../kit/call.ts';
import { isObject } from '../../kit/json.ts';

type Exchange = (
  path: string,
  options: CallRequest,
) => Promise<{ status: number; headers: Record<string, string>; body: unknown }>;

/**
 * gitbeaker's resources on a requester of ours. Its own retries any verb at once and up to ten times, ignores
 * Retry-After, and keeps the token in `error.cause.request`: none of it is used. Loaded with the first call (60 ms).
 */
export async function library(exchange: Exchange) {
  const [{ Branches, Commits, IssueNotes, Issues, ...more }, utils] = await Promise.all([
    import('@gitbeaker/rest'),
    import('@gitbeaker/requester-utils'),
  ]);
  const { MergeRequestApprovals, MergeRequestNotes } = more;
  const { MergeRequests, Pipelines, Projects, Tags } = more;
  const requesterFn = utils.createRequesterFn(
    async (_service, request) => request,
    async (endpoint, options) => {
      const { method, body, searchParams, prefix } = wire(options);
      const path = prefix ? `${prefix}/${endpoint}` : endpoint;
      const {
        status,
        headers,
        body: answer,
      } = await exchange(searchParams ? `${path}?${searchParams}` : path, {
        method,
        ...(body !== undefined && { body, headers: { 'content-type': 'application/json' } }),
      });
      // gitbeaker only hands it through: who called parses it.
      return { status, headers, body: isObject(answer) ? answer : null };
    },
  );
  const classes = utils.presetResourceArguments(
    {
      Branches,
      Commits,
      IssueNotes,
      Issues,
      MergeRequestApprovals,
      MergeRequestNotes,
      MergeRequests,
      Pipelines,
      Projects,
      Tags,
    },
    // Our own deadline and rate limit are in the call.
    { requesterFn, host: '', queryTimeout: null, rateLimits: {} },
  );
  return {
    branches: new classes.Branches({ token: '' }),
    commits: new classes.Commits({ token: '' }),
    issueNotes: new classes.IssueNotes({ token: '' }),
    issues: new classes.Issues({ token: '' }),
    approvals: new classes.MergeRequestApprovals({ token: '' }),
    mergeRequestNotes: new classes.MergeRequestNotes({ token: '' }),
    mergeRequests: new classes.MergeRequests({ token: '' }),
    pipelines: new classes.Pipelines({ token: '' }),
    projects: new classes.Projects({ token: '' }),
    tags: new classes.Tags({ token: '' }),
  };
}

export type Library = Awaited<ReturnType<typeof library>>;

/** What gitbeaker made of a call: texts, or nothing. */
function wire(options: Record<string, unknown> | undefined) {
  const text = (name: string) => {
    const value = options?.[name];
    return typeof value === 'string' ? value : undefined;
  };
  // Notes and discussions keep what they belong to there: `/api/v4/projects`.
  const prefix = text('prefixUrl')?.replace(/^\/api\/v4\/?/, '');
  return { method: text('method') ?? 'GET', body: text('body'), searchParams: text('searchParams'), prefix };
}
