import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError, allowProgram, command, openCommand } from '../kit/command.ts';
import type { Journal, JournalEntry } from '../kit/journal.ts';
import { registerSecret } from '../kit/secrets.ts';
import { inline } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'kuznia-command-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a script in a Node of its own. */
const node = (script: string, options: Partial<Parameters<typeof command>[2]> = {}) =>
  command('node', ['-e', script], { deadlineMs: 10_000, ...options });

async function failure(work: Promise<unknown>): Promise<CommandError> {
  const error = await work.then(
    () => assert.fail('it should have failed'),
    (error: unknown) => error,
  );
  assert.ok(error instanceof CommandError, String(error));
  return error;
}

const alive = (pid: number) => {
  try {
    process.kill(pid, 0);
    // A zombie is dead too; only the parent has not looked yet.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT' && existsSync(`/proc/${pid}`);
  }
};

async function gone(pid: number): Promise<boolean> {
  for (let i = 0; i < 40 && alive(pid); i++) await sleep(50);
  return !alive(pid);
}

function memory(): { journal: Journal; entries: JournalEntry[] } {
  const entries: JournalEntry[] = [];
  const journal: Journal = {
    record: (entry) => entries.push(entry),
    child: () => journal,
    flush: async () => undefined,
  };
  return { journal, entries };
}

test('input goes in, both outputs and the code come out, and the journal has it', async () => {
  const { journal, entries } = memory();
  const result = await node(
    'process.stdin.pipe(process.stdout); console.error("err ż"); process.exitCode = 3',
    {
      input: 'wejście',
      allowExit: [0, 3],
      journal,
      what: 'echo',
    },
  );
  assert.deepEqual([result.stdout, result.stderr, result.code], ['wejście', 'err ż\n', 3]);
  assert.ok(result.ms > 0);
  const [{ ms = 0, ...entry } = { ms: 0 }] = entries;
  assert.deepEqual(entry, { kind: 'command', name: 'echo', outcome: 'ok', detail: 'exit 3', bytes_in: 15 });
  assert.ok(ms > 0);
});

test('without input a program that asks gets an end at once', async () => {
  assert.equal(
    (await node('process.stdin.on("data", () => 0).on("end", () => console.log("end"))')).stdout,
    'end\n',
  );
});

test('the environment is exactly what was given; git also gets PATH', async () => {
  process.env.KUZNIA_TEST_TOKEN = 'tok';
  const { stdout } = await node('console.log(JSON.stringify(process.env))', { env: { A: '1' } });
  assert.deepEqual(JSON.parse(stdout), { A: '1' });
  const git = await command('git', ['-c', 'alias.env=!env', 'env'], { deadlineMs: 10_000, env: { B: '2' } });
  assert.match(git.stdout, /^B=2$/m);
  assert.match(git.stdout, /^PATH=.+/m);
  assert.doesNotMatch(git.stdout, /TOKEN|HOME=/);
});

test('no shell: arguments arrive as they are', async () => {
  const odd = ['$(touch x)', '; ls', '`id`', 'a b', "it's", '*', ''];
  const { stdout } = await command('node', ['-p', 'JSON.stringify(process.argv.slice(1))', '--', ...odd], {
    deadlineMs: 10_000,
  });
  assert.deepEqual(JSON.parse(stdout), odd);
});

test('a failing command tells its code and stderr, without secrets, and so does the journal', async () => {
  registerSecret('hunter2-command', { label: 'pw' });
  const { journal, entries } = memory();
  const url = 'https://oauth2:glpat-AbCdEfGhIjKlMnOpQrSt@host/x.git';
  const error = await failure(
    node(`console.error("fatal: hunter2-command at ${url}"); process.exit(128)`, { journal }),
  );
  assert.deepEqual([error.reason, error.code, error.program], ['exit', 128, 'node']);
  assert.equal(
    error.message,
    'node failed with exit code 128: fatal: [secret:pw] at https://oauth2:[secret]@host/x.git',
  );
  assert.equal(error.stderr, 'fatal: [secret:pw] at https://oauth2:[secret]@host/x.git');
  assert.deepEqual([entries[0]?.outcome, entries[0]?.detail], ['error', error.message]);
  const git = await failure(
    command('git', ['-C', 'x', '-c', 'a=b', 'nosuchverb', '--token', 'abc'], {
      deadlineMs: 10_000,
      cwd: folder,
    }),
  );
  assert.match(git.message, /^git nosuchverb failed with exit code 128: /);
});

