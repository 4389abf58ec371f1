import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import { startGitLab, type Double } from '../doubles/gitlab/server.ts';
import type { Project, User } from '../doubles/gitlab/model.ts';
import { connect, root } from './client.ts';
import { figure, median, spread, type Figure, type Scope } from './figure.ts';
import { reviews } from './gitlab-review.ts';
import { cpuOfTree, hasProc, rssMb } from './process.ts';

const run = promisify(execFile);
const server = `${root}dist/servers/gitlab/main.js`;
const PEER = '@zereight/mcp-gitlab@2.1.64';
const TOKEN = 'glpat-bench-0123456789abcd';

const count = (value: unknown) => encode(JSON.stringify(value)).length;

/** What the GitLab server costs a model, and a machine, beside the most used peer. */
export async function gitlab(scope: Scope): Promise<Figure[]> {
  const double = await startGitLab();
  try {
    const env = { GITLAB_URL: double.url, GITLAB_TOKEN: TOKEN };
    const peer = await installPeer(scope);
    const theirs = { GITLAB_API_URL: `${double.url}/api/v4`, GITLAB_PERSONAL_ACCESS_TOKEN: TOKEN };
    return [
      ...(await listed(scope, env, peer, theirs)),
      ...(await started(scope, env, peer, theirs)),
      ...(await answers(scope, double, env)),
    ];
  } finally {
    await double.close();
  }
}

/** The peer's entry point; undefined where it cannot be installed here. */
async function installPeer(scope: Scope): Promise<string | undefined> {
  const folder = await scope.folder('gitlab-peer');
  try {
    await writeFile(join(folder, 'package.json'), '{"name":"peer","private":true}');
    const quiet = ['--no-audit', '--no-fund', '--silent', '--prefer-offline', '--ignore-scripts'];
    await run('npm', ['install', ...quiet, PEER], { cwd: folder, timeout: 180_000 });
    return join(folder, 'node_modules/@zereight/mcp-gitlab/build/index.js');
  } catch {
    return undefined;
  }
}

async function toolsOf(entry: string, home: string, env: Record<string, string>) {
  const connected = await connect(entry, home, env);
  try {
    return (await connected.page()).tools;
  } finally {
    await connected.close();
  }
}

type Env = Record<string, string>;

async function listed(scope: Scope, env: Env, peer: string | undefined, theirs: Env): Promise<Figure[]> {
  const home = await scope.folder('gitlab');
  const all = await toolsOf(server, home, env);
  const core = await toolsOf(server, home, { ...env, GITLAB_TOOLSETS: 'core' });
  const other = peer === undefined ? undefined : await toolsOf(peer, home, theirs).catch(() => undefined);
  const beside = other
    ? { [PEER]: count({ tools: other }), 'its tools': other.length }
    : { [PEER]: 'not installed here' };
  const each = all.map((tool) => [tool.name, count(tool)] as const).sort((a, b) => b[1] - a[1]);
  return [
    figure({
      name: 'gitlab.tokens',
      what: `GitLab server, tools/list of ${all.length} tools, o200k`,
      unit: 'tokens',
      value: count({ tools: all }),
      bar: 6800,
      details: { ...beside, 'per tool': Object.fromEntries(each) },
    }),
    figure({
      name: 'gitlab.tokens.core',
      what: `GitLab server, toolset core, ${core.length} tools`,
      unit: 'tokens',
      value: count({ tools: core }),
      bar: 2500,
      details: {},
    }),
  ];
}

async function started(scope: Scope, env: Env, peer: string | undefined, theirs: Env): Promise<Figure[]> {
  if (!hasProc) return [];
  const home = await scope.folder('gitlab');
  const measure = async (entry: string, settings: Env) => {
    const cpu: number[] = [];
    const rss: number[] = [];
    for (let round = 0; round < scope.rounds(8, 3); round++) {
      const connected = await connect(entry, home, settings);
      await connected.page();
      cpu.push(await cpuOfTree(connected.pid));
      rss.push(await rssMb(connected.pid));
      await connected.close();
    }
    return { cpu, rss };
  };
  const ours = await measure(server, env);
  const other = peer === undefined ? undefined : await measure(peer, theirs).catch(() => undefined);
  return [
    figure({
      name: 'gitlab.startup.cpu',
      what: 'GitLab server, spawn -> tools/list',
      unit: 'CPU-ms',
      value: median(ours.cpu),
      bar: 300,
      details: { ours: spread(ours.cpu), [PEER]: other ? spread(other.cpu) : 'not installed here' },
    }),
    figure({
      name: 'gitlab.startup.rss',
      what: 'GitLab server when tools/list is answered, RSS',
      unit: 'MB',
      value: median(ours.rss),
      bar: 80,
      details: { ours: spread(ours.rss), [PEER]: other ? spread(other.rss) : 'not installed here' },
    }),
  ];
}

