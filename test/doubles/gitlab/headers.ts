import { createHash, randomUUID } from 'node:crypto';
import type { World } from './world.ts';

interface Answer {
  status: number;
  headers: Record<string, string>;
  content: string | Buffer | AsyncIterable<Buffer>;
}

/** An answer with what GitLab puts around every one: ids, caching (Rack::ETag), length. */
export function dressed(answer: Answer, method: string, ifNoneMatch: string | undefined): Answer {
  const { status, content } = answer;
  const id = randomUUID();
  const headers: Record<string, string> = {
    'cache-control': 'max-age=0, private, must-revalidate',
    vary: 'Origin',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'SAMEORIGIN',
    'x-request-id': id,
    'x-gitlab-meta': JSON.stringify({ correlation_id: id, version: '1' }),
    ...answer.headers,
  };
  const whole = typeof content === 'string' || Buffer.isBuffer(content);
  if (!whole || status === 204) return { status, headers, content };
  const json = headers['content-type'] === 'application/json';
  if (['GET', 'HEAD'].includes(method) && status === 200 && json) {
    const etag = `W/"${createHash('md5').update(content).digest('hex')}"`;
    headers['etag'] = etag;
    if (ifNoneMatch === etag) return { status: 304, headers, content: '' };
  }
  headers['content-length'] = String(Buffer.byteLength(content));
  return { status, headers, content: method === 'HEAD' ? '' : content };
}

/**
 * docs.gitlab.com/administration/settings/user_and_ip_rate_limits: with limits on, every answer tells of them, and what is
 * over is refused in plain text. Off, as on a new GitLab, where `world.limit` is undefined.
 */
export function limited(world: World, who: string): { headers: Record<string, string>; over: boolean } {
  if (world.limit === undefined) return { headers: {}, over: false };
  const minute = Math.floor(Date.now() / 60_000);
  const key = `${who} ${minute}`;
  const observed = (world.requests.get(key) ?? 0) + 1;
  world.requests.set(key, observed);
  const reset = (minute + 1) * 60;
  const over = observed > world.limit;
  return {
    over,
    headers: {
      'ratelimit-name': 'throttle_authenticated_api',
      'ratelimit-limit': String(world.limit),
      'ratelimit-observed': String(observed),
      'ratelimit-remaining': String(Math.max(0, world.limit - observed)),
      'ratelimit-reset': String(reset),
      ...(over && { 'retry-after': String(Math.max(1, reset - Math.floor(Date.now() / 1000))) }),
    },
  };
}
