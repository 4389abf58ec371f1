import { createHash } from 'node:crypto';
import { z } from 'zod';
import { jsonOrNothing } from '../../kit/json.ts';
import type { Message } from './source.ts';
import { hmac, sameText, type Delivery, type Replays } from './webhooks.ts';

const form = z.object({ MessageSid: z.string(), From: z.string(), Body: z.string() });

/** An event of Event Streams (twilio.com/docs/events/event-types/messaging/inbound-message); several come in one delivery. */
const event = z.object({ data: z.object({ messageSid: z.string(), from: z.string(), body: z.string() }) });
const RECEIVED = 'com.twilio.messaging.inbound-message.received';

/**
 * twilio.com/docs/usage/security: HMAC of the address and the sorted fields, each name before its value; of a body that is
 * no form, its digest stands in the address. SHA-1, or SHA-256 where a webhook rule of the account says so. The address is
 * the configured one: what a proxy in front says of itself is not asked.
 */
export function twilioWebhook(
  key: string,
  url: string,
  replays: Replays,
  { headers, query, body }: Delivery,
): Message[] | undefined {
  const asked = new URLSearchParams(query);
  const digest = asked.get('bodySHA256');
  const isForm = /^application\/x-www-form-urlencoded\b/i.test(headers['content-type'] ?? '');
  const fields = isForm ? sorted(body) : [];
  if (!isForm) {
    if (digest === null || !sameText(digest.toLowerCase(), createHash('sha256').update(body).digest('hex')))
      return undefined;
  }
  const settings = headers['x-twilio-webhooks-signature-settings'] ?? '';
  const algorithm = /algorithm=HMAC_SHA256/i.test(settings) ? 'sha256' : 'sha1';
  const given = headers['x-twilio-signature'] ?? '';
  const signed = (address: string) => hmac(algorithm, key, address + fields.flat().join('')).digest('base64');
  if (!addresses(url, query).some((address) => sameText(given, signed(address)))) return undefined;
  const found = isForm ? [ofForm(fields)] : ofEvents(body);
  // The signature has no time in it: an id counts once.
  const fresh = found.filter(({ id }) => replays.isNew(id));
  return fresh.length > 0 || found.length === 0 ? fresh : undefined;
}

/** By name, then value, each pair once: as Twilio's own helpers do. */
function sorted(body: string): [string, string][] {
  const pairs = [...new URLSearchParams(body)].sort(([a, x], [b, y]) => compare(a, b) || compare(x, y));
  return pairs.filter(([name, value], i) => pairs[i - 1]?.[0] !== name || pairs[i - 1]?.[1] !== value);
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

function ofForm(fields: [string, string][]): Message {
  const { MessageSid, From, Body } = form.parse(Object.fromEntries(fields));
  return { id: MessageSid, from: From, text: Body, arrived: Date.now() };
}

function ofEvents(body: string): Message[] {
  const told = z.array(z.looseObject({ type: z.string() })).parse([jsonOrNothing(body)].flat());
  return told
    .filter(({ type }) => type === RECEIVED)
    .map((one) => event.parse(one).data)
    .map(({ messageSid, from, body: text }) => ({ id: messageSid, from, text, arrived: Date.now() }));
}

/**
 * The configured address with the query that was asked for, and the same with and without a port: Twilio signs either.
 */
function addresses(url: string, query: string): string[] {
  const [, scheme = '', host = '', path = '', own = ''] =
    /^(https?):\/\/([^/?#]*)([^?#]*)(\?[^#]*)?/i.exec(url) ?? [];
  const bare = host.replace(/:\d+$/, '');
  const ports = scheme.toLowerCase() === 'https' ? ':443' : ':80';
  const hosts = new Set([host, bare, host === bare ? bare + ports : host]);
  const queries = new Set([own, query === '' ? own : `?${query}`]);
  return [...hosts].flatMap((at) => [...queries].map((end) => `${scheme}://${at}${path}${end}`));
}
