import { CallError } from '../../kit/call.ts';
import { isObject, jsonOrNothing } from '../../kit/json.ts';
import { ToolError } from '../../kit/tool.ts';

/** An answer of GitLab that is no success; `status` is for callers that know what to do about one. */
export class GitLabError extends ToolError {
  override name = 'GitLabError';
  readonly status: number | undefined;

  constructor(message: string, status: number | undefined) {
    super(message);
    this.status = status;
  }
}

/** What a request was for, in words that fit "… was not done". */
export interface Asked {
  writes: boolean;
  method: string;
  /** API path without the prefix, decoded enough for a person. */
  path: string;
  /** The setting that holds the token. */
  tokenSetting: string;
}

const maybe = 'GitLab may have done it: check the result (list or show it) before you send it again.';

/** The error without its doubt, for who has looked at what was done. */
export const withoutDoubt = (message: string) => message.replace(` ${maybe}`, '');

/** One sentence or two: what is missing (argument, scope, role), and the next step. */
export function explain(error: unknown, asked: Asked): unknown {
  if (!(error instanceof CallError)) return error;
  const { status, reason } = error;
  const said = saidBy(error.body);
  const what = `${asked.method} ${asked.path}`;
  const of = (text: string) => new GitLabError(text, status);
  if (reason === 'deadline' || reason === 'connection_lost') {
    if (!asked.writes) return of(error.message);
    const how = reason === 'deadline' ? 'did not answer in time' : 'broke the connection before it answered';
    return of(`GitLab ${how} (${what}). ${maybe}`);
  }
  if (reason === 'web_page') {
    return of(webPage(what, asked.tokenSetting));
  }
  if (reason === 'too_big') return of(tooBig(asked.path) ?? error.message);
  if (reason === 'redirect' && asked.writes) return of(moved(what));
  if (status === undefined || reason !== 'status') return of(error.message);
  switch (status) {
    case 401:
      // What GitLab says there to a good token whose user may not do it (docs.gitlab.com/api/merge_requests).
      if (
        /\/merge_requests\/\d+\/(merge|approve)$/.test(asked.path) &&
        !/invalid_token|expired/i.test(said)
      ) {
        const verb = asked.path.endsWith('merge') ? 'merge it' : 'approve it';
        return of(
          `GitLab does not let the token's user ${verb} (401): the role is too low, the approval was given before, or the token is no longer good. Show the merge request, and ask someone with the role; gitlab_find (what: me) tells of the token.`,
        );
      }
      return of(
        `GitLab refuses the token (401${said && `: ${said}`}): it is expired, revoked or mistyped. Make a new one (GitLab, Preferences, Access tokens) and set ${asked.tokenSetting}.`,
      );
    case 403:
      return of(forbidden(error.body, said, what, asked.tokenSetting));
    case 404:
      return of(
        `GitLab has no such thing, or the token's user may not see it (404${said && `: ${said}`}; ${what}). Check the project, id, branch and path; gitlab_find lists projects.`,
      );
    case 405:
      return /moved/i.test(said)
        ? of(moved(what))
        : of(
            `GitLab does not allow this in the present state (405${said && `: ${said}`}). Show it first to see its state.`,
          );
    case 409:
      return of(
        `It has changed in between, or exists already (409${said && `: ${said}`}). Show it again and repeat with what is there now.`,
      );
    case 400:
    case 422:
      return of(
        said
          ? `GitLab refused the values (${status}: ${said}). Correct the argument it names and call again.`
          : `GitLab refused the request without a reason (${status}). Look for characters that cannot be shown, names and dates that are none, and call again.`,
      );
    case 413:
    case 414:
    case 431:
      return of(
        `An argument is too long for GitLab (${status}), and nothing was done. Shorten the longest one: a search takes some words, a list some names.`,
      );
    case 429:
      return of(
        `GitLab's rate limit is reached (429); ${asked.writes ? 'nothing was done' : 'nothing was read'}. Try again ${error.retryAfter === undefined ? 'in a minute' : `in ${error.retryAfter} s`}.`,
      );
    default:
      return of(
        status >= 500
          ? `GitLab has a fault of its own (${status}${said && `: ${said}`}). ${asked.writes ? maybe : 'Try again in a minute.'}`
          : `GitLab answered ${status} to ${what}${said && `: ${said}`}. Check the arguments.`,
      );
  }
}

function tooBig(path: string): string | undefined {
  if (path.endsWith('/artifacts'))
    return 'The artifacts are too large to be listed. Give `path`, one file of them, or open the job on GitLab.';
  if (/\/artifacts\//.test(path))
    return 'This file of the artifacts is larger than 4 MB, and was not read. Download it on the page of the job on GitLab.';
  return undefined;
}

/** Whether it is unknown if the thing was done. */
export const isDoubtful = (error: unknown): error is GitLabError =>
  error instanceof GitLabError && error.message.includes(maybe);

/** Told where a request was answered with a page for people. */
export const webPage = (what: string, tokenSetting: string) =>
  `GitLab answered ${what} with a web page, not data: a login page or a proxy stands before it. Check GITLAB_URL and ${tokenSetting}.`;

/** A further step of a call: where it fails, the error says what is done already, so that nobody does it twice. */
export async function further<T>(done: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    throw new ToolError(
      `${done}; what came after it failed: ${error.message} Do not repeat the whole call.`,
      {
        cause: error,
      },
    );
  }
}

const moved = (what: string) =>
  `The project has moved, so ${what} was not done. Find its new path with gitlab_find and call again with that.`;

function forbidden(body: string, said: string, what: string, setting: string): string {
  const answer = jsonOrNothing(body);
  if (isObject(answer) && answer['error'] === 'insufficient_scope') {
    const scope = typeof answer['scope'] === 'string' ? answer['scope'] : 'api';
    return `The token lacks a scope (403): this needs ${scope.split(' ').join(' or ')}. Make a token with it and set ${setting}.`;
  }
  return `The token's user may not do this (403${said && `: ${said}`}; ${what}). A higher role in the project is needed (Developer to push and comment, Maintainer for protected branches), or another branch.`;
}

/** The reason in GitLab's answer: `message` (text, list or fields), `error_description` or `error`. */
function saidBy(body: string): string {
  const answer = jsonOrNothing(body);
  if (!isObject(answer)) return '';
  const reason = answer['message'] ?? answer['error_description'] ?? answer['error'];
  return flatten(reason).replace(/\s+/g, ' ').replace(/\.$/, '').slice(0, 300);
}

function flatten(reason: unknown): string {
  if (typeof reason === 'string') return reason;
  if (Array.isArray(reason)) return reason.map(flatten).join(', ');
  if (isObject(reason))
    return Object.entries(reason)
      .map(([key, one]) => `${key} ${flatten(one)}`)
      .join('; ');
  return '';
}
