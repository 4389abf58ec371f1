import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { redeem } from '../kit/handles.ts';
import { authHome, handleOf, keep, openAuthServer, ticketOf } from './auth-kit.ts';
import { freePort } from './doubles/mail-dovecot.ts';

export const origin = 'https://bank.example';
export const from = '+48123456789';
export const use = { purpose: 'two-factor', origin } as const;
export const sid = `AC${'0'.repeat(32)}`;
export const key = 'kzcanary-signing-key-1';

/** The auth server with one source of SMS, `phone`, that webhooks reach. */
export async function opened(t: TestContext, sms: object) {
  const port = await freePort();
  const home = authHome(t, { sms: { phone: sms }, listen: `127.0.0.1:${port}` });
  await keep(home, { key: { value: key } });
  const server = await openAuthServer(t, home);
  const expect = async (sender = from) =>
    ticketOf(await server.value('auth_expect_code', { origin, from: sender, within_s: 20 }));
  const url = `http://127.0.0.1:${port}/sms/phone`;
  const post = (body: string, headers: Record<string, string>) =>
    fetch(url, { method: 'POST', body, headers });
  const code = async (ticket: string) => {
    const answer = await server.call('auth_wait_code', { ticket });
    assert.ok(answer.ok && !/\b\d{6}\b/.test(answer.text.replace(/"arrived":"[^"]*"/, '')), answer.text);
    return redeem(handleOf(answer.value), use, home);
  };
  return { server, expect, post, code, port, url };
}
