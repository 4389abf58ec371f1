import type { ClientAuth, Configuration, TokenEndpointResponse } from 'openid-client';
import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import { z } from 'zod';
import { withLock } from './secret-lock.ts';
import { secretStore } from './secret-store.ts';
import { registerSecret } from './secrets.ts';
import { ToolError } from './tool.ts';

/** How one provider is signed in to. */
const oauthClient = z.object({
  issuer: z.string(),
  client_id: z.string(),
  client_secret: z.string().optional(),
  /** How the secret is sent, where the provider has it registered so; unset: as its description says. */
  client_auth: z.enum(['basic', 'post']).optional(),
  scope: z.string(),
  /** Sent with the authorization request; Google gives no refresh token without `access_type`. */
  extra: z.record(z.string(), z.string()).default({}),
});

export type OauthClient = z.output<typeof oauthClient>;

/** What signing in gave, as the store keeps it. */
export const oauthTokens = z.object({
  client: oauthClient,
  access_token: z.string(),
  refresh_token: z.string().optional(),
  /** Epoch ms; undefined where the provider does not say. */
  expires_at: z.number().optional(),
  /** From then on it is refreshed. */
  renew_at: z.number().optional(),
});

type OauthTokens = z.output<typeof oauthTokens>;

/** Refreshed so long before it expires: calls that begin with it must end. One that lives for less than two minutes, at half its time. */
const EARLY_MS = 60_000;
const LEAST_LEFT_MS = 5_000;
const CALL_S = 20;
const REFRESH_LOCK_MS = 45_000;

/** The access token of a sign-in, refreshed where it is about to expire: by one process, while the others wait for it. */
export async function accessToken(home: string, name: string): Promise<string> {
  const held = await readTokens(home, name);
  if (fresh(held)) return held.access_token;
  return whileNotRefreshed(home, name, async () => {
    const now = await readTokens(home, name);
    if (fresh(now)) return now.access_token;
    if (!now.refresh_token) throw again(name, 'has expired and cannot be refreshed');
    const { refreshTokenGrant, ResponseBodyError } = await import('openid-client');
    try {
      const answer = await refreshTokenGrant(await oauthConfiguration(now.client), now.refresh_token);
      return (await keepTokens(home, name, now.client, answer, now.refresh_token)).access_token;
    } catch (error) {
      if (error instanceof ResponseBodyError && error.error === 'invalid_grant') {
        throw again(name, 'was revoked or is too old');
      }
      // The provider may be back before the token that there is has expired.
      if ((now.expires_at ?? 0) > Date.now() + LEAST_LEFT_MS) return now.access_token;
      if (error instanceof ToolError) throw error;
      const why = error instanceof Error ? error.message : 'no answer';
      throw new ToolError(
        `The sign-in ${name} could not be refreshed at ${now.client.issuer}: ${why}. Try again.`,
      );
    }
  });
}

/** While no process refreshes it: what is signed out meanwhile would be kept again. */
export async function whileNotRefreshed<T>(home: string, name: string, work: () => Promise<T>): Promise<T> {
  const folder = join(home, 'run');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return withLock(join(folder, `refresh-${name}.lock`), REFRESH_LOCK_MS, work);
}

const fresh = ({ expires_at, renew_at }: OauthTokens) =>
  expires_at === undefined || (renew_at ?? expires_at - EARLY_MS) > Date.now();

const again = (name: string, why: string) =>
  new ToolError(`The sign-in ${name} ${why}. A person signs in again: kuznia login ${name}`);

/** What is kept of a sign-in. Throws ToolError where nobody signed in. */
export async function readTokens(home: string, name: string): Promise<OauthTokens> {
  const entry = await secretStore(home).get(name);
  if (entry?.kind !== 'oauth')
    throw new ToolError(`Nobody has signed in to ${name}. A person does: kuznia login ${name}`);
  const tokens = oauthTokens.parse(JSON.parse(entry.value));
  registerSecret(tokens.access_token, { label: name });
  if (tokens.refresh_token) registerSecret(tokens.refresh_token, { label: `${name} refresh token` });
  return tokens;
}

