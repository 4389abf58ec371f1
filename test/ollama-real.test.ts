import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { z } from 'zod';
import { complete, type ChatRequest, type ModelError } from '../kit/model.ts';
import { ollamaModel } from '../kit/ollama.ts';
import { Window } from '../host/turn/window.ts';
import { estimateErrors } from './bench/estimate.ts';
import { oddSchemas } from './fixtures/odd-schemas.ts';
import { startOllama } from './real-ollama.ts';
import { openSandboxServer } from './sandbox-kit.ts';
import { cleanEnv, missing } from './support.ts';

const skip = missing('KUZNIA_REAL_OLLAMA', 'OLLAMA_MODELS_DIR');
const home = mkdtempSync(join(tmpdir(), 'kuznia-ollama-'));
const server = await startOllama();
const model = ollamaModel({ host: server?.url });
const published = skip ? undefined : publish();
after(async () => {
  await server?.stop();
  rmSync(home, { recursive: true, force: true, maxRetries: 5 });
});

const ask = (name: string, content: string, more: Partial<ChatRequest> = {}): ChatRequest => ({
  model: name,
  messages: [{ role: 'user', content }],
  ...more,
});
const patient = () => AbortSignal.timeout(400_000);
const SLOW = { skip, timeout: 1_500_000 };

test('it answers, and lists the models with their capabilities', SLOW, async () => {
  assert.deepEqual(await model.reachable(patient()), { ok: true, version: '0.24.0' });
  const names = (await model.list(patient())).map((one) => one.name.replace(':latest', ''));
  assert.ok(names.includes('smollm2-tools') && names.includes('smollm2-plain') && names.includes('minilm'));
  assert.ok((await model.show('smollm2-tools', patient())).capabilities.includes('tools'));
  const plain = await model.show('smollm2-plain', patient());
  assert.ok(!plain.capabilities.includes('tools'));
  assert.ok(plain.contextLength >= 2048, `context length ${plain.contextLength}`);
});

test('an answer streams in pieces, with its token counts', SLOW, async () => {
  const pieces: string[] = [];
  let promptTokens = 0;
  const request = ask('smollm2-plain', 'Say hello.', { options: { num_predict: 24, temperature: 0 } });
  for await (const event of model.chat(request, patient())) {
    if (event.type === 'text') pieces.push(event.text);
    if (event.type === 'done') ({ promptTokens } = event);
  }
  assert.ok(pieces.length > 3, `${pieces.length} pieces`);
  assert.ok(promptTokens > 3, `${promptTokens} tokens`);
});

test('a cancel while the prompt is read, before the first byte, is obeyed at once', SLOW, async () => {
  await complete(model, ask('smollm2-plain', 'Hi', { options: { num_predict: 1 } }), patient()); // loaded
  const long = 'The quick brown fox jumps over the lazy dog. '.repeat(150);
  const stop = new AbortController();
  const started = performance.now();
  const answer = complete(model, ask('smollm2-plain', long, { options: { num_predict: 8 } }), stop.signal);
  setTimeout(() => stop.abort(), 300);
  await assert.rejects(answer, (error: ModelError) => error.reason === 'cancelled');
  const ms = performance.now() - started;
  assert.ok(ms < 3000, `took ${ms.toFixed(0)} ms, 300 of them before the cancel`);
  // Ollama itself reads the prompt to its end before it answers the next one; that is not ours to change.
  await complete(model, ask('smollm2-plain', 'Hi', { options: { num_predict: 1 } }), patient());
});

test('a schema constrains the answer', SLOW, async () => {
  const format = {
    type: 'object',
    properties: { tool: { type: 'string', enum: ['sandbox_run_code', 'answer'] } },
    required: ['tool'],
  };
  const { text } = await complete(model, ask('smollm2-plain', 'Which tool?', { format }), patient());
  assert.match(text, /^\s*\{\s*"tool"\s*:\s*"(sandbox_run_code|answer)"\s*\}\s*$/);
});

test('texts become vectors, near ones nearer', SLOW, async () => {
  const [cat = [], kitten = [], tax = []] = await model.embed(
    'minilm',
    ['a cat sleeps', 'a kitten is asleep', 'income tax return form'],
    patient(),
  );
  const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);
  assert.equal(cat.length, 384);
  assert.ok(dot(cat, kitten) > dot(cat, tax) + 0.2);
});