/** Tokens of answers beside the raw JSON of the same requests, and calls for a review. */
async function answers(scope: Scope, double: Double, env: Env): Promise<Figure[]> {
  const { world } = double;
  const user = world.user('root');
  world.token(TOKEN, user);
  const project = await world.project('group/bench', user, files(0));
  for (let at = 1; at <= 20; at++) {
    const description = `Steps to repeat it, what was expected and what came instead, number ${at}.\n`.repeat(
      8,
    );
    world.issue(project, user, `The login page fails in case ${at}`, {
      description,
      labels: ['bug'],
      assignees: [user],
    });
  }
  await propose(project, user, double);
  const connected = await connect(server, await scope.folder('gitlab'), env);
  try {
    const compare = async (name: string, tool: string, input: Record<string, unknown>, paths: string[]) => {
      const answer = await connected.must(tool, { project: project.path, ...input });
      const raw = await Promise.all(paths.map((path) => rawJson(double.url, path)));
      const [ours, theirs] = [count(answer), count(raw)];
      const each = paths.map((path, at) => [path, count(raw[at])] as const);
      return figure({
        name: `gitlab.answer.${name}`,
        what: `answer beside the JSON of the requests that it stands for: ${tool}`,
        unit: 'x',
        value: ours / theirs,
        bar: 0.2,
        details: { 'ours, tokens': ours, 'raw, tokens': theirs, 'each request': Object.fromEntries(each) },
      });
    };
    const base = 'projects/group%2Fbench';
    const figures = [
      await compare('issues', 'gitlab_list_issues', {}, [`${base}/issues`]),
      await compare('merge-request', 'gitlab_show_merge_request', { merge_request: 1 }, [
        `${base}/merge_requests/1`,
        `${base}/merge_requests/1/approvals`,
        `${base}/merge_requests/1/discussions`,
      ]),
      await compare('diff', 'gitlab_diff', { merge_request: 1 }, [
        `${base}/merge_requests/1`,
        `${base}/merge_requests/1/diffs`,
      ]),
    ];
    const [mr] = project.mergeRequests;
    return mr ? [...figures, ...(await reviews(double, connected, project.path, mr))] : figures;
  } finally {
    await connected.close();
  }
}

const files = (version: number) =>
  Object.fromEntries(
    Array.from({ length: 5 }, (_, file) => [
      `f${file}.ts`,
      Array.from({ length: 30 }, (_, line) => `export const v${line} = ${line === 1 ? version : line};`).join(
        '\n',
      ),
    ]),
  );

async function propose(project: Project, user: User, { world }: Double): Promise<void> {
  const actions = Object.entries(files(7)).map(([file_path, text]) => ({
    action: 'update',
    file_path,
    content: Buffer.from(text),
  }));
  await project.repo.commit('work', 'main', 'Work', actions);
  const mr = world.mergeRequest(project, user, 'Work', 'work');
  mr.description = 'What was done, and why. '.repeat(10);
  mr.reviewers = [user];
  for (let at = 0; at < 6; at++)
    world.discuss(
      mr,
      world.note(`A remark, number ${at}, that was dealt with.`, user, {
        resolvable: true,
        resolved: at > 0,
      }),
    );
  world.pipeline(project, 'work', 'x', { status: 'success' });
}

async function rawJson(url: string, path: string): Promise<unknown> {
  const answer = await fetch(`${url}/api/v4/${path}`, { headers: { authorization: `Bearer ${TOKEN}` } });
  return answer.json();
}