/** Keeps what a token endpoint answered; the old refresh token stays where no new one came (RFC 6749 6). */
export async function keepTokens(
  home: string,
  name: string,
  client: OauthClient,
  answer: TokenEndpointResponse,
  oldRefreshToken?: string,
): Promise<OauthTokens> {
  const tokens: OauthTokens = {
    client,
    access_token: answer.access_token,
    refresh_token: answer.refresh_token ?? oldRefreshToken,
    ...(answer.expires_in !== undefined && {
      expires_at: Date.now() + answer.expires_in * 1000,
      renew_at: Date.now() + answer.expires_in * 1000 - Math.min(EARLY_MS, answer.expires_in * 500),
    }),
  };
  registerSecret(tokens.access_token, { label: name });
  if (tokens.refresh_token) registerSecret(tokens.refresh_token, { label: `${name} refresh token` });
  const now = new Date().toISOString();
  await secretStore(home).update((all) => {
    const known = all[name];
    if (known && known.kind !== 'oauth') {
      throw new ToolError(`${name} is taken by another secret. Choose another name for this sign-in.`);
    }
    all[name] = {
      kind: 'oauth',
      value: JSON.stringify(tokens),
      origins: known?.origins ?? [],
      added: known?.added ?? now,
      changed: now,
      ...(tokens.expires_at !== undefined && { expires: new Date(tokens.expires_at).toISOString() }),
    };
  });
  return tokens;
}

/**
 * The provider as it describes itself (OpenID Connect Discovery, else RFC 8414: what gives no identities, as the
 * authorization servers of many MCP servers, has the latter alone); its issuer must be the one asked for.
 */
export async function oauthConfiguration(client: OauthClient): Promise<Configuration> {
  const { allowInsecureRequests, ClientError, discovery } = await import('openid-client');
  const issuer = new URL(client.issuer);
  const local = issuer.protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(issuer.hostname);
  if (issuer.protocol !== 'https:' && !local) {
    throw new ToolError(
      `${client.issuer} is not https: tokens would travel in the open. Correct the issuer.`,
    );
  }
  if (client.client_secret)
    registerSecret(client.client_secret, { label: `${client.client_id} client secret` });
  const auth = await authentication(client);
  const execute = local ? { execute: [allowInsecureRequests] } : {};
  const described = (algorithm: 'oidc' | 'oauth2') =>
    discovery(issuer, client.client_id, undefined, auth, { timeout: CALL_S, algorithm, ...execute });
  try {
    return await described('oidc').catch(async (error: unknown) => {
      // An answer that is no description: there may be one at the other address.
      const answered = error instanceof ClientError && error.cause instanceof Response;
      if (!answered || issuer.pathname.includes('/.well-known/')) throw error;
      return await described('oauth2').catch(() => {
        throw error;
      });
    });
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    const other = otherIssuer.safeParse(cause).data?.body.issuer;
    const more =
      other !== undefined ? `: it calls itself ${other}` : cause instanceof Error ? `: ${cause.message}` : '';
    const why = error instanceof Error ? error.message : 'no answer';
    throw new ToolError(
      `${client.issuer} did not describe itself as an OAuth provider (${why}${more}). Check the issuer.`,
    );
  }
}

const otherIssuer = z.object({ body: z.object({ issuer: z.string().max(300) }) });

/** Unless told otherwise in the body, where the provider takes that; the header all must take (RFC 6749, 2.3.1; RFC 8414, 2). */
async function authentication({ client_secret, client_auth }: OauthClient): Promise<ClientAuth> {
  const { ClientSecretBasic, ClientSecretPost, None } = await import('openid-client');
  if (client_secret === undefined) return None();
  const [post, basic] = [ClientSecretPost(client_secret), ClientSecretBasic(client_secret)];
  return (provider, ...request) => {
    const offered = provider.token_endpoint_auth_methods_supported?.includes('client_secret_post');
    const inBody = client_auth === undefined ? offered : client_auth === 'post';
    return (inBody ? post : basic)(provider, ...request);
  };
}
