import type { FetchMessageObject, ImapFlow } from 'imapflow';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { resolveSecret } from '../../kit/secrets.ts';
import { log } from '../../kit/log.ts';
import { ToolError } from '../../kit/tool.ts';
import type { MailboxConfig } from './config.ts';
import { readMail } from './mime.ts';
import type { CodeSource, Ears, Listening, Message } from './source.ts';

/** Codes are in the first text part; of a mail of 50 MB no more is read. */
const MOST_BYTES = 512 * 1024;
const CONNECT_MS = 10_000;
/**
 * An IDLE is renewed long before the 29 minutes of RFC 2177, so that a dead connection is noticed while somebody waits; a
 * connection that is silent for longer is given up.
 */
const LIMITS = { idleMs: 60_000, silenceMs: 75_000 };
/** A server that cannot tell of new mail is asked so often; the library does it once in `idleMs`. */
const ASK_MS = 3_000;
/** Between our clock and the mail server's. */
const SKEW_MS = 120_000;
const MOST_NEW = 50;

/** Mailboxes whose password was refused: not tried again at once, since that is how accounts get locked. */
const refusedUntil = new Map<string, { until: number; times: number }>();

/** An IMAP mailbox: IDLE in each folder while somebody waits for a code, nothing otherwise. */
export function mailSource(
  name: string,
  config: MailboxConfig,
  resolve: typeof resolveSecret,
  limits = LIMITS,
): CodeSource {
  const connect = () => connected(name, config, resolve, limits);
  return {
    name,
    kind: 'mail',
    async listen(ears) {
      const folders: Listening[] = [];
      const close = async () => {
        await Promise.all(folders.map((folder) => folder.close()));
      };
      try {
        for (const folder of config.folders) folders.push(await follow(connect, name, config, folder, ears));
      } catch (error) {
        await close();
        throw error;
      }
      return { close };
    },
    async check() {
      const client = await connect();
      await client.logout().catch(() => client.close());
      return `${config.user} at ${config.host}`;
    },
  };
}

async function connected(
  name: string,
  config: MailboxConfig,
  resolve: typeof resolveSecret,
  { idleMs, silenceMs }: typeof LIMITS,
): Promise<ImapFlow> {
  const secret = await resolve(
    config.oauth === undefined ? (config.password ?? '') : `secret://${config.oauth}`,
  );
  // With the password in it: a corrected one is tried at once.
  const key = createHash('sha256')
    .update(JSON.stringify([config.host, config.user, secret]))
    .digest('hex');
  const refused = refusedUntil.get(key);
  if (refused && refused.until > Date.now()) throw wrongPassword(name, config, refused.until);
  const { ImapFlow } = await import('imapflow');
  const starttls = config.security === 'starttls';
  const client = new ImapFlow({
    host: config.host,
    port: config.port ?? (starttls ? 143 : 993),
    secure: !starttls,
    ...(starttls && { doSTARTTLS: true }),
    auth: { user: config.user, ...(config.oauth === undefined ? { pass: secret } : { accessToken: secret }) },
    tls: { ...(config.ca !== undefined && { ca: await readFile(config.ca) }), minVersion: 'TLSv1.2' },
    logger: false,
    disableAutoIdle: true,
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    socketTimeout: silenceMs,
    maxIdleTime: idleMs,
  });
  client.on('error', (error: Error) => log.debug(`mailbox ${name}: ${error.message}`));
  try {
    await inTime(client.connect());
    refusedUntil.delete(key);
    return client;
  } catch (error) {
    client.close();
    if (error instanceof Error && 'authenticationFailed' in error && error.authenticationFailed) {
      const times = (refused?.times ?? 0) + 1;
      const until = Date.now() + Math.min(60, 2 ** (times - 1)) * 60_000;
      refusedUntil.set(key, { until, times });
      throw wrongPassword(name, config, until);
    }
    const why = reason(error).replace(/\s+/g, ' ').slice(0, 200);
    const mend = /certificate|self.signed|issuer/i.test(why)
      ? 'Is it the right host? If its certificate is by an authority of your own, name that in a PEM file: ca'
      : 'Check host, port and security';
    throw new ToolError(
      `The mailbox ${name} (${config.host}) could not be opened: ${why}. ${mend} in servers.auth.mailboxes.${name}.`,
    );
  }
}

/** The library's own limits are for each step; this one is for all of them. */
async function inTime(connecting: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const why = new Error(`no answer within ${CONNECT_MS / 1000} s`);
    timer = setTimeout(() => reject(why), CONNECT_MS);
  });
  connecting.catch(() => undefined); // told by the race, or too late
  await Promise.race([connecting, late]).finally(() => clearTimeout(timer));
}

function wrongPassword(name: string, config: MailboxConfig, until: number): ToolError {
  const mend = config.oauth === undefined ? 'kuznia secret rotate' : 'kuznia login';
  const which = config.oauth ?? config.password?.replace('secret://', '') ?? name;
  const wait = Math.ceil((until - Date.now()) / 60_000);
  return new ToolError(
    `${config.host} refused user and password of the mailbox ${name}. It is not tried again for ${wait} min, so that the account is not locked. A person corrects it: ${mend} ${which}`,
  );
}

