import { z } from 'zod';
import { callFor, type Caller } from '../../kit/call.ts';
import { jsonOrNothing } from '../../kit/json.ts';
import type { resolveSecret } from '../../kit/secrets.ts';
import type { SmsConfig } from './config.ts';
import { gammuSource } from './gammu.ts';
import type { CodeSource, Ears, Message } from './source.ts';
import { twilioWebhook } from './twilio-webhook.ts';
import { hmac, Replays, sameText, type Delivery, type Receiver, type Webhooks } from './webhooks.ts';

type Resolve = typeof resolveSecret;
type Twilio = Extract<SmsConfig, { type: 'twilio' }>;

const POLL_MS = 2_000;

/** The source that a configuration names. */
export function smsSource(name: string, config: SmsConfig, resolve: Resolve, webhooks: Webhooks): CodeSource {
  if (config.type === 'gammu') return gammuSource(name, config.inbox);
  if (config.type === 'twilio' && config.public_url === undefined) return twilioPolled(name, config, resolve);
  const secret =
    config.type === 'twilio'
      ? config.auth_token
      : config.type === 'android'
        ? config.signing_key
        : config.secret;
  const replays = new Replays();
  const read = (key: string, delivery: Delivery): Message[] | undefined => {
    if (config.type === 'twilio') return twilioWebhook(key, config.public_url ?? '', replays, delivery);
    const message =
      config.type === 'android'
        ? androidWebhook(key, replays, delivery)
        : signedWebhook(key, replays, delivery);
    return message && [message];
  };
  return {
    name,
    kind: 'sms',
    async listen(ears) {
      const key = await resolve(secret);
      return {
        close: await webhooks.add(
          name,
          receiver(ears, (delivery) => read(key, delivery)),
        ),
      };
    },
    async check() {
      await resolve(secret);
      // Open only while somebody waits: tried now, lest the port turns out to be taken then.
      const close = await webhooks.add(name, async () => undefined);
      await close();
      return `webhook at ${webhooks.where}/sms/${name}`;
    },
  };
}

/** An SMS that repeats counts once for each who waits, but is answered well: senders retry what they hear no answer to. */
function receiver(ears: Ears, read: (delivery: Delivery) => Message[] | undefined): Receiver {
  return async (delivery) => {
    const messages = read(delivery);
    if (!messages) return undefined;
    for (const message of messages) ears.heard(message);
    return { type: 'text/xml', body: '<Response/>' };
  };
}

const androidEvent = z.object({
  event: z.literal('sms:received'),
  /** Of this event. `messageId` in the payload is made of the text: a code that is sent again has the same. */
  id: z.string().optional(),
  payload: z.object({
    message: z.string(),
    sender: z.string().optional(),
    /** As versions before 1.40 named it. */
    phoneNumber: z.string().optional(),
  }),
});

/** docs.sms-gate.app/features/webhooks: hex HMAC-SHA256 of body and timestamp, which is in seconds. */
function androidWebhook(key: string, replays: Replays, { headers, body }: Delivery): Message | undefined {
  const at = headers['x-timestamp'] ?? '';
  const given = (headers['x-signature'] ?? '').toLowerCase();
  if (!sameText(given, hmac('sha256', key, body + at).digest('hex'))) return undefined;
  if (!replays.isNew(given, Number(at) * 1000)) return undefined;
  const { id, payload } = androidEvent.parse(jsonOrNothing(body));
  const from = payload.sender ?? payload.phoneNumber ?? '';
  return { id: id ?? given, from, text: payload.message, arrived: Date.now() };
}

const signedMessage = z.object({ from: z.string(), text: z.string(), id: z.string().optional() });

/** Ours, for any other sender: `X-Signature: sha256=hex(HMAC(secret, timestamp + "." + body))`, `X-Timestamp` in seconds. */
function signedWebhook(key: string, replays: Replays, { headers, body }: Delivery): Message | undefined {
  const at = headers['x-timestamp'] ?? '';
  const given = (headers['x-signature'] ?? '').toLowerCase();
  if (!sameText(given, `sha256=${hmac('sha256', key, `${at}.${body}`).digest('hex')}`)) return undefined;
  if (!replays.isNew(given, Number(at) * 1000)) return undefined;
  const { from, text, id } = signedMessage.parse(jsonOrNothing(body));
  return { id: id ?? given, from, text, arrived: Date.now() };
}

const twilioList = z.object({
  messages: z.array(
    z.object({
      sid: z.string(),
      from: z.string(),
      body: z.string(),
      direction: z.string(),
      date_sent: z.string().nullable(),
    }),
  ),
});

/** Twilio without a webhook: its list of messages, asked every two seconds while somebody waits. */
function twilioPolled(name: string, config: Twilio, resolve: Resolve): CodeSource {
  const open = (): Caller =>
    callFor({
      name: 'Twilio',
      setting: `servers.auth.sms.${name}`,
      baseUrl: config.api,
      headers: async () => {
        const pair = `${config.account_sid}:${await resolve(config.auth_token)}`;
        return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
      },
    });
  const messages = async (twilio: Caller, since: number, signal: AbortSignal) => {
    const { body } = await twilio.request(`2010-04-01/Accounts/${config.account_sid}/Messages.json`, {
      // The filter knows days only.
      query: { To: config.to, 'DateSent>': new Date(since).toISOString().slice(0, 10), PageSize: 20 },
      signal,
    });
    return twilioList.parse(body).messages.filter(({ direction }) => direction === 'inbound');
  };
  return {
    name,
    kind: 'sms',
    async listen(ears) {
      const twilio = open();
      const stop = new AbortController();
      const signal = AbortSignal.any([stop.signal, ears.signal]);
      const seen = new Set<string>();
      const look = async () => {
        for (const { sid, from, body, date_sent } of await messages(twilio, ears.since, signal)) {
          const arrived = Date.parse(date_sent ?? '');
          // In whole seconds.
          if (seen.has(sid) || arrived < ears.since - 1000) continue;
          seen.add(sid);
          ears.heard({ id: sid, from, text: body, arrived: Number.isNaN(arrived) ? Date.now() : arrived });
        }
      };
      try {
        await look();
      } catch (error) {
        await twilio.close();
        throw error;
      }
      const timer = setInterval(() => {
        look().catch((error: unknown) => {
          if (!signal.aborted)
            ears.failed(error instanceof Error ? error : new Error('Twilio gave no answer'));
        });
      }, POLL_MS);
      timer.unref();
      return {
        async close() {
          clearInterval(timer);
          stop.abort();
          await twilio.close();
        },
      };
    },
    async check(signal) {
      const twilio = open();
      try {
        await messages(twilio, Date.now(), signal);
        return `Twilio account ${config.account_sid.slice(0, 6)}…`;
      } finally {
        await twilio.close();
      }
    },
  };
}
