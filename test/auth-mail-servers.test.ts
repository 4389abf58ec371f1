import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { authConfig } from '../servers/auth/config.ts';
import { mailSource } from '../servers/auth/mail.ts';
import { authHome } from './auth-kit.ts';
import { spartan } from './doubles/mail-spartan.ts';
import { until } from './support.ts';

const from = 'noreply@acme.example';

async function listening(t: TestContext, options: { idle?: 'refused' } = {}, before = 0) {
  const box = await spartan(t, authHome(t), options);
  for (let i = 0; i < before; i++) box.deliver(from, 'old', `Your code is ${100000 + i}`);
  const { host, port, ca } = box;
  const { mailboxes } = authConfig.parse({
    mailboxes: { work: { host, port, ca, user: 'jan', password: 'secret://mail' } },
  });
  assert.ok(mailboxes['work']);
  const heard: string[] = [];
  const failed: Error[] = [];
  const source = mailSource('work', mailboxes['work'], async () => 'right');
  const ears = await source.listen({
    since: Date.now() - 1000,
    signal: new AbortController().signal,
    wanted: (head) => head.from === from && head.subject !== 'old',
    heard: ({ text = '' }) => void heard.push(text.trim()),
    failed: (error) => void failed.push(error),
  });
  t.after(() => ears.close());
  return { box, heard, failed };
}

for (const idle of [undefined, 'refused'] as const) {
  const how = idle ? 'a server that refuses its IDLE' : 'a server without IDLE';
  test(`${how} is asked every few seconds, not once a minute`, { timeout: 30_000 }, async (t) => {
    const { box, heard, failed } = await listening(t, idle ? { idle } : {}, 3);
    const began = performance.now();
    box.deliver(from, 'Sign in', 'Your code is 482913');
    await until('mail 1', () => heard.length === 1, 15_000);
    assert.ok(performance.now() - began < 8_000, `${performance.now() - began} ms`);
    assert.deepEqual(heard, ['Your code is 482913']);
    // Another program deletes what was there: every sequence number moves, and the next mail has an old one's.
    box.expunge(4);
    box.deliver(from, 'Sign in', 'Your code is 771204');
    await until('mail 2', () => heard.length === 2, 15_000);
    assert.deepEqual([heard[1], failed], ['Your code is 771204', []]);
  });
}

test(
  'a BYE in the middle is answered by coming back, and what came meanwhile is read',
  { timeout: 30_000 },
  async (t) => {
    const { box, heard, failed } = await listening(t);
    box.bye();
    await until('the end', () => box.connections() === 0);
    box.deliver(from, 'Sign in', 'Your code is 482913');
    await until('mail 1', () => heard.length === 1, 15_000);
    assert.deepEqual([heard, failed], [['Your code is 482913'], []]);
  },
);
