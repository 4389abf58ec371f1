import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { SecretStore } from '../kit/secret-store.ts';
import { authHome } from './auth-kit.ts';
import { runnable, until } from './support.ts';

const root = join(import.meta.dirname, '..');
const found = spawnSync('tmux', ['-V']).status === 0;
const skip =
  found || process.env['REQUIRE_REAL'] === '1'
    ? false
    : 'tmux is not installed: it gives this test its terminal';
const socket = `kuznia-secret-${process.pid}`;
const tmux = async (...args: string[]) =>
  (await promisify(execFile)('tmux', ['-u', '-L', socket, '-f', '/dev/null', ...args])).stdout;

test(
  'what is typed or pasted is never on the screen, wherever stdout goes',
  { skip, timeout: 60_000 },
  async (t) => {
    const home = authHome(t);
    const settings = [`KUZNIA_HOME=${home}`, 'PS1=> ', 'KUZNIA_KEYRING=off'].flatMap((one) => ['-e', one]);
    await tmux(
      'new-session',
      '-d',
      '-s',
      'a',
      '-x',
      '160',
      '-y',
      '60',
      '-c',
      root,
      ...settings,
      'bash',
      '--norc',
    );
    t.after(() => tmux('kill-server').catch(() => undefined));
    const screen = () => tmux('capture-pane', '-p', '-t', 'a');
    const press = (...keys: string[]) => tmux('send-keys', '-t', 'a', ...keys);
    const shows = (what: RegExp) => until(String(what), async () => what.test(await screen()), 20_000);
    const node = `${process.execPath} ${runnable(join(root, 'host', 'main.ts')).join(' ')} secret add`;
    let said = '';
    const add = async (command: string, label: RegExp, input: () => Promise<unknown>, done: RegExp) => {
      await press('-l', `${node} ${command}; echo "exit $?."`);
      await press('Enter');
      await shows(label);
      await input();
      await shows(done);
      said += await screen();
      await press('-l', 'clear');
      await press('Enter');
    };
    const type = (text: string, end: string) => async () => {
      await press('-l', text);
      await press(end);
    };
    const paste = (text: string) => async () => {
      await tmux('set-buffer', '--', text);
      await tmux('paste-buffer', '-t', 'a');
    };
    await add('one', /\nValue of one \(not shown\):/, type('kzcanary-typed-1', 'Enter'), /Kept.*exit 0\./s);
    await add(
      'two --json | cat',
      /\nValue of two \(not shown\):/,
      type('kzcanary-typed-2', 'Enter'),
      /"added":"two".*exit 0\./s,
    );
    await add('three', /\nValue of three \(not shown\):/, type('kzcanary-typed-3', 'C-c'), /exit 130\./);
    await add('four', /\nValue of four \(not shown\):/, type('', 'C-d'), /Nothing was typed.*exit 2\./s);
    const key = '-----BEGIN KEY-----\nkzcanary-pasted-1\nkzcanary-pasted-2\n';
    await add('five', /\nValue of five \(not shown\):/, paste(key), /Several lines.*exit 2\./s);
    await add(
      'six --totp',
      /\notpauth/,
      paste('otpauth://totp/A:b?secret=JBSWY3DPEHPK3PXP\n'),
      /Enrolled.*exit 0\./s,
    );
    assert.ok(!/canary|JBSWY3DP|-----BEGIN/.test(said), said);
    const all = await new SecretStore(home).all();
    assert.deepEqual([all['one']?.value, all['two']?.value], ['kzcanary-typed-1', 'kzcanary-typed-2']);
    assert.deepEqual(Object.keys(all).sort(), ['one', 'six', 'two']);
  },
);
