import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { claim } from '../servers/auth/claims.ts';
import { inline, tempHome } from './support.ts';

const soon = () => Date.now() + 60_000;
const mail = [{ name: 'work' }];

test('logins that one message could be for do not wait at once; others do', async (t) => {
  const run = join(tempHome(t), 'run');
  const both = async (a: [string, string?], b: [string, string?], other = mail) => {
    const release = await claim(run, { from: a[0], subject: a[1], sources: mail }, soon());
    try {
      const second = await claim(run, { from: b[0], subject: b[1], sources: other }, soon());
      second();
      return true;
    } catch (error) {
      assert.match(String(error), /Another login waits for a code from .* in work.*Two can wait at once/);
      return false;
    } finally {
      release();
    }
  };
  const shared: [[string, string?], [string, string?]][] = [
    [['no@acme.example'], ['no@acme.example']],
    [['no@acme.example'], ['NO@Acme.example']],
    [['acme.example'], ['no@acme.example']],
    [['@acme.example'], ['no@mail.acme.example']],
    [['acme.example'], ['mail.acme.example']],
    [['+48 123 456 789'], ['+48123456789']],
    [['no@acme.example', 'Sign in'], ['no@acme.example']],
    [
      ['no@acme.example', 'Sign in'],
      ['no@acme.example', 'sign in to shop'],
    ],
  ];
  for (const [a, b] of shared) {
    assert.equal(await both(a, b), false, `${a.join()} and ${b.join()}`);
    assert.equal(await both(b, a), false, `${b.join()} and ${a.join()}`);
  }
  const apart: [[string, string?], [string, string?]][] = [
    [['no@acme.example'], ['no@acme.example.evil.test']],
    [['acme.example'], ['bacme.example']],
    [
      ['no@acme.example', 'Shop'],
      ['no@acme.example', 'Bank'],
    ],
    [['ACME'], ['ACME Bank']],
  ];
  for (const [a, b] of apart) assert.equal(await both(a, b), true, `${a.join()} and ${b.join()}`);
  assert.equal(await both(['no@acme.example'], ['no@acme.example'], [{ name: 'home' }]), true);
  assert.deepEqual(readdirSync(run), [], 'nothing is left');
});

test('of twenty at once one waits; one whose process was killed, or whose time is over, holds nobody up', async (t) => {
  const run = join(tempHome(t), 'run');
  const wanted = { from: 'acme.example', sources: mail };
  const tried = await Promise.allSettled(Array.from({ length: 20 }, () => claim(run, wanted, soon())));
  const held = tried.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  assert.equal(held.length, 1);
  held[0]?.();
  const code = `import { claim } from './servers/auth/claims.ts';
    await claim(process.argv[1], { from: 'acme.example', sources: [{ name: 'work' }] }, Date.now() + 60000);
    console.log('held'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, [...inline(code), run], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  await assert.rejects(claim(run, wanted, soon()), /Another login waits/);
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  const release = await claim(run, wanted, Date.now() + 50);
  await new Promise((resolve) => setTimeout(resolve, 60));
  (await claim(run, wanted, soon()))();
  release();
});
