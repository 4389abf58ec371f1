import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { ToolError, toolFor } from '../../kit/tool.ts';
import type { Auth } from './auth.ts';
import { clientOf, signOut } from './oauth.ts';

const tool = toolFor<Auth>();
const name = z.string().describe('as in servers.auth.oauth');

/** What a person who was just at the page needs at most; longer, and clients of 60 s give the call up. */
const WAIT_MS = 20_000;

export const signing = [
  tool({
    name: 'auth_sign_in',
    title: 'Sign a person in',
    description:
      'Begins a sign-in (OAuth). Give the person the address and code; the token is kept here, and auth_status tells when it is there.',
    effect: 'write',
    openWorld: true,
    examples: ['sign me in to GitLab', 'connect my Google mailbox'],
    input: z.object({ name }),
    output: z.object({
      signed_in: z.boolean().optional(),
      url: z.string().optional(),
      code: z.string().optional(),
      until: z.string().optional(),
    }),
    preview: async ({ name }, { config, resolve }) => {
      const { issuer, client_id, scope } = await clientOf(name, config.oauth[name], resolve);
      return { issuer, client_id, scope };
    },
    async visit({ name }, auth, { journal }) {
      const client = await clientOf(name, auth.config.oauth[name], auth.resolve);
      const { url, code } = await auth.signIns.begin(name, client, journal).prompt;
      const check = code === undefined ? '' : ` Check that the page shows the code ${code}.`;
      return {
        url,
        message: `Sign in to ${client.issuer} as ${name}.${check} The token is kept on this computer, and no model sees it.`,
      };
    },
    async run({ name }, auth, { journal, signal, visited }) {
      const going = visited && auth.signIns.last(name);
      if (visited === 'declined') {
        going?.stop.abort();
        throw new ToolError(
          `The person did not open the page to sign in to ${name}. Ask whether they want to, then call again.`,
        );
      }
      if (going) return waited(going, signal);
      const client = await clientOf(name, auth.config.oauth[name], auth.resolve);
      const { url, code, expiresAt } = await auth.signIns.begin(name, client, journal).prompt;
      return { url, ...(code !== undefined && { code }), until: new Date(expiresAt).toISOString() };
    },
  }),
  tool({
    name: 'auth_sign_out',
    title: 'Sign out',
    description: 'Revokes the token of a sign-in at its provider, and forgets it.',
    effect: 'destroy',
    openWorld: true,
    examples: ['revoke the GitLab token'],
    input: z.object({ name }),
    output: z.object({ revoked: z.boolean(), note: z.string().optional() }),
    preview: async ({ name }) => ({ revoke: name }),
    confirm: async ({ name }, { config }) => {
      if (!Object.hasOwn(config.oauth, name)) {
        throw new ToolError(`There is no provider ${name} in servers.auth.oauth. See auth_status.`);
      }
      return {
        message: `Sign out of ${name}: its token is revoked and forgotten. What uses it stops working.`,
        elsewhere: `kuznia login ${name} --out`,
      };
    },
    run: ({ name }, { home }) => signOut(home, name),
  }),
];

/** The person has the page open: most are done in no time. */
async function waited(
  { prompt, done }: NonNullable<ReturnType<Auth['signIns']['last']>>,
  signal: AbortSignal,
) {
  const late = new AbortController();
  const pause = sleep(WAIT_MS, false, { signal: AbortSignal.any([signal, late.signal]) });
  pause.catch(() => undefined); // ended with the wait
  try {
    if (await Promise.race([done.then(() => true), pause])) return { signed_in: true };
  } finally {
    late.abort();
  }
  return { signed_in: false, until: new Date((await prompt).expiresAt).toISOString() };
}
