import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Ending } from '../auth-kit.ts';

/** A real OpenID provider; access tokens live for so many seconds. */
export async function provider(t: Ending, seconds = 3600): Promise<string> {
  const script = fileURLToPath(new URL('../fixtures/codes/provider.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, String(seconds)], { stdio: ['pipe', 'pipe', 'ignore'] });
  const gone = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await gone;
  });
  for await (const line of createInterface({ input: child.stdout })) if (line.startsWith('http')) return line;
  throw new Error('the provider did not start');
}
