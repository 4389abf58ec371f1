import assert from 'node:assert/strict';
import { test } from 'node:test';
import { approves, declines } from './clients.ts';
import { bench } from './gitlab-kit.ts';

const P = 'group/forge';

test('finds projects, groups, users, members, and says who the token is', async (t) => {
  const { value, double } = await bench(t);
  const projects = await value('gitlab_find', { what: 'projects' });
  assert.match(JSON.stringify(projects['found']), /"path":"group\/forge"/);
  assert.match(String(projects['untrusted']), /data/);
  assert.match(
    JSON.stringify(await value('gitlab_find', { what: 'members', project: P })),
    /"username":"anna".*"role":"developer"/,
  );
  assert.match(JSON.stringify(await value('gitlab_find', { what: 'users', query: 'ann' })), /anna/);
  assert.match(JSON.stringify(await value('gitlab_find', { what: 'groups' })), /"path":"group"/);
  const me = JSON.stringify(await value('gitlab_find', { what: 'me' }));
  assert.match(me, /"username":"root".*"scopes":\["api"\],"expires":"2027-01-01"/);
  assert.match(
    JSON.stringify(await value('gitlab_find', { what: 'project', project: `${double.url}/${P}/-/issues` })),
    /"default_branch":"main"/,
  );
});

test('projects are created and forked', async (t) => {
  const { value, fault } = await bench(t);
  assert.equal((await value('gitlab_create_project', { path: 'notes', readme: true }))['path'], 'root/notes');
  assert.match(await fault('gitlab_create_project', { path: 'notes' }), /already been taken/);
  assert.equal(
    (await value('gitlab_create_project', { path: 'root/mine', fork_of: P }))['path'],
    'root/mine',
  );
  assert.match(
    String((await value('gitlab_read_file', { project: 'root/mine', path: 'README.md' }))['text']),
    /An example/,
  );
});

