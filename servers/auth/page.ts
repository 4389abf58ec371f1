import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { internalError } from '../../kit/log.ts';
import { redact } from '../../kit/secrets.ts';
import { ToolError } from '../../kit/tool.ts';
import { within } from '../../kit/within.ts';
import { sameText } from './webhooks.ts';

/** What a person gave on the page: a text, with whether it is for a two-factor app, or the picture of a QR code. */
export type Given = { text: string; totp: boolean } | { picture: Uint8Array };

/** One entry that a page asks for. */
interface Asked {
  name: string;
  origins: string[];
  /** What may be given: a plain secret, a two-factor app, or either. */
  kinds: 'secret' | 'totp' | 'either';
  /** Keeps it and says what was kept, without values. A ToolError is shown, and the person tries again. */
  keep: (given: Given) => Promise<string>;
  /** Told the address as soon as the page is there. */
  show: (url: string) => void;
  signal: AbortSignal;
  /** How long the page is open. */
  openMs?: number;
}

const OPEN_MS = 5 * 60_000;
/** A picture, and the form around it. */
const MOST_BYTES = 20 * 1024 * 1024;
const BODY_MS = 20_000;
const FLUSH_MS = 500;

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}label{display:block;margin:1rem 0}input[type=password]{display:block;width:100%;font:inherit}.bad{color:#c00}';

/** Nothing but this style: no script at all, nothing from elsewhere, forms only to here, in no frame. */
const POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`;

/**
 * A page of this machine alone on which a person enters one secret, open until it was given or the time is over. Who may
 * use it knows its address: 128 random bits, shown once. Pages of other sites can neither send to it (Host and Origin are
 * checked) nor frame it, and it loads nothing.
 */
export async function enterOnPage(asked: Asked): Promise<string> {
  const token = randomBytes(16).toString('base64url');
  const server = createServer({
    maxHeaderSize: 16 * 1024,
    headersTimeout: 5_000,
    requestTimeout: BODY_MS,
    connectionsCheckingInterval: 1_000,
  });
  server.maxConnections = 16;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = z.object({ port: z.number() }).parse(server.address());
  const host = `127.0.0.1:${port}`;
  const state = { used: false };
  const minutes = Math.round((asked.openMs ?? OPEN_MS) / 60_000);
  const again = new ToolError(
    `Nothing was entered within ${minutes} minutes, and the page is closed. Begin again: kuznia secret add ${asked.name} --page`,
  );
  const ending = within(asked.openMs ?? OPEN_MS, asked.signal);
  try {
    const kept = new Promise<string>((resolve, reject) => {
      const stop = () =>
        reject(asked.signal.aborted ? new ToolError('Nothing was kept. It was ended.') : again);
      ending.addEventListener('abort', stop, { once: true });
      if (ending.aborted) stop();
      const answer = async (request: IncomingMessage, response: ServerResponse) => {
        try {
          const done = await take(request, response, { asked, token, host, state });
          if (done !== undefined) resolve(done);
        } catch (error) {
          const id = internalError(error);
          if (response.headersSent) response.destroy();
          else end(response, 500, page('Internal error', `<p>Its cause is in the log, id ${id}.</p>`));
        }
      };
      server.on('request', (request, response) => void answer(request, response));
    });
    kept.catch(() => undefined); // awaited below, unless `show` throws
    asked.show(`http://${host}/${token}`);
    return await kept;
  } finally {
    const closed = new Promise((resolve) => server.close(resolve));
    // The answer that says so is about to leave.
    const late = setTimeout(() => server.closeAllConnections(), FLUSH_MS);
    await closed;
    clearTimeout(late);
  }
}

interface Serving {
  asked: Asked;
  token: string;
  host: string;
  state: { used: boolean };
}

