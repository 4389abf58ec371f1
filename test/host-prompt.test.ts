import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { decider } from '../host/approvals/deciding.ts';
import { Prompt } from '../host/terminal/prompt.ts';

function keyboard(isTTY: boolean) {
  const input = Object.assign(new PassThrough(), { isTTY });
  const output = Object.assign(new PassThrough(), { isTTY, columns: 80 });
  let shown = '';
  output.on('data', (data: Buffer) => (shown += data.toString()));
  const prompt = new Prompt(input, output);
  return {
    prompt,
    type: (keys: string | Buffer) => input.write(keys),
    end: () => input.end(),
    shown: () => shown,
  };
}

test('what is typed comes line by line; a paste comes whole', async () => {
  const { prompt, type, shown } = keyboard(true);
  const first = prompt.read('> ');
  type('Zażółć\r');
  assert.equal(await first, 'Zażółć');
  assert.match(shown(), /> .*Z/s);
  const pasted = prompt.read('> ');
  type(`${Array.from({ length: 200 }, (_, n) => `line ${n}`).join('\r')}\r`);
  assert.equal((await pasted)?.split('\n').length, 200);
  prompt.close();
  assert.equal(await prompt.read('> '), undefined);
});

test('what is typed while nobody asks is kept, and not echoed', async () => {
  const { prompt, type, shown } = keyboard(true);
  const before = shown();
  type('later\r');
  await sleep(50);
  assert.equal(shown(), before);
  assert.equal(await prompt.read('> '), 'later');
  prompt.close();
});

test('a question that decides something ignores what was typed before it', async () => {
  const { prompt, type } = keyboard(true);
  type('y\r');
  await sleep(50);
  const answer = prompt.confirm('Sure? ');
  type('N\r');
  assert.equal(await answer, 'no');
  prompt.close();
});

test('a decision is the whole answer, not how it begins', async () => {
  const { prompt, type } = keyboard(true);
  const answers = {
    yes: ['y', ' Yes ', 't', 'TAK'],
    always: ['a', 'Always'],
    refuse: ['r', 'refuse'],
    no: ['', 'n', 'abort', 'yikes, no', 'tylko nie to', 'ask me later', 'rather not', 'y y'],
  };
  for (const [expected, typed] of Object.entries(answers)) {
    for (const line of typed) {
      const answer = prompt.confirm('Sure? ');
      type(`${line}\r`);
      assert.equal(await answer, expected, line);
    }
  }
  prompt.close();
});

test('without a terminal a question is not answered by the lines that are there, and they stay', async () => {
  const { prompt, type } = keyboard(false);
  type('y\ny\n');
  await sleep(30);
  const approve = decider({
    io: { out: () => {}, err: () => {}, env: {}, interactive: false, colour: false, columns: () => 60 },
    prompt,
    connections: {
      tools: async () => [],
      call: async () => ({ ok: false, text: '' }),
    },
    display: () => undefined,
    signal: () => new AbortController().signal,
    allow: () => {},
  });
  const publish = { tool: 'sandbox_publish_tool', arguments: { name: 'x' } };
  assert.equal(await approve(publish), 'unavailable');
  assert.equal(await approve({ ...publish, question: 'Drop all?' }), 'unavailable');
  assert.deepEqual([await prompt.read(''), await prompt.read('')], ['y', 'y']);
  prompt.close();
});

test('Ctrl-C is told; a half typed line can be cleared, and a question ended', async () => {
  const { prompt, type } = keyboard(true);
  let interrupts = 0;
  prompt.onInterrupt = () => {
    interrupts += 1;
  };
  const asked = prompt.read('> ');
  type('half\u0003');
  await sleep(50);
  assert.equal(interrupts, 1);
  assert.equal(prompt.clear(), true);
  assert.equal(prompt.clear(), false);
  prompt.dismiss();
  assert.equal(await asked, '');
  prompt.close();
});

test('from a pipe every line is one message, without prompts, to the end', async () => {
  const { prompt, type, end, shown } = keyboard(false);
  type('one\ntwo\nthree');
  end();
  assert.deepEqual(
    [await prompt.read('> '), await prompt.read('> '), await prompt.read('> ')],
    ['one', 'two', 'three'],
  );
  assert.equal(await prompt.read('> '), undefined);
  assert.equal(shown(), '');
});

