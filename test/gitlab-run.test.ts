import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ollamaDouble, type Asked, type Reply } from './doubles/ollama.ts';
import { bench, TOKEN } from './gitlab-kit.ts';

const main = join(import.meta.dirname, '..', 'dist', 'host', 'main.js');
const TASK = 'Read issue 1 of group/forge, change the file it names, open a merge request.';
const ISSUE = 'In src/main.ts line 3 says `export const line3 = 3;`. It should be 33.';

/** What a model would do: each next step from what the last one brought; a tool that it is not shown it looks for. */
function worker({ body, messages }: Asked): Reply {
  const shown = (body.tools ?? []).map((tool) => tool.function.name);
  const call = (name: string, args: object): Reply =>
    shown.includes(name)
      ? { calls: [{ name, arguments: args }] }
      : { calls: [{ name: 'find_tools', arguments: { need: name.replaceAll('_', ' ') } }] };
  const done = messages.flatMap((one) =>
    one.role === 'tool' && !one.content.startsWith('You can') ? [one.tool_name] : [],
  );
  const project = 'group/forge';
  if (!done.includes('gitlab_show_issue')) return call('gitlab_show_issue', { project, issue: '1' });
  if (!done.includes('gitlab_read_file'))
    return call('gitlab_read_file', { project, path: 'src/main.ts', lines: '1-5' });
  if (!done.includes('gitlab_commit')) {
    return call('gitlab_commit', {
      project,
      branch: 'issue-1',
      start_branch: 'main',
      message: 'Line 3 is 33',
      actions: [{ action: 'edit', path: 'src/main.ts', old_text: 'line3 = 3;', new_text: 'line3 = 33;' }],
    });
  }
  if (!done.includes('gitlab_write_merge_request')) {
    return call('gitlab_write_merge_request', {
      project,
      source_branch: 'issue-1',
      target_branch: 'main',
      title: 'Line 3 is 33',
      description: 'Closes #1',
    });
  }
  const last = messages.at(-1)?.content ?? '';
  return { content: `Done: ${/https?:[^"\s]*merge_requests\/\d+/.exec(last)?.[0] ?? last.slice(0, 200)}` };
}

async function start(t: TestContext) {
  const gitlab = await bench(t);
  gitlab.double.world.issue(gitlab.project, gitlab.anna, 'Line 3 is wrong', { description: ISSUE });
  const ollama = await ollamaDouble({ reply: worker });
  const home = mkdtempSync(join(tmpdir(), 'kuznia-gitlab-run-'));
  t.after(async () => {
    await ollama.close();
    rmSync(home, { recursive: true, force: true });
  });
  const run = (...args: string[]) =>
    new Promise<{ code: number | null; out: string; err: string }>((ended) => {
      const ran = { out: '', err: '' };
      const child = spawn(process.execPath, [main, 'run', TASK, ...args], {
        env: {
          PATH: process.env['PATH'],
          HOME: home,
          KUZNIA_HOME: home,
          OLLAMA_HOST: ollama.url,
          GITLAB_URL: gitlab.double.url,
          GITLAB_TOKEN: TOKEN,
        },
        timeout: 60_000,
      });
      child.stdin.end();
      child.stdout.on('data', (data: Buffer) => (ran.out += data.toString()));
      child.stderr.on('data', (data: Buffer) => (ran.err += data.toString()));
      child.on('close', (code) => ended({ code, ...ran }));
    });
  return { ...gitlab, run };
}

test('kuznia run: an issue is read, its file changed, a merge request opened', async (t) => {
  const { run, project, value } = await start(t);
  const { code, out, err } = await run('--allow', 'gitlab_commit', '--allow', 'gitlab_write_merge_request');
  assert.equal(code, 0, err);
  assert.match(out, /^Done: http.*\/merge_requests\/1/);
  const [mr, ...others] = project.mergeRequests;
  assert.deepEqual([mr?.source, mr?.target, others], ['issue-1', 'main', []]);
  const changed = await value('gitlab_read_file', {
    project: 'group/forge',
    path: 'src/main.ts',
    ref: 'issue-1',
  });
  assert.match(String(changed['text']), /line3 = 33;/);
  assert.doesNotMatch(out + err, new RegExp(TOKEN));
});

test('without leave it stops before the first write, with exit code 3 and the exact call', async (t) => {
  const { run, project, writes } = await start(t);
  const { code, err } = await run();
  assert.equal(code, 3);
  assert.match(err, /gitlab_commit \{"project":"group\/forge","branch":"issue-1"/);
  assert.match(err, /--allow gitlab_commit/);
  assert.equal(project.mergeRequests.length, 0);
  assert.deepEqual(writes(), []);
});
