import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { z } from 'zod';
import { authHome, keep } from './auth-kit.ts';
import { dovecot } from './doubles/mail-dovecot.ts';
import { cleanEnv, missing, runnable, tempHome } from './support.ts';

const answer = z.object({
  secrets: z.object({ kept: z.string(), count: z.number() }),
  codes: z.array(z.object({ name: z.string(), kind: z.string(), ok: z.boolean(), note: z.string() })),
});

test(
  'kuznia doctor shows each place that codes come from, tried, and nothing of what is secret',
  { timeout: 60_000 },
  async (t) => {
    const box = missing('KUZNIA_DOVECOT') ? undefined : await dovecot(t);
    const password = 'secret://mail';
    const there = box && { host: box.host, port: box.port, ca: box.ca, user: box.user };
    const inbox = tempHome(t);
    const home = authHome(t, {
      mailboxes: {
        ...(there && { there: { ...there, password }, wrong: { ...there, password: 'secret://wrong' } }),
        gone: { host: '127.0.0.1', port: 9, user: 'jan', password },
      },
      sms: { modem: { type: 'gammu', inbox }, phone: { type: 'webhook', secret: 'secret://none' } },
      oauth: { site: { issuer: 'https://login.example', client_id: 'kuznia' } },
    });
    await keep(home, {
      mail: { value: box?.password ?? 'kzcanary-mailbox-1' },
      wrong: { value: 'kzcanary-wrong-1' },
    });
    const child = spawn(process.execPath, [...runnable('host/main.ts'), 'doctor', '--json'], {
      env: cleanEnv(home),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (part: Buffer) => (text += part.toString()));
    await once(child, 'close');
    const { secrets, codes } = answer.parse(JSON.parse(text));
    assert.deepEqual(secrets, { kept: 'file', count: 2 });
    const found = Object.fromEntries(codes.map(({ name, ok, note }) => [name, { ok, note }]));
    if (box) {
      assert.deepEqual(found['there'], { ok: true, note: 'jan at localhost' });
      assert.match(found['wrong']?.note ?? '', /refused user and password.*kuznia secret rotate wrong/);
    }
    assert.match(found['gone']?.note ?? '', /The mailbox gone \(127\.0\.0\.1\) could not be opened/);
    assert.deepEqual(found['modem'], { ok: true, note: `gammu-smsd, ${inbox}` });
    assert.match(found['phone']?.note ?? '', /secret:\/\/none was not found.*kuznia secret add none/);
    assert.match(found['site']?.note ?? '', /Nobody has signed in to site.*kuznia login site/);
    assert.equal(codes.filter(({ ok }) => ok).length, box ? 2 : 1);
    assert.ok(!/kzcanary/.test(text));
  },
);
