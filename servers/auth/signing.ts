import { z } from 'zod';
import { ToolError, toolFor } from '../../kit/tool.ts';
import type { Auth } from './auth.ts';
import { clientOf, signIn, signOut, type SignInPrompt } from './oauth.ts';

const tool = toolFor<Auth>();
const name = z.string().describe('as in servers.auth.oauth');

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
    output: z.object({ url: z.string(), code: z.string().optional(), until: z.string() }),
    preview: async ({ name }, { config, resolve }) => {
      const { issuer, client_id, scope } = await clientOf(name, config.oauth[name], resolve);
      return { issuer, client_id, scope };
    },
    async run({ name }, auth, { journal }) {
      const client = await clientOf(name, auth.config.oauth[name], auth.resolve);
      auth.signingIn.get(name)?.abort();
      const stop = new AbortController();
      auth.signingIn.set(name, stop);
      const began = performance.now();
      const prompt = await new Promise<SignInPrompt>((resolve, reject) => {
        const ended = (outcome: 'ok' | 'cancelled' | 'error') => {
          if (auth.signingIn.get(name) === stop) auth.signingIn.delete(name);
          journal.record({ kind: 'event', name: `sign-in ${name}`, ms: performance.now() - began, outcome });
        };
        signIn(auth.home, name, client, resolve, stop.signal).then(
          () => ended('ok'),
          (error: unknown) => {
            ended(stop.signal.aborted ? 'cancelled' : 'error');
            reject(error);
          },
        );
      });
      const { url, code, expiresAt } = prompt;
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
