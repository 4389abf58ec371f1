import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { connect } from '../host/mcp/connections.ts';
import { doors } from '../host/mcp/doors.ts';
import { isAlive } from '../kit/alive.ts';
import { noJournal } from '../kit/journal.ts';
import { start, startSession, until } from './support.ts';

// Servers that end neither with their input nor when they are asked to, and a host that is ended in every way.

const main = fileURLToPath(new URL('../host/main.ts', import.meta.url));
const script = join(import.meta.dirname, 'fixtures', 'foreign.mjs');

test('a server that outlives its host, which was killed, is ended by the next one, and nobody else is', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'kuznia-orphan-'));
  t.after(() => rm(home, { recursive: true, force: true, maxRetries: 3 }));
  const note = join(home, 'pid');
  const notes = { command: process.execPath, args: [script, 'stubborn', note] };
  const mcpServers = { notes, sandbox: false, gitlab: false, auth: false };
  await writeFile(join(home, 'kuznia.json'), JSON.stringify({ mcpServers }));
  const records = join(home, 'run', 'children');
  const host = await startSession(t, main, { args: ['serve'], env: { KUZNIA_HOME: home } });
  const [name = ''] = await until(
    'a record',
    async () => {
      const names = await readdir(records).catch(() => []);
      return names.some((one) => one.endsWith('.json')) && names;
    },
    20_000,
  );
  host.kill('SIGKILL');
  await host.exited;
  const pid = Number(await readFile(note, 'utf8'));
  assert.ok(isAlive(pid));
  // As if its number had been given to another process since.
  const bystander = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  t.after(() => bystander.kill('SIGKILL'));
  const record = z.looseObject({ children: z.array(z.looseObject({})) });
  const said = record.parse(JSON.parse(await readFile(join(records, name), 'utf8')));
  said.children.push({ pid: bystander.pid, began: '1' });
  await writeFile(join(records, name), JSON.stringify(said));
  const next = await connect(doors([]), { home, journal: noJournal, env: {} });
  await until('it is gone', () => !isAlive(pid), 20_000);
  await until('the record too', async () => (await readdir(records)).length === 0);
  assert.equal(bystander.exitCode, null);
  await next.close();
});

for (const when of ['while the servers start', 'while they are being ended']) {
  test(`a host that is asked to end ${when} leaves no server behind`, async (t) => {
    const home = await mkdtemp(join(tmpdir(), 'kuznia-early-'));
    t.after(() => rm(home, { recursive: true, force: true, maxRetries: 3 }));
    const note = join(home, 'pid');
    const how = when.includes('start') ? 'hangs-stubborn' : 'stubborn';
    const notes = { command: process.execPath, args: [script, how, note] };
    const mcpServers = { notes, sandbox: false, gitlab: false, auth: false };
    await writeFile(join(home, 'kuznia.json'), JSON.stringify({ mcpServers }));
    const host = when.includes('start')
      ? start(t, main, { args: ['serve'], env: { KUZNIA_HOME: home } })
      : await startSession(t, main, { args: ['serve'], env: { KUZNIA_HOME: home } });
    const pid = Number(
      await until('the server', () => readFile(note, 'utf8').catch(() => undefined), 20_000),
    );
    if (how === 'stubborn') {
      host.endInput();
      await sleep(1_500);
    }
    host.kill('SIGTERM');
    assert.equal(await host.exited, 0);
    await until('it is gone', () => !isAlive(pid), 20_000);
  });
}
