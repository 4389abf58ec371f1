import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { ServerNews } from '../host/chat/states.ts';
import { TurnDisplay } from '../host/terminal/display.ts';
import type { Io } from '../host/terminal/io.ts';
import type { TurnEvent } from '../host/turn/loop.ts';
import { displayWidth } from '../host/terminal/text.ts';

function terminal(more: Partial<Io> = {}) {
  const written = { out: '', err: '' };
  const io: Io = {
    out: (text) => void (written.out += text),
    err: (text) => void (written.err += text),
    env: {},
    interactive: false,
    colour: false,
    columns: () => 80,
    ...more,
  };
  return { io, written };
}

const long = 'Zażółć gęślą jaźń, 日本語 and a word that goes on and on. '.repeat(4);
const args = { task: long };
const TURN: TurnEvent[] = [
  { type: 'thinking', text: 'hm' },
  { type: 'text', text: 'Let me ' },
  { type: 'text', text: `see.\n${long}` },
  { type: 'call', tool: 'sandbox_forge_tool', arguments: args },
  { type: 'progress', tool: 'sandbox_forge_tool', done: 1, note: 'planning' },
  { type: 'progress', tool: 'sandbox_forge_tool', done: 2, note: 'round 1: types' },
  { type: 'progress', tool: 'sandbox_forge_tool', done: 3, note: 'round 1: tests' },
  { type: 'progress', tool: 'sandbox_forge_tool', done: 4, note: `round 1: test "x" fails: ${long}` },
  {
    type: 'result',
    tool: 'sandbox_forge_tool',
    arguments: args,
    ok: true,
    ms: 4200,
    text: '{}',
    value: { status: 'approved', name: 'x', ms: 1, problems: [] },
  },
  { type: 'call', tool: 'forged_x', arguments: { a: 1, b: 2 } },
  {
    type: 'result',
    tool: 'forged_x',
    arguments: { a: 1, b: 2 },
    ok: false,
    ms: 3,
    text: 'forged_x threw: \u001b[31mno',
  },
  { type: 'notice', text: 'Something.' },
  { type: 'context', used: 10, limit: 20 },
  { type: 'text', text: 'Done.' },
  { type: 'end', reason: 'answer', answer: 'Done.', rounds: 2, calls: [] },
];

/** What stands on the screen when every line that was erased is gone. */
function screen(text: string): string[] {
  const lines = text
    .split('\n')
    .map((line) => line.slice(line.lastIndexOf('\u001b[2K') + 1).replace(/^\[2K/, ''));
  return stripVTControlCharacters(lines.join('\n')).split('\n');
}

test('a turn without a terminal is plain lines, each call one of them, steps above it', () => {
  const { io, written } = terminal();
  const display = new TurnDisplay(io, { answers: true, calls: true });
  for (const event of TURN) display.show(event);
  const lines = written.out.split('\n');
  assert.ok(!written.out.includes('\u001b'));
  assert.equal(lines[0], 'Let me see.');
  assert.ok(lines.includes('  · planning'));
  assert.ok(lines.includes('  · round 1: types, tests'), 'gates share a line');
  assert.equal(lines.filter((line) => /^[✓✗]/.test(line)).length, 2);
  const call = lines.find((line) => line.startsWith('✓'));
  assert.match(call ?? '', /^✓ sandbox_forge_tool "Zażółć .*… · 4\.2 s · status approved, nam/);
  assert.ok(lines.includes('✗ forged_x {"a":1,"b":2} · 3.0 ms · threw: no'));
  assert.equal(lines.at(-2), 'Done.');
  for (const line of lines) assert.ok(displayWidth(line) <= 80, line);
});

test('no line passes a narrow terminal', () => {
  for (const columns of [20, 30, 40, 60, 120]) {
    const { io, written } = terminal({ columns: () => columns });
    const display = new TurnDisplay(io, { answers: true, calls: true });
    for (const event of TURN) display.show(event);
    for (const line of written.out.split('\n'))
      assert.ok(displayWidth(line) <= columns, `${columns}: ${line}`);
  }
});

test('what is to be known stands whole in a narrow terminal, broken between words', () => {
  const { io, written } = terminal({ columns: () => 44 });
  const text = 'Tools are found by words alone until the embedding model minilm:latest has read them.';
  new TurnDisplay(io, { answers: true, calls: true }).show({ type: 'notice', text });
  new ServerNews(io).tell([{ name: 'notes', state: 'degraded', reason: text, tools: 0 }]);
  assert.deepEqual(written.out.split('\n'), [
    '! Tools are found by words alone until the',
    '  embedding model minilm:latest has read',
    '  them.',
    '! notes is degraded: Tools are found by',
    '  words alone until the embedding model',
    '  minilm:latest has read them.',
    '',
  ]);
});

test('on a terminal a call runs visibly, then its line is the result', async () => {
  const { io, written } = terminal({ interactive: true });
  const display = new TurnDisplay(io, { answers: true, calls: true });
  const [first, ...rest] = TURN.slice(3);
  assert.ok(first);
  display.show(first);
  await sleep(300);
  assert.match(written.out, /[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] sandbox_forge_tool "Zażółć.*… · \d+ ms/);
  assert.ok(!written.out.includes('\n'), 'one line only');
  for (const event of rest) display.show(event);
  const after = written.out.length;
  await sleep(200);
  assert.equal(written.out.length, after, 'nothing moves any more');
  const lines = screen(written.out);
  assert.ok(!lines.some((line) => /[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/.test(line)), lines.join('\n'));
  assert.equal(lines.filter((line) => line.includes('sandbox_forge_tool')).length, 1);
});

test('colours only where the terminal has them', () => {
  const { io, written } = terminal({ colour: true });
  const display = new TurnDisplay(io, { answers: true, calls: true });
  for (const event of TURN) display.show(event);
  assert.ok(written.out.includes('\u001b[32m✓\u001b[0m'));
  assert.ok(!written.out.includes('\u001b[31mno'), 'a tool brings no colours of its own');
});

test('an answer that is piped on has the calls beside it, on stderr', () => {
  const { io, written } = terminal();
  const display = new TurnDisplay(io, { answers: false, calls: true });
  for (const event of TURN) display.show(event);
  assert.equal(written.out, '');
  assert.match(written.err, /^✓ sandbox_forge_tool/m);
});

test('what went wrong is marked as such, and how full the context is draws nothing by itself', () => {
  const { io, written } = terminal();
  const display = new TurnDisplay(io, { answers: true, calls: true });
  display.show({ type: 'text', text: 'Half a ' });
  display.show({ type: 'context', used: 1, limit: 2 });
  display.show({ type: 'text', text: 'line.' });
  display.show({ type: 'notice', text: 'Cut.', error: true });
  display.show({ type: 'notice', text: 'So.' });
  assert.equal(written.out, 'Half a line.\n✗ Cut.\n! So.\n');
});
