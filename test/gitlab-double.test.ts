import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { endpoints, startGitLab } from './doubles/gitlab/server.ts';
import { noContract, parametersOf } from './gitlab-contract.ts';

const grape = new URL('doubles/gitlab/grape.json', import.meta.url);

test("the double's table of parameters is what GitLab's OpenAPI file says", { skip: noContract }, () => {
  const made = parametersOf(endpoints);
  if (process.env['UPDATE']) writeFileSync(grape, `${JSON.stringify(made, null, 1)}\n`);
  assert.deepEqual(JSON.parse(readFileSync(grape, 'utf8')), made);
  assert.ok(Object.keys(made).length > 80);
});

interface Asking {
  token?: string | null;
  body?: unknown;
  type?: string;
  headers?: Record<string, string>;
}

/** The double as anybody's client meets it. */
async function met(t: TestContext) {
  const double = await startGitLab();
  t.after(() => double.close());
  const { world } = double;
  const [root, anna] = [world.user('root'), world.user('anna')];
  world.token('glpat-root', root);
  world.token('glpat-anna', anna);
  world.token('glpat-read', anna, ['read_api']);
  const project = await world.project('group/forge', root, {
    'README.md': '# F\n',
    '.gitlab-ci.yml': 'test:\n  script: [echo]\n',
  });
  project.members.set(anna.id, 20);
  const ask = async (
    method: string,
    path: string,
    { token = 'glpat-root', body, type = 'application/json', headers = {} }: Asking = {},
  ) => {
    const text = typeof body === 'string' ? body : body === undefined ? undefined : JSON.stringify(body);
    const answer = await fetch(`${double.url}/api/v4/${path}`, {
      method,
      headers: {
        ...(token !== null && { 'private-token': token }),
        ...(text !== undefined && { 'content-type': type }),
        ...headers,
      },
      ...(text !== undefined && { body: text }),
    });
    const said = await answer.text();
    const json: unknown = said === '' || !said.startsWith('{') ? undefined : JSON.parse(said);
    return { status: answer.status, headers: answer.headers, text: said, json };
  };
  return { double, world, project, root, anna, ask };
}

const F = 'projects/group%2Fforge';

test('what Grape refuses is refused in its words, before anything is done', async (t) => {
  const { ask, project } = await met(t);
  const cases: [method: string, path: string, body: unknown, said: string][] = [
    ['GET', `${F}/issues?state=nonsense`, undefined, 'state does not have a valid value'],
    [
      'GET',
      `${F}/issues?order_by=size&sort=up`,
      undefined,
      'order_by does not have a valid value, sort does not have a valid value',
    ],
    ['GET', `${F}/issues?created_after=soon`, undefined, 'created_after is invalid'],
    ['GET', `${F}/issues?page=one`, undefined, 'page is invalid'],
    ['GET', `${F}/merge_requests?state=odd`, undefined, 'state does not have a valid value'],
    ['POST', `${F}/issues`, {}, 'title is missing'],
    ['POST', `${F}/issues`, { title: { a: 1 } }, 'title is invalid'],
    ['POST', `${F}/issues`, { title: 'x', milestone_id: 'v1' }, 'milestone_id is invalid'],
    ['POST', `${F}/issues`, { title: 'x', issue_type: 'epic' }, 'issue_type does not have a valid value'],
    ['POST', `${F}/issues`, { title: 'x', confidential: 'maybe' }, 'confidential is invalid'],
    ['POST', `${F}/merge_requests`, { title: 'x' }, 'source_branch is missing, target_branch is missing'],
    ['POST', `${F}/repository/commits`, { branch: 'main' }, 'actions is missing, commit_message is missing'],
    [
      'POST',
      `${F}/repository/commits`,
      {
        branch: 'main',
        commit_message: 'm',
        actions: [{ action: 'burn', file_path: 'a' }, { action: 'create' }],
      },
      'actions[0][action] does not have a valid value, actions[1][file_path] is missing, actions[1][content] is missing',
    ],
    ['POST', `${F}/members`, { user_id: 1, access_level: 33 }, 'access_level does not have a valid value'],
  ];
  for (const [method, path, body, said] of cases) {
    const { status, json } = await ask(method, path, { body });
    assert.deepEqual([status, json], [400, { error: said }], `${method} ${path}`);
  }
  assert.equal(project.issues.length, 0);
  assert.equal(
    (
      await ask('POST', `${F}/issues`, {
        body: 'title=Form&labels=a,b',
        type: 'application/x-www-form-urlencoded',
      })
    ).status,
    201,
  );
  assert.deepEqual(project.issues[0]?.labels, ['a', 'b']);
  assert.equal((await ask('POST', `${F}/issues`, { body: '{"title":' })).status, 400);
  assert.equal((await ask('POST', `${F}/issues`, { body: '<x/>', type: 'application/xml' })).status, 415);
  assert.equal((await ask('POST', `${F}/issues`, { body: '[]' })).status, 400);
});

