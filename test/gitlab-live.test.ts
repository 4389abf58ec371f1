import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { gitlab } from '../servers/gitlab/definition.ts';
import { approves, connect } from './clients.ts';
import { serveHere } from './support.ts';

const { GITLAB_URL, GITLAB_TOKEN } = process.env;
const skip =
  GITLAB_URL && GITLAB_TOKEN ? false : 'opt-in: set GITLAB_URL and GITLAB_TOKEN of a GitLab to try it on';

/** On a real GitLab, in a project that it creates and removes. */
test('issue, commit, merge request, review and search on a real GitLab', { skip }, async (t) => {
  const env = { GITLAB_URL: GITLAB_URL ?? '', GITLAB_TOKEN: GITLAB_TOKEN ?? '' };
  const { url } = await serveHere(t, gitlab, { env });
  const client = await connect(t, 'v1', { http: url }, { person: approves });
  const value = async (tool: string, input: Record<string, unknown>) => {
    const { isError, text, value } = await client.call(tool, input);
    assert.ok(!isError, `${tool}: ${text}`);
    return z.record(z.string(), z.unknown()).parse(value);
  };
  const name = `kuznia-live-${Date.now()}`;
  const made = await value('gitlab_create_project', { path: name, readme: true });
  const project = String(made['path']);
  t.after(() =>
    fetch(`${GITLAB_URL}/api/v4/projects/${encodeURIComponent(project)}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${GITLAB_TOKEN}` },
    }),
  );
  const issue = await value('gitlab_write_issue', { project, title: 'Try it', labels: ['a'] });
  await value('gitlab_comment', { project, issue: issue['iid'], text: 'A comment.' });
  assert.match(
    JSON.stringify(await value('gitlab_show_issue', { project, issue: issue['iid'] })),
    /A comment/,
  );
  const create = { action: 'create', path: 'a.txt', content: 'one\ntwo\nthree\n' };
  await value('gitlab_commit', {
    project,
    branch: 'work',
    start_branch: 'main',
    message: 'Add a',
    actions: [create],
  });
  const edit = { action: 'edit', path: 'a.txt', old_text: 'two', new_text: '2' };
  await value('gitlab_commit', { project, branch: 'work', message: 'Edit a', actions: [edit] });
  assert.equal(
    (await value('gitlab_read_file', { project, path: 'a.txt', ref: 'work', lines: '2' }))['text'],
    '2',
  );
  const mr = await value('gitlab_write_merge_request', { project, source_branch: 'work', title: 'Work' });
  const merge_request = String(mr['url']);
  // GitLab makes the diff in the background.
  let diff = '';
  for (let tries = 0; tries < 20 && !diff.includes('+2 2'); tries++) {
    const found = await client.call('gitlab_diff', { merge_request });
    diff = found.text;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  await value('gitlab_review', {
    merge_request,
    comments: [{ file: 'a.txt', line: 2, text: 'Why?', suggestion: 'two' }],
  });
  const shown = await value('gitlab_show_merge_request', { merge_request });
  assert.match(JSON.stringify(shown['threads']), /Why\?/);
});
