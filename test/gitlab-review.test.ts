import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { bench } from './gitlab-kit.ts';

const P = 'group/forge';

/** A merge request with a changed, a new, a removed, a renamed and a very large file. */
async function reviewed(t: TestContext) {
  const found = await bench(t);
  const { project, double, anna } = found;
  const before = String(await project.repo.blob('main', 'src/main.ts')).split('\n');
  const after = [...before];
  after[9] = 'export const line10 = 100;';
  after.splice(19, 1);
  await project.repo.commit('fix', 'main', 'Fix', [
    { action: 'update', file_path: 'src/main.ts', content: Buffer.from(after.join('\n')) },
    {
      action: 'create',
      file_path: 'src/new.ts',
      content: Buffer.from('export const a = 1;\nexport const b = 2;\n'),
    },
    { action: 'delete', file_path: '.gitlab-ci.yml' },
    { action: 'move', previous_path: 'README.md', file_path: 'docs/README.md' },
    { action: 'create', file_path: 'big.txt', content: Buffer.from('a long line of text\n'.repeat(3000)) },
  ]);
  const mr = double.world.mergeRequest(project, anna, 'Fix', 'fix');
  return { ...found, mr };
}

test('a review of three line comments takes two calls and is published once', async (t) => {
  const { value, mr, double } = await reviewed(t);
  const from = double.sent.length;
  const { diff, sha, next } = await value('gitlab_diff', { project: P, merge_request: 1 });
  assert.ok(String(diff).length < 30_000);
  assert.match(String(next), /^\d+\.\d+$/);
  const rest = await value('gitlab_diff', { project: P, merge_request: 1, next: '2' });
  const text = String(rest['diff']);
  assert.match(
    text,
    /== src\/main.ts\n 9 export const line9 = 9;\n-10 .*\n\+10 .*\n 11 .*\n@@\n 19 .*\n-20 /,
  );
  const { diff: wide } = await value('gitlab_diff', {
    project: P,
    merge_request: 1,
    file: 'src/main.ts',
    context: 3,
  });
  assert.match(String(wide), /== src\/main.ts\n 7 export const line7 = 7;\n 8 /);
  assert.match(text, /-10 export const line10 = 10;\n\+10 export const line10 = 100;/);
  assert.match(text, /-20 export const line20 = 20;/);
  assert.match(text, /== docs\/README.md \(renamed from README.md\)/);
  const done = await value('gitlab_review', {
    project: P,
    merge_request: 1,
    sha,
    summary: 'Nearly there.',
    comments: [
      { file: 'src/main.ts', line: 10, text: 'Why 100?', suggestion: 'export const line10 = 10;' },
      { file: 'src/main.ts', line: 20, side: 'old', text: 'Is this not needed?' },
      { file: 'src/main.ts', line: 12, text: 'A context line.' },
      { file: 'src/new.ts', line: 1, end_line: 2, text: 'Both.', suggestion: 'export const c = 3;' },
    ],
  });
  assert.equal(mr.published, 1);
  assert.equal(done['published'], 5);
  const [changed, removed, context, range] = mr.discussions.map((one) => one.notes[0]);
  assert.match(changed?.body ?? '', /```suggestion:-0\+0\nexport const line10 = 10;\n```/);
  assert.deepEqual([changed?.position?.['new_line'], changed?.position?.['old_line']], [10, undefined]);
  assert.deepEqual([removed?.position?.['new_line'], removed?.position?.['old_line']], [undefined, 20]);
  assert.deepEqual([context?.position?.['new_line'], context?.position?.['old_line']], [12, 12]);
  assert.match(range?.body ?? '', /suggestion:-1\+0/);
  assert.ok(range?.position?.['line_range']);
  assert.equal(double.sent.slice(from).filter((one) => one.path.endsWith('bulk_publish')).length, 1);
  const shown = await value('gitlab_show_merge_request', { project: P, merge_request: 1 });
  const thread = /"thread":"([0-9a-f]+)","file":"src\/main.ts","line":10/.exec(
    JSON.stringify(shown['threads']),
  )?.[1];
  await value('gitlab_comment', { project: P, merge_request: 1, thread, text: 'Done.', resolve: true });
  assert.equal(
    mr.discussions[0]?.notes.every((one) => one.resolved),
    true,
  );
});

