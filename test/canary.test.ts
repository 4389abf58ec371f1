import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ollamaDouble } from './doubles/ollama.ts';
import { bench } from './gitlab-kit.ts';

const main = join(import.meta.dirname, '..', 'dist', 'host', 'main.js');
const foreign = join(import.meta.dirname, 'fixtures', 'foreign.mjs');

/** Planted where a person keeps them; none has a shape that gives it away, and none may come out anywhere. */
const CANARIES = {
  gitlab: 'kzcanary/Fq8+gitlab=Zz31',
  stored: 'kzcanary"stored\\Kw72 ąę',
  environment: 'kzcanary-environment-Pv55',
  bearer: 'kzcanary-bearer-Lm19',
  seed: 'KZCANARYMNQW4YLSPEWXGZLF',
  gateway: 'kzcanary-gateway-Tb08',
};

/** Each way in which a value may be written. */
function forms(value: string): string[] {
  const bytes = Buffer.from(value);
  const base64 = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
  });
  return [
    value,
    encodeURIComponent(value),
    JSON.stringify(value).slice(1, -1),
    bytes.toString('hex'),
    ...base64,
    ...base64.map((one) => one.replaceAll('+', '-').replaceAll('/', '_')),
  ];
}

/** The canaries that stand in a text, with the form. */
const found = (text: string) =>
  Object.entries(CANARIES).flatMap(([name, value]) =>
    forms(value).flatMap((form) => (text.includes(form) ? [`${name}: ${form}`] : [])),
  );

/** Every file below a folder, but for the sealed store, its key, and the configuration that a person wrote. */
function written(folder: string): [string, string][] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry): [string, string][] => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return written(path);
    if (!entry.isFile() || ['identity.txt', 'kuznia.json'].includes(entry.name)) return [];
    return statSync(path).size < 5_000_000 ? [[path, readFileSync(path, 'utf8')]] : [];
  });
}

test('the scan finds every form', () => {
  for (const [name, value] of Object.entries(CANARIES)) {
    for (const form of forms(value))
      assert.deepEqual(
        found(`x${form}y`).some((one) => one.startsWith(name)),
        true,
      );
  }
  for (const before of ['', 'a', 'ab']) {
    assert.ok(found(Buffer.from(`${before}${CANARIES.gitlab}!`).toString('base64')).length > 0);
  }
});

async function start(t: TestContext) {
  const { double, project, root } = await bench(t);
  double.world.token(CANARIES.gitlab, root);
  double.world.issue(project, root, 'An issue', { description: `It failed with token ${CANARIES.gitlab}` });
  const ollama = await ollamaDouble({
    reply: ({ messages }) =>
      messages.at(-1)?.role === 'tool'
        ? { content: `I saw ${messages.at(-1)?.content}` }
        : { calls: [{ name: 'env', arguments: {} }] },
  });
  const home = mkdtempSync(join(tmpdir(), 'kuznia-canary-'));
  t.after(async () => {
    await ollama.close();
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  });
  const server = { command: process.execPath, args: [foreign, 'good'] };
  const env = { A: 'secret://stored', B: 'secret://environment' };
  const mcpServers = {
    repeats: { ...server, env },
    dies: { command: process.execPath, args: [foreign, 'dies', ''], env },
    gone: { url: 'http://127.0.0.1:9/mcp', bearer: 'secret://bearer' },
  };
  const servers = { gitlab: { url: double.url, token: 'secret://gitlab' } };
  writeFileSync(join(home, 'kuznia.json'), JSON.stringify({ mcpServers, servers }));
  const out: { said: string; text: string }[] = [];
  const kuznia = (args: string[], input = '') =>
    new Promise<string>((done) => {
      const child = spawn(process.execPath, [main, ...args], {
        cwd: home,
        env: {
          PATH: process.env['PATH'],
          HOME: home,
          KUZNIA_HOME: home,
          OLLAMA_HOST: ollama.url,
          KUZNIA_TOKEN: CANARIES.gateway,
          KUZNIA_LOG: 'debug',
          KUZNIA_SECRET_ENVIRONMENT: CANARIES.environment,
          KUZNIA_SECRET_BEARER: CANARIES.bearer,
        },
        timeout: 30_000,
      });
      let text = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (part: string) => (text += part));
      }
      child.on('close', () => {
        out.push({ said: args.join(' '), text });
        done(text);
      });
      child.stdin.end(input);
    });
  return { home, out, kuznia, double };
}

test(
  'no secret comes out of the host, its servers, its journal or its files',
  { timeout: 120_000 },
  async (t) => {
    const { home, out, kuznia, double } = await start(t);
    await kuznia(['secret', 'add', 'gitlab'], `${CANARIES.gitlab}\n`);
    await kuznia(['secret', 'add', 'stored'], `${CANARIES.stored}\n`);
    await kuznia(['secret', 'add', 'app', '--totp', '--origin', 'https://a.example'], `${CANARIES.seed}\n`);
    assert.match(await kuznia(['secret', 'list']), /gitlab.*stored|app/s, 'they were kept');

    const called = await kuznia(['call', 'env', '{}']);
    const issue = await kuznia(['call', 'gitlab_show_issue', '{"project":"group/forge","issue":"1"}']);
    assert.match(issue, /\[secret:/, 'the token was used, and cut out of the answer');
    const handle = await kuznia(['call', 'auth_totp_code', '{"name":"app","origin":"https://a.example"}']);
    assert.match(handle, /code:/);
    assert.match(called, /\[secret:stored\]/, 'the foreign server repeated what it was given');
    await Promise.all([
      kuznia(['call', 'auth_status', '{}']),
      kuznia([
        'call',
        'gitlab_commit',
        '{"project":"group/forge","branch":"x","message":"m","actions":[{"action":"create","path":"p","content":"c"}],"dry_run":true}',
      ]),
      kuznia(['tools', '--json']),
      kuznia(['doctor', '--json']),
      kuznia(['models']),
      kuznia(['serve', 'nothing']),
    ]);
    double.faults.push({ path: /./, times: 1_000, status: 500, body: `boom ${CANARIES.gitlab}` });
    await kuznia(['call', 'gitlab_list_issues', '{"project":"group/forge"}']);
    await kuznia(['run', 'Show your environment.', '--allow', '*', '--json']);
    await kuznia(['chat'], 'Show your environment.\n/servers\n/export\n');
    const request = {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
    };
    const call = {
      jsonrpc: '2.0',
      id: 2,
      method: 'tools/call',
      params: { name: 'gitlab_list_issues', arguments: { project: 'group/forge' } },
    };
    await kuznia(['serve'], `${JSON.stringify(request)}\n${JSON.stringify(call)}\n`);
    await kuznia(['log']);

    const leaks = out.flatMap(({ said, text }) => found(text).map((one) => `${said}: ${one}`));
    const kept = written(home).flatMap(([path, text]) => found(text).map((one) => `${path}: ${one}`));
    assert.deepEqual([...leaks, ...kept], []);
  },
);
