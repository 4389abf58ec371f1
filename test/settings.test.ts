import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { matches } from '../host/approvals/pattern.ts';
import { hostSettings } from '../host/settings.ts';

function read(t: TestContext, file: object | string) {
  const home = mkdtempSync(join(tmpdir(), 'kuznia-settings-'));
  t.after(() => rmSync(home, { recursive: true }));
  writeFileSync(join(home, 'kuznia.json'), typeof file === 'string' ? file : JSON.stringify(file));
  return () => hostSettings(home);
}

test('servers: ours by name, others by command or url, in the ecosystem’s words', (t) => {
  const { servers } = read(t, {
    mcpServers: {
      sandbox: { isolated: true },
      files: { command: 'npx', args: ['-y', 'x'], type: 'stdio', timeout_s: 30 },
      old: { url: 'https://h.test/sse', type: 'sse', headers: { A: '${B}' } },
      web: { url: 'https://h.test/mcp', bearer: 'secret://web', protocol: 'auto', tools: ['get_*'] },
      off: { command: 'x', disabled: true },
    },
  })();
  const own = servers.find(({ name }) => name === 'sandbox');
  assert.deepEqual(own, { kind: 'own', name: 'sandbox', isolated: true });
  const others = servers.filter(({ kind }) => kind !== 'own');
  assert.deepEqual(
    others.map((one) => [one.name, one.kind, one.kind === 'url' && one.transport]),
    [
      ['files', 'command', false],
      ['old', 'url', 'sse'],
      ['web', 'url', 'http'],
    ],
  );
});

test('ours are on unless they are set to false; without a file there are defaults', (t) => {
  assert.ok(read(t, {})().servers.some(({ name }) => name === 'sandbox'));
  assert.ok(!read(t, { mcpServers: { sandbox: false } })().servers.some(({ name }) => name === 'sandbox'));
});

const faults: [string, object | string, RegExp][] = [
  ['broken JSON', '{\n  "models": {,\n}', /kuznia\.json, line 3, column 1: remove the comma/],
  [
    'an unknown key',
    { mcpServer: {} },
    /mcpServer in kuznia\.json: there is no such setting\. Did you mean mcpServers\?/,
  ],
  ['an unknown role', { models: { vison: 'x' } }, /models\.vison .* Did you mean vision\?/],
  ['a wrong policy', { approve: [{ tool: 'x', policy: 'maybe' }] }, /approve\.0\.policy in kuznia\.json: /],
  [
    'a word in a rule',
    { approve: [{ tol: 'x', tool: 'x', policy: 'ask' }] },
    /approve\.0\.tol .* Did you mean tool\?/,
  ],
  [
    'a server of ours that is none',
    { mcpServers: { sandbx: true } },
    /mcpServers\.sandbx .* Did you mean sandbox\?/,
  ],
  ['a server without a way', { mcpServers: { x: { args: [] } } }, /needs a command or a url/],
  [
    'a typo in a server',
    { mcpServers: { x: { command: 'a', arg: [] } } },
    /mcpServers\.x\.arg .* Did you mean args\?/,
  ],
  ['a key of other clients', { mcpServers: { x: { command: 'a', timeout: 5 } } }, /Did you mean timeout_s\?/],
  ['ours as another', { mcpServers: { gitlab: { command: 'a' } } }, /is a server of ours.*another name/],
  ['settings of no server', { servers: { gitlb: {} } }, /servers\.gitlb .* Did you mean gitlab\?/],
  ['a wrong name', { mcpServers: { 'a b': { command: 'a' } } }, /letters, digits/],
  ['no object', { mcpServers: [] }, /expected an object/],
];

for (const [name, file, said] of faults) {
  test(`a fault in the file: ${name}`, (t) =>
    assert.throws(read(t, file), { name: 'ConfigError', message: said }));
}

test('patterns', () => {
  assert.ok(matches(['a', 'gitlab_*'], 'gitlab_show'));
  assert.ok(matches(['*_show'], 'gitlab_show'));
  assert.ok(matches(['a*b*c'], 'a12bxc'));
  assert.ok(!matches(['gitlab_*'], 'git_show'));
  assert.ok(!matches(['ab*ba'], 'aba'), 'no sign counts twice');
  assert.ok(!matches(['a.c'], 'abc'), 'a dot is a dot');
});
