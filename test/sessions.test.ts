import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { toMarkdown } from '../host/sessions/export.ts';
import { continueSession, listSessions, newTurn, SessionFile, type Turn } from '../host/sessions/sessions.ts';
import type { ChatMessage } from '../kit/model.ts';
import { registerSecret } from '../kit/secrets.ts';

const fail = (message: string) => assert.fail(message);

async function newHome(t: TestContext) {
  const home = await mkdtemp(join(tmpdir(), 'kuznia-sessions-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  return home;
}

function talk(file: SessionFile, question: string, answer = 'Yes.'): Turn {
  const turn = newTurn('double:4b');
  turn.messages.push({ role: 'user', content: question }, { role: 'assistant', content: answer });
  file.add(turn, turn.messages);
  return turn;
}

const questions = (turns: Turn[]) => turns.map(({ messages }) => messages[0]?.content);
const folder = (home: string) => join(home, 'sessions');
const only = async (home: string) => join(folder(home), (await readdir(folder(home)))[0] ?? fail('no file'));

test('nothing is made before the first message; then a file of the person’s own, a line a record', async (t) => {
  const home = await newHome(t);
  const file = new SessionFile(home, fail);
  assert.equal(existsSync(folder(home)), false);
  talk(file, 'Zażółć\ngęślą 日本語');
  file.close();
  const path = await only(home);
  assert.match(path, /\/\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-[0-9a-f]{8}\.jsonl$/);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal((await stat(folder(home))).mode & 0o777, 0o700);
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => /"type":"(\w+)"/.exec(line)?.[1]),
    ['start', 'open', 'message', 'message', 'close'],
  );
});

test('a conversation goes on where it ended, without what was taken back', async (t) => {
  const home = await newHome(t);
  assert.throws(() => continueSession(home, undefined, fail), /no conversation to go on with/);
  const file = new SessionFile(home, fail);
  const call = { id: 'c1', name: 'add', arguments: { a: [1, null, { b: 'x' }] } };
  const first = newTurn('double:4b');
  const messages: ChatMessage[] = [
    { role: 'user', content: 'one', images: ['AAAA'] },
    { role: 'assistant', content: '', tool_calls: [call], thinking: 'hm' },
    { role: 'tool', content: '2', tool_name: 'add', tool_call_id: 'c1' },
    { role: 'assistant', content: 'It is 2.' },
  ];
  file.add(first, messages);
  file.undo(talk(file, 'two'));
  file.close();
  const again = continueSession(home, undefined, fail);
  assert.equal(again.file.id, file.id);
  assert.deepEqual(again.session.turns, [{ ...first, at: again.session.turns[0]?.at, messages }]);
  talk(again.file, 'three');
  again.file.close();
  const third = continueSession(home, file.id, fail);
  assert.deepEqual(questions(third.session.turns), ['one', 'three']);
  third.file.close();
  assert.equal((await readdir(folder(home))).length, 1);
  assert.throws(() => continueSession(home, 'ffffffff', fail), /no conversation ffffffff/);
});

test('a torn last line is passed over, and what is written next stays whole', async (t) => {
  const home = await newHome(t);
  const file = new SessionFile(home, fail);
  talk(file, 'one');
  file.close();
  await appendFile(await only(home), '{"at":"2026-01-01T00:00:00Z","type":"message","turn":"x","mess');
  const again = continueSession(home, undefined, fail);
  assert.deepEqual(questions(again.session.turns), ['one']);
  talk(again.file, 'two');
  again.file.close();
  const last = continueSession(home, undefined, fail);
  assert.deepEqual(questions(last.session.turns), ['one', 'two']);
  last.file.close();
});

test('two that are open at once do not mix: the second goes on in a file of its own', async (t) => {
  const home = await newHome(t);
  const first = new SessionFile(home, fail);
  talk(first, 'one');
  const second = continueSession(home, first.id, fail);
  assert.notEqual(second.file.id, first.id);
  talk(first, 'of the first');
  talk(second.file, 'of the second');
  second.file.close();
  first.close();
  const kept = [first.id, second.file.id].map((id) => {
    const { session, file } = continueSession(home, id, fail);
    file.close();
    return questions(session.turns);
  });
  assert.deepEqual(kept, [
    ['one', 'of the first'],
    ['one', 'of the second'],
  ]);
});

test('a process that died has nothing in use', async (t) => {
  const home = await newHome(t);
  const file = new SessionFile(home, fail);
  talk(file, 'one');
  const path = await only(home);
  const { pid } = spawnSync(process.execPath, ['--version']);
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replace(`"pid":${process.pid}`, `"pid":${pid}`));
  const again = continueSession(home, undefined, fail);
  assert.equal(again.file.id, file.id);
  again.file.close();
});

test('a full disk is told once, and nothing throws', async (t) => {
  const home = await newHome(t);
  await writeFile(join(home, 'sessions'), 'a file where the folder would be');
  const told: string[] = [];
  const file = new SessionFile(home, (message) => told.push(message));
  talk(file, 'one');
  talk(file, 'two');
  file.close();
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /cannot be kept.*It goes on without that/);
  assert.deepEqual(listSessions(home), []);
  // The device that is always full; a write to it fails as one to a full disk does.
  if (existsSync('/dev/full')) {
    const full = new SessionFile(home, (message) => told.push(message), { path: '/dev/full' });
    talk(full, 'one');
    assert.match(told[1] ?? '', /the disk is full/);
  }
});

test('an answer whose question was lost is not read; secrets are not written', async (t) => {
  const home = await newHome(t);
  const file = new SessionFile(home, fail);
  registerSecret('hunter2-hunter2', { label: 'test' });
  talk(file, 'the password is hunter2-hunter2');
  talk(file, 'kept');
  file.close();
  const path = await only(home);
  const text = await readFile(path, 'utf8');
  assert.doesNotMatch(text, /hunter2-hunter2/);
  await writeFile(
    path,
    text
      .split('\n')
      .filter((line) => !line.includes('the password'))
      .join('\n'),
  );
  const again = continueSession(home, undefined, fail);
  assert.deepEqual(questions(again.session.turns), ['kept']);
  again.file.close();
});

test('the list: newest first, with their first question', async (t) => {
  const home = await newHome(t);
  assert.deepEqual(listSessions(home), []);
  for (const question of ['older', 'newer']) {
    const file = new SessionFile(home, fail);
    talk(file, question);
    talk(file, 'more');
    file.close();
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
  await writeFile(join(folder(home), 'notes.txt'), 'not ours');
  assert.deepEqual(
    listSessions(home).map(({ title, turns }) => [title, turns]),
    [
      ['newer', 2],
      ['older', 2],
    ],
  );
});

test('Markdown has the calls, fences that hold, and no control characters', () => {
  const turn = newTurn('double:4b');
  turn.messages.push(
    { role: 'user', content: 'What is `1+1`? \u001b[31m' },
    { role: 'assistant', content: '', tool_calls: [{ name: 'add', arguments: { a: 1 } }] },
    { role: 'tool', content: '```\n# not a heading\n```', tool_name: 'add' },
    { role: 'assistant', content: 'Two.' },
  );
  const text = toMarkdown([turn]);
  assert.match(text, /^# What is `1\+1`\?\n\n## You\n\n<sub>.* · turn [0-9a-f]{12}<\/sub>/);
  assert.match(text, /Calls `add`:\n\n```json\n\{\n {2}"a": 1\n\}\n```/);
  assert.match(text, /Result of `add`:\n\n````\n```\n# not a heading\n```\n````/);
  assert.match(text, /## double:4b\n\nTwo\.\n$/);
  assert.ok(!text.includes('\u001b'));
});
