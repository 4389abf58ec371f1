import assert from 'node:assert/strict';
import {
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { z } from 'zod';
import { isObject } from '../kit/json.ts';
import { ollamaDouble } from './doubles/ollama.ts';
import { startOllama } from './real-ollama.ts';
import { missing, parsed, real } from './support.ts';

// One table of requests, right and wrong ones, for the double and for the real Ollama: both answer what the table says,
// which is what the real one said. UPDATE=1 with the real one records it anew. A line is what is asked, the body, and
// the status, the kind and the shape of the answer; errors are there to the letter.

const file = join(import.meta.dirname, 'fixtures', 'ollama-requests.jsonl');
const row = z.tuple([z.string(), z.unknown(), z.string()]);
const rows = readFileSync(file, 'utf8')
  .trim()
  .split('\n')
  .map((line) => row.parse(JSON.parse(line)));

const double = await ollamaDouble({
  models: [
    { name: 'smollm2-tools', contextLength: 8192, embeds: true },
    { name: 'smollm2-plain', contextLength: 8192, capabilities: ['completion'], embeds: true },
    { name: 'minilm', contextLength: 512, capabilities: ['embedding'] },
  ],
  reply: () => ({ content: 'At last it is here, and it is good.' }),
});
after(() => double.close());

/** What is asked, and what was answered, in one line each. */
async function told(url: string, asked: string, body: unknown): Promise<string> {
  const [method = '', path = ''] = asked.split(' ');
  const text = typeof body === 'string' ? body : isObject(body) ? JSON.stringify(body) : undefined;
  const sent = text?.replaceAll(/\{(\d+) words\}/g, (_all, count) => 'word '.repeat(Number(count)));
  const answer = await exchange(new URL(url), method, path, sent);
  const kind = answer.type.replace('; charset=utf-8', '+utf-8') || 'nothing';
  const lines = answer.text.split('\n').filter(Boolean);
  // What comes between the first line of a stream and the last is like the first.
  const shown = kind.includes('ndjson')
    ? [lines[0], ...(lines.length > 1 ? [lines.at(-1)] : [])].map((line) => shape(parsed(line ?? '')))
    : [kind.includes('json') && answer.text !== '' ? shape(parsed(answer.text)) : answer.text.trim()];
  return [answer.status, kind, ...shown].join(' ').trim();
}

function exchange(url: URL, method: string, path: string, body: string | undefined) {
  return new Promise<{ status: number; type: string; text: string }>((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const asking = request({ host: url.hostname, port: url.port, method, path, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => (text += part));
      answer.on('end', () => {
        resolve({ status: answer.statusCode ?? 0, type: answer.headers['content-type'] ?? '', text });
      });
      answer.on('error', reject);
    });
    asking.on('error', reject);
    asking.end(body);
  });
}

/** Where what is said matters, and not only that something is. */
const LITERAL = ['error', 'status', 'done', 'capabilities', 'role'];
/** Go leaves out what is 0, and some models are told about more. */
const LOOSE = ['eval_duration', 'load_duration', 'parameters', 'tensors', 'model_info'];

function shape(value: unknown, key = ''): string {
  if (LITERAL.includes(key) || (key === 'done_reason' && ['load', 'unload'].includes(String(value)))) {
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return value.length > 0 ? `[${shape(value[0])}]` : '[]';
  if (!isObject(value)) return typeof value;
  const fields = Object.keys(value)
    .filter((name) => !LOOSE.includes(name))
    .toSorted();
  return `{${fields.map((name) => `${name}: ${shape(value[name], name)}`).join(', ')}}`;
}

/** The store of the real one, to be changed: its files are shared, its list is not. */
function ownStore(): string {
  const store = mkdtempSync(join(tmpdir(), 'kuznia-models-'));
  after(() => rmSync(store, { recursive: true, force: true, maxRetries: 5 }));
  const from = real('OLLAMA_MODELS_DIR');
  cpSync(join(from, 'manifests'), join(store, 'manifests'), { recursive: true });
  mkdirSync(join(store, 'blobs'));
  for (const name of readdirSync(join(from, 'blobs'))) {
    try {
      linkSync(join(from, 'blobs', name), join(store, 'blobs', name));
    } catch {
      cpSync(join(from, 'blobs', name), join(store, 'blobs', name));
    }
  }
  return store;
}

const named = ([asked, body]: z.output<typeof row>) => `${asked} ${JSON.stringify(body) ?? ''}`;

test('the double answers each request of the table as the real one did', async () => {
  const wrong: string[] = [];
  for (const one of rows) {
    const answer = await told(double.url, one[0], one[1]);
    if (answer !== one[2]) wrong.push(`${named(one)}\n  real:   ${one[2]}\n  double: ${answer}`);
  }
  assert.ok(rows.length > 250, `${rows.length} requests`);
  assert.equal(wrong.join('\n'), '', `${wrong.length} of ${rows.length} differ`);
});

test(
  'the real Ollama still answers so',
  { skip: missing('KUZNIA_REAL_OLLAMA', 'OLLAMA_MODELS_DIR'), timeout: 1_500_000 },
  async () => {
    const server = await startOllama(ownStore());
    assert.ok(server);
    try {
      const answers: string[] = [];
      for (const [asked, body] of rows) answers.push(await told(server.url, asked, body));
      if (process.env['UPDATE'] === '1') {
        const lines = rows.map(([asked, body], at) => JSON.stringify([asked, body ?? null, answers[at]]));
        return writeFileSync(file, `${lines.join('\n')}\n`);
      }
      const wrong = rows.flatMap((one, at) =>
        answers[at] === one[2] ? [] : [`${named(one)}\n  told: ${one[2]}\n  now:  ${answers[at]}`],
      );
      assert.equal(wrong.join('\n'), '', `${wrong.length} of ${rows.length} differ`);
    } finally {
      await server.stop();
    }
  },
);