/** Stays in one folder, through lost connections, until it is closed. */
async function follow(
  connect: () => Promise<ImapFlow>,
  name: string,
  config: MailboxConfig,
  folder: string,
  ears: Ears,
): Promise<Listening> {
  const state = { closed: false };
  const seen = new Set<string>();
  const open = async () => {
    const client = await connect();
    try {
      const box = await client.mailboxOpen(folder, { readOnly: !config.mark_read });
      return { client, box };
    } catch (error) {
      client.close();
      throw new ToolError(
        `The mailbox ${name} has no folder ${folder} that can be opened: ${reason(error)}.`,
      );
    }
  };
  let { client, box } = await open();
  const firstNew = box.uidNext;
  const waiting = new AbortController();
  const asking = async (client: ImapFlow) => {
    await sleep(ASK_MS, undefined, { signal: waiting.signal }).catch(() => undefined);
    if (!state.closed) await client.noop();
    return true;
  };
  // What is there already counts only by its age; what comes is told by EXISTS, which ends the IDLE.
  const stay = async (first: { begun: () => void; failed: (error: unknown) => void }) => {
    let pause = 500;
    for (;;) {
      try {
        let from: From = { sequence: Math.max(1, box.exists - MOST_NEW + 1) };
        let more = true;
        let tells = client.capabilities.has('IDLE');
        client.on('exists', () => {
          more = true;
          // Any command ends an IDLE.
          void client.noop().catch(() => undefined);
        });
        while (!state.closed && client.usable) {
          if (more) {
            more = false;
            from = await look(client, from, { config, folder, ears, seen, firstNew });
            continue;
          }
          const idling = tells ? client.idle() : asking(client);
          first.begun();
          pause = 500;
          if ((await idling) === false) tells = false;
        }
      } catch (error) {
        if (!state.closed) log.debug(`mailbox ${name}: ${reason(error)}`);
      }
      client.close();
      while (!state.closed) {
        await sleep(pause, undefined, { signal: waiting.signal }).catch(() => undefined);
        pause = Math.min(pause * 2, 10_000);
        if (state.closed) return;
        try {
          ({ client, box } = await open());
          break;
        } catch (error) {
          const final = error instanceof ToolError && error.message.includes('refused user');
          if (!final) continue;
          first.failed(error);
          return ears.failed(error);
        }
      }
      if (state.closed) return;
    }
  };
  let staying = Promise.resolve();
  await new Promise<void>((resolve, reject) => {
    staying = stay({ begun: resolve, failed: reject });
  });
  return {
    async close() {
      state.closed = true;
      waiting.abort();
      client.close();
      await staying;
    },
  };
}

interface Look {
  config: MailboxConfig;
  folder: string;
  ears: Ears;
  seen: Set<string>;
  /** What was there before counts by its age alone; what came since may bear a clock's difference. */
  firstNew: number;
}

/** The first mail to be looked at. Sequence numbers are good for a start only: each mail that is deleted moves them. */
type From = { sequence: number } | { uid: number };

/** Fetches what is new; gives where to go on. Bodies come only of the sender asked for. */
async function look(
  client: ImapFlow,
  from: From,
  { config, folder, ears, seen, firstNew }: Look,
): Promise<From> {
  const box = client.mailbox;
  if (!box || box.exists === 0) return from;
  const heads: FetchMessageObject[] = [];
  const query = { uid: true, envelope: true, internalDate: true } as const;
  const [first, uid] = 'uid' in from ? [from.uid, true] : [Math.min(from.sequence, box.exists), false];
  for await (const head of client.fetch(`${first}:*`, query, { uid })) {
    // Where nothing is new, `*` is the last mail that there is (RFC 3501, 6.4.8).
    if (!uid || head.uid >= first) heads.push(head);
  }
  for (const { uid, envelope, internalDate } of heads) {
    const arrived = new Date(internalDate ?? 0).getTime();
    const id = `${folder}/${String(box.uidValidity)}/${uid}`;
    const [sender, ...others] = envelope?.from ?? [];
    // A mail "from" several is shown as from any of them.
    const address = others.length === 0 ? sender?.address : undefined;
    if (seen.has(id) || arrived < ears.since - (uid < firstNew ? 0 : SKEW_MS)) continue;
    seen.add(id);
    const head = { from: address ?? '', subject: envelope?.subject ?? '' };
    if (address === undefined || !ears.wanted(head)) continue;
    const whole = await client.fetchOne(String(uid), { source: { maxLength: MOST_BYTES } }, { uid: true });
    if (!whole || !whole.source) continue;
    const { text, html } = await readMail(whole.source);
    if (config.mark_read) await client.messageFlagsAdd(String(uid), ['\\Seen'], { uid: true });
    const message: Message = { id, ...head, arrived, text, html };
    ears.heard(message);
  }
  const last = Math.max(uid ? first - 1 : 0, ...heads.map((head) => head.uid));
  return last > 0 ? { uid: last + 1 } : from;
}

const reason = (error: unknown) => (error instanceof Error ? error.message : 'no answer');