test('a bad line stops the whole review before anything is sent', async (t) => {
  const { fault, value, mr, writes } = await reviewed(t);
  const said = await fault('gitlab_review', {
    project: P,
    merge_request: 1,
    comments: [
      { file: 'src/main.ts', line: 10, text: 'fine' },
      { file: 'src/main.ts', line: 35, text: 'not shown' },
      { file: 'src/other.ts', line: 1, text: 'not changed' },
      { file: 'src/new.ts', line: 1, side: 'old', text: 'a new file has no old line' },
    ],
  });
  assert.match(
    said,
    /Nothing was sent \(1 of 4 comments fit\).*comment 2 \(src\/main.ts:35\): line 35 is not in the diff on the new side; it shows 7-13, 17-22/,
  );
  assert.match(said, /comment 3 .*does not change this file.*comment 4 .*On the new side there is one/);
  assert.match(
    await fault('gitlab_review', {
      project: P,
      merge_request: 1,
      sha: 'f'.repeat(40),
      comments: [],
      summary: 'x',
    }),
    /the head of !1 is now/,
  );
  assert.match(
    await fault('gitlab_review', {
      project: P,
      merge_request: 1,
      comments: [{ file: 'src/main.ts', line: 10, text: '/merge' }],
    }),
    /quick action \/merge/,
  );
  assert.deepEqual(writes(), []);
  assert.equal(
    (await value('gitlab_review', { project: P, merge_request: 1, comments: [], approve: true }))[
      'approved'
    ]?.toString().length,
    8,
  );
  assert.equal(mr.approvedBy.length, 1);
});

test('a fault in the middle leaves no half-posted review; drafts of the person stay theirs', async (t) => {
  const { fault, mr, double, root } = await reviewed(t);
  const comments = [10, 11, 12].map((line) => ({ file: 'src/main.ts', line, text: `On ${line}` }));
  let posts = 0;
  double.faults.push({ method: 'POST', path: /draft_notes$/, times: 0, status: 502 });
  const [broken] = double.faults;
  assert.ok(broken);
  // The second one fails.
  const watch = setInterval(() => {
    posts = double.sent.filter((one) => one.path.endsWith('/draft_notes') && one.method === 'POST').length;
    if (posts === 1) broken.times = 1;
  }, 1);
  const said = await fault('gitlab_review', { project: P, merge_request: 1, comments }).finally(() =>
    clearInterval(watch),
  );
  assert.match(said, /502|fault of its own/);
  assert.deepEqual([mr.drafts.length, mr.discussions.length, mr.published], [0, 0, 0]);
  mr.drafts.push({ id: 1, note: 'mine', author: root, position: null });
  assert.match(
    await fault('gitlab_review', { project: P, merge_request: 1, comments }),
    /1 unpublished draft/,
  );
  assert.equal(mr.drafts.length, 1);
});

test('a diff that GitLab leaves out comes from the raw one, in pages', async (t) => {
  const { value } = await reviewed(t);
  let next: unknown;
  let text = '';
  let calls = 0;
  do {
    const page = await value('gitlab_diff', {
      project: P,
      merge_request: 1,
      ...(next !== undefined && { next }),
    });
    text += String(page['diff']);
    next = page['next'];
    calls++;
  } while (next !== undefined && calls < 10);
  assert.equal(text.match(/^\+\d+ a long line of text$/gm)?.length, 3000);
  assert.ok(calls > 2);
  assert.match(
    String((await value('gitlab_diff', { project: P, merge_request: 1, file: 'src/new.ts' }))['diff']),
    /^== src\/new.ts \(new\)\n\+1 export const a = 1;\n\+2 /,
  );
});
