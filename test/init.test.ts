import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { begin, command } from '../host/init.ts';
import { askAll, Unanswered } from '../host/init/ask.ts';
import { checkGitLab, checkOllama, type Finding } from '../host/init/checks.ts';
import type { Choices } from '../host/init/compose.ts';
import { exitCode, type Io } from '../host/terminal/io.ts';
import { hostSettings } from '../host/settings.ts';
import { ollamaDouble } from './doubles/ollama.ts';
import { parsed, tempHome } from './support.ts';

const never = new AbortController().signal;
const NOWHERE = 'http://127.0.0.1:9';
const TOKEN = 'kzcanary-of-the-test-1';

function paper(home: string) {
  const said = { out: '', err: '' };
  const io: Io = {
    out: (text) => void (said.out += text),
    err: (text) => void (said.err += text),
    env: { KUZNIA_HOME: home },
    interactive: true,
    colour: false,
    columns: () => 100,
  };
  return { io, said };
}

/** Answers as GitLab does to one who has no token, the wrong one, or the right one; `/shop` is some web site. */
async function gitlab(t: TestContext): Promise<string> {
  const server = createServer((request, response) => {
    const [path = ''] = (request.url ?? '').split('?');
    if (path !== '/api/v4/version') {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Shop</title>');
      return;
    }
    const right = request.headers.authorization === `Bearer ${TOKEN}`;
    const body = right ? { version: '18.5.1-ee', revision: 'abc' } : { message: '401 Unauthorized' };
    response.writeHead(right ? 200 : 401, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => server.close());
  const { port } = z.custom<AddressInfo>().parse(server.address());
  return `http://127.0.0.1:${port}`;
}

/** A person who answers from a list; what they were asked is kept. */
function person(answers: (string | undefined)[]) {
  const asked: string[] = [];
  const left = [...answers];
  const ask = async (question: string) => {
    asked.push(question);
    return left.shift();
  };
  return { ask, asked, left };
}

const scope = (ask: (question: string) => Promise<string | undefined>, check = false) => {
  const findings: Finding[] = [];
  const faults: string[] = [];
  const asking = {
    ask,
    names: ['sandbox', 'gitlab', 'auth'],
    tell: (finding: Finding) => void findings.push(finding),
    wrong: (message: string) => void faults.push(message),
    check,
    signal: never,
  };
  return { asking, findings, faults };
};

test('asked: servers, GitLab with a secret by name, where Ollama is, the model', async () => {
  const { ask, asked, left } = person(['', 'y', 'nie', 'gitlab.example.org/', '', 'y', '', 'qwen3:8b']);
  const { asking, faults } = scope(ask);
  assert.deepEqual(await askAll(asking), {
    servers: { sandbox: true, gitlab: true, auth: false },
    model: 'qwen3:8b',
    gitlab: { url: 'https://gitlab.example.org', token: 'secret://gitlab-token', readOnly: true },
  });
  assert.deepEqual([faults, left], [[], []]);
  assert.match(asked[0] ?? '', /^Use sandbox \(.*\)\? \[Y\/n\] $/);
});

test('Ollama is looked for where it is set already', async (t) => {
  const home = tempHome(t);
  writeFileSync(join(home, 'kuznia.json'), JSON.stringify({ OLLAMA_HOST: NOWHERE }));
  const { ask, asked } = person(['', '', '', 'n']);
  const { io, said } = paper(home);
  await begin({}, { names: ['sandbox'], io, ask, check: true, json: false, signal: never });
  assert.equal(asked[1], `Where Ollama answers [${NOWHERE}]: `);
  assert.match(said.out, /No Ollama at http:\/\/127\.0\.0\.1:9/);
});

test('a token instead of a name is refused, not shown, and asked for again; so is a wrong address', async () => {
  const { ask } = person([
    'n',
    '',
    'n',
    'https://me:pw@gitlab.com',
    'https://gitlab.com',
    'glpat-abcdefgh12345678',
    'my-token',
    'n',
    '',
    '',
  ]);
  const { asking, faults } = scope(ask);
  const { gitlab: chosen } = await askAll(asking);
  assert.deepEqual(chosen, { url: 'https://gitlab.com', token: 'secret://my-token', readOnly: false });
  assert.equal(faults.length, 2);
  assert.match(faults[0] ?? '', /no name or password/);
  assert.match(faults[1] ?? '', /That is no name of a secret/);
  assert.ok(!faults.join().includes('abcdefgh'));
});

test('what does not answer is told, and asked for again unless it is to be kept', async (t) => {
  const url = await gitlab(t);
  const shop = `${url}/shop`;
  const { ask, left } = person(['n', 'y', 'n', shop, '', 'n', 'n', url, '', 'n', NOWHERE, '']);
  const { asking, findings } = scope(ask, true);
  const choices = await askAll(asking);
  assert.equal(choices.gitlab?.url, url);
  assert.equal(choices.ollama, NOWHERE);
  assert.deepEqual(left, []);
  assert.deepEqual(
    findings.map(({ name, ok }) => [name, ok]),
    [
      ['gitlab', false],
      ['gitlab', true],
      ['ollama', false],
    ],
  );
});

test('input that ends leaves nothing written', async (t) => {
  const home = tempHome(t);
  const { ask } = person(['y', undefined]);
  const { io } = paper(home);
  const options = { names: ['sandbox', 'gitlab'], io, ask, check: false, json: false, signal: never };
  await assert.rejects(begin({}, options), (error: Error) => {
    assert.ok(error instanceof Unanswered);
    assert.equal(exitCode(error), 2);
    return true;
  });
  assert.equal(existsSync(join(home, 'kuznia.json')), false);
});

test('GitLab: it answers, takes the token or does not; a web site and nobody are told apart', async (t) => {
  const url = await gitlab(t);
  const look = (where: string, token?: string) => checkGitLab({ url: where, token, readOnly: false }, never);
  assert.match((await look(url)).found, /answers; it wants a token/);
  for (const [value, ok] of [
    [TOKEN, true],
    ['another-token-77', false],
  ] as const) {
    process.env['KUZNIA_SECRET_INIT_TEST_GITLAB'] = value;
    const finding = await look(url, 'secret://init-test-gitlab');
    assert.equal(finding.ok, ok, finding.found);
    assert.match(
      finding.found + (finding.fix ?? ''),
      ok ? /version 18\.5\.1-ee/ : /kuznia secret rotate init-test-gitlab/,
    );
  }
  delete process.env['KUZNIA_SECRET_INIT_TEST_GITLAB'];
  const [site, nobody] = [await look(`${url}/shop`), await look(NOWHERE)];
  assert.ok(!site.ok && !nobody.ok);
  assert.notEqual(site.found, nobody.found);
});

test('Ollama: the model that would be used, one that is missing with its command, nobody', async (t) => {
  const double = await ollamaDouble({ reply: () => ({ content: 'x' }) });
  t.after(() => double.close());
  const found = await checkOllama({ ollama: double.url }, never);
  assert.ok(found.ok && found.model, found.found);
  const missing = await checkOllama({ ollama: double.url, model: 'nosuch:1b' }, never);
  assert.deepEqual([missing.ok, missing.fix], [false, 'Get it: ollama pull nosuch:1b']);
  assert.match((await checkOllama({ ollama: NOWHERE }, never)).fix ?? '', /ollama\.com/);
});

test('the file: written whole, read by the host, private, and a copy of the one before is kept', async (t) => {
  const home = tempHome(t);
  const path = join(home, 'kuznia.json');
  const before = {
    mcpServers: { files: { command: 'npx' }, sandbox: { isolated: true } },
    models: { code: 'c:7b' },
    approve: [],
  };
  writeFileSync(path, JSON.stringify(before));
  const choices: Partial<Choices> = {
    model: 'qwen3:8b',
    gitlab: { url: 'https://gitlab.com', token: 'secret://t', readOnly: true },
  };
  const { io, said } = paper(home);
  const options = { names: ['sandbox'], io, check: false, json: true, signal: never };
  assert.equal(await begin(choices, options), 0);
  const after = z.looseObject({ servers: z.looseObject({}) }).parse(parsed(readFileSync(path, 'utf8')));
  assert.deepEqual(after, {
    mcpServers: { files: { command: 'npx' }, sandbox: { isolated: true } },
    models: { code: 'c:7b', default: 'qwen3:8b' },
    approve: [],
    servers: { gitlab: { url: 'https://gitlab.com', token: 'secret://t', read_only: true } },
  });
  assert.equal(hostSettings(home).models.default, 'qwen3:8b');
  assert.deepEqual(parsed(readFileSync(`${path}.bak`, 'utf8')), before);
  if (process.platform !== 'win32') assert.equal(statSync(path).mode & 0o077, 0);
  const report = z
    .object({
      path: z.string(),
      copy: z.string(),
      config: z.unknown(),
      findings: z.array(z.unknown()),
      next: z.array(z.string()),
    })
    .parse(parsed(said.out));
  assert.deepEqual([report.path, report.copy], [path, `${path}.bak`]);
  assert.deepEqual(report.config, after);
  assert.equal(report.next[0], 'kuznia secret add t');
});

test('replacing is asked about: anything but a yes leaves the file as it is', async (t) => {
  const home = tempHome(t);
  const path = join(home, 'kuznia.json');
  writeFileSync(path, '{}');
  for (const [answer, code] of [
    ['', 3],
    ['n', 3],
    ['y', 0],
  ] as const) {
    const { ask, asked } = person(['y', '', '', answer]);
    const { io, said } = paper(home);
    const options = { names: ['sandbox'], io, ask, check: false, json: false, signal: never };
    assert.equal(await begin({}, options), code);
    assert.match(asked.at(-1) ?? '', /^Replace .*kuznia\.json\? A copy/);
    assert.match(said.out, code === 0 ? /Written: .*\nNext:\n {2}kuznia doctor/ : /Nothing was written/);
    assert.equal(readFileSync(path, 'utf8') === '{}', code !== 0);
  }
});

test('a configuration that the host would refuse is told before anything is replaced', async (t) => {
  const home = tempHome(t);
  const path = join(home, 'kuznia.json');
  const wrong = JSON.stringify({ modles: {} });
  writeFileSync(path, wrong);
  const { io } = paper(home);
  const options = { names: ['sandbox'], io, check: false, json: true, signal: never };
  await assert.rejects(begin({}, options), /Did you mean models/);
  assert.equal(readFileSync(path, 'utf8'), wrong);
  assert.equal(existsSync(`${path}.bak`), false);
});

test('live: the servers are started, and what a flag names must answer', async (t) => {
  const url = await gitlab(t);
  const home = tempHome(t);
  const run = async (given: Partial<Choices>) => {
    const { io, said } = paper(home);
    const code = await begin(given, { names: ['sandbox'], io, check: true, json: true, signal: never });
    const { findings } = z
      .object({ findings: z.array(z.object({ name: z.string(), ok: z.boolean(), found: z.string() })) })
      .parse(parsed(said.out));
    return { code, findings };
  };
  const ok = await run({ gitlab: { url, readOnly: false }, ollama: NOWHERE });
  assert.equal(ok.code, 1, 'a flag named Ollama');
  assert.ok(ok.findings.find(({ name }) => name === 'gitlab')?.ok);
  const started = ok.findings.find(({ name }) => name === 'server sandbox');
  assert.match(started?.found ?? '', /^ready, \d+ tools$/);
});

test('--print-snippet writes the snippet alone to standard output', async (t) => {
  const { io, said } = paper(tempHome(t));
  assert.equal(await command.run(['--print-snippet', 'zed'], io), 0);
  assert.ok(
    z.looseObject({ context_servers: z.looseObject({}) }).safeParse(parsed(said.out)).success,
    said.out,
  );
  assert.match(said.err, /^Zed: settings\.json/);
});

test('what was mistyped is told, and exits 2', async (t) => {
  const { io } = paper(tempHome(t));
  const cases: [string[], RegExp][] = [
    [['--print-snippet', 'vscod'], /Did you mean vscode/],
    [['--yes', '--without', 'sandbx'], /Did you mean sandbox/],
    [['--json'], /init --yes/],
    [['--yes', '--gitlab-token', 'glpat-0123456789abcdefghij'], /no name of a secret/],
    [['now'], /takes no words/],
  ];
  for (const [args, message] of cases) {
    await assert.rejects(command.run(args, io), (error: Error) => {
      assert.match(error.message, message);
      assert.equal(exitCode(error), 2);
      return true;
    });
  }
});
