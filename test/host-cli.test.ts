import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { exitCode, type Command, type Io } from '../host/terminal/io.ts';
import { wantedHost, wantedModel } from '../host/models/models.ts';
import { noJournal } from '../kit/journal.ts';
import { ollamaDouble, type Asked, type DoubleModel, type Reply } from './doubles/ollama.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
// As it is shipped; `npm test` builds it first.
const dist = join(root, 'dist');
const version = z
  .object({ version: z.string() })
  .parse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))).version;
let home = '';

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'kuznia-cli-'));
});

after(async () => {
  await rm(home, { recursive: true, force: true });
});

interface Ran {
  code: number | null;
  out: string;
  err: string;
  ms: number;
}

/** Runs `kuznia`; `interruptOn`: sends SIGINT as soon as it becomes true. */
function kuznia(
  args: string[],
  options: {
    ollama?: string;
    input?: string;
    interruptOn?: () => boolean;
    env?: Record<string, string>;
  } = {},
): Promise<Ran & { stopMs: number }> {
  const { ollama = 'http://127.0.0.1:9', input = '', interruptOn } = options;
  const base = { PATH: process.env['PATH'] ?? '', HOME: home, KUZNIA_HOME: home, OLLAMA_HOST: ollama };
  const started = performance.now();
  const child = spawn(process.execPath, [join(dist, 'host', 'main.js'), ...args], {
    env: { ...base, ...options.env },
  });
  const ran: Ran & { stopMs: number } = { code: null, out: '', err: '', ms: 0, stopMs: 0 };
  child.stdout.on('data', (data: Buffer) => (ran.out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (ran.err += data.toString()));
  child.stdin.end(input);
  const deadline = setTimeout(() => child.kill('SIGKILL'), 60_000);
  let stopped = 0;
  const watch = setInterval(() => {
    if (stopped > 0 || !interruptOn?.()) return;
    stopped = performance.now();
    child.kill('SIGINT');
  }, 10);
  return new Promise((done) => {
    child.on('close', (code) => {
      clearTimeout(deadline);
      clearInterval(watch);
      done({ ...ran, code, ms: performance.now() - started, stopMs: performance.now() - stopped });
    });
  });
}

async function ollama(t: TestContext, reply: (asked: Asked) => Reply, models?: DoubleModel[]) {
  const double = await ollamaDouble({ reply, models });
  t.after(() => double.close());
  return double;
}

const CODE = 'export default () => 123457 * 3';
const runCode: Reply = { calls: [{ name: 'sandbox_run_code', arguments: { code: CODE } }] };
const answerFrom = ({ text }: Asked): Reply => ({
  content: text.includes('370371') ? 'It is 370371.' : 'Unknown.',
});

/** Where nobody reads: for commands that are wrong before they do anything. */
const deaf: Io = {
  out: () => {},
  err: () => {},
  env: {},
  interactive: false,
  colour: false,
  columns: () => 80,
};

const commands: Record<string, () => Promise<{ command: Command }>> = {
  chat: () => import('../host/chat.ts'),
  run: () => import('../host/run.ts'),
  call: () => import('../host/call.ts'),
  tools: () => import('../host/tools.ts'),
  serve: () => import('../host/serve.ts'),
  models: () => import('../host/models-command.ts'),
  approve: () => import('../host/approve.ts'),
  init: () => import('../host/init.ts'),
  secret: () => import('../host/secret.ts'),
  login: () => import('../host/login.ts'),
  token: () => import('../host/token.ts'),
  eval: () => import('../host/eval.ts'),
  log: () => import('../host/log.ts'),
  doctor: () => import('../host/doctor.ts'),
};

test('--version, --help, and the help of each command with an example', async () => {
  const [told, help, one] = await Promise.all([
    kuznia(['--version']),
    kuznia(['--help']),
    kuznia(['log', '--help']),
  ]);
  assert.equal(told.out, `${version}\n`);
  assert.equal(help.code, 0);
  const names = [...help.out.matchAll(/^ {2}(\w+) {2,}\w/gm)].map(([, name = '']) => name);
  assert.deepEqual(names, Object.keys(commands));
  assert.equal(one.code, 0);
  for (const [name, load] of Object.entries(commands)) {
    const { command } = await load();
    if (name === 'log') assert.equal(one.out.trim(), command.help.trim());
    assert.match(command.help, /^Usage: kuznia/m, name);
    assert.match(command.help, /^Example: .*kuznia/m, name);
    for (const line of command.help.split('\n')) assert.ok(line.length <= 120, line);
  }
});

test('what was mistyped is told with what was meant, and exits 2', async () => {
  const cases: [string, string[], RegExp][] = [
    ['run', ['x', '--jsno'], /no option --jsno. Did you mean --json\?/],
    ['run', [], /needs a task in quotes/],
    ['call', [], /One tool and one JSON object/],
    ['call', ['sandbox_run_code', '{code}'], /one JSON object in quotes.*not: \{code\}/],
    ['approve', ['x'], /A name and a version/],
    ['approve', ['x', '1.0.0', '--yes', '--refuse'], /exclude each other/],
    ['log', ['--since', 'soon'], /--since soon: expected 30m/],
    ['log', ['--kind', 'x'], /--kind is one of/],
    ['serve', ['sandbx'], /no server `sandbx`. Did you mean sandbox\?/],
  ];
  for (const [name, args, message] of cases) {
    const { command } = (await commands[name]?.()) ?? assert.fail(name);
    await assert.rejects(command.run(args, deaf), (error: Error) => {
      assert.match(error.message, message);
      assert.equal(exitCode(error), 2);
      return true;
    });
  }
  const [near, far] = await Promise.all([kuznia(['doctr']), kuznia(['qqq'])]);
  assert.match(near.err, /^kuznia: There is no command `doctr`. Did you mean `kuznia doctor`\?.*\n$/);
  assert.match(far.err, /no command `qqq`. See `kuznia --help`/);
  for (const { code, out } of [near, far]) assert.deepEqual({ code, out }, { code: 2, out: '' });
});

test('call: the result, a tool’s failure, an unknown tool, wrong arguments', async () => {
  const [right, json, failing, unknown, wrong] = await Promise.all([
    kuznia(['call', 'sandbox_run_code', '-'], { input: JSON.stringify({ code: CODE }) }),
    kuznia(['call', 'sandbox_run_code', JSON.stringify({ code: CODE }), '--json']),
    kuznia(['call', 'sandbox_run_code', '{"code": "throw new Error(\'broken\')"}', '--json']),
    kuznia(['call', 'sandbox_run_coed', '{}']),
    kuznia(['call', 'sandbox_run_code', '{"cod": "1"}']),
  ]);
  assert.equal(right.code, 0, right.err);
  assert.match(right.out, /"value": 370371/);
  const line = z.object({ ok: z.literal(true), value: z.object({ value: z.literal(370371) }) });
  line.parse(JSON.parse(json.out));
  assert.equal(failing.code, 1);
  assert.match(failing.out, /^\{"ok":false,"error":".*broken/);
  assert.equal(unknown.code, 2);
  assert.match(unknown.err, /no tool `sandbox_run_coed`. Nearest: sandbox_run_code/);
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /not called: .*"code"/);
});

test('call and tools wait for a server that starts slowly; tools names one that does not start', async (t) => {
  const other = await mkdtemp(join(tmpdir(), 'kuznia-late-'));
  t.after(() => rm(other, { recursive: true, force: true }));
  const script = join(import.meta.dirname, 'fixtures', 'foreign.mjs');
  const server = (how: string) => ({ command: process.execPath, args: [script, how] });
  const mcpServers = {
    sandbox: false,
    gitlab: false,
    auth: false,
    late: server('late'),
    dead: server('dies'),
  };
  await writeFile(join(other, 'kuznia.json'), JSON.stringify({ mcpServers }));
  const env = { KUZNIA_HOME: other };
  const [said, tools] = await Promise.all([
    kuznia(['call', 'say', '{"text": "at last"}'], { env }),
    kuznia(['tools'], { env }),
  ]);
  assert.equal(said.code, 0, said.err);
  assert.match(said.out, /said at last/);
  assert.match(tools.out, /^say /m);
  assert.match(tools.err, /^Without the tools of dead: .*cannot find its settings/m);
});

test('call of a tool of ours starts its server only', async (t) => {
  const other = await mkdtemp(join(tmpdir(), 'kuznia-own-'));
  t.after(() => rm(other, { recursive: true, force: true }));
  const note = join(other, 'started');
  const starts = { command: 'sh', args: ['-c', `echo started > '${note}'; exit 1`] };
  await writeFile(join(other, 'kuznia.json'), JSON.stringify({ mcpServers: { starts } }));
  const call = (tool: string) => kuznia(['call', tool, '{"code": "6 * 7"}'], { env: { KUZNIA_HOME: other } });
  const right = await call('sandbox_run_code');
  assert.equal(right.code, 0, right.err);
  assert.match(right.out, /42/);
  assert.ok(!existsSync(note));
  assert.match((await call('sandbox_run_coed')).err, /Nearest: sandbox_run_code/);
  assert.ok(existsSync(note), 'where ours have no such tool, all are asked');
});

test('call: what others wrote for a reader is shown so; a form that nobody can fill in is told', async (t) => {
  const other = await mkdtemp(join(tmpdir(), 'kuznia-form-'));
  t.after(() => rm(other, { recursive: true, force: true }));
  const args = [join(import.meta.dirname, 'fixtures', 'foreign.mjs'), 'form'];
  const mcpServers = {
    notes: { command: process.execPath, args },
    sandbox: false,
    gitlab: false,
    auth: false,
  };
  await writeFile(join(other, 'kuznia.json'), JSON.stringify({ mcpServers }));
  const { out, err, code } = await kuznia(['call', 'say'], { env: { KUZNIA_HOME: other } });
  assert.match(out, /^Filled in:\n\{"action":"(?:cancel|decline)"\}\n$/);
  assert.match(err, /^kuznia: notes asked: Who\? Call it at a terminal to answer\.$/m);
  assert.equal(code, 3);
});

test('tools and doctor say what there is, log what was done', async () => {
  const [tools, doctor, log, none] = await Promise.all([
    kuznia(['tools', '--json']),
    kuznia(['doctor', '--json']),
    kuznia(['log', '--tool', 'sandbox_run_*', '--json']),
    kuznia(['log', '--tool', 'nothing']),
  ]);
  const listed = z
    .object({ tools: z.array(z.object({ name: z.string(), effect: z.string() })) })
    .parse(JSON.parse(tools.out));
  assert.ok(listed.tools.some(({ name, effect }) => name === 'sandbox_run_code' && effect === 'read'));
  const checks = z
    .object({
      ok: z.boolean(),
      checks: z.array(z.object({ name: z.string(), ok: z.boolean(), fix: z.string().optional() })),
    })
    .parse(JSON.parse(doctor.out));
  assert.equal(doctor.code, 0, doctor.out);
  assert.deepEqual(
    checks.checks.map(({ name, ok }) => `${name} ${ok}`),
    ['node true', 'git true', 'typescript true', 'data true', 'registry true', 'runner true', 'ollama false'],
  );
  assert.match(checks.checks.at(-1)?.fix ?? '', /ollama pull/);
  const lines = log.out.trim().split('\n');
  assert.ok(lines.length >= 3, log.out);
  const totals = z.object({
    totals: z.array(z.object({ name: z.string(), calls: z.number(), errors: z.number() })),
  });
  const [total] = totals.parse(JSON.parse(lines.at(-1) ?? '')).totals;
  assert.ok(
    total && total.name === 'sandbox_run_code' && total.calls >= 3 && total.errors >= 1,
    lines.at(-1),
  );
  assert.match(none.out, /Nothing is recorded/);
});

test('run: a tool is called and the answer alone is on stdout', async (t) => {
  const double = await ollama(t, (asked) => (asked.n === 1 ? runCode : answerFrom(asked)));
  const { code, out, err } = await kuznia(['run', 'What is it?'], { ollama: double.url });
  assert.equal(out, 'It is 370371.\n', err);
  assert.equal(code, 0);
  assert.match(err, /^✓ sandbox_run_code .*370371\n$/);
});

const chosen = ({ body, text }: Asked): Reply => {
  const format = JSON.stringify(body.format ?? '');
  const did = text.includes('370371');
  if (format.includes('"enum"'))
    return { content: JSON.stringify({ tool: did ? 'answer' : 'sandbox_run_code' }) };
  if (format.includes('"code"')) return { content: JSON.stringify({ code: CODE }) };
  return { content: did ? 'It is 370371.' : 'Unknown.' };
};

test('run: a model without tools, and one whose call cannot be parsed', async (t) => {
  const plain = await ollama(t, chosen, [{ name: 'plain', capabilities: ['completion'] }]);
  const garbled = await ollama(t, (asked) => {
    return asked.n === 1
      ? { status: 500, error: `error parsing tool call: raw='{"a', err=eof` }
      : chosen(asked);
  });
  const answer = z.object({
    answer: z.string(),
    model: z.string(),
    calls: z.array(z.object({ tool: z.string(), ok: z.boolean() })),
  });
  const [one, two] = await Promise.all([
    kuznia(['run', 'What is it?', '--json'], { ollama: plain.url }),
    kuznia(['run', 'What is it?', '--json'], { ollama: garbled.url }),
  ]);
  for (const { code, out, err } of [one, two]) {
    const told = answer.parse(JSON.parse(out));
    assert.equal(told.answer, 'It is 370371.');
    assert.deepEqual(told.calls, [{ tool: 'sandbox_run_code', ok: true }]);
    assert.equal(code, 0);
    assert.equal(err, '');
  }
  assert.ok(plain.chats.every((chat) => !chat.tools));
});

test('the model and its server: the environment, then the host’s settings, then those of the sandbox', async (t) => {
  const double = await ollama(t, () => ({ content: 'Here.' }), [{ name: 'first' }, { name: 'second' }]);
  const own = await mkdtemp(join(tmpdir(), 'kuznia-cli-own-'));
  t.after(() => rm(own, { recursive: true, force: true }));
  const write = (file: object) => writeFile(join(own, 'kuznia.json'), JSON.stringify(file));
  const servers = { sandbox: { ollama: double.url, model: 'second' } };
  await write({ servers });
  const env = { KUZNIA_HOME: own, OLLAMA_HOST: '' };
  const { code, out, err } = await kuznia(['run', 'x', '--json'], { env });
  assert.equal(code, 0, err);
  assert.match(out, /"answer":"Here\.".*"model":"second"/);

  const wanted = (vars: Record<string, string>) => {
    const runtime = { home: own, env: vars, journal: noJournal };
    return [wantedHost(runtime), wantedModel(undefined, runtime)];
  };
  await write({ servers, OLLAMA_HOST: 'top', models: { default: 'third' } });
  assert.deepEqual(wanted({}), ['top', 'third']);
  assert.deepEqual(wanted({ OLLAMA_HOST: 'env', KUZNIA_MODEL: 'fourth' }), ['env', 'fourth']);
  await write({ servers, OLLAMA_HOST: 1, models: 'wrong' });
  assert.deepEqual(wanted({}), [double.url, 'second']);
});

test('run: a write without a person exits 3 with the call and the ways to allow it', async (t) => {
  const double = await ollama(t, ({ messages }) => {
    const last = messages.at(-1);
    if (last?.role === 'tool') return { content: `Told: ${last.content}` };
    return { calls: [{ name: 'sandbox_publish_tool', arguments: { name: 'nope' } }] };
  });
  const [asked, json, allowed] = await Promise.all([
    kuznia(['run', 'Publish it.'], { ollama: double.url }),
    kuznia(['run', 'Publish it.', '--json'], { ollama: double.url }),
    kuznia(['run', 'Publish it.', '--allow', 'sandbox_publish_tool'], { ollama: double.url }),
  ]);
  assert.equal(asked.code, 3);
  assert.match(asked.err, /has to allow this call: sandbox_publish_tool \{"name":"nope"\}/);
  assert.match(asked.err, /kuznia run --allow sandbox_publish_tool 'Publish it\.'/);
  assert.match(asked.err, /kuznia call sandbox_publish_tool '\{"name":"nope"\}'/);
  assert.equal(json.code, 3);
  assert.match(json.out, /"needs":\{"tool":"sandbox_publish_tool".*"allow":"--allow sandbox_publish_tool"/);
  assert.equal(allowed.code, 0, 'the tool refuses, the task goes on');
  assert.match(allowed.out, /Told: Error: .*nope/);
});

test('run: no Ollama, no model, a model that is not there: one line, exit 4', async (t) => {
  const bare = await ollama(t, () => ({}), []);
  const [gone, json, empty, missing] = await Promise.all([
    kuznia(['run', 'x']),
    kuznia(['run', 'x', '--json']),
    kuznia(['run', 'x'], { ollama: bare.url }),
    kuznia(['run', 'x', '--model', 'nope:7b'], { ollama: bare.url }),
  ]);
  assert.equal(
    gone.err,
    'kuznia: No Ollama at http://127.0.0.1:9: start it with `ollama serve`, or set OLLAMA_HOST.\n',
  );
  assert.match(json.out, /^\{"error":\{"code":4,"message":"No Ollama/);
  assert.match(empty.err, /no model that can talk.*ollama pull/);
  assert.match(missing.err, /no model nope:7b.*ollama pull nope:7b/);
  for (const { code } of [gone, json, empty, missing]) assert.equal(code, 4);
});

test('run: Ctrl-C ends it at once, while the model is silent and while a tool runs', async (t) => {
  let asked = 0;
  const silent = await ollama(t, () => {
    asked += 1;
    return { silent: true };
  });
  const spinning = await ollama(t, () => {
    asked += 1;
    return {
      calls: [{ name: 'sandbox_run_code', arguments: { code: 'while (true) {}', timeout_ms: 30_000 } }],
    };
  });
  for (const { url } of [silent, spinning]) {
    asked = 0;
    const ran = await kuznia(['run', 'x'], { ollama: url, interruptOn: () => asked > 0 });
    assert.equal(ran.code, 130, ran.err);
    assert.ok(ran.stopMs < 15_000, `${ran.stopMs} ms`);
  }
});

test('chat over pipes: a line in, an answer out, commands', async (t) => {
  const double = await ollama(t, (asked) =>
    asked.messages.at(-1)?.role === 'tool' ? answerFrom(asked) : runCode,
  );
  const input = 'What is it?\n/tools\n/model\n/hepl\n/quit\n';
  const { code, out } = await kuznia([], { ollama: double.url, input });
  assert.equal(code, 0);
  assert.match(out, /^Kuźnia .* · double:4b \(4B, calls tools\)/);
  assert.match(out, /^✓ sandbox_run_code .*370371/m);
  assert.match(out, /^It is 370371\.$/m);
  assert.match(out, /^sandbox_execute_task/m);
  assert.match(out, /^Installed: double:4b/m);
  assert.match(out, /no \/hepl. Did you mean \/help\?/);
});

test('chat: a model that fails is told about, and the chat goes on', async (t) => {
  const double = await ollama(t, ({ n }) =>
    n === 1 ? { status: 500, error: 'out of memory' } : { content: 'Here again.' },
  );
  const { code, out } = await kuznia([], { ollama: double.url, input: 'one\ntwo\n' });
  assert.equal(code, 0);
  assert.match(out, /✗ Ollama failed \(500\): out of memory/);
  assert.match(out, /^Here again\.$/m);
  assert.equal(double.chats[1]?.messages.length, 2, 'the failed question is not asked again');
});

test('without a model: says so, plays a labelled demonstration of the real parts, and leaves nothing', async () => {
  const temporary = await mkdtemp(join(tmpdir(), 'kuznia-cli-tmp-'));
  const { code, out, err } = await kuznia([], { env: { TMPDIR: temporary } });
  assert.equal(code, 0, err);
  const lines = out.split('\n');
  assert.match(lines[0] ?? '', /^No Ollama at .*ollama serve/);
  assert.match(out, /DEMONSTRATION: no model runs/);
  assert.match(out, /round 1: test "1 German".*/, 'the first attempt fails a test');
  assert.match(out, /round 2: manifest, types, tests, stubs, determinism, lint/);
  assert.equal(lines.filter((line) => /^✓ forged_iban_check .*true/.test(line)).length, 2, out);
  assert.match(out, /^✓ sandbox_rollback_tool/m);
  assert.match(out, /^✗ forged_iban_check .*not an IBAN/m);
  assert.equal(lines.filter((line) => /^ {2}(?:kuznia|ollama) /.test(line)).length, 3);
  for (const line of lines) assert.ok(line.length <= 100, line);
  for (let n = 0; n < 20 && (await readdir(temporary)).length > 0; n++) await sleep(50);
  assert.deepEqual(await readdir(temporary), []);
  await rm(temporary, { recursive: true });
});

test('approve: shows the version, decides, and publishing is possible then', async (t) => {
  const draft = {
    name: 'cli_add',
    description: 'Adds two numbers.',
    input_schema: {
      type: 'object',
      properties: { a: { type: 'number' }, b: { type: 'number' } },
      required: ['a', 'b'],
    },
    code: 'export default ({ a, b }) => a + b;',
    tests: [
      { name: 'small', input: { a: 1, b: 2 }, output: 3 },
      { name: 'large', input: { a: 40, b: 2 }, output: 42 },
    ],
  };
  const env = { SANDBOX_ASK: 'all' };
  const saved = await kuznia(['call', 'sandbox_save_tool', JSON.stringify(draft), '--json'], { env });
  const { version: saidVersion } = z
    .object({ value: z.object({ version: z.string() }) })
    .parse(JSON.parse(saved.out)).value;
  const tested = await kuznia(['call', 'sandbox_test_tool', '{"name":"cli_add"}'], { env });
  assert.match(tested.out, new RegExp(`kuznia approve cli_add ${saidVersion}`));
  const headless = await kuznia(
    ['call', 'sandbox_approve_tool', JSON.stringify({ name: 'cli_add', version: saidVersion })],
    { env },
  );
  assert.equal(headless.code, 3);
  assert.match(headless.err, new RegExp(`kuznia approve cli_add ${saidVersion}`));
  const double = await ollama(t, () => ({
    calls: [{ name: 'sandbox_approve_tool', arguments: { name: 'cli_add', version: saidVersion } }],
  }));
  const approving = ['run', 'Approve it.', '--allow', 'sandbox_approve_tool'];
  const [ran, json] = await Promise.all([
    kuznia(approving, { ollama: double.url, env }),
    kuznia([...approving, '--json'], { ollama: double.url, env }),
  ]);
  assert.equal(ran.code, 3, ran.err);
  assert.match(ran.err, new RegExp(`^Decide on it: kuznia approve cli_add ${saidVersion}$`, 'm'));
  assert.doesNotMatch(ran.err, /--allow/);
  assert.equal(json.code, 3);
  assert.match(json.out, new RegExp(`"needs":\\{.*"command":"kuznia approve cli_add ${saidVersion}"`));
  assert.doesNotMatch(json.out, /--allow/);
  const undecided = await kuznia(['approve', 'cli_add', `v${saidVersion}`]);
  assert.equal(undecided.code, 3);
  assert.match(undecided.out, /export default \(\{ a, b \}\) => a \+ b;/);
  assert.match(undecided.err, new RegExp(`Nothing was decided.*kuznia approve cli_add ${saidVersion} --yes`));
  const decided = await kuznia(['approve', 'cli_add', `v${saidVersion}`, '--yes']);
  assert.equal(decided.code, 0, decided.err);
  assert.match(decided.out, new RegExp(`Approved.*"version": "${saidVersion}"`));
  const published = await kuznia(['call', 'sandbox_publish_tool', '{"name":"cli_add"}'], { env });
  assert.equal(published.code, 0, published.err);
  const used = await kuznia(['call', 'forged_cli_add', '{"a": "40", "b": 2}', '--json']);
  assert.match(used.out, /"value":42/);
  const refused = await kuznia(['approve', 'cli_add', saidVersion, '--refuse']);
  assert.equal(refused.code, 0, refused.err);
  assert.match(refused.out, /stays live.*kuznia call sandbox_retire_tool '\{"name": "cli_add"\}'/);
  const again = await kuznia(['approve', 'cli_add', saidVersion, '--refuse', '--json']);
  assert.match(again.out, /"decision":"refuse","live":true/);
  const still = await kuznia(['call', 'forged_cli_add', '{"a": 40, "b": 2}', '--json']);
  assert.match(still.out, /"value":42/);
});
