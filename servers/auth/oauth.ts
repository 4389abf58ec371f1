import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  keepTokens,
  oauthConfiguration,
  readTokens,
  whileNotRefreshed,
  type OauthClient,
} from '../../kit/secret-oauth.ts';
import { secretStore } from '../../kit/secret-store.ts';
import type { resolveSecret } from '../../kit/secrets.ts';
import { ToolError } from '../../kit/tool.ts';
import { within } from '../../kit/within.ts';
import type { OauthConfig } from './config.ts';

const PRESETS = {
  // docs.gitlab.com/integration/oauth_provider; device codes since 17.2
  gitlab: { issuer: 'https://gitlab.com', scope: 'api', flow: undefined, extra: {} },
  // developers.google.com/gmail/imap/xoauth2-protocol: the mail scope is not given to devices
  google: {
    issuer: 'https://accounts.google.com',
    scope: 'https://mail.google.com/',
    flow: 'browser' as const,
    extra: { access_type: 'offline', prompt: 'consent' },
  },
};

/** What a person does to sign in: open the address, and type the code where there is one. */
export interface SignInPrompt {
  url: string;
  code?: string;
  expiresAt: number;
}

const BROWSER_MS = 10 * 60_000;

/** The provider of a name in the configuration, with what its preset adds. */
export async function clientOf(
  name: string,
  config: OauthConfig | undefined,
  resolve: typeof resolveSecret,
): Promise<OauthClient & Pick<OauthConfig, 'flow' | 'redirect_uri'>> {
  if (!config) {
    throw new ToolError(
      `There is no provider ${name}. Add it in kuznia.json: servers.auth.oauth.${name}, with client_id, and preset or issuer.`,
    );
  }
  const preset = config.preset && PRESETS[config.preset];
  const issuer = config.issuer ?? preset?.issuer;
  if (issuer === undefined)
    throw new ToolError(`servers.auth.oauth.${name} has no issuer: set it, or a preset.`);
  return {
    issuer,
    client_id: config.client_id,
    scope: config.scope ?? preset?.scope ?? 'openid offline_access',
    extra: preset?.extra ?? {},
    client_auth: config.client_auth,
    flow: config.flow ?? preset?.flow,
    redirect_uri: config.redirect_uri,
    ...(config.client_secret !== undefined && { client_secret: await resolve(config.client_secret) }),
  };
}

/** Signs a person in and keeps the tokens under the name. `show` is told what the person has to do. */
export async function signIn(
  home: string,
  name: string,
  { flow, redirect_uri, ...client }: Awaited<ReturnType<typeof clientOf>>,
  show: (prompt: SignInPrompt) => void,
  signal: AbortSignal,
): Promise<void> {
  const provider = await oauthConfiguration(client);
  const device = provider.serverMetadata().device_authorization_endpoint !== undefined;
  const by = flow ?? (device ? 'device' : 'browser');
  try {
    if (by === 'device') await deviceFlow(home, name, client, provider, show, signal);
    else await browserFlow(home, name, client, provider, show, signal, redirect_uri);
  } catch (error) {
    if (error instanceof ToolError || signal.aborted) throw error;
    const { AuthorizationResponseError, ResponseBodyError } = await import('openid-client');
    const said =
      error instanceof AuthorizationResponseError || error instanceof ResponseBodyError
        ? error.error
        : undefined;
    const known: Record<string, string> = {
      access_denied: 'it was declined',
      expired_token: 'the code expired before it was typed',
      invalid_client: `the provider does not know client_id ${client.client_id} with this secret, or wants it sent otherwise (servers.auth.oauth.${name}.client_auth: basic or post)`,
      invalid_scope: `the provider does not give the scope "${client.scope}"`,
    };
    const why =
      (said !== undefined && known[said]) || said || (error instanceof Error ? error.message : 'no answer');
    throw new ToolError(`The sign-in ${name} was not completed: ${why}. Try again: kuznia login ${name}`);
  }
}

type Provider = Awaited<ReturnType<typeof oauthConfiguration>>;
type Flow = (
  home: string,
  name: string,
  client: OauthClient,
  provider: Provider,
  show: (prompt: SignInPrompt) => void,
  signal: AbortSignal,
  redirectUri?: string,
) => Promise<void>;