test('an approval shows the code that would go live, and can be given once or for the session', async () => {
  const { prompt, type } = keyboard(true);
  let out = '';
  const allowed: string[] = [];
  const code = 'export default () => 42;\n// hidden \u202e';
  const approve = decider({
    io: {
      out: (text) => void (out += text),
      err: () => {},
      env: {},
      interactive: true,
      colour: false,
      columns: () => 60,
    },
    prompt,
    connections: {
      tools: async () => [],
      call: async (name) => ({
        ok: name === 'sandbox_show_tool',
        text: '',
        value: { version: '1.0.1', status: 'approved', code },
      }),
    },
    display: () => undefined,
    signal: () => new AbortController().signal,
    allow: (tool) => allowed.push(tool),
  });
  const publish = { tool: 'sandbox_publish_tool', arguments: { name: 'x' } };
  for (const [key, expected] of [
    ['n', 'no'],
    ['', 'no'],
    ['absolutely not', 'no'],
    ['y', 'yes'],
    ['always', 'yes'],
  ] as const) {
    const decision = approve(publish);
    await sleep(30);
    type(`${key}\r`);
    assert.equal(await decision, expected, key);
  }
  assert.match(out, /│ sandbox_publish_tool \{"name":"x"\}\n│ x 1\.0\.1 \(approved\)/);
  assert.match(out, /│ export default \(\) => 42;\n│ \/\/ hidden \\u202e/);
  assert.deepEqual(allowed, ['sandbox_publish_tool']);
  // A question of the server's own is asked every time.
  const asked = approve({ ...publish, question: 'Drop all?' });
  await sleep(30);
  type('a\r');
  assert.equal(await asked, 'no');
  assert.match(out, /│ Drop all\?/);
  prompt.close();
});

test('a paste that is marked as one stands as a word in the line, wherever its bytes are cut', async () => {
  const { prompt, type, shown } = keyboard(true);
  const lines = Array.from({ length: 200 }, (_, n) => `zażółć ${n}\t日本`).join('\r\n');
  const bytes = Buffer.from(`\u001b[200~${lines}\r\n\u001b[201~`);
  const asked = prompt.read('> ');
  type('See ');
  for (let at = 0; at < bytes.length; at += 7) type(bytes.subarray(at, at + 7));
  await sleep(80);
  assert.match(shown(), /See .*\[.*2.*0.*0.* .*l.*i.*n.*e.*s.*\]/s);
  type(' ok?\r');
  assert.equal(await asked, `See ${lines.replaceAll('\r\n', '\n')} ok?`);
  const one = prompt.read('> ');
  type('\u001b[200~one line\r\u001b[201~');
  await sleep(60);
  type('\r');
  assert.equal(await one, 'one line', 'its end of line is no Enter');
  prompt.close();
});

test('a paste without an end keeps Ctrl-C for no longer than two seconds; Escape and arrows are no paste', async () => {
  const { prompt, type } = keyboard(true);
  let interrupts = 0;
  prompt.onInterrupt = () => {
    interrupts += 1;
  };
  const asked = prompt.read('> ');
  type('ac\u001b');
  type('[Db\r');
  assert.equal(await asked, 'abc', 'an arrow in two pieces');
  const lost = prompt.read('> ');
  type('\u001b[200~half');
  await sleep(2_100);
  type('\u0003');
  await sleep(30);
  assert.equal(interrupts, 1);
  type('\r');
  assert.equal(await lost, 'half');
  prompt.close();
});

test('Tab offers what fits, at a question only; a question waits for the one before it', async () => {
  const { prompt, type, shown } = keyboard(true);
  prompt.complete = async (line) => [['/servers'].filter((one) => one.startsWith(line)), line];
  const first = prompt.read('> ');
  const second = prompt.read('second> ');
  type('/se');
  await sleep(20);
  type('\t');
  await sleep(50);
  type('\r');
  assert.equal(await first, '/servers');
  await sleep(20);
  assert.match(shown(), /second> /);
  type('two\r');
  assert.equal(await second, 'two');
  prompt.complete = () => Promise.reject(new Error('away'));
  const third = prompt.read('> ');
  type('x');
  await sleep(20);
  type('\t');
  await sleep(30);
  type('\r');
  assert.equal(await third, 'x');
  prompt.close();
});
