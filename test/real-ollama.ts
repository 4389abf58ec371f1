import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './support.ts';

/** A real Ollama with the tiny models of .ci/models.sh, on a port of the system's choice; undefined where none is. */
export async function startOllama(
  models = process.env['OLLAMA_MODELS_DIR'],
): Promise<{ url: string; stop: () => Promise<void> } | undefined> {
  const { KUZNIA_REAL_OLLAMA: program, PATH } = process.env;
  if (!program || !models) return undefined;
  const home = mkdtempSync(join(tmpdir(), 'kuznia-ollama-'));
  const child = spawn(program, ['serve'], {
    env: {
      PATH,
      HOME: home,
      OLLAMA_HOST: '127.0.0.1:0',
      OLLAMA_MODELS: models,
      OLLAMA_NO_CLOUD: '1',
      OLLAMA_NUM_PARALLEL: '1',
      // The store is shared with other runs.
      OLLAMA_NOPRUNE: '1',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const address = await until('Ollama listens', () => /Listening on ([0-9.:]+)/.exec(log)?.[1], 60_000);
  return {
    url: `http://${address}`,
    async stop() {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      const slow = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await gone;
      clearTimeout(slow);
      rmSync(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