/** RFC 8628. */
const deviceFlow: Flow = async (home, name, client, provider, show, signal) => {
  const { initiateDeviceAuthorization, pollDeviceAuthorizationGrant } = await import('openid-client');
  const device = await initiateDeviceAuthorization(provider, { scope: client.scope, ...client.extra });
  show({
    url: device.verification_uri_complete ?? device.verification_uri,
    code: device.user_code,
    expiresAt: Date.now() + device.expires_in * 1000,
  });
  const answer = await pollDeviceAuthorizationGrant(provider, device, undefined, { signal });
  await keepTokens(home, name, client, answer);
};

/** RFC 8252: the person's own browser, PKCE (RFC 7636), and a redirect to a port of loopback that is open until then. */
const browserFlow: Flow = async (home, name, client, provider, show, signal, redirectUri) => {
  const {
    authorizationCodeGrant,
    buildAuthorizationUrl,
    calculatePKCECodeChallenge,
    randomPKCECodeVerifier,
    randomState,
  } = await import('openid-client');
  const verifier = randomPKCECodeVerifier();
  const state = randomState();
  const server = createServer();
  const redirect = await listening(server, new URL(redirectUri ?? 'http://127.0.0.1/callback'), name);
  const url = buildAuthorizationUrl(provider, {
    ...client.extra,
    redirect_uri: redirect,
    scope: client.scope,
    state,
    code_challenge: await calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  const ending = within(BROWSER_MS, signal);
  try {
    const answered = new Promise<URL>((resolve, reject) => {
      ending.addEventListener(
        'abort',
        () =>
          reject(
            new ToolError(
              `Nobody signed in within ${BROWSER_MS / 60_000} minutes. Try again: kuznia login ${name}. If the provider refused the redirect, register http://127.0.0.1/callback there, or set servers.auth.oauth.${name}.redirect_uri to what is registered.`,
            ),
          ),
        { once: true },
      );
      server.on('request', (request, response) => {
        const asked = new URL(request.url ?? '/', redirect);
        // Another page may call this port: only the answer with our state ends the wait.
        const ours =
          asked.pathname === new URL(redirect).pathname && asked.searchParams.get('state') === state;
        response
          .writeHead(ours ? 200 : 404, { 'content-type': 'text/html; charset=utf-8', connection: 'close' })
          .end(ours ? '<!doctype html><title>Kuźnia</title><p>Done: you can close this page.' : '');
        if (ours) resolve(asked);
      });
    });
    answered.catch(() => undefined); // awaited below, unless the prompt throws
    show({ url: url.href, expiresAt: Date.now() + BROWSER_MS });
    const answer = await authorizationCodeGrant(provider, await answered, {
      pkceCodeVerifier: verifier,
      expectedState: state,
    });
    await keepTokens(home, name, client, answer);
  } finally {
    server.closeAllConnections();
    server.close();
  }
};

/** Opens the port of the redirect, a free one where it names none; gives the redirect with it. */
async function listening(server: Server, redirect: URL, name: string): Promise<string> {
  const host = redirect.hostname === '[::1]' ? '::1' : '127.0.0.1';
  server.listen(Number(redirect.port), host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new ToolError(
      `The answer of the sign-in cannot be taken at ${redirect.origin} (${error instanceof Error ? error.message : 'it cannot be opened'}). End what listens there, or change servers.auth.oauth.${name}.redirect_uri.`,
    );
  }
  redirect.port = String(addressOf(server.address()).port);
  return redirect.href;
}

function addressOf(address: string | AddressInfo | null): AddressInfo {
  if (typeof address === 'object' && address) return address;
  throw new Error('the loopback listener has no port');
}

/** Revokes the tokens at the provider (RFC 7009), then forgets them; forgets them too where it cannot be reached. */
export const signOut = (home: string, name: string) =>
  whileNotRefreshed(home, name, () => revoked(home, name));

async function revoked(home: string, name: string): Promise<{ revoked: boolean; note?: string }> {
  const { client, access_token, refresh_token } = await readTokens(home, name);
  let note: string | undefined;
  try {
    const { tokenRevocation } = await import('openid-client');
    const provider = await oauthConfiguration(client);
    if (provider.serverMetadata().revocation_endpoint === undefined)
      note = 'the provider has no revocation: end the session in its settings';
    else {
      if (refresh_token !== undefined)
        await tokenRevocation(provider, refresh_token, { token_type_hint: 'refresh_token' });
      await tokenRevocation(provider, access_token, { token_type_hint: 'access_token' });
    }
  } catch (error) {
    note = `not revoked at ${client.issuer} (${error instanceof Error ? error.message : 'no answer'}): end the session in its settings`;
  }
  await secretStore(home).update((all) => void delete all[name]);
  return { revoked: note === undefined, ...(note !== undefined && { note }) };
}
