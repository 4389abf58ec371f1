import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { contextLimit, contextSize, cutNotice, makeRoom } from '../host/turn/context.ts';
import { Gauge } from '../host/turn/gauge.ts';
import { Window } from '../host/turn/window.ts';
import type { ChatMessage } from '../kit/model.ts';

const system: ChatMessage = { role: 'system', content: 'Help.' };
const words = (n: number) => Array.from({ length: n }, (_one, at) => `word${at % 7}`).join(' ');

/** A conversation of `turns`, each with a long result. */
function conversation(turns: number, size: number): ChatMessage[] {
  return Array.from({ length: turns }, (_one, at): ChatMessage[] => [
    { role: 'user', content: `question ${at}` },
    { role: 'assistant', content: '', tool_calls: [{ name: 'read', arguments: { at } }] },
    { role: 'tool', content: `result ${at} ${words(size)}`, tool_name: 'read' },
    { role: 'assistant', content: `answer ${at}` },
  ])
    .flat()
    .slice(0, -1);
}

const fitting = (limit: number, summarise: (text: string) => Promise<string | undefined>) => ({
  gauge: new Gauge(),
  model: 'm',
  system,
  tools: [],
  limit,
  summarise,
});

suite('making room', () => {
  test('what fits is left alone', async () => {
    const messages = conversation(3, 50);
    const before = structuredClone(messages);
    assert.deepEqual(
      await makeRoom(
        messages,
        fitting(8192, async () => assert.fail()),
      ),
      [],
    );
    assert.deepEqual(messages, before);
  });

  test('the oldest results are summarised first, as few as needed, and one line says so', async () => {
    const messages = conversation(4, 1000);
    const notes = await makeRoom(
      messages,
      fitting(8192, async () => 'short'),
    );
    assert.deepEqual(notes, ['Summarised 2 older tool results to make room.']);
    assert.equal(messages[2]?.content, '[summary of a longer result] short');
    assert.match(messages[10]?.content ?? '', /^result 2 word/);
    assert.equal(messages.length, 15);
  });

  test('where summaries do not help the oldest exchanges go, never the task', async () => {
    const messages = conversation(6, 1000);
    const notes = await makeRoom(
      messages,
      fitting(4096, async () => undefined),
    );
    assert.match(notes[0] ?? '', /^Left out \d+ older messages/);
    assert.equal(messages[0]?.role, 'user');
    assert.equal(messages.findLast(({ role }) => role === 'user')?.content, 'question 5');
    const { gauge } = fitting(0, async () => '');
    assert.ok(gauge.estimate('m', { messages: [system, ...messages] }) <= 4096);
  });

  test('a result of the current task that is too long is cut in its middle', async () => {
    const messages = conversation(1, 9000);
    const notes = await makeRoom(
      messages,
      fitting(4096, async () => undefined),
    );
    assert.deepEqual(notes, ['Cut 1 tool result to make room.']);
    assert.match(messages[2]?.content ?? '', /^result 0 word[^]*characters left out[^]*word\d$/);
  });

  test('a task that alone is too long is told of', async () => {
    const messages: ChatMessage[] = [{ role: 'user', content: words(9000) }];
    const [note] = await makeRoom(
      messages,
      fitting(4096, async () => undefined),
    );
    assert.match(note ?? '', /^The task alone is longer/);
  });
});

suite('the size of a context', () => {
  const info = { name: 'm', capabilities: [], contextLength: 40_960, bytesPerToken: 100_000 };

  test('is bounded by the model, the settings and the memory', () => {
    assert.equal(
      contextLimit(info, {}, () => 64e9),
      40_960,
    );
    assert.equal(
      contextLimit(info, { context: 10_000 }, () => 64e9),
      10_000,
    );
    assert.equal(
      contextLimit(info, {}, () => 2e9),
      10_000,
    );
    assert.equal(
      contextLimit(info, { memory_mb: 1000 }, () => 64e9),
      10_485,
    );
    assert.equal(
      contextLimit(info, {}, () => 0),
      4096,
      'less is not worth it',
    );
  });

  test('grows in steps and never shrinks', () => {
    assert.equal(contextSize(500, 40_960), 4096);
    assert.equal(contextSize(7000, 40_960), 16_384);
    assert.equal(contextSize(500, 40_960, 16_384), 16_384);
    assert.equal(contextSize(100_000, 40_960), 40_960);
  });

  test('a model that is loaded keeps the context that it has, though its memory is not free any more', () => {
    const limits = (budget: object, loaded?: number) => {
      const window = new Window(undefined, budget, () => 1e9);
      window.use(info, loaded);
      const request = { model: 'm', messages: [system] };
      return [window.limit, window.sized(request).options?.num_ctx];
    };
    assert.deepEqual(limits({}), [5000, 4096]);
    assert.deepEqual(limits({}, 16_384), [16_384, 16_384]);
    assert.deepEqual(limits({ context: 8192 }, 16_384), [8192, 4096], 'but what the settings say holds');
    assert.deepEqual(limits({ memory_mb: 500 }, 16_384), [5242, 4096]);
    assert.deepEqual(limits({}, 100_000), [40_960, 4096], 'nor past what the model can read');
  });

  test('a cut is told of when the window is full, or much less was read than sent', () => {
    const read = (promptTokens: number) => ({ promptTokens, context: 4096 });
    assert.equal(cutNotice(read(1000), { tokens: 1020, sure: true }), undefined);
    assert.match(
      cutNotice(read(4096), { tokens: 4100, sure: true }) ?? '',
      /^The model read 4096 of about 4100/,
    );
    assert.match(cutNotice(read(2000), { tokens: 3900, sure: true }) ?? '', /cut off/);
    assert.equal(cutNotice(read(2000), { tokens: 3900, sure: false }), undefined, 'a guess accuses nobody');
  });
});

suite('the gauge', () => {
  // As a tokenizer of another language may count: 1.6 times as many, and 90 for the template.
  const counted = (messages: ChatMessage[]) =>
    Math.round(new Gauge().estimate('fresh', { messages }) * 1.6) + 90;

  test('is within 5 % after three turns, and remembers in the next process', (t) => {
    const home = mkdtempSync(join(tmpdir(), 'kuznia-gauge-'));
    t.after(() => rmSync(home, { recursive: true }));
    const gauge = new Gauge(home);
    const messages: ChatMessage[] = [system];
    for (let turn = 0; turn < 3; turn++) {
      messages.push(
        { role: 'user', content: words(40 + 30 * turn) },
        { role: 'assistant', content: 'Zażółć gęślą jaźń.' },
      );
      gauge.learn('m', { messages }, counted(messages));
    }
    messages.push({ role: 'user', content: words(60) });
    const [guess, truth] = [gauge.estimate('m', { messages }), counted(messages)];
    assert.ok(Math.abs(guess - truth) / truth < 0.05, `${guess} against ${truth}`);
    const next = new Gauge(home);
    assert.ok(next.knows('m'));
    assert.ok(Math.abs(next.estimate('m', { messages }) - truth) / truth < 0.3);
  });
});
