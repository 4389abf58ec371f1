import type { Runtime, ServerDefinition } from '../../kit/tool.ts';
import { readConfigFile, serverConfig } from '../../kit/config.ts';
import { closeAuth, openAuth, type Auth } from './auth.ts';
import { codes } from './codes.ts';
import { authConfig, type AuthConfig } from './config.ts';
import type { SignInPrompt } from './oauth.ts';
import { signing } from './signing.ts';
import { signInStates, sourceStates, status } from './status.ts';

/** The auth server: second factors as one-time handles, secrets and sign-ins by reference, never a value. */
export const auth: ServerDefinition<AuthConfig, Auth> = {
  name: 'auth',
  title: 'Auth',
  instructions:
    'Codes for logins, as one-time handles. A code by mail or SMS: auth_expect_code, then make the site send it, then auth_wait_code. Put the handle itself where a login tool takes a code; nobody needs to see the code.',
  config: authConfig,
  open: openAuth,
  close: closeAuth,
  select: ({ name }, { reveal_codes }) => name !== 'auth_reveal_code' || reveal_codes,
  tools: [...codes, ...status, ...signing],
  resources: [],
  prompts: [],
};

const settings = ({ home, env }: Pick<Runtime, 'home' | 'env'>) =>
  serverConfig(authConfig, 'auth', { file: readConfigFile(home), env });

/** Adds a two-factor entry that a person brought; see `enrol.ts`. */
export async function enrol(...args: Parameters<typeof import('./enrol.ts').enrol>) {
  return (await import('./enrol.ts')).enrol(...args);
}

/** A page on which a person enters a secret; see `page.ts`. */
export async function enterOnPage(...args: Parameters<typeof import('./page.ts').enterOnPage>) {
  return (await import('./page.ts')).enterOnPage(...args);
}

/** Each code source and sign-in with whether it can be reached, for `kuznia doctor`. */
export async function sources(runtime: Pick<Runtime, 'home' | 'env'>, signal: AbortSignal) {
  const open = await openAuth(settings(runtime), runtime);
  try {
    return [...(await sourceStates(open, true, signal)), ...(await signInStates(open))];
  } finally {
    await closeAuth(open);
  }
}

/** Signs a person in at the terminal and keeps the token; `kuznia login`. */
export async function login(
  runtime: Pick<Runtime, 'home' | 'env'>,
  name: string,
  show: (prompt: SignInPrompt) => void,
  signal: AbortSignal,
): Promise<void> {
  const { clientOf, signIn } = await import('./oauth.ts');
  const { config, resolve } = await openAuth(settings(runtime), runtime);
  await signIn(runtime.home, name, await clientOf(name, config.oauth[name], resolve), show, signal);
}

/** Revokes and forgets what `login` kept. */
export async function logout(home: string, name: string): Promise<{ revoked: boolean; note?: string }> {
  return (await import('./oauth.ts')).signOut(home, name);
}
