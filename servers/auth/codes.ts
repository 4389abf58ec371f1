import { z } from 'zod';
import { allowed } from '../../kit/handles.ts';
import { nextCode, otpEntry } from '../../kit/secret-otp.ts';
import { secretStore } from '../../kit/secret-store.ts';
import { ToolError, toolFor } from '../../kit/tool.ts';
import { originOf, type Auth } from './auth.ts';
import { clockOffset } from './clock.ts';

const tool = toolFor<Auth>();

const origin = z.string().describe('address of the login page that will get the code');

export const codes = [
  tool({
    name: 'auth_totp_code',
    title: 'Code of a two-factor app',
    description:
      'The current code of a two-factor app, as a one-time handle: put the handle into the code field of a login tool within 2 minutes.',
    effect: 'read',
    idempotent: false,
    examples: ['sign in where a two-factor code is asked for', 'get the 2FA code for GitLab'],
    input: z.object({
      origin,
      name: z.string().optional().describe('which entry; unset: the one of this origin'),
    }),
    output: z.object({
      handle: z.string(),
      good_for_s: z.number(),
      clock_off_s: z.number().optional().describe('our clock minus the site’s'),
    }),
    async run({ origin, name }, { home, handles, config }, { signal }) {
      const site = originOf(origin);
      const entry = name ?? (await entryFor(home, site));
      const { type } = await otpEntry(home, entry);
      await allowed(home, entry, { origin: site });
      const offsetMs = config.check_clock && type === 'totp' ? await clockOffset(site, signal) : 0;
      const { code, expiresAt } = await nextCode(home, entry, { offsetMs, signal });
      const handle = await handles.issue(code, {
        label: entry,
        expiresAt,
        origin: site,
        purpose: 'two-factor',
      });
      return {
        handle,
        good_for_s: Math.round((expiresAt - Date.now()) / 1000),
        ...(offsetMs !== 0 && { clock_off_s: Math.round(-offsetMs / 1000) }),
      };
    },
  }),
  tool({
    name: 'auth_expect_code',
    title: 'Listen for a code',
    description:
      'Begins to listen for a code by mail or SMS. Call it before the site is made to send one, then auth_wait_code with the ticket.',
    effect: 'read',
    idempotent: false,
    examples: ['the site mails me a login code', 'wait for the SMS code'],
    input: z.object({
      origin,
      from: z.string().min(3).describe("sender: exact address, its domain, or an SMS's number or name"),
      subject: z.string().optional().describe('text in the subject (SMS: in the text)'),
      source: z.string().optional().describe('a mailbox or SMS source; unset: all'),
      link: z.boolean().default(false).describe('a sign-in link instead of a code'),
      within_s: z.number().min(5).max(1800).default(300),
      sent_s_ago: z.number().min(0).max(900).default(0).describe('also take one that came so long ago'),
    }),
    output: z.object({
      ticket: z.string(),
      sources: z.array(z.string()),
      away: z.array(z.object({ name: z.string(), note: z.string() })).optional(),
      until: z.string(),
    }),
    async run({ origin, from, subject, source, link, within_s, sent_s_ago }, { tickets, sources }) {
      const chosen = sources.filter(({ name }) => source === undefined || name === source);
      if (chosen.length === 0)
        throw noSource(
          source,
          sources.map(({ name }) => name),
        );
      const { ticket, until, listening, away } = await tickets.expect({
        origin: originOf(origin),
        from,
        subject,
        link,
        ageMs: sent_s_ago * 1000,
        withinMs: within_s * 1000,
        sources: chosen,
      });
      return {
        ticket,
        sources: listening,
        ...(away.length > 0 && { away }),
        until: new Date(until).toISOString(),
      };
    },
  }),
  tool({
    name: 'auth_wait_code',
    title: 'Wait for the code',
    description:
      'Waits for the code of a ticket, and gives a one-time handle to put into the code field of a login tool. With several candidates, ask the person.',
    effect: 'read',
    idempotent: false,
    long: true,
    untrusted: true,
    examples: ['take the code that was mailed'],
    input: z.object({ ticket: z.string() }),
    output: z.object({
      handle: z.string().optional(),
      candidates: z.array(z.object({ handle: z.string(), reason: z.string() })).optional(),
      source: z.string().optional(),
      from: z.string().optional(),
      arrived: z.string().optional(),
      reason: z.string().optional(),
      status: z.string().optional(),
      job: z.string().optional(),
      note: z.string().optional(),
    }),
    run: ({ ticket }, { tickets }, ctx) => {
      const began = Date.now();
      return tickets.wait(ticket, ctx.signal, (left) =>
        ctx.progress((Date.now() - began) / 1000, undefined, `no code yet, ${left} s left`),
      );
    },
  }),
  tool({
    name: 'auth_reveal_code',
    title: 'Show a code',
    description: 'The code behind a handle, for a person who types it in. Spends the handle.',
    effect: 'read',
    idempotent: false,
    input: z.object({ handle: z.string(), origin }),
    output: z.object({ shown: z.string().describe('digits, set apart') }),
    async run({ handle, origin }, { handles }) {
      const { value } = handles.spend(handle, { purpose: 'two-factor', origin: originOf(origin) });
      // Set apart, since what it equals is taken out of every answer; a person reads it all the same.
      return { shown: value.split('').join(' ') };
    },
  }),
];

async function entryFor(home: string, origin: string): Promise<string> {
  const all = Object.entries(await secretStore(home).all());
  const names = all.flatMap(([name, { kind, origins }]) =>
    kind === 'otp' && origins.includes(origin) ? [name] : [],
  );
  const [only, ...others] = names;
  if (only !== undefined && others.length === 0) return only;
  const why =
    only === undefined
      ? `No two-factor entry is for ${origin}. A person enrols it: kuznia secret add NAME --totp --origin ${origin}`
      : `Several entries are for ${origin}: ${names.join(', ')}. Give \`name\`.`;
  throw new ToolError(why);
}

function noSource(source: string | undefined, known: string[]): ToolError {
  const there = known.length > 0 ? `There are ${known.join(', ')}.` : 'None is configured.';
  const which =
    source === undefined ? 'There is nowhere that codes arrive.' : `There is no source ${source}.`;
  return new ToolError(
    `${which} ${there} A person adds one in kuznia.json: servers.auth.mailboxes or servers.auth.sms.`,
  );
}
