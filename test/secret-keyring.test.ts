import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import { cleanEnv, inline, missing, real, runnable, tempHome, until } from './support.ts';

const skip = missing('KUZNIA_DBUS_DAEMON', 'KUZNIA_GNOME_KEYRING');
const timeout = 90_000;

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** Whether a Secret Service is on the bus, in dbus-send's words. */
async function owned(env: Record<string, string>): Promise<string> {
  const asked = [
    '--session',
    '--print-reply',
    '--dest=org.freedesktop.DBus',
    '/',
    'org.freedesktop.DBus.NameHasOwner',
  ];
  const { stdout } = await promisify(execFile)('dbus-send', [...asked, 'string:org.freedesktop.secrets'], {
    env,
  });
  return stdout;
}

/** GNOME's keyring on a bus of its own. `prompter`: what the bus starts to ask for a password (nothing, if not given). */
async function desktop(t: TestContext, prompter?: string) {
  // Short: it holds sockets.
  const folder = mkdtempSync(join(tmpdir(), 'kr-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  for (const name of ['run', 'data', 'services']) mkdirSync(join(folder, name), { mode: 0o700 });
  const name = 'org.gnome.keyring.SystemPrompter';
  if (prompter)
    writeFileSync(
      join(folder, 'services', `${name}.service`),
      `[D-BUS Service]\nName=${name}\nExec=${prompter}\n`,
    );
  const config = join(folder, 'bus.conf');
  writeFileSync(
    config,
    `<busconfig><type>session</type><listen>unix:path=${folder}/bus</listen><servicedir>${folder}/services</servicedir>
    <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`,
  );
  const own = { HOME: folder, XDG_RUNTIME_DIR: join(folder, 'run'), XDG_DATA_HOME: join(folder, 'data') };
  const env = {
    ...own,
    PATH: process.env['PATH'] ?? '',
    DBUS_SESSION_BUS_ADDRESS: `unix:path=${folder}/bus`,
  };
  const bus = spawn(real('KUZNIA_DBUS_DAEMON'), [`--config-file=${config}`, '--nofork'], {
    env,
    stdio: 'ignore',
  });
  t.after(() => ended(bus));
  await until('the bus', () => existsSync(join(folder, 'bus')));
  let daemon: ChildProcess | undefined;
  const keyring = async (password?: string) => {
    if (daemon) await ended(daemon);
    const args = ['--foreground', '--components=secrets', ...(password === undefined ? [] : ['--unlock'])];
    const one = spawn(real('KUZNIA_GNOME_KEYRING'), args, { env, stdio: ['pipe', 'ignore', 'ignore'] });
    daemon = one;
    one.stdin.end(password ?? '');
    await until('the keyring on the bus', async () => (await owned(env)).includes('true'), 20_000);
  };
  t.after(async () => {
    if (daemon) await ended(daemon);
  });
  return { env, keyring, endBus: () => ended(bus) };
}

/** `kuznia …` in a session of that desktop. */
async function kuznia(home: string, session: Record<string, string>, words: string[], input = '') {
  const env = { ...cleanEnv(home), ...session, KUZNIA_HOME: home };
  const started = performance.now();
  const child = spawn(process.execPath, [...runnable('host/main.ts'), ...words], { env, stdio: 'pipe' });
  let text = '';
  for (const pipe of [child.stdout, child.stderr])
    pipe.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stdin.end(input);
  const [exit] = z.array(z.unknown()).parse(await once(child, 'close'));
  return { exit, text, ms: performance.now() - started };
}

/** What a server's settings would get for `secret://token`, in a process of its own. */
async function resolved(home: string, session: Record<string, string>) {
  const code = `const { resolveSecret } = await import('./kit/secrets.ts');
    try { console.log('got ' + (await resolveSecret('secret://token')).replace('kz', '')) } catch (e) { console.log(e.name + ': ' + e.message) }`;
  const env = { ...cleanEnv(home), ...session, KUZNIA_HOME: home };
  const child = spawn(process.execPath, inline(code), { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await once(child, 'close');
  return text.trim();
}

test(
  'the key is kept in the keyring, and found there by other processes, after a restart too',
  { skip, timeout },
  async (t) => {
    const { env, keyring } = await desktop(t);
    const home = tempHome(t);
    await keyring('open sesame');
    const added = await kuznia(home, env, ['secret', 'add', 'token'], 'kzcanary-keyring-1');
    assert.equal(added.exit, 0, added.text);
    assert.equal(readFileSync(join(home, 'secrets', 'store.json'), 'utf8'), '{"identity":"keyring"}\n');
    assert.ok(!existsSync(join(home, 'secrets', 'identity.txt')));
    assert.equal(await resolved(home, env), 'got canary-keyring-1');
    assert.match((await kuznia(home, env, ['secret', 'list'])).text, /in the system's keyring/);
    assert.match((await kuznia(home, env, ['doctor'])).text, /key is in\s+the system's keyring/);
    await keyring('open sesame');
    assert.equal(await resolved(home, env), 'got canary-keyring-1');
    // Another data folder has a key of its own.
    const other = tempHome(t);
    assert.equal((await kuznia(other, env, ['secret', 'add', 'token'], 'kzcanary-keyring-2')).exit, 0);
    assert.deepEqual(
      [await resolved(home, env), await resolved(other, env)],
      ['got canary-keyring-1', 'got canary-keyring-2'],
    );
  },
);

test(
  'a locked keyring is told with what to do, and nothing is begun beside it',
  { skip, timeout },
  async (t) => {
    const { env, keyring } = await desktop(t);
    const home = tempHome(t);
    await keyring('open sesame');
    await kuznia(home, env, ['secret', 'add', 'token'], 'kzcanary-keyring-1');
    await keyring();
    assert.match(
      await resolved(home, env),
      /^(?:KeyringError|SecretError|StoreError): .*locked.*Unlock it.*try again/,
    );
    const doctor = await kuznia(home, env, ['doctor']);
    assert.match(doctor.text, /locked/);
    const more = await kuznia(home, env, ['secret', 'add', 'more'], 'kzcanary-keyring-3');
    assert.notEqual(more.exit, 0);
    assert.match(more.text, /locked.*Unlock it/);
    assert.ok(!existsSync(join(home, 'secrets', 'identity.txt')));
    await keyring('open sesame');
    assert.equal(await resolved(home, env), 'got canary-keyring-1');
  },
);

test('one that waits for a password on the screen does not hold us', { skip, timeout }, async (t) => {
  const { env, keyring } = await desktop(t, '/bin/sleep 80');
  const home = tempHome(t);
  await keyring('open sesame');
  await kuznia(home, env, ['secret', 'add', 'token'], 'kzcanary-keyring-1');
  await keyring();
  // An empty data folder, too: no second place is chosen while the first may open in a moment.
  const fresh = tempHome(t);
  const [known, begun] = await Promise.all([
    kuznia(home, env, ['secret', 'list']),
    kuznia(fresh, env, ['secret', 'add', 'token'], 'kzcanary-keyring-4'),
  ]);
  for (const { exit, text, ms } of [known, begun]) {
    assert.notEqual(exit, 0, text);
    assert.match(text, /no answer in 10 s: it may be locked.*Unlock it, then try again/);
    assert.ok(ms < 25_000, `${ms} ms`);
  }
  assert.match(begun.text, /KUZNIA_KEYRING=off/);
  assert.ok(!existsSync(join(fresh, 'secrets', 'store.json')));
  const off = await kuznia(
    fresh,
    { ...env, KUZNIA_KEYRING: 'off' },
    ['secret', 'add', 'token'],
    'kzcanary-keyring-4',
  );
  assert.equal(off.exit, 0, off.text);
  assert.ok(existsSync(join(fresh, 'secrets', 'identity.txt')));
  assert.equal(await resolved(fresh, env), 'got canary-keyring-4', 'and that choice stays');
});

test(
  'a keyring that is gone: what can be recovered is said; one that comes back still fits',
  { skip, timeout },
  async (t) => {
    const { env, keyring, endBus } = await desktop(t);
    const home = tempHome(t);
    await keyring('open sesame');
    await kuznia(home, env, ['secret', 'add', 'token'], 'kzcanary-keyring-1');
    // A folder that was moved away and comes back finds its key, although another store was begun in its place.
    const secrets = join(home, 'secrets');
    renameSync(secrets, `${secrets}.away`);
    assert.equal((await kuznia(home, env, ['secret', 'add', 'other'], 'kzcanary-keyring-5')).exit, 0);
    rmSync(secrets, { recursive: true });
    renameSync(`${secrets}.away`, secrets);
    assert.equal(await resolved(home, env), 'got canary-keyring-1');
    // Another keyring, as on another computer or after its files were lost.
    const elsewhere = await desktop(t);
    await elsewhere.keyring('another');
    assert.match(
      await resolved(home, elsewhere.env),
      /identity is gone from the system's keyring \(or this session has another.*Without it nothing.*restore it from a backup.*begin anew: mv .*kuznia login/,
    );
    // No bus: a job of cron, a session over ssh.
    await endBus();
    assert.match(
      await resolved(home, env),
      /keyring cannot be reached from here.*belongs to the desktop session/,
    );
    assert.match(
      await resolved(home, {}),
      /keyring cannot be reached from here.*belongs to the desktop session/,
    );
  },
);
