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

const five = (text = 'On') =>
  [10, 11, 12, 18, 19].map((line) => ({ file: 'src/main.ts', line, text: `${text} ${line}` }));

test('the third comment of five fails: nothing of the review is left, and that is said', async (t) => {
  const { fault, value, mr, double, root } = await reviewed(t);
  const review = { project: P, merge_request: 1, comments: five() };
  const posts = () => double.sent.filter((one) => one.method === 'POST').length;
  const third = { method: 'POST', path: /draft_notes$/, times: 1, after: 2 };
  for (const [how, said] of [
    [{ status: 502 }, /fault of its own \(502/],
    [{ cut: true }, /broke the connection/],
    [{ status: 429, headers: { 'retry-after': '7' } }, /429.*in 7 s/],
    [{ status: 400 }, /refused the values/],
  ] as const) {
    const before = posts();
    double.faults.push({ ...third, ...how });
    const text = await fault('gitlab_review', review);
    assert.match(text, /^The review of !1 is not posted: comment 3 of 5 was not taken, and nothing is left/);
    assert.match(text, said);
    assert.doesNotMatch(text, /may have done it/);
    assert.equal(posts() - before, 3);
    assert.deepEqual([mr.drafts, mr.discussions, mr.published], [[], [], 0]);
  }
  // What cannot be taken back is named.
  double.faults.push(
    { ...third, status: 502 },
    { method: 'DELETE', path: /draft_notes/, times: 9, status: 403 },
  );
  assert.match(await fault('gitlab_review', review), /drafts of it are left.*delete them on GitLab/);
  double.faults.length = 0;
  assert.equal(mr.drafts.length, 2);
  mr.drafts = [{ id: 1, note: 'mine', author: root, position: null }];
  assert.match(await fault('gitlab_review', review), /1 unpublished draft/);
  assert.equal(mr.drafts.length, 1);
  mr.drafts = [];
  assert.equal((await value('gitlab_review', review))['published'], 5);
});

test('a comment that someone begins in the browser meanwhile is not taken back with ours', async (t) => {
  const { fault, mr, double, root } = await reviewed(t);
  double.faults.push({ method: 'POST', path: /draft_notes$/, times: 1, after: 4, status: 502 });
  const said = fault('gitlab_review', { project: P, merge_request: 1, comments: five() });
  for (let tries = 0; mr.drafts.length === 0 && tries < 2000; tries++)
    await new Promise((resolve) => setTimeout(resolve, 1));
  mr.drafts.push({ id: 7, note: 'A thought of mine', author: root, position: null });
  assert.match(await said, /nothing is left/);
  assert.deepEqual(
    mr.drafts.map((one) => one.note),
    ['A thought of mine'],
  );
});

test('publishing fails: done, not done, or not known, each is said as it is', async (t) => {
  const { fault, value, mr, double } = await reviewed(t);
  const publish = { method: 'POST', path: /bulk_publish$/, times: 1 };
  const sent = () => double.sent.filter((one) => one.path.endsWith('bulk_publish')).length;
  const review = (text: string) => ({ project: P, merge_request: 1, comments: five(text) });
  double.faults.push({ ...publish, status: 429, headers: { 'retry-after': '3' } });
  assert.match(
    await fault('gitlab_review', review('a')),
    /is not posted: it was not published, and nothing is left of it.*429.*in 3 s/,
  );
  assert.deepEqual([mr.drafts.length, mr.discussions.length], [0, 0]);
  // Cut after the work was done: the drafts are gone, so it is published.
  double.faults.push({ ...publish, cut: true });
  assert.equal((await value('gitlab_review', review('b')))['published'], 5);
  assert.equal(mr.discussions.length, 5);
  double.faults.push({ ...publish, status: 502 });
  assert.match(
    await fault('gitlab_review', review('c')),
    /502.*may have been published in part: check !1\. 5 of its 5 comments are still drafts.*do not send the review again/,
  );
  assert.deepEqual([mr.drafts.length, mr.discussions.length], [5, 5]);
  mr.drafts = [];
  double.faults.push(
    { ...publish, status: 502 },
    { method: 'GET', path: /draft_notes$/, times: 4, after: 1, status: 403 },
  );
  assert.match(
    await fault('gitlab_review', review('d')),
    /may have done it: check.*publishing of 5 comments on !1/,
  );
  assert.equal(sent(), 4);
});

test('a review that is cancelled half-way leaves no drafts', async (t) => {
  const { client, mr, double } = await reviewed(t);
  double.faults.push({ method: 'POST', path: /draft_notes$/, times: 1, after: 2, slow: 400 });
  const stop = new AbortController();
  const call = client.call(
    'gitlab_review',
    { project: P, merge_request: 1, comments: five() },
    { signal: stop.signal },
  );
  for (let tries = 0; mr.drafts.length < 3 && tries < 5000; tries++)
    await new Promise((resolve) => setTimeout(resolve, 1));
  stop.abort();
  await call.catch(() => undefined);
  for (let tries = 0; mr.drafts.length > 0 && tries < 300; tries++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual([mr.drafts.length, mr.discussions.length], [0, 0]);
});

test('a comment that GitLab takes after the review was cancelled is taken back too', async (t) => {
  const { client, mr, double, root } = await reviewed(t);
  double.faults.push({ method: 'POST', path: /draft_notes$/, times: 1, after: 2, slow: 400 });
  const stop = new AbortController();
  const review = { project: P, merge_request: 1, comments: five() };
  const call = client.call('gitlab_review', review, { signal: stop.signal });
  const until = async (done: () => boolean) => {
    for (let tries = 0; !done() && tries < 1000; tries++)
      await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await until(() => mr.drafts.length === 3);
  const note = mr.drafts[2]?.note ?? assert.fail();
  stop.abort();
  await call.catch(() => undefined);
  await until(() => mr.drafts.length === 0);
  mr.drafts.push({ id: 9, note, author: root, position: null });
  await until(() => mr.drafts.length === 0);
  assert.deepEqual([mr.drafts.length, mr.discussions.length], [0, 0]);
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
