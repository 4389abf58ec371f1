import { Handles } from '../../kit/handles.ts';
import { storeSecrets } from '../../kit/secret-source.ts';
import { environmentSecrets, resolveSecret } from '../../kit/secrets.ts';
import { ToolError, type Runtime } from '../../kit/tool.ts';
import type { AuthConfig } from './config.ts';
import { mailSource } from './mail.ts';
import { SignIns } from './sign-ins.ts';
import { smsSource } from './sms.ts';
import type { CodeSource } from './source.ts';
import { Tickets } from './tickets.ts';
import { Webhooks } from './webhooks.ts';

/** The auth server, open. */
export interface Auth {
  home: string;
  config: AuthConfig;
  handles: Handles;
  tickets: Tickets;
  sources: CodeSource[];
  webhooks: Webhooks;
  resolve: typeof resolveSecret;
  signIns: SignIns;
}

/** Opens nothing outside: mailboxes and listeners are opened while somebody waits for a code. */
export async function openAuth(
  config: AuthConfig,
  { home, env }: Pick<Runtime, 'home' | 'env'>,
): Promise<Auth> {
  const handles = new Handles(home);
  const webhooks = new Webhooks(config.listen);
  const resolve: typeof resolveSecret = (ref) =>
    resolveSecret(ref, [storeSecrets(home), environmentSecrets(env)]);
  return {
    home,
    config,
    handles,
    webhooks,
    resolve,
    tickets: new Tickets(home, handles),
    sources: [
      ...Object.entries(config.mailboxes).map(([name, one]) => mailSource(name, one, resolve)),
      ...Object.entries(config.sms).map(([name, one]) => smsSource(name, one, resolve, webhooks)),
    ],
    signIns: new SignIns(home),
  };
}

export async function closeAuth(auth: Auth): Promise<void> {
  auth.signIns.close();
  await auth.tickets.close();
  await Promise.all([auth.handles.close(), auth.webhooks.close()]);
}

/** Scheme, host and port of an address. Only https, or loopback: a code in the open is everyone's. */
export function originOf(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol === 'https:') return url.origin;
  const local = url && /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url?.protocol === 'http:' && local) return url.origin;
  throw new ToolError(
    'The origin is no https address. Give the one of the login page, such as https://gitlab.example',
  );
}
