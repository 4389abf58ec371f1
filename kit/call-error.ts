import { redact } from './secrets.ts';

export type CallReason =
  | 'deadline'
  | 'cancelled'
  /** Nothing was sent: no such host, nobody listens. */
  | 'connect'
  | 'tls'
  /** The connection ended before the answer did. */
  | 'connection_lost'
  | 'status'
  /** A 200 with HTML where JSON was expected. */
  | 'web_page'
  | 'not_json'
  | 'too_big'
  | 'redirect'
  /** Our own limits: nothing was sent. */
  | 'circuit_open'
  | 'rate_limit'
  /** The request was wrong before it was sent. */
  | 'refused';

/**
 * An HTTP call that did not work. Its texts are redacted; it holds no headers, no URL query and no `cause`, since
 * libraries keep the request, and so the token, in theirs.
 */
export class CallError extends Error {
  override name = 'CallError';
  readonly reason: CallReason;
  readonly status: number | undefined;
  /** In seconds, when the server (or our own limit) says when to try again. */
  readonly retryAfter: number | undefined;
  /** The answer's first 2,000 characters, redacted. */
  readonly body: string;

  constructor(
    message: string,
    details: { reason: CallReason; status?: number; retryAfter?: number; body?: string },
  ) {
    super(redact(message));
    this.reason = details.reason;
    this.status = details.status;
    this.retryAfter = details.retryAfter;
    this.body = details.body ?? '';
  }
}

/** Who is called and which settings lead there, for error texts. */
export interface Callee {
  /** As a person says it: `GitLab`. */
  name: string;
  /** The setting with its address, `GITLAB_URL`. */
  setting?: string;
  /** The setting with its token, `GITLAB_TOKEN`. */
  tokenSetting?: string;
}

const untrusted = /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ERR_TLS|ERR_SSL|EPROTO|HOSTNAME_MISMATCH|ALTNAME/;

/** What a failed connection means; only the library's code is kept of it. */
export function connectionError(error: unknown, callee: Callee, origin: string, sent: boolean): CallError {
  const named = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  // undici's parser errors have a code for some faults only.
  const code = named || (error instanceof Error ? error.name : 'no code');
  const check = `Check ${callee.setting ?? 'its address'}`;
  const fail = (reason: CallReason, text: string) =>
    new CallError(`${callee.name} (${origin}): ${text}`, { reason });
  if (untrusted.test(code)) {
    return fail(
      'tls',
      `no trusted TLS connection (${code}). ${check}, or name its authority's certificate in NODE_EXTRA_CA_CERTS.`,
    );
  }
  if (/ENOTFOUND|EAI_/.test(code)) {
    return fail('connect', `the name cannot be resolved (${code}). ${check} and the network.`);
  }
  if (/ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|EADDRNOTAVAIL/.test(code)) {
    return fail('connect', `nobody answers there (${code}). ${check} and that the server is up.`);
  }
  if (/^HPE_|HTTPParserError|UND_ERR_HEADERS_OVERFLOW/.test(code)) {
    return fail(
      'connection_lost',
      `what it answered is no HTTP (${code}). ${check}: http or https, and the port.`,
    );
  }
  if (/UND_ERR_INVALID_ARG|ERR_INVALID|UND_ERR_NOT_SUPPORTED/.test(code)) {
    const why = error instanceof Error ? error.message : code;
    return fail(
      'refused',
      `the request cannot be sent: ${why}. Look for line breaks in the token or a header.`,
    );
  }
  const when = sent ? 'in the middle of its answer' : 'before it answered';
  return fail(
    'connection_lost',
    `the connection broke ${when} (${code}). Try again; if it stays so, see the server's log.`,
  );
}

/** Milliseconds from now, of a Retry-After in seconds or as an HTTP date (RFC 9110 10.2.3). */
export function retryAfterMs(header: string | undefined, now = Date.now()): number | undefined {
  const text = header?.trim() ?? '';
  if (/^\d+$/.test(text)) return Math.min(Number(text), 366 * 86_400) * 1000;
  // Only date shapes: Date.parse takes nearly anything ("5 minutes" is the year 2001).
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

/** "in 90 s (at 14:03:10 UTC)" */
export function inTime(ms: number): string {
  const at = new Date(Date.now() + ms).toISOString();
  const clock = ms < 86_400_000 ? at.slice(11, 19) : at.slice(0, 16).replace('T', ' ');
  return `in ${Math.ceil(ms / 1000)} s (at ${clock} UTC)`;
}

export function isWebPage(contentType: string, text: string): boolean {
  return /\b(text\/html|application\/xhtml)/i.test(contentType) || /^\s*<(!doctype html|html)\b/i.test(text);
}

/** What of an answer is worth reading: a page's title, else the text on one line. */
export function excerpt(contentType: string, text: string, chars: number): string {
  const title = isWebPage(contentType, text) ? /<title[^>]{0,200}>([^<]{1,200})/i.exec(text)?.[1] : undefined;
  if (title !== undefined) return `a web page, "${redact(title).trim()}"`;
  const line = redact(text).replace(/\s+/g, ' ').trim();
  return line.length > chars ? `${line.slice(0, chars)}...` : line;
}

/** The error of a status that is none of success. */
export function statusError(
  callee: Callee,
  what: string,
  answer: { status: number; contentType: string; text: string; retryMs: number | undefined },
): CallError {
  const { status, contentType, text, retryMs } = answer;
  const said = excerpt(contentType, text, 300);
  const next =
    status === 401
      ? ` Check ${callee.tokenSetting ?? 'its token'}.`
      : status === 429 || status === 503
        ? ` Try again ${retryMs === undefined ? 'later' : inTime(retryMs)}.`
        : '';
  return new CallError(`${callee.name} answered ${status} to ${what}${said ? `: ${said}` : ''}.${next}`, {
    reason: 'status',
    status,
    retryAfter: retryMs === undefined ? undefined : Math.ceil(retryMs / 1000),
    body: redact(text).slice(0, 2000),
  });
}
