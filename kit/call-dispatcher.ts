import { rootCertificates } from 'node:tls';
import type { Dispatcher } from 'undici';

interface Ways {
  ca?: string;
  env?: Record<string, string | undefined>;
}

/**
 * Connections to one origin: straight, or through the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name (never for
 * this machine). undici costs 75 ms of CPU to load: not before the first call. Its time limits are off: ours is over
 * the whole call.
 */
export async function dispatcherFor(url: URL, { ca, env = process.env }: Ways): Promise<Dispatcher> {
  const { Agent, EnvHttpProxyAgent } = await import('undici');
  const trusted = ca === undefined ? {} : { ca: [...rootCertificates, ca] };
  const options = { headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 10_000, ...trusted } };
  const named = (name: string) => env[name.toLowerCase()] || env[name] || undefined;
  const httpProxy = named('HTTP_PROXY');
  const httpsProxy = named('HTTPS_PROXY') ?? httpProxy;
  if ((httpProxy === undefined && httpsProxy === undefined) || isLoopback(url.hostname)) {
    return new Agent(options);
  }
  const noProxy = named('NO_PROXY') ?? '';
  return new EnvHttpProxyAgent({ ...options, httpProxy, httpsProxy, noProxy, requestTls: trusted });
}

const isLoopback = (host: string) => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(host);
