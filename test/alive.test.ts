import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { isAlive } from '../kit/alive.ts';
import { linux } from './runner-kit.ts';
import { until } from './support.ts';

test('a process that ended is dead, though its parent never asks for it', linux, async (t) => {
  // `sleep` takes the shell's place and its child, and waits for none.
  const parent = spawn('sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 30'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.after(() => parent.kill('SIGKILL'));
  const [said]: unknown[] = await once(parent.stdout, 'data');
  const pid = Number(String(said));
  assert.ok(isAlive(pid));
  await until('it ended', () => !isAlive(pid));
  process.kill(pid, 0); // its number is still taken
  assert.ok(isAlive(process.pid));
});
