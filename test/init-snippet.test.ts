import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compose, secretRef, webAddress } from '../host/init/compose.ts';
import { editors, launchOf } from '../host/init/snippets.ts';
import { parsed } from './support.ts';

const LAUNCH = { command: 'npx', args: ['-y', 'kuznia', 'serve'], env: {} };
const HOMED = { ...LAUNCH, env: { KUZNIA_HOME: "/home/o'neil/k" } };

test('each editor gets its own form', () => {
  const own = { command: 'npx', args: ['-y', 'kuznia', 'serve'] };
  const expected: Record<string, unknown> = {
    vscode: { servers: { kuznia: { type: 'stdio', ...own } } },
    cursor: { mcpServers: { kuznia: own } },
    'claude-desktop': { mcpServers: { kuznia: own } },
    zed: { context_servers: { kuznia: own } },
    jetbrains: { mcpServers: { kuznia: own } },
    cline: { mcpServers: { kuznia: { ...own, disabled: false, alwaysAllow: [] } } },
    opencode: {
      $schema: 'https://opencode.ai/config.json',
      mcp: { kuznia: { type: 'local', command: ['npx', '-y', 'kuznia', 'serve'], enabled: true } },
    },
  };
  for (const [name, { write, where }] of Object.entries(editors)) {
    assert.ok(where.length > 0);
    const text = write(LAUNCH);
    if (expected[name]) assert.deepEqual(parsed(text), expected[name], name);
    assert.match(write(HOMED), /KUZNIA_HOME/, name);
  }
  assert.deepEqual(parsed(editors.opencode.write(HOMED)), {
    $schema: 'https://opencode.ai/config.json',
    mcp: {
      kuznia: {
        type: 'local',
        command: ['npx', '-y', 'kuznia', 'serve'],
        enabled: true,
        environment: HOMED.env,
      },
    },
  });
  assert.equal(
    editors['claude-code'].write(HOMED),
    String.raw`claude mcp add --scope user --env 'KUZNIA_HOME=/home/o'\''neil/k' --transport stdio kuznia -- npx -y kuznia serve`,
  );
  assert.equal(
    editors.continue.write(LAUNCH),
    'name: "Kuznia"\nversion: "0.0.1"\nschema: "v1"\nmcpServers:\n  - name: "kuznia"\n    command: "npx"\n    args: ["-y","kuznia","serve"]',
  );
  assert.match(
    editors.goose.write(LAUNCH),
    /^extensions:\n {2}kuznia:\n {4}name: "kuznia"\n {4}type: "stdio"\n {4}cmd: "npx"/,
  );
});

test('the command is the one that it was installed by', () => {
  const at = (file: string, platform = 'linux') =>
    launchOf({ file, node: '/usr/bin/node', platform }, undefined);
  assert.deepEqual(at('/usr/lib/node_modules/kuznia/dist/host/main.js'), LAUNCH);
  assert.equal(at('C:\\x\\node_modules\\kuznia\\dist\\host\\main.js', 'win32').command, 'cmd');
  for (const file of ['/src/kuznia/dist/host/main.js', '/src/kuznia/host/main.ts']) {
    assert.deepEqual(at(file).args, ['/src/kuznia/dist/host/main.js', 'serve']);
  }
});

test('addresses and references', () => {
  assert.equal(webAddress('gitlab.com/sub/', 'x'), 'https://gitlab.com/sub');
  assert.equal(webAddress('http://10.0.0.7:8080', 'x'), 'http://10.0.0.7:8080');
  for (const text of ['ftp://x', 'http://', 'a b'])
    assert.throws(() => webAddress(text, 'x'), /expected a web address/);
  assert.equal(secretRef('secret://a.b'), 'secret://a.b');
  for (const text of ['glpat-0123456789abcdefghij', 'Has Spaces', '', 'x'.repeat(65)]) {
    assert.throws(
      () => secretRef(text),
      (error: Error) => text === '' || !error.message.includes(text),
    );
  }
  const off = compose({ mcpServers: { gitlab: true } }, { servers: { gitlab: false } });
  assert.deepEqual(off['mcpServers'], { gitlab: false });
});
