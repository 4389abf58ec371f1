import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { displayWidth } from '../host/terminal/text.ts';
import { ollamaDouble, type Asked, type OllamaDouble, type Reply } from './doubles/ollama.ts';
import { runnable } from './support.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const found = spawnSync('tmux', ['-V']).status === 0;
const required = process.env['REQUIRE_REAL'] === '1';
// A terminal of its own, with no settings of the person's.
const socket = `kuznia-test-${process.pid}`;
const skip = found || required ? false : 'tmux is not installed: it gives this test its terminal';

const ANSWER =
  'Zażółć gęślą jaźń; 日本語 comes with it, and a sentence that is longer than a narrow terminal is wide.';
let home = '';
let double: OllamaDouble;

const reply = ({ messages }: Asked): Reply => {
  const last = messages.at(-1);
  const said = last?.content ?? '';
  if (last?.role === 'tool') return { content: 'It was not published.' };
  if (said.includes('be silent')) return { silent: true };
  if (said.includes('publish it'))
    return { calls: [{ name: 'sandbox_publish_tool', arguments: { name: 'x' } }] };
  if (said.includes('talk on')) return { content: 'and on '.repeat(200) };
  return { content: ANSWER };
};

function tmux(...args: string[]): Promise<string> {
  return new Promise((done, fail) => {
    execFile('tmux', ['-u', '-L', socket, '-f', '/dev/null', ...args], (error, out) => {
      if (error) fail(new Error(`tmux ${args.join(' ')}: ${error.message}`));
      else done(out);
    });
  });
}

const screen = async () => (await tmux('capture-pane', '-p', '-t', 'chat')).trimEnd();
const type = (text: string) => tmux('send-keys', '-t', 'chat', '-l', '--', text);
const press = (...keys: string[]) => tmux('send-keys', '-t', 'chat', ...keys);

/** Waits until the screen shows it, and tells how long that took. */
async function shows(pattern: RegExp, everyMs = 40): Promise<number> {
  const started = performance.now();
  for (;;) {
    const shown = await screen();
    if (pattern.test(shown)) return performance.now() - started;
    if (performance.now() - started > 20_000)
      assert.fail(`${String(pattern)} is not on the screen:\n${shown}`);
    await sleep(everyMs);
  }
}

/** A line that waits for a message, nothing typed yet. */
const READY = /(?:^|\n)(?:\S+ (?:% )?)?›\s*$/;

async function say(text: string) {
  await type(text);
  await press('Enter');
}

before(async () => {
  if (skip !== false) return;
  assert.ok(found, 'tmux is needed here (REQUIRE_REAL=1)');
  home = await mkdtemp(join(tmpdir(), 'kuznia-terminal-'));
  double = await ollamaDouble({ reply, paceMs: 40 });
  const env = { KUZNIA_HOME: home, OLLAMA_HOST: double.url, NO_COLOR: '1' };
  const settings = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
  const main = [process.execPath, ...runnable(join(root, 'host', 'main.ts'))];
  await tmux('new-session', '-d', '-s', 'chat', '-x', '80', '-y', '30', '-c', root, ...settings, ...main);
});

after(async () => {
  if (home === '') return;
  await tmux('kill-server').catch(() => undefined);
  await double.close();
  await rm(home, { recursive: true, force: true });
});

test(
  'an answer streams; Polish letters and wide characters are typed, mended and shown whole',
  { skip },
  async () => {
    await shows(READY);
    await type('gęślą 日本語');
    await press('BSpace');
    await shows(/› gęślą 日本$/);
    await press('Home');
    await type('Zażółć ');
    await shows(/› Zażółć gęślą 日本$/);
    await press('Enter');
    await shows(/Zażółć gęślą jaźń/);
    assert.doesNotMatch(await screen(), /is wide/, 'word by word');
    await shows(/terminal is\s+wide\./);
    await shows(READY);
    assert.match(await screen(), /\n[\d.]+k?\/\d+k ›$/, 'how full the context is');
    assert.equal(double.chats.at(-1)?.messages.at(-1)?.content, 'Zażółć gęślą 日本');
  },
);

test('Ctrl-C stops an answer in the middle, and before its first byte', { skip }, async (t) => {
  for (const [said, started] of [
    ['talk on', /and on and on and on/],
    ['be silent', /double:4b · \d{3,} ms|double:4b · 1/],
  ] as const) {
    await press('C-l');
    await say(said);
    await shows(started);
    await press('C-c');
    const ms = await shows(/stopped\n\S+ ›$/, 5);
    t.diagnostic(`${said}: the prompt was back after ${ms.toFixed(0)} ms`);
    assert.ok(ms < 4000, `${ms} ms`);
  }
});

test('a call is asked about in the line, and a no is heard', { skip }, async () => {
  await press('C-l');
  await say('publish it');
  await shows(
    /│ sandbox_publish_tool \{"name":"x"\}\n(?:.*\n)*Allow sandbox_publish_tool\?.*: $|Allow sandbox_publish_tool\?.*:$/,
  );
  await say('n');
  await shows(/It was not published\./);
  await shows(READY);
});

test('Tab completes a command', { skip }, async () => {
  await press('C-l');
  await type('/serv');
  await press('Tab');
  await shows(/› \/servers$/);
  await press('Enter');
  await shows(/✓ sandbox {2}\d+ tools/);
});

test('a paste of 200 lines is one message, and nothing of it runs before Enter', { skip }, async () => {
  await press('C-l');
  const lines = Array.from({ length: 200 }, (_, n) => `line ${n}: rm -rf gęś`);
  const before = double.chats.length;
  await tmux('set-buffer', '-b', 'paste', `${lines.join('\n')}\n`);
  await type('See: ');
  await tmux('paste-buffer', '-p', '-b', 'paste', '-t', 'chat');
  await shows(/› See: \[paste 1: 200 lines\]$/);
  await sleep(200);
  assert.equal(double.chats.length, before);
  await press('Enter');
  await shows(/terminal is\s+wide\./);
  const asked = double.chats.slice(before).map(({ messages }) => messages.at(-1)?.content);
  assert.ok(asked.includes(`See: ${lines.join('\n')}`), 'whole');
  await shows(READY);
  assert.equal((await screen()).match(/is\s+wide\./g)?.length, 1, 'and once');
});

test('a narrow terminal, and one that changes its width while something is typed', { skip }, async () => {
  await press('C-l');
  await type('half of a message that is longer than 40');
  await tmux('resize-window', '-t', 'chat', '-x', '40', '-y', '30');
  await type(' columns');
  await shows(/columns$/);
  await press('Enter');
  await shows(/is\s+wide\./);
  await shows(/\n\d+ % ›$/);
  for (const line of (await screen()).split('\n')) assert.ok(displayWidth(line) <= 40, line);
  assert.match(
    double.chats.at(-1)?.messages.at(-1)?.content ?? '',
    /^half of a message that is longer than 40 columns$/,
  );
  await tmux('resize-window', '-t', 'chat', '-x', '100', '-y', '30');
  await say('once more');
  await shows(/terminal is\s+wide\.\n\S+ ›$/);
});

test('it leaves at the second Ctrl-C, and the conversation is kept', { skip }, async () => {
  await press('C-c');
  await shows(/Ctrl-C again to leave/);
  await press('C-c');
  for (let n = 0; n < 100; n++) {
    const alive = await tmux('has-session', '-t', 'chat').then(
      () => true,
      () => false,
    );
    if (!alive) return;
    await sleep(50);
  }
  assert.fail(`it is still there:\n${await screen()}`);
});
