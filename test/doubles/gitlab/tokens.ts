import type { IncomingMessage } from 'node:http';
import { Refused } from './routing.ts';
import type { Token } from './model.ts';

/** Throws where a token may not do it: expired, or without the scope. */
export function allow(token: Token, read: boolean, ofUser: boolean): void {
  if (token.expired)
    throw new Refused(401, {
      error: 'invalid_token',
      error_description: 'Token is expired. You can either do re-authorization or token refresh.',
    });
  const fits =
    token.scopes.includes('api') ||
    (read && token.scopes.includes('read_api')) ||
    (ofUser && token.scopes.includes('read_user'));
  if (fits) return;
  throw new Refused(403, {
    error: 'insufficient_scope',
    error_description: 'The request requires higher privileges than provided by the access token.',
    scope: read ? 'api read_api' : 'api',
  });
}

/** docs.gitlab.com/api/rest/authentication: a header, or the query. */
export function givenToken(request: IncomingMessage, url: URL): string | undefined {
  const given =
    /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ??
    request.headers['private-token'] ??
    url.searchParams.get('private_token') ??
    url.searchParams.get('access_token') ??
    undefined;
  return typeof given === 'string' ? given : undefined;
}

export const hasToken = (request: IncomingMessage, url: URL) => givenToken(request, url) !== undefined;
