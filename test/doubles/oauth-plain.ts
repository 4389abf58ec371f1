import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { listening } from '../support.ts';
import type { Ending } from '../auth-kit.ts';

/**
 * An authorization server that knows OAuth 2 and no identities, as those of many MCP servers: described by RFC 8414 alone
 * (its issuer has a path; any other address gives the HTML of a front page), one confidential client whose secret it takes
 * one way, a redirect it compares whole (RFC 9700, 2.1), PKCE it wants and does not speak of, tokens without an end.
 */
export async function plainOauth(
  t: Ending,
  { secret, redirect, takes }: { secret: string; redirect: string; takes: ('basic' | 'post')[] },
) {
  const codes = new Map<string, string>();
  const refused: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', issuer());
    const json = (status: number, body: object) =>
      response
        .writeHead(status, { 'content-type': 'application/json;charset=UTF-8' })
        .end(JSON.stringify(body));
    if (url.pathname === '/.well-known/oauth-authorization-server/tenant') {
      json(200, {
        issuer: `${issuer()}/tenant`,
        authorization_endpoint: `${issuer()}/authorize`,
        token_endpoint: `${issuer()}/token`,
        response_types_supported: ['code'],
        // Left out where it is what RFC 8414 (2) takes for granted.
        ...(takes.includes('post') && {
          token_endpoint_auth_methods_supported: takes.map((way) => `client_secret_${way}`),
        }),
        'x-unknown': { deep: [null] },
      });
    } else if (url.pathname === '/authorize') {
      const ask = Object.fromEntries(url.searchParams);
      const right = ask['redirect_uri'] === redirect && ask['code_challenge_method'] === 'S256';
      if (!right) {
        refused.push('redirect');
        response.writeHead(400).end('redirect_uri is not registered');
        return;
      }
      const code = randomBytes(8).toString('hex');
      codes.set(code, ask['code_challenge'] ?? '');
      const back = new URL(redirect);
      back.search = String(new URLSearchParams({ code, state: ask['state'] ?? '' }));
      response.writeHead(302, { location: back.href }).end();
    } else if (url.pathname === '/token' && request.method === 'POST') {
      let body = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      request.on('end', () => {
        const form = new URLSearchParams(body);
        // Both parts are form-encoded before they are joined (RFC 6749, 2.3.1).
        const [, blob = ''] = /^Basic (\S+)$/.exec(request.headers.authorization ?? '') ?? [];
        const [id = '', key = ''] = Buffer.from(blob, 'base64').toString().split(':').map(formDecoded);
        const basic = takes[0] === 'basic' && id === 'kuznia' && key === secret && !form.has('client_secret');
        const post = takes[0] === 'post' && form.get('client_secret') === secret && blob === '';
        const challenge = createHash('sha256')
          .update(form.get('code_verifier') ?? '')
          .digest('base64url');
        if (!basic && !post) {
          refused.push('client');
          json(401, { error: 'invalid_client' });
        } else if (codes.get(form.get('code') ?? '') !== challenge) json(400, { error: 'invalid_grant' });
        else
          json(200, {
            access_token: `kzcanary-plain-${randomBytes(6).toString('hex')}`,
            token_type: 'BEARER',
          });
      });
    } else response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Front page');
  });
  const port = await listening(t, server);
  const issuer = () => `http://127.0.0.1:${port}`;
  return { issuer: `${issuer()}/tenant`, refused };
}

const formDecoded = (text: string) => decodeURIComponent(text.replaceAll('+', ' '));
