import { z } from 'zod';
import { isSecretRef } from '../../kit/secrets.ts';

const secretRef = z
  .string()
  .refine(
    isSecretRef,
    'expected a reference such as secret://mail-password; a person adds it: kuznia secret add mail-password',
  );

const mailbox = z
  .object({
    host: z.string(),
    port: z.int().min(1).max(65_535).optional(),
    user: z.string(),
    password: secretRef.optional(),
    /** The name of a sign-in: XOAUTH2 instead of a password. */
    oauth: z.string().optional(),
    security: z.enum(['tls', 'starttls']).default('tls'),
    /** A certificate authority to trust beside the system's: a PEM file's path. */
    ca: z.string().optional(),
    folders: z.array(z.string()).min(1).max(5).default(['INBOX']),
    mark_read: z.boolean().default(false),
  })
  .refine(
    (one) => (one.password === undefined) !== (one.oauth === undefined),
    'expected password or oauth, one of both',
  );

const sms = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('twilio'),
    account_sid: z.string().regex(/^AC[0-9a-f]{32}$/),
    auth_token: secretRef,
    /** The number that gets the SMS, in E.164: +48123456789. */
    to: z.string().optional(),
    /** Where Twilio reaches the webhook: its signature covers this address. Unset: the messages are polled. */
    public_url: z.url().optional(),
    api: z.url().default('https://api.twilio.com'),
  }),
  z.object({ type: z.literal('android'), signing_key: secretRef }),
  z.object({ type: z.literal('gammu'), inbox: z.string() }),
  z.object({ type: z.literal('webhook'), secret: secretRef }),
]);

const oauth = z.object({
  preset: z.enum(['gitlab', 'google']).optional(),
  issuer: z.string().optional(),
  client_id: z.string(),
  client_secret: secretRef.optional(),
  client_auth: z.enum(['basic', 'post']).optional(),
  scope: z.string().optional(),
  /** How a person signs in; unset: by a device code where the provider has them, else in a browser here. */
  flow: z.enum(['device', 'browser']).optional(),
  /** As it is registered at a provider that wants it exact; unset: a free port of 127.0.0.1, which RFC 8252 (7.3) has allowed. */
  redirect_uri: z
    .string()
    .regex(
      /^http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?\/[\w./-]*$/,
      'expected an address of this computer such as http://127.0.0.1:8914/callback',
    )
    .optional(),
});

/** Settings of the auth server: `servers.auth` in kuznia.json, or the environment. */
export const authConfig = z.object({
  mailboxes: z
    .record(z.string().regex(/^[\w-]{1,40}$/), mailbox)
    .default({})
    .describe('IMAP mailboxes that codes arrive in')
    .meta({
      env: 'AUTH_MAILBOXES',
      example: '{"work":{"host":"imap.example","user":"me","password":"secret://mail"}}',
    }),
  sms: z
    .record(z.string().regex(/^[\w-]{1,40}$/), sms)
    .default({})
    .describe('where SMS arrive')
    .meta({ env: 'AUTH_SMS', example: '{"phone":{"type":"android","signing_key":"secret://sms-key"}}' }),
  listen: z
    .string()
    .regex(/^(?:\[[0-9a-f:]+\]|[\w.-]+):\d{1,5}$/i)
    .default('127.0.0.1:8766')
    .describe('where webhooks of SMS are taken, at /sms/NAME')
    .meta({ env: 'AUTH_LISTEN' }),
  oauth: z
    .record(z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/), oauth)
    .default({})
    .describe('providers to sign in to, by the name of the secret that keeps the token')
    .meta({ env: 'AUTH_OAUTH', example: '{"gitlab":{"preset":"gitlab","client_id":"..."}}' }),
  check_clock: z
    .boolean()
    .default(true)
    .describe("compare the clock with a site's Date header before a code for it is made")
    .meta({ env: 'AUTH_CHECK_CLOCK' }),
  reveal_codes: z
    .boolean()
    .default(false)
    .describe('offer auth_reveal_code, which shows codes to the model')
    .meta({ env: 'AUTH_REVEAL_CODES' }),
});

export type AuthConfig = z.output<typeof authConfig>;
export type MailboxConfig = z.output<typeof mailbox>;
export type SmsConfig = z.output<typeof sms>;
export type OauthConfig = z.output<typeof oauth>;
