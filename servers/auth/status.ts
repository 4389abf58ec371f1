import { z } from 'zod';
import { secretStore } from '../../kit/secret-store.ts';
import { lastUsed } from '../../kit/secret-used.ts';
import { toolFor } from '../../kit/tool.ts';
import { within } from '../../kit/within.ts';
import type { Auth } from './auth.ts';
import { sourceKey } from './source.ts';

const tool = toolFor<Auth>();
const CHECK_MS = 20_000;

export const status = [
  tool({
    name: 'auth_status',
    title: 'What is enrolled',
    description:
      'Which two-factor entries, code sources and sign-ins there are, and what expires when. Never a value.',
    effect: 'read',
    examples: ['which accounts have two-factor codes here', 'am I signed in to GitLab'],
    input: z.object({ test: z.boolean().default(false).describe('try to reach each source') }),
    output: z.object({
      secrets: z.array(
        z.object({
          name: z.string(),
          kind: z.string(),
          origins: z.array(z.string()),
          expires: z.string().optional(),
          last_used: z.string().optional(),
        }),
      ),
      sources: z.array(
        z.object({
          name: z.string(),
          kind: z.string(),
          last_code: z.string().optional(),
          ok: z.boolean().optional(),
          note: z.string().optional(),
        }),
      ),
      sign_ins: z.array(
        z.object({ name: z.string(), state: z.enum(['signed in', 'waiting for the person', 'signed out']) }),
      ),
    }),
    async run({ test }, auth, { signal }) {
      const all = await secretStore(auth.home).all();
      return {
        secrets: Object.entries(all).map(([name, { kind, origins, expires, added }]) => {
          const last = lastUsed(auth.home, name);
          return {
            name,
            kind,
            origins,
            ...(expires !== undefined && { expires }),
            // One of that name may have been removed before.
            ...(last !== undefined && last > added && { last_used: last }),
          };
        }),
        sources: await sourceStates(auth, test, signal),
        sign_ins: Object.keys(auth.config.oauth).map((name) => {
          const there = all[name]?.kind === 'oauth' ? ('signed in' as const) : ('signed out' as const);
          return { name, state: auth.signIns.waits(name) ? ('waiting for the person' as const) : there };
        }),
      };
    },
  }),
];

/** Each sign-in, tried: its token is renewed where that is due. */
export async function signInStates({ config, home }: Pick<Auth, 'config' | 'home'>) {
  const { accessToken } = await import('../../kit/secret-oauth.ts');
  return Promise.all(
    Object.keys(config.oauth).map(async (name) => {
      const about = { name, kind: 'sign-in' };
      try {
        await accessToken(home, name);
        const until = (await secretStore(home).get(name))?.expires;
        return {
          ...about,
          ok: true,
          note: until === undefined ? 'signed in' : `its token is good until ${until}`,
        };
      } catch (error) {
        return { ...about, ok: false, note: error instanceof Error ? error.message : 'no answer' };
      }
    }),
  );
}

/** Each source, tried where that is asked for. */
export async function sourceStates(
  { sources, home }: Pick<Auth, 'sources' | 'home'>,
  test: boolean,
  signal: AbortSignal,
) {
  return Promise.all(
    sources.map(async (source) => {
      const { name, kind } = source;
      const last = lastUsed(home, sourceKey(name));
      const about = { name, kind, ...(last !== undefined && { last_code: last }) };
      if (!test) return about;
      try {
        const note = await source.check(within(CHECK_MS, signal));
        return { ...about, ok: true, note };
      } catch (error) {
        return { ...about, ok: false, note: error instanceof Error ? error.message : 'no answer' };
      }
    }),
  );
}