test('a long stderr is told by its end', async () => {
  const error = await failure(node('console.error("x".repeat(50000) + "the reason"); process.exitCode = 1'));
  assert.ok(error.stderr.length <= 2000 && error.stderr.endsWith('the reason'));
  assert.ok(error.message.length < 500 && error.message.endsWith('the reason'));
});

const stubborn = `process.on('SIGTERM', () => 0); setInterval(() => 0, 1000);`;
const withChild = `const c = require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(stubborn)}],
  { stdio: 'inherit' }); require('fs').writeFileSync(process.argv[1], String(c.pid));`;

test('the deadline stops it, and what it started, also against their will', async () => {
  const { journal, entries } = memory();
  const pidFile = join(folder, 'stubborn.pid');
  const started = performance.now();
  const error = await failure(
    command('node', ['-e', `${withChild} ${stubborn}`, pidFile], {
      deadlineMs: 600,
      journal,
      what: 'slow thing',
    }),
  );
  assert.equal(error.message, 'slow thing took longer than 600 ms and was stopped.');
  assert.equal(error.reason, 'deadline');
  const took = performance.now() - started;
  assert.ok(took >= 1500 && took < 15_000, `SIGKILL follows SIGTERM after a second: ${took}`);
  assert.ok(await gone(Number(readFileSync(pidFile, 'utf8'))));
  assert.equal(entries[0]?.outcome, 'timeout');
});

test('cancelling stops it at once, or keeps it from starting', async () => {
  const { journal, entries } = memory();
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 300);
  const started = performance.now();
  const error = await failure(node('setInterval(() => 0, 1000)', { signal: stop.signal, journal }));
  assert.deepEqual([error.reason, error.message], ['cancelled', 'node was cancelled.']);
  assert.ok(performance.now() - started < 10_000);
  const before = await failure(
    node(`require('fs').writeFileSync(${JSON.stringify(join(folder, 'ran'))}, '')`, {
      signal: stop.signal,
      journal,
    }),
  );
  assert.equal(before.reason, 'cancelled');
  assert.ok(!existsSync(join(folder, 'ran')));
  assert.deepEqual(
    entries.map(({ outcome }) => outcome),
    ['cancelled', 'cancelled'],
  );
});

test('endless output is stopped at the limit; a last block too many is told as well', async () => {
  const started = performance.now();
  const error = await failure(
    node('const w = () => process.stdout.write("x".repeat(65536), w); w()', { maxOutputBytes: 1_000_000 }),
  );
  assert.equal(error.message, 'node wrote more than 1000000 bytes and was stopped: ask it for less.');
  assert.ok(performance.now() - started < 15_000);
  // Written by what it left behind, after its own end.
  const late = `setTimeout(() => process.stdout.write('x'.repeat(5000)), 300)`;
  const leaving = `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(late)}], { stdio: 'inherit' }); process.exit(0)`;
  const last = await failure(node(leaving, { maxOutputBytes: 4999 }));
  assert.equal(last.reason, 'output');
  assert.equal(
    (await node('process.stdout.write("x".repeat(5000))', { maxOutputBytes: 5000 })).stdout.length,
    5000,
  );
});

test('a child left behind with the pipes open does not hold us', async () => {
  const pidFile = join(folder, 'left.pid');
  const started = performance.now();
  const { code } = await command('node', ['-e', `${withChild} process.exit(0)`, pidFile], {
    deadlineMs: 20_000,
  });
  assert.equal(code, 0);
  assert.ok(performance.now() - started < 15_000);
  assert.ok(await gone(Number(readFileSync(pidFile, 'utf8'))));
});

test('a program that is killed, and one that does not read its input', async () => {
  const killed = await failure(node('process.kill(process.pid, "SIGKILL")'));
  assert.deepEqual([killed.code, killed.message], [null, 'node was killed by SIGKILL.']);
  assert.equal((await node('process.exit(0)', { input: 'x'.repeat(1e6) })).code, 0);
});