test('who may not is told as GitLab tells it: 401, 403 with the scope or the role, 404, 405', async (t) => {
  const { ask, world } = await met(t);
  const told = async (...call: Parameters<typeof ask>) => {
    const { status, json } = await ask(...call);
    return [status, json];
  };
  assert.deepEqual(await told('GET', F, { token: 'nobodys' }), [401, { message: '401 Unauthorized' }]);
  assert.deepEqual(await told('GET', F, { token: null }), [404, { message: '404 Project Not Found' }]);
  assert.deepEqual(await told('GET', 'user', { token: null }), [401, { message: '401 Unauthorized' }]);
  assert.deepEqual(await told('POST', `${F}/issues`, { token: 'glpat-read', body: { title: 'x' } }), [
    403,
    {
      error: 'insufficient_scope',
      error_description: 'The request requires higher privileges than provided by the access token.',
      scope: 'api',
    },
  ]);
  assert.deepEqual(
    await told('POST', `${F}/repository/branches`, {
      token: 'glpat-anna',
      body: { branch: 'b', ref: 'main' },
    }),
    [403, { message: '403 Forbidden' }],
  );
  assert.deepEqual(await told('GET', `${F}/issues/1`), [404, { message: '404 Issue Not Found' }]);
  assert.deepEqual(await told('GET', 'nothing/here'), [404, { error: '404 Not Found' }]);
  assert.deepEqual(await told('PATCH', `${F}/issues`), [405, { error: '405 Not Allowed' }]);
  assert.deepEqual(await told('POST', 'projects', { body: { name: 'x', namespace_id: 4711 } }), [
    400,
    { message: { namespace: ['is not valid'] } },
  ]);
  assert.deepEqual(await told('GET', 'namespaces/nobody'), [404, { message: '404 Namespace Not Found' }]);
  const token = world.tokens.get('glpat-anna');
  assert.ok(token);
  token.expired = true;
  const [status, json] = await told('GET', F, { token: 'glpat-anna' });
  assert.deepEqual([status, JSON.stringify(json).includes('"error":"invalid_token"')], [401, true]);
});

test('headers: totals and links of pages, keyset, ETag, lengths, rate limits', async (t) => {
  const { ask, world, project, root, double } = await met(t);
  for (let at = 0; at < 45; at++) world.issue(project, root, `Issue ${at}`);
  const second = await ask('GET', `${F}/issues?per_page=20&page=2&labels=`);
  const names = ['x-total', 'x-total-pages', 'x-page', 'x-per-page', 'x-next-page', 'x-prev-page'];
  assert.deepEqual(
    names.map((name) => second.headers.get(name)),
    ['45', '3', '2', '20', '3', '1'],
  );
  const link = second.headers.get('link') ?? '';
  for (const rel of ['prev', 'next', 'first', 'last']) assert.match(link, new RegExp(`rel="${rel}"`));
  const keyset = await ask('GET', 'projects?pagination=keyset&order_by=id&per_page=1');
  assert.equal(keyset.headers.get('x-total'), null);
  const one = await ask('GET', `${F}/issues/1`);
  const etag = one.headers.get('etag') ?? '';
  assert.match(etag, /^W\/"[0-9a-f]{32}"$/);
  const again = await ask('GET', `${F}/issues/1`, { headers: { 'if-none-match': etag } });
  assert.deepEqual([again.status, again.text], [304, '']);
  assert.equal(one.headers.get('content-length'), String(Buffer.byteLength(one.text)));
  const head = await ask('HEAD', `${F}/repository/files/README.md?ref=main`);
  assert.deepEqual([head.status, head.text, head.headers.get('x-gitlab-size')], [200, '', '4']);
  world.limit = 3;
  const statuses = [];
  for (let at = 0; at < 4; at++) statuses.push(await ask('GET', `${F}/issues/1`));
  assert.deepEqual(
    statuses.map((each) => each.status),
    [200, 200, 200, 429],
  );
  assert.deepEqual(
    statuses.map((each) => each.headers.get('ratelimit-remaining')),
    ['2', '1', '0', '0'],
  );
  const [, , , over] = statuses;
  assert.equal(over?.text, 'Retry later\n');
  assert.ok(Number(over?.headers.get('retry-after')) > 0);
  assert.ok(double.url);
});