test('an issue from creation to the end of its life', async (t) => {
  const { value, fault, double, project, writes } = await bench(t);
  double.world.milestone(project, 'v1');
  const made = await value('gitlab_write_issue', {
    project: P,
    title: 'Login fails',
    description: 'On Safari.',
    labels: ['bug'],
    assignees: ['@anna'],
    milestone: 'v1',
    due: '2026-12-01',
  });
  assert.deepEqual(
    [made['iid'], made['assignees'], made['milestone'], made['due_date']],
    [1, ['anna'], 'v1', '2026-12-01'],
  );
  await value('gitlab_write_issue', { project: P, title: 'Second' });
  await value('gitlab_write_issue', {
    project: P,
    issue: 2,
    estimate: '2h',
    spent: '30m',
    link: '#1',
    link_type: 'blocks',
  });
  const second = await value('gitlab_show_issue', { issue: `${P}#2` });
  assert.deepEqual([second['estimate'], second['spent']], ['2h', '30m']);
  assert.deepEqual(second['links'], [{ iid: 1, title: 'Login fails', state: 'opened', type: 'blocks' }]);
  const { note } = await value('gitlab_comment', { project: P, issue: '1', text: 'I see it too.' });
  assert.equal(typeof note, 'number');
  const threads = JSON.stringify((await value('gitlab_show_issue', { project: P, issue: 1 }))['threads']);
  const thread = /"thread":"([0-9a-f]+)"/.exec(threads)?.[1];
  await value('gitlab_comment', { project: P, issue: 1, thread, text: 'Mended.' });
  assert.match(
    JSON.stringify((await value('gitlab_show_issue', { project: P, issue: 1 }))['threads']),
    /I see it too.*Mended/,
  );
  await value('gitlab_write_issue', { project: P, issue: 1, state: 'close', assignees: [] });
  assert.equal(project.issues[0]?.state, 'closed');
  assert.equal(project.issues[0]?.assignees.length, 0);
  const open = await value('gitlab_list_issues', { project: P });
  assert.match(JSON.stringify(open['issues']), /^\[\{"iid":2,"title":"Second"/);
  assert.match(
    JSON.stringify(
      (await value('gitlab_list_issues', { project: P, state: 'all', labels: ['bug'] }))['issues'],
    ),
    /Login/,
  );
  const before = writes().length;
  assert.match(
    await fault('gitlab_write_issue', { project: P, title: 'x', assignees: ['nobody'] }),
    /no user `nobody`/,
  );
  assert.match(
    await fault('gitlab_write_issue', { project: P, title: 'x', milestone: 'v9' }),
    /no milestone `v9`/,
  );
  assert.match(await fault('gitlab_write_issue', { project: P }), /title/);
  assert.equal(writes().length, before);
});

test('work items come by GraphQL', async (t) => {
  const { value, fault, double, project, root } = await bench(t);
  double.world.issue(project, root, 'A task', { type: 'TASK' });
  assert.deepEqual((await value('gitlab_list_issues', { project: P, type: 'task' }))['issues'], [
    { iid: 1, title: 'A task', state: 'open', type: 'Task', author: 'root' },
  ]);
  assert.match(await fault('gitlab_list_issues', { project: P, type: 'nonsense' }), /`type` is none/);
});

test('files are listed, searched and read in parts, with blame', async (t) => {
  const { value, fault, double } = await bench(t);
  assert.deepEqual((await value('gitlab_list_files', { project: P }))['files'], [
    'src/',
    '.gitlab-ci.yml',
    'README.md',
    'package.json',
  ]);
  assert.match(
    JSON.stringify((await value('gitlab_list_files', { project: P, search: 'line7 ' }))['files']),
    /"path":"src\/main.ts","line":7/,
  );
  const part = await value('gitlab_read_file', { project: P, path: 'src/main.ts', lines: '3-4' });
  assert.deepEqual(
    [part['lines'], part['text']],
    ['3-4 of 40', 'export const line3 = 3;\nexport const line4 = 4;'],
  );
  const byUrl = await value('gitlab_read_file', {
    project: `${double.url}/${P}/-/blob/main/src/main.ts#L5-6`,
  });
  assert.equal(byUrl['text'], 'export const line5 = 5;\nexport const line6 = 6;');
  assert.match(
    String((await value('gitlab_read_file', { project: P, path: 'README.md', blame: true }))['text']),
    /\[[0-9a-f]{8} Root: Begin\]\n1 # Forge/,
  );
  assert.match(
    await fault('gitlab_read_file', { project: P, path: 'nowhere.md' }),
    /404 File Not Found.*Check/,
  );
  assert.match(
    await fault('gitlab_read_file', { project: P, path: 'src/main.ts', lines: '90-99' }),
    /40 lines/,
  );
  assert.match(await fault('gitlab_read_file', { project: P, path: 'README.md', ref: 'gone' }), /404/);
});

test('one commit of many actions; edits that do not fit stop it before anything is sent', async (t) => {
  const { value, fault, project, writes } = await bench(t);
  const done = await value('gitlab_commit', {
    project: P,
    branch: 'work',
    start_branch: 'main',
    message: 'Several things',
    actions: [
      { action: 'edit', path: 'package.json', old_text: '"1.0.0"', new_text: '"1.1.0"' },
      { action: 'edit', path: 'package.json', old_text: '"forge"', new_text: '"forged"' },
      {
        action: 'create',
        path: 'logo.png',
        content: Buffer.from([0, 1, 255]).toString('base64'),
        encoding: 'base64',
      },
      { action: 'move', path: 'docs/README.md', previous_path: 'README.md' },
      { action: 'delete', path: '.gitlab-ci.yml' },
    ],
  });
  assert.equal(done['branch'], 'work');
  const { repo } = project;
  assert.equal(
    String(await repo.blob('work', 'package.json')),
    '{\n  "name": "forged",\n  "version": "1.1.0"\n}\n',
  );
  assert.deepEqual(await repo.blob('work', 'logo.png'), Buffer.from([0, 1, 255]));
  assert.equal(await repo.blob('work', '.gitlab-ci.yml'), undefined);
  assert.match(String(await repo.blob('work', 'docs/README.md')), /An example/);
  const before = writes().length;
  const edit = (old_text: string, path = 'package.json') =>
    fault('gitlab_commit', {
      project: P,
      branch: 'work',
      message: 'x',
      actions: [{ action: 'edit', path, old_text, new_text: 'y' }],
    });
  assert.match(await edit('absent'), /old_text is not in package.json; nothing was committed/);
  assert.match(await edit('": "'), /more than once in package.json \(lines 2 and 3\)/);
  assert.match(await edit('x', 'logo.png'), /binary/);
  assert.match(await edit('x', 'gone.txt'), /not on work/);
  assert.equal(writes().length, before);
  const stale = { action: 'update', path: 'package.json', content: '{}', last_commit_id: '0'.repeat(40) };
  assert.match(
    await fault('gitlab_commit', { project: P, branch: 'work', message: 'x', actions: [stale] }),
    /changed since you started/,
  );
  assert.match(
    String((await value('gitlab_read_file', { project: P, ref: 'work', path: 'logo.png' }))['note']),
    /Binary/,
  );
});

test('branches, tags, commits, comparisons; deleting asks a person', async (t) => {
  const { value, project, serve } = await bench(t);
  await value('gitlab_write_ref', { project: P, branch: 'next', from: 'main' });
  await value('gitlab_write_ref', { project: P, tag: 'v1', from: 'main' });
  await value('gitlab_commit', {
    project: P,
    branch: 'next',
    message: 'Add a',
    actions: [{ action: 'create', path: 'a.txt', content: 'a\n' }],
  });
  assert.match(
    JSON.stringify((await value('gitlab_history', { project: P, list: 'branches' }))['branches']),
    /"name":"main","protected":true,"default":true/,
  );
  assert.match(JSON.stringify((await value('gitlab_history', { project: P, list: 'tags' }))['tags']), /"v1"/);
  assert.match(
    JSON.stringify(await value('gitlab_history', { project: P, from: 'main', to: 'next' })),
    /Add a.*"files":\["a.txt"\].*\+a/,
  );
  const { commits } = await value('gitlab_history', { project: P, ref: 'next' });
  const sha = /"sha":"([0-9a-f]+)"/.exec(JSON.stringify(commits))?.[1];
  assert.match(
    JSON.stringify(await value('gitlab_history', { project: P, sha })),
    /"message":"Add a".*a\.txt/,
  );
  await value('gitlab_write_ref', { project: P, branch: 'next', protect: true });
  assert.ok(project.protected.has('next'));
  await value('gitlab_write_ref', { project: P, branch: 'next', protect: false });
  const never = await serve({}, { person: declines });
  assert.match(await never.fault('gitlab_delete_ref', { project: P, branch: 'next' }), /declined/);
  assert.ok(await project.repo.resolve('next'));
  const yes = await serve({}, { person: approves });
  await yes.value('gitlab_delete_ref', { project: P, branch: 'next' });
  assert.match(yes.client.asked[0] ?? '', /Delete the branch next of group\/forge/);
  assert.equal(await project.repo.resolve('next'), undefined);
});

test('a merge request is opened, changed, approved and merged at the sha that was seen', async (t) => {
  const { value, fault, project, double } = await bench(t);
  await value('gitlab_commit', {
    project: P,
    branch: 'fix',
    start_branch: 'main',
    message: 'Fix',
    actions: [{ action: 'edit', path: 'package.json', old_text: '1.0.0', new_text: '1.0.1' }],
  });
  const made = await value('gitlab_write_merge_request', {
    project: P,
    source_branch: 'fix',
    title: 'Fix it',
    draft: true,
    reviewers: ['anna'],
    labels: ['bug'],
    template: 'Default',
  });
  assert.deepEqual([made['title'], made['to'], made['reviewers']], ['Draft: Fix it', 'main', ['anna']]);
  assert.match(project.mergeRequests[0]?.description ?? '', /## What/);
  assert.match(
    await fault('gitlab_write_merge_request', { project: P, source_branch: 'fix', title: 'Again' }),
    /already exists.*!1/,
  );
  const url = String(made['url']);
  await value('gitlab_write_merge_request', { merge_request: url, draft: false, rebase: true });
  assert.equal(project.mergeRequests[0]?.title, 'Fix it');
  assert.equal(project.mergeRequests[0]?.mergeError, null);
  double.world.pipeline(project, 'fix', 'x', { status: 'success' });
  const shown = await value('gitlab_show_merge_request', { merge_request: url });
  assert.deepEqual(
    [shown['merge_status'], JSON.stringify(shown['pipeline']).includes('success')],
    ['mergeable', true],
  );
  assert.match(JSON.stringify(shown['approvals']), /"left":1/);
  assert.match(
    JSON.stringify(
      (await value('gitlab_list_merge_requests', { project: P, reviewer: 'anna' }))['merge_requests'],
    ),
    /Fix it/,
  );
  assert.match(
    await fault('gitlab_merge', { project: P, merge_request: 1, sha: 'a'.repeat(40) }),
    /no longer aaaaaaaa/,
  );
  assert.match(await fault('gitlab_merge', { project: P, merge_request: 1, sha: 'main' }), /sha/);
  assert.equal(
    (await value('gitlab_merge', { project: P, merge_request: 1, sha: shown['sha'] }))['state'],
    'merged',
  );
  assert.match(String(await project.repo.blob('main', 'package.json')), /1\.0\.1/);
});

test('merge requests are closed and reopened, merged when the pipeline succeeds, squashed, their branch removed', async (t) => {
  const { value, project, root, double } = await bench(t);
  for (const branch of ['one', 'two']) {
    for (const step of ['a', 'b']) {
      await project.repo.commit(branch, step === 'a' ? 'main' : undefined, `${branch} ${step}`, [
        { action: 'create', file_path: `${branch}.${step}`, content: Buffer.from('x') },
      ]);
    }
    double.world.mergeRequest(project, root, `Merge ${branch}`, branch);
  }
  const [first, second] = project.mergeRequests;
  await value('gitlab_write_merge_request', { project: P, merge_request: 1, state: 'close' });
  assert.equal(first?.state, 'closed');
  await value('gitlab_write_merge_request', {
    project: P,
    merge_request: 1,
    state: 'reopen',
    title: 'Renamed',
  });
  assert.deepEqual([first.state, first.title], ['opened', 'Renamed']);
  const shaOf = async (at: number) =>
    (await value('gitlab_show_merge_request', { project: P, merge_request: at }))['sha'];
  const waiting = await value('gitlab_merge', {
    project: P,
    merge_request: 1,
    sha: await shaOf(1),
    auto: true,
  });
  assert.match(String(waiting['auto']), /when the pipeline succeeds/);
  assert.deepEqual([first.state, first.autoMerge], ['opened', true]);
  const merged = await value('gitlab_merge', {
    project: P,
    merge_request: 2,
    sha: await shaOf(2),
    squash: true,
    remove_source_branch: true,
  });
  assert.deepEqual([merged['state'], second?.state], ['merged', 'merged']);
  assert.equal(await project.repo.resolve('refs/heads/two'), undefined);
  const lines = (await project.repo.git(['log', '--format=%s', 'main^1..main'])).trim().split('\n');
  assert.deepEqual(
    lines,
    ["Merge branch 'two' into 'main'", 'Merge two'],
    'one commit of both, and the merge',
  );
});

test('the prompts name the thing asked about, and the tools that are there', async (t) => {
  const { client } = await bench(t);
  const tools = await client.tools();
  for (const [name, argument] of [
    ['review_merge_request', 'merge_request'],
    ['fix_failing_pipeline', 'pipeline'],
    ['issue_to_merge_request', 'issue'],
  ] as const) {
    const text = await client.prompt(name, { [argument]: 'group/forge!7' });
    assert.match(text, /group\/forge!7/);
    const named = text.match(/gitlab_[a-z_]+/g) ?? [];
    assert.ok(named.length >= 2);
    for (const one of named) assert.ok(tools.includes(one), `${name} names ${one}`);
  }
});

test('a tag is protected and freed again', async (t) => {
  const { value, fault, project } = await bench(t);
  await value('gitlab_write_ref', { project: P, tag: 'v1', from: 'main' });
  await value('gitlab_write_ref', { project: P, tag: 'v1', protect: true });
  assert.ok(project.protectedTags.has('v1'));
  assert.match(
    await fault('gitlab_write_ref', { project: P, tag: 'v1', protect: true }),
    /exists already \(409: Protected tag 'v1' already exists\)/,
  );
  await value('gitlab_write_ref', { project: P, tag: 'v1', protect: false });
  assert.equal(project.protectedTags.size, 0);
});

test('a merge or an approval that the role does not allow is no bad token, though GitLab says 401', async (t) => {
  const { double, project, root, anna, serve } = await bench(t);
  await project.repo.commit('fix', 'main', 'Fix', [
    { action: 'create', file_path: 'fix.txt', content: Buffer.from('x\n') },
  ]);
  const mr = double.world.mergeRequest(project, root, 'Fix', 'fix');
  double.world.token('kzcanary-annas-0123456789', anna);
  const { fault, value } = await serve({ GITLAB_TOKEN: 'kzcanary-annas-0123456789' });
  const sha = await project.repo.resolve('fix');
  const merging = await fault('gitlab_merge', { project: P, merge_request: mr.iid, sha });
  assert.match(merging, /does not let the token's user merge it \(401\): the role is too low/);
  const approve = { project: P, merge_request: mr.iid, comments: [], approve: true, sha };
  await value('gitlab_review', approve);
  assert.match(await fault('gitlab_review', approve), /approve it \(401\).*given before/);
});

test('a merge keeps what both sides did; one that conflicts says so and is not merged', async (t) => {
  const { value, fault, project, root, double } = await bench(t);
  const put = (branch: string, start: string | undefined, file_path: string, content: string) =>
    project.repo.commit(branch, start, `${branch} ${file_path}`, [
      { action: 'update', file_path, content: Buffer.from(content) },
    ]);
  await put('one', 'main', 'README.md', '# One\n');
  await put('two', 'main', 'README.md', '# Two\n');
  await put('three', 'main', 'package.json', '{}\n');
  for (const branch of ['one', 'two', 'three'])
    double.world.mergeRequest(project, root, `Merge ${branch}`, branch);
  const show = (iid: number) => value('gitlab_show_merge_request', { project: P, merge_request: iid });
  const merge = async (iid: number) => ({ project: P, merge_request: iid, sha: (await show(iid))['sha'] });
  await value('gitlab_merge', await merge(1));
  await value('gitlab_merge', await merge(3));
  assert.deepEqual(
    [
      String(await project.repo.blob('main', 'README.md')),
      String(await project.repo.blob('main', 'package.json')),
    ],
    ['# One\n', '{}\n'],
  );
  const second = await show(2);
  assert.deepEqual([second['merge_status'], second['conflicts']], ['conflict', true]);
  assert.match(await fault('gitlab_merge', await merge(2)), /cannot be merged now.*conflicts/);
  // What a merged one changed can still be read.
  assert.match(
    String((await value('gitlab_diff', { project: P, merge_request: 1 }))['diff']),
    /-1 # Forge\n[^]*\n\+1 # One/,
  );
});

test('web addresses of every form: branches with slashes, old ones, with anchors and queries', async (t) => {
  const { value, fault, double, project, root } = await bench(t);
  const { url, world } = double;
  await project.repo.commit('feature/login', 'main', 'x', [
    { action: 'create', file_path: 'src/login/form.ts', content: Buffer.from('form\n') },
  ]);
  await project.repo.git(['tag', 'release/1', 'feature/login']);
  for (const ref of ['feature/login', 'release/1']) {
    const file = await value('gitlab_read_file', {
      project: `${url}/${P}/-/blob/${ref}/src/login/form.ts?ref_type=heads#L1`,
    });
    assert.deepEqual([file['path'], file['text']], ['src/login/form.ts', 'form']);
    const folder = await value('gitlab_list_files', { project: `${url}/${P}/-/tree/${ref}/src/login` });
    assert.deepEqual(folder['files'], ['src/login/form.ts']);
  }
  assert.deepEqual(
    (await value('gitlab_list_files', { project: `${url}/${P}/-/tree/feature/login` }))['files'],
    ['src/', '.gitlab-ci.yml', 'README.md', 'package.json'],
  );
  world.issue(project, root, 'One', { type: 'TASK' });
  for (const address of ['-/issues/1', '-/issues/1#note_5', 'issues/1', '-/work_items/1', '-/issues/1?x=1'])
    assert.equal((await value('gitlab_show_issue', { issue: `${url}/${P}/${address}` }))['title'], 'One');
  world.mergeRequest(project, root, 'Login', 'feature/login');
  for (const address of [
    '-/merge_requests/1/diffs?commit_id=x#a_1_2',
    'merge_requests/1',
    '-/merge_requests/1.patch',
  ])
    if (address.endsWith('patch'))
      assert.match(
        await fault('gitlab_show_merge_request', { merge_request: `${url}/${P}/${address}` }),
        /address/,
      );
    else
      assert.equal(
        (await value('gitlab_show_merge_request', { merge_request: `${url}/${P}/${address}` }))['title'],
        'Login',
      );
  // By number GraphQL is given the path all the same.
  assert.match(
    JSON.stringify(await value('gitlab_list_issues', { project: String(project.id), type: 'TASK' })),
    /"title":"One"/,
  );
});

test('projects come in pages, by keyset, to the last', async (t) => {
  const { value, double, root } = await bench(t);
  for (let at = 0; at < 45; at++) await double.world.project(`many/p${at}`, root);
  const paths: string[] = [];
  let next: unknown;
  for (let page = 0; page < 5; page++) {
    const found = await value('gitlab_find', { what: 'projects', ...(next !== undefined && { next }) });
    paths.push(...(JSON.stringify(found['found']).match(/"path":"[^"]+"/g) ?? []));
    next = found['next'];
    if (next === undefined) break;
    assert.match(JSON.stringify(next), /^"id_before=\d+"$/);
  }
  assert.deepEqual([paths.length, new Set(paths).size], [46, 46]);
});
