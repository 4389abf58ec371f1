import { ConfigError } from '../../kit/config.ts';
import { isObject } from '../../kit/json.ts';
import { secretName } from '../../kit/secret-store.ts';

/** What a first configuration says. */
export interface Choices {
  /** Our servers, each on or off. */
  servers: Record<string, boolean>;
  /** Where Ollama answers; undefined: where it does by itself. */
  ollama?: string;
  /** The model to talk with; undefined: one that is installed. */
  model?: string;
  gitlab?: { url: string; token?: string; readOnly: boolean };
}

/** `kuznia.json` with the choices put in; what it said of other things stays. */
export function compose(before: Record<string, unknown>, choices: Choices): Record<string, unknown> {
  const after: Record<string, unknown> = { ...before };
  after['mcpServers'] = { ...part(before, 'mcpServers'), ...switches(before, choices) };
  if (choices.model !== undefined) after['models'] = { ...part(before, 'models'), default: choices.model };
  if (choices.ollama !== undefined) after['OLLAMA_HOST'] = choices.ollama;
  const { gitlab } = choices;
  if (gitlab) {
    const servers = part(before, 'servers');
    const { url, token, readOnly } = gitlab;
    const own = {
      ...part(servers, 'gitlab'),
      url,
      ...(token !== undefined && { token }),
      read_only: readOnly,
    };
    after['servers'] = { ...servers, gitlab: own };
  }
  return after;
}

/** A server that stays on keeps how it was told to run. */
function switches(before: Record<string, unknown>, { servers }: Choices): Record<string, unknown> {
  const was = part(before, 'mcpServers');
  const pairs = Object.entries(servers).map(([name, on]) => [
    name,
    on && isObject(was[name]) ? was[name] : on,
  ]);
  return Object.fromEntries(pairs);
}

function part(whole: Record<string, unknown>, key: string): Record<string, unknown> {
  const found = whole[key];
  return isObject(found) ? found : {};
}

/** A web address as it is written down: http or https, no slash at its end, nothing secret in it. */
export function webAddress(text: string, what: string): string {
  const given = text.trim();
  let url: URL | undefined;
  try {
    url = new URL(/^[a-z]+:\/\//i.test(given) ? given : `https://${given}`);
  } catch {
    // told below
  }
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.hostname === '') {
    throw new ConfigError(`${what}: expected a web address, for example https://gitlab.com.`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new ConfigError(`${what}: no name or password goes into the address. Use kuznia secret add NAME.`);
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** `gitlab-token` or `secret://gitlab-token` as a reference. What could be the token itself is refused, and not shown. */
export function secretRef(text: string): string {
  const name = text.trim().replace(/^secret:\/\//, '');
  // GitLab's tokens begin with gl and a kind; longer texts are no names either.
  if (!secretName.test(name) || /^gl[a-z]{2,6}-/.test(name)) {
    throw new ConfigError(
      'That is no name of a secret, and was written nowhere: a token never goes into the file. Give a name like gitlab-token, then: kuznia secret add gitlab-token',
    );
  }
  return `secret://${name}`;
}
