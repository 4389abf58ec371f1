import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostTool } from '../host/mcp/link-types.ts';
import { seemsEnglish } from '../host/retrieval/english.ts';
import { pick, ToolIndex } from '../host/retrieval/index.ts';
import { withoutValues } from '../host/retrieval/values.ts';
import { tempHome } from './support.ts';

const never = new AbortController().signal;

const tool = (server: string, name: string, description: string): HostTool => ({
  name,
  server,
  title: name,
  description,
  inputSchema: { type: 'object', properties: {} },
  effect: 'destroy',
  long: false,
  foreign: true,
  openWorld: true,
});

const TOOLS = [
  tool('git', 'list_merge_requests', 'List merge requests.'),
  tool('git', 'merge_merge_request', 'Merge a merge request.'),
  tool('git', 'list_labels', 'List labels of a project.'),
  tool('git', 'create_label', 'Create a label in a project.'),
  tool('git', 'delete_label', 'Delete a label from a project.'),
  tool('git', 'get_notes', 'Get the notes of an issue.'),
  tool('git', 'create_discussion_comment_note', 'Create a note, comment or discussion message.'),
  tool('hub', 'list_pull_requests', 'List pull requests.'),
  tool('files', 'read_file', 'Read a file as text.'),
  tool('files', 'delete_file', 'Delete a file.'),
  tool('web', 'list_network_requests', 'List the requests of a page.'),
  tool('web', 'open_page', 'Go to a URL.'),
  tool('db', 'API-post-search', 'Search by title.'),
];

async function found(task: string): Promise<string[]> {
  const index = new ToolIndex({ home: '' });
  index.update(TOOLS);
  return (await index.rank(task, never)).filter(({ score }) => score > 0).map(({ tool: { name } }) => name);
}

test('what a request only mentions is its kind, not its letters', async () => {
  assert.equal((await found('read me notes.txt'))[0], 'read_file');
  assert.equal((await found('visit label-maker.example.com'))[0], 'open_page');
  assert.ok(!(await found('read the file "labels of 2024"')).includes('list_labels'));
  assert.equal((await found('what is there on hub.com'))[0], 'list_pull_requests');
  const kinds = (text: string) => withoutValues(text).kinds.flat();
  assert.deepEqual(kinds('is !12 fine?'), ['merge+request']);
  assert.deepEqual(kinds('close #9'), ['issue']);
  assert.deepEqual(kinds('ask in #random'), ['channel']);
  assert.deepEqual(kinds('mail to ola@example.com'), ['email']);
  assert.deepEqual(kinds('what is at 52.23, 21.01'), ['coordinates', 'latitude', 'longitude']);
  assert.deepEqual(kinds('revert 4f2a91c'), ['commit']);
  assert.deepEqual(kinds('see src/main.c'), ['file']);
  assert.deepEqual(kinds('version 2.5 at 3 p.m., that is added'), []);
});

test('a name of two words is looked for as one', async () => {
  const requests = await found('list the PRs');
  assert.equal(requests[0], 'list_pull_requests');
  assert.equal((await found('which merge requests are there?'))[0], 'list_merge_requests');
});

test('a question finds what reads before what writes, an order what it says', async () => {
  assert.equal((await found('which labels does the project have?'))[0], 'list_labels');
  assert.equal((await found('please create a label'))[0], 'create_label');
  assert.equal((await found('could you erase that label'))[0], 'delete_label');
  assert.equal((await found('tell me the labels'))[0], 'list_labels');
});

test('a tool that has all names of one thing is not found as often', async () => {
  const order = await found('leave a remark about the label');
  assert.ok(order.indexOf('create_label') < order.indexOf('create_discussion_comment_note'), order.join());
});

test('Polish is found by its words where no model is', async () => {
  assert.equal((await found('usuń etykietę „pilne”'))[0], 'delete_label');
  assert.equal((await found('jakie mamy etykiety?'))[0], 'list_labels');
  assert.equal((await found('Otwórz stronę allegro.pl'))[0], 'open_page');
});

test('short orders are English too, and a Polish one with English terms is not', () => {
  for (const text of ['close merge request 5', 'create branch feature', 'list pull requests']) {
    assert.ok(seemsEnglish(text), text);
  }
  for (const text of [
    'idz do strony glownej',
    'zatwierdź merge request 42, wygląda dobrze',
    'usun ten plik',
  ]) {
    assert.ok(!seemsEnglish(text), text);
  }
});

test('odd requests: the names of tools, long texts, other letters, none', async () => {
  for (const { name } of TOOLS) {
    assert.equal((await found(name))[0], name);
    assert.ok((await found(`call ${name} for me`)).slice(0, 2).includes(name), name);
  }
  const long = `Delete the file. ${'It was written by accident, see "x" and a.b-c. '.repeat(220)}`;
  assert.ok((await found(long)).slice(0, 8).includes('delete_file'));
  assert.deepEqual(await found('"'.repeat(5000)), []);
  assert.deepEqual(await found('文件 を 削除'), []);
  assert.deepEqual(await found('🙂 \u0000 \ud800'), []);
  const index = new ToolIndex({ home: '' });
  index.update(TOOLS);
  assert.deepEqual(pick(await index.rank('', never), { pinned: [] }), []);
});

test('an embedding model is asked in full words', async (t) => {
  const asked: string[] = [];
  const embedder = {
    model: 'double',
    embed(texts: string[]) {
      asked.push(...texts);
      return Promise.resolve(texts.map(() => [1]));
    },
  };
  const index = new ToolIndex({ home: tempHome(t), embedder });
  index.update(TOOLS.slice(0, 1));
  await index.rank('link the ticket to MR 5 and !7 in the repo', never);
  assert.equal(asked.at(-1), 'link the issue to merge request 5 and merge request 7 in the repository');
});