test('missing: the program, with how to install it; the folder; the list', async () => {
  const [path, cwd] = [process.env.PATH, process.cwd()];
  // A git in the folder we are in must not run: only absolute folders of PATH count.
  writeFileSync(join(folder, 'git'), '#!/bin/sh\necho fooled', { mode: 0o755 });
  process.chdir(folder);
  process.env.PATH = ['.', '', './'].join(delimiter);
  try {
    const error = await failure(command('git', ['status'], { deadlineMs: 1000 }));
    assert.equal(error.reason, 'missing');
    assert.match(error.message, /^git is not installed.*Install it: Debian\/Ubuntu `apt-get install git`/);
  } finally {
    process.env.PATH = path;
    process.chdir(cwd);
  }
  const noFolder = await failure(node('0', { cwd: join(folder, 'no') }));
  assert.equal(noFolder.message, `node was not started: the folder ${join(folder, 'no')} does not exist.`);
  for (const program of ['sh', '/bin/sh', './git', 'git ', '']) {
    await assert.rejects(command(program, [], { deadlineMs: 1000 }), /not on the list of programs/);
  }
});

test('allowProgram: listed names only, absolute and plain, the first path stays', async () => {
  const missing = await failure(command('tsc', [], { deadlineMs: 1000 }));
  assert.match(missing.message, /Install it: run `npm ci`/);
  for (const path of ['/bin/sh', '/usr/bin/git']) assert.throws(() => allowProgram(path), /lets others tell/);
  for (const path of ['tsc', `${folder}/../tsc`])
    assert.throws(() => allowProgram(path), /absolute and plain/);
  const tsc = join(folder, 'tsc');
  symlinkSync(process.execPath, tsc);
  allowProgram(tsc);
  allowProgram(tsc);
  assert.throws(() => allowProgram('/tmp/other/tsc'), /already said to be/);
  for (const program of ['tsc', tsc]) {
    assert.equal((await command(program, ['-p', '1+1'], { deadlineMs: 10_000 })).stdout, '2\n');
  }
  await assert.rejects(command('/tmp/other/tsc', [], { deadlineMs: 1000 }), /not on the list/);
});

test('a long-lived child: talks, is killed with its group, tells its code', async (t) => {
  const held = setInterval(() => undefined, 1000);
  t.after(() => clearInterval(held));
  const { journal, entries } = memory();
  const pidFile = join(folder, 'open.pid');
  const child = openCommand('node', ['-e', `${withChild} process.stdin.pipe(process.stdout)`, pidFile], {
    journal,
    what: 'echo',
  });
  child.stdin.write('ping');
  const answer = await new Promise((resolve) => child.stdout.once('data', resolve));
  assert.equal(String(answer), 'ping');
  await child.close();
  await child.close();
  assert.equal(await child.exited, 137);
  assert.ok(!alive(child.pid) && (await gone(Number(readFileSync(pidFile, 'utf8')))));
  assert.deepEqual([entries[0]?.name, entries[0]?.outcome], ['echo', 'ok']);
  const ending = openCommand('node', ['-e', 'process.exit(7)'], { journal });
  assert.equal(await ending.exited, 7);
  assert.deepEqual([entries[1]?.outcome, entries[1]?.detail], ['error', 'exit 7']);
  assert.throws(() => openCommand('node', [], { cwd: join(folder, 'no') }), { reason: 'missing' });
});

test('a long-lived child keeps no process alive, and goes with it', () => {
  const child = `${withChild} setInterval(() => 0, 1000)`;
  const script = `import { openCommand } from './kit/command.ts';
     import { existsSync } from 'node:fs';
     const { pid } = openCommand('node', ['-e', ${JSON.stringify(child)}, ${JSON.stringify(join(folder, 'leaf.pid'))}], {});
     console.log(pid);
     while (!existsSync(${JSON.stringify(join(folder, 'leaf.pid'))})) await new Promise((r) => setTimeout(r, 20));`;
  const parent = spawnSync(process.execPath, inline(script), {
    encoding: 'utf8',
    timeout: 8000,
  });
  assert.equal(parent.status, 0, parent.stderr);
  return Promise.all([
    gone(Number(parent.stdout)),
    gone(Number(readFileSync(join(folder, 'leaf.pid'), 'utf8'))),
  ]).then((all) => assert.deepEqual(all, [true, true]));
});