// Each is asked in words that it is known to take: which ones a model of 135M takes is luck.
const tasks = {
  'smollm2-plain': 'How many letters has the word forge? Use forged_word_length.',
  'smollm2-tools': 'Count the letters of the word forge with forged_word_length.',
};
for (const [name, task] of Object.entries(tasks)) {
  test(`kuznia run with ${name}: a question, a published tool called, an answer`, SLOW, async () => {
    await published;
    const main = join(import.meta.dirname, '..', 'dist', 'host', 'main.js');
    const { code, stdout, stderr } = await run([main, 'run', task, '--json', '--model', name]);
    assert.equal(code, 0, stderr);
    const { answer, calls } = said.parse(JSON.parse(stdout));
    const [call] = calls;
    assert.equal(call?.tool, 'forged_word_length');
    assert.equal(call.ok, true);
    // What so small a model makes of the result is not ours to promise; that it is shown is.
    assert.notEqual(answer.trim(), '');
  });
}

test('a grammar can be made of any argument that a tool may have', SLOW, async () => {
  for (const [what, schema] of Object.entries(oddSchemas)) {
    const format = { type: 'object', properties: { a: schema }, required: ['a'] };
    const asked = ask('smollm2-plain', 'Say hello.', { format, options: { num_predict: 2, temperature: 0 } });
    const answer = await complete(model, asked, patient()).catch((error: unknown) => String(error));
    assert.equal(typeof answer, 'object', `${what}: ${JSON.stringify(answer)}`);
  }
});

const counted = z.object({ prompt_eval_count: z.number() });
const said = z.object({
  answer: z.string(),
  calls: z.array(z.looseObject({ tool: z.string(), ok: z.boolean() })).min(1),
});

/** A tool with one short argument, beside few others: what a model of 135M can choose and fill in. */
async function publish(): Promise<void> {
  const budget = { tools: 2 };
  writeFileSync(join(home, 'kuznia.json'), JSON.stringify({ budget }));
  const { value, mounted } = await openSandboxServer({ home });
  const word = { type: 'string', description: 'the word' };
  await value('sandbox_save_tool', {
    name: 'word_length',
    description: 'Counts the letters of a word.',
    input_schema: { type: 'object', properties: { word }, required: ['word'], additionalProperties: false },
    output_schema: { type: 'object', properties: { letters: { type: 'integer' } }, required: ['letters'] },
    code: 'export default ({ word }) => ({ letters: [...word].length });',
    tests: [
      { name: 'three', input: { word: 'abc' }, output: { letters: 3 } },
      { name: 'five', input: { word: 'forge' }, output: { letters: 5 } },
    ],
  });
  await value('sandbox_test_tool', { name: 'word_length' });
  await value('sandbox_publish_tool', { name: 'word_length' });
  await mounted.close();
}

function run(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const env = { ...cleanEnv(home), OLLAMA_HOST: server?.url ?? '' };
    execFile(process.execPath, args, { env, timeout: 600_000 }, (error, stdout, stderr) => {
      resolve({
        code: error && typeof error.code === 'number' ? error.code : error ? -1 : 0,
        stdout,
        stderr,
      });
    });
  });
}

test(
  'a prompt beyond the context is refused, where a plain client gets it cut without a word',
  SLOW,
  async () => {
    const window = new Window();
    window.use({ name: 'smollm2-tools', capabilities: ['completion'], contextLength: 8_192 });
    const own = ollamaModel({ host: server?.url });
    const long = Array.from({ length: 300 }, (_one, at) => `Line ${at} of a long story.`).join('\n');
    const cut = ask('smollm2-tools', long, { options: { num_ctx: 512, num_predict: 4 } });
    await assert.rejects(complete(own, cut, patient()), (error: ModelError) => error.reason === 'too_long');
    const first = ask('smollm2-tools', 'Hello there, how are you today?', {
      options: { num_ctx: 512, num_predict: 4 },
    });
    const whole = await complete(own, first, patient());
    assert.equal(await window.read(first, whole.done), undefined);
    // As a server before 0.12.6 answers whatever is asked, or one between that forgets what it does not know.
    const answer = await fetch(`${server?.url}/api/chat`, {
      method: 'POST',
      body: JSON.stringify({ ...cut, stream: false }),
    });
    const { prompt_eval_count: promptTokens } = counted.parse(await answer.json());
    const told = await window.read(cut, { ...whole.done, promptTokens, context: 512 });
    assert.match(told ?? '', /cut off by the model server/);
  },
);

test('after three turns the estimate of a prompt is within 5 %', SLOW, async () => {
  const errors = await estimateErrors(model, 'smollm2-tools', patient());
  assert.ok(Math.max(...errors.slice(3)) <= 0.05, errors.map((one) => one.toFixed(3)).join(' '));
});