test('positions, jobs and files keep the rules of the far side', async (t) => {
  const { ask, world, project, root } = await met(t);
  await project.repo.commit('fix', 'main', 'Fix', [
    { action: 'update', file_path: 'README.md', content: Buffer.from('# G\n') },
  ]);
  world.mergeRequest(project, root, 'Fix', 'fix');
  const shown = await ask('GET', `${F}/merge_requests/1`);
  const refs = /"diff_refs":(\{[^}]+\})/.exec(shown.text)?.[1] ?? '{}';
  const position = {
    ...JSON.parse(refs),
    position_type: 'text',
    old_path: 'README.md',
    new_path: 'README.md',
    new_line: 1,
  };
  const place = async (change: Record<string, unknown>) =>
    ask('POST', `${F}/merge_requests/1/discussions`, {
      body: { body: 'x', position: { ...position, ...change } },
    });
  assert.equal((await place({})).status, 201);
  for (const [change, said] of [
    [{ new_line: 9 }, /line_code/],
    [{ old_line: 1 }, /line_code/],
    [{ head_sha: '0'.repeat(40) }, /line_code/],
    [{ new_path: 'other' }, /line_code/],
    [{ base_sha: undefined }, /position\[base_sha\] is missing/],
    [{ position_type: 'odd' }, /position\[position_type\] does not have a valid value/],
  ] as const) {
    const { status, text } = await place(change);
    assert.equal(status, 400);
    assert.match(text, said);
  }
  const form = new URLSearchParams({ body: 'x' });
  for (const [name, value] of Object.entries(position)) form.set(`position[${name}]`, String(value));
  const parts = [...form].map(
    ([name, value]) => `--cut\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const multipart = { body: `${parts.join('')}--cut--\r\n`, type: 'multipart/form-data; boundary=cut' };
  assert.equal((await ask('POST', `${F}/merge_requests/1/discussions`, multipart)).status, 201);
  const type = 'application/x-www-form-urlencoded';
  assert.equal(
    (await ask('POST', `${F}/merge_requests/1/discussions`, { body: String(form), type })).status,
    201,
  );

  const pipeline = world.pipeline(project, 'main', 'a'.repeat(40), { status: 'failed' });
  const job = world.job(pipeline, 'build', 'failed', { log: Buffer.from('boom\n') });
  const act = async (action: string, id = job.id) => (await ask('POST', `${F}/jobs/${id}/${action}`)).status;
  assert.deepEqual(
    [await act('play'), await act('nonsense'), await act('retry'), await act('retry')],
    [400, 404, 201, 403],
  );
  assert.deepEqual([await act('erase'), await act('erase'), job.log.length], [201, 403, 0]);
  const chmod = [
    { action: 'create', file_path: 'run.sh', content: '#!/bin/sh\n' },
    { action: 'chmod', file_path: 'run.sh', execute_filemode: true },
  ];
  const body = { branch: 'main', commit_message: 'm', actions: chmod };
  assert.equal((await ask('POST', `${F}/repository/commits`, { body })).status, 201);
  assert.match((await ask('GET', `${F}/repository/tree`)).text, /"path":"run.sh","mode":"100755"/);
  assert.equal(
    (await ask('GET', `${F}/repository/archive`)).headers.get('content-type'),
    'application/x-gzip',
  );
});