/** Answers one request; what was kept where it brought the secret. */
async function take(
  request: IncomingMessage,
  response: ServerResponse,
  { asked, token, host, state }: Serving,
): Promise<string | undefined> {
  const refuse = (status: number) => {
    request.resume();
    end(response, status, page('Not here', '<p>There is nothing here.</p>'));
    return undefined;
  };
  // Another name for this address is a page of another site that had its name changed to it (DNS rebinding).
  if (request.headers.host !== host) return refuse(403);
  if (!sameText((request.url ?? '').slice(1), token) || state.used) return refuse(404);
  if (request.method === 'GET' || request.method === 'HEAD') {
    end(response, 200, form(asked));
    return undefined;
  }
  if (request.method !== 'POST') return refuse(405);
  // Browsers send Origin with every POST (fetch.spec.whatwg.org, "append a request Origin header").
  if (request.headers.origin !== `http://${host}`) return refuse(403);
  const body = await bytesOf(request);
  if (body === undefined) return refuse(413);
  try {
    const given = await givenIn(body, request.headers['content-type'] ?? '', asked.kinds);
    if (state.used) return refuse(404);
    state.used = true;
    const kept = await asked.keep(given);
    end(
      response,
      200,
      page('Kept', `<p>${escaped(kept).replaceAll('\n', '<br>')}</p><p>You can close this page.</p>`),
    );
    return kept;
  } catch (error) {
    state.used = false;
    if (!(error instanceof ToolError)) throw error;
    end(response, 400, form(asked, redact(error.message)));
    return undefined;
  }
}

async function bytesOf(request: IncomingMessage): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > MOST_BYTES) return undefined;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > MOST_BYTES) return undefined;
    chunks.push(bytes);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

async function givenIn(body: Uint8Array<ArrayBuffer>, type: string, kinds: Asked['kinds']): Promise<Given> {
  let fields: Awaited<ReturnType<Response['formData']>>;
  try {
    fields = await new Response(body, { headers: { 'content-type': type } }).formData();
  } catch {
    throw new ToolError('The form did not arrive whole. Send it again.');
  }
  const picture = fields.get('picture');
  if (kinds !== 'secret' && picture instanceof File && picture.size > 0) {
    return { picture: new Uint8Array(await picture.arrayBuffer()) };
  }
  const value = fields.get('value');
  const text = typeof value === 'string' ? value.trim() : '';
  if (text === '') throw new ToolError('Nothing was entered. Enter it, then send the form.');
  const isUri = /^otpauth(?:-migration)?:\/\//i.test(text);
  return { text, totp: kinds === 'totp' || (kinds === 'either' && (isUri || fields.get('kind') === 'totp')) };
}

function form({ name, origins, kinds }: Asked, fault?: string): string {
  const what = {
    secret: 'The value',
    totp: 'otpauth:// URI, export, or seed',
    either: 'Value, otpauth:// URI or seed',
  };
  const radio = (kind: string, label: string, checked = '') =>
    `<label><input type="radio" name="kind" value="${kind}" ${checked}> ${label}</label>`;
  const parts = [
    `<p>It is kept encrypted on this computer as <b>${escaped(name)}</b>${origins.length > 0 ? `, for ${escaped(origins.join(', '))}` : ''}. Then this page closes.</p>`,
    fault === undefined ? '' : `<p class="bad" role="alert">${escaped(fault)}</p>`,
    '<form method="post" enctype="multipart/form-data" autocomplete="off">',
    `<label>${what[kinds]} <input type="password" name="value" autocomplete="off" spellcheck="false" autofocus></label>`,
    kinds === 'either'
      ? radio('secret', 'a password or token', 'checked') + radio('totp', 'a two-factor app')
      : '',
    kinds === 'secret'
      ? ''
      : '<label>or a picture of its QR code <input type="file" name="picture" accept="image/png,image/jpeg"></label>',
    '<button>Keep it</button></form>',
  ];
  return page(`Enter ${escaped(name)}`, parts.join('\n'));
}

const page = (title: string, body: string) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Kuźnia: ${title}</title><style>${STYLE}</style><h1>${title}</h1>\n${body}\n`;

const escaped = (text: string) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

function end(response: ServerResponse, status: number, html: string): void {
  response
    .writeHead(status, {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': POLICY,
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      // Not `no-referrer`: with it browsers send "Origin: null" with a form.
      'referrer-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      connection: 'close',
    })
    .end(html);
}
