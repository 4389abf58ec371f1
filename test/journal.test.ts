import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { followJournal, noJournal, openJournal, readJournal, totals } from '../kit/journal.ts';
import type { JournalFilter, KeptEntry } from '../kit/journal.ts';
import { registerSecret } from '../kit/secrets.ts';
import { inline } from './support.ts';

const root = mkdtempSync(join(tmpdir(), 'kuznia-journal-'));
after(() => rmSync(root, { recursive: true, force: true }));
const newHome = () => mkdtempSync(join(root, 'home-'));

async function entries(home: string, filter: JournalFilter = {}): Promise<KeptEntry[]> {
  const all: KeptEntry[] = [];
  for await (const entry of readJournal(home, filter)) all.push(entry);
  return all;
}
const names = async (home: string, filter: JournalFilter = {}) =>
  (await entries(home, filter)).map(({ name }) => name);
const fileOf = (home: string) => join(home, 'journal', `${new Date().toISOString().slice(0, 10)}.jsonl`);

test('nothing is touched before the first record; then one whole line, 0600', async () => {
  const home = newHome();
  const journal = openJournal(home);
  await journal.flush();
  assert.deepEqual(readdirSync(home), []);
  const told = {
    kind: 'tool',
    name: 'sandbox_run_code',
    outcome: 'ok',
    ms: 3,
    client: 'zed',
    bytes_in: 7,
  } as const;
  journal.record(told);
  await journal.flush();
  const [entry, ...more] = await entries(home);
  assert.equal(more.length, 0);
  assert.ok(entry && Math.abs(Date.parse(entry.at) - Date.now()) < 5000);
  const { at: _, ...rest } = entry;
  assert.deepEqual(rest, { ...told, pid: process.pid });
  assert.equal(statSync(fileOf(home)).mode & 0o777, 0o600);
  assert.equal(statSync(join(home, 'journal')).mode & 0o777, 0o700);
});

test('children add fields; the lines of one tick are written without a flush', async () => {
  const home = newHome();
  const call = openJournal(home).child({ server: 'sandbox', call: 'c1' });
  call.record({ kind: 'tool', name: 'a', outcome: 'ok' });
  call.child({ client: 'zed' }).record({ kind: 'http', name: 'b', outcome: 'error', call: 'c2' });
  assert.ok(!existsSync(join(home, 'journal')));
  await sleep(5);
  const [a, b] = await entries(home);
  assert.deepEqual([a?.server, a?.call, a?.client], ['sandbox', 'c1', undefined]);
  assert.deepEqual([b?.server, b?.call, b?.client], ['sandbox', 'c2', 'zed']);
  noJournal.child({}).record({ kind: 'tool', name: 'a', outcome: 'ok' });
  await noJournal.flush();
});

test('never a secret, in no field, and never a line of 4 KiB', async () => {
  registerSecret('hunter2-journal', { label: 'pw' });
  const home = newHome();
  const journal = openJournal(home);
  const bad = `hunter2-journal ${Buffer.from('hunter2-journal').toString('base64')}`;
  const where = { server: bad, client: bad, call: bad, version: bad };
  journal.record({ kind: 'event', name: bad, detail: bad, outcome: 'ok', ...where });
  for (const detail of ['x', '\n', 'ż', '\u{1F600}\u0001', '"'].map((odd) => odd.repeat(9000))) {
    const server = 's'.repeat(5000);
    journal.record({ kind: 'event', name: 'n'.repeat(5000), server, detail, outcome: 'ok' });
  }
  await journal.flush();
  const text = readFileSync(fileOf(home), 'utf8');
  assert.ok(!text.includes('hunter2') && !text.includes('aHVudGVy'));
  const lines = text.trimEnd().split('\n');
  assert.equal(lines.length, 6);
  for (const line of lines) assert.ok(Buffer.byteLength(line) < 4096, String(Buffer.byteLength(line)));
  const kept = await entries(home);
  assert.equal(kept.length, 6);
  assert.ok((kept[1]?.detail?.length ?? 0) > 2000, 'as much as fits is kept');
});

test('half lines, foreign lines and endless lines of killed writers are passed over', async () => {
  const home = newHome();
  const journal = openJournal(home);
  journal.record({ kind: 'tool', name: 'first', outcome: 'ok' });
  await journal.flush();
  const good = readFileSync(fileOf(home), 'utf8');
  const second = good.replace('first', 'second');
  appendFileSync(fileOf(home), `${good.slice(0, 40)}${second}`);
  appendFileSync(
    fileOf(home),
    'not json\n{"at":"x"}\n{"at":"x","pid":1,"kind":"odd","name":"n","outcome":"ok"}\n[]\nnull\n\n',
  );
  appendFileSync(
    fileOf(home),
    `${'z'.repeat(400_000)}\n${good.replace('first', 'third')}${good.slice(0, 30)}`,
  );
  assert.deepEqual(await names(home), ['first', 'second', 'third']);
});

test('filters: kind, name with * and ?, server, outcome, time, newest so many', async () => {
  const home = newHome();
  let now = new Date('2026-03-01T23:00:00Z');
  const journal = openJournal(home, { now: () => now, retentionDays: 99_999 });
  for (let i = 0; i < 10; i++) {
    journal.record({
      kind: i % 2 ? 'http' : 'tool',
      name: `git.lab_${i}`,
      server: i < 5 ? 'gitlab' : 'chat',
      outcome: i === 3 ? 'error' : 'ok',
    });
    await journal.flush();
    now = new Date(now.getTime() + 20 * 60_000);
  }
  assert.deepEqual(readdirSync(join(home, 'journal')).sort(), ['2026-03-01.jsonl', '2026-03-02.jsonl']);
  const found = async (filter: JournalFilter) =>
    (await entries(home, filter)).map((entry) => entry.name.at(-1)).join('');
  assert.equal(await found({}), '0123456789');
  assert.equal(await found({ kind: 'http' }), '13579');
  assert.equal(await found({ name: 'git.lab_?' }), '0123456789');
  assert.equal(await found({ name: 'gitxlab*' }), '');
  assert.equal(await found({ name: '*_3' }), '3');
  assert.equal(await found({ server: 'chat' }), '56789');
  assert.equal(await found({ outcome: 'error' }), '3');
  assert.equal(
    await found({ since: new Date('2026-03-01T23:50:00Z'), until: new Date('2026-03-02T01:00:00Z') }),
    '3456',
  );
  assert.equal(await found({ limit: 2 }), '89');
  assert.equal(await found({ limit: 8, kind: 'tool' }), '02468');
  assert.equal(await found({ limit: 1, until: new Date('2026-03-01T23:59:00Z') }), '2');
  assert.deepEqual(await entries(join(home, 'nowhere')), []);
});

test('a full file is followed by numbered ones, read in order, also by a second writer', async () => {
  const home = newHome();
  const [one, two] = [openJournal(home, { maxFileBytes: 2000 }), openJournal(home, { maxFileBytes: 2000 })];
  for (let i = 0; i < 200; i++) {
    (i % 2 ? one : two).record({ kind: 'tool', name: `n${i}`, outcome: 'ok', detail: 'x'.repeat(50) });
    await (i % 2 ? one : two).flush();
  }
  const files = readdirSync(join(home, 'journal'));
  assert.ok(files.length > 10);
  for (const file of files) assert.ok(statSync(join(home, 'journal', file)).size < 2300);
  assert.deepEqual(
    await names(home),
    Array.from({ length: 200 }, (_, i) => `n${i}`),
  );
  assert.equal((await names(home, { limit: 30 }))[0], 'n170');
});

test('a file that was deleted under the writer is made anew', async () => {
  const home = newHome();
  const journal = openJournal(home);
  journal.record({ kind: 'tool', name: 'a', outcome: 'ok' });
  await journal.flush();
  rmSync(join(home, 'journal'), { recursive: true });
  journal.record({ kind: 'tool', name: 'b', outcome: 'ok' });
  await journal.flush();
  assert.deepEqual(await names(home), ['b']);
});

test('old files go once a process, others stay', async () => {
  const home = newHome();
  mkdirSync(join(home, 'journal'));
  const keep = ['2026-02-27.jsonl', 'notes.txt', '2026-02-27.jsonl.bak'];
  for (const name of ['2020-01-01.jsonl', '2026-02-26.jsonl', '2026-02-26.3.jsonl', ...keep])
    writeFileSync(join(home, 'journal', name), '');
  const options = { retentionDays: 2, now: () => new Date('2026-03-01T12:00:00Z') };
  const journal = openJournal(home, options);
  journal.record({ kind: 'tool', name: 'a', outcome: 'ok' });
  await journal.flush();
  assert.deepEqual(readdirSync(join(home, 'journal')).sort(), [...keep, '2026-03-01.jsonl'].sort());
  writeFileSync(join(home, 'journal', '2020-01-01.jsonl'), '');
  const again = openJournal(home, options);
  again.record({ kind: 'tool', name: 'a', outcome: 'ok' });
  await again.flush();
  assert.ok(existsSync(join(home, 'journal', '2020-01-01.jsonl')));
});

const script = (body: string) => inline(`import { openJournal } from './kit/journal.ts';\n${body}`);

test('writers in four processes never mix their lines; what was recorded before exit is there', async () => {
  const home = newHome();
  const body = `const journal = openJournal(${JSON.stringify(home)});
    for (let i = 0; i < 300; i++) {
      journal.record({ kind: 'tool', name: 'n' + i, outcome: 'ok', detail: String(i % 10).repeat(3000) });
      if (i % 7 === 0) await new Promise(setImmediate);
    }
    process.exit(0);`;
  const writers = Array.from({ length: 4 }, () =>
    spawn(process.execPath, script(body), { stdio: 'inherit' }),
  );
  await Promise.all(writers.map((writer) => once(writer, 'exit')));
  const lines = readFileSync(fileOf(home), 'utf8').trimEnd().split('\n');
  assert.equal(lines.length, 1200);
  for (const line of lines) assert.doesNotThrow(() => JSON.parse(line), line.slice(0, 100));
  assert.equal(new Set((await entries(home)).map(({ pid, name }) => `${pid} ${name}`)).size, 1200);
});

test('a journal that cannot be written warns once and stops nothing', async () => {
  const home = newHome();
  writeFileSync(join(home, 'journal'), 'a file where the folder belongs');
  const body = `const journal = openJournal(${JSON.stringify(home)});
    for (let i = 0; i < 3; i++) { journal.record({ kind: 'tool', name: 'a', outcome: 'ok' }); await journal.flush(); }
    console.log('alive');`;
  const { stdout, stderr } = spawnSync(process.execPath, script(body), { encoding: 'utf8' });
  assert.equal(stdout, 'alive\n');
  const warnings = stderr.trimEnd().split('\n');
  assert.equal(warnings.length, 1, warnings.join('\n'));
  assert.match(
    warnings[0] ?? '',
    /warn the journal in .* cannot be written \(.*\); work goes on without it$/,
  );
});

test('it goes on when the cause is mended', async () => {
  const home = newHome();
  writeFileSync(join(home, 'journal'), '');
  const journal = openJournal(home);
  journal.record({ kind: 'tool', name: 'lost', outcome: 'ok' });
  await journal.flush();
  rmSync(join(home, 'journal'));
  journal.record({ kind: 'tool', name: 'kept', outcome: 'ok' });
  await journal.flush();
  assert.deepEqual(await names(home), ['kept']);
});

test('following tells new entries, after the newest old ones, and ends with its signal', async () => {
  const home = newHome();
  const journal = openJournal(home, { maxFileBytes: 300 });
  const add = async (name: string) => {
    journal.record({ kind: 'tool', name, outcome: 'ok' });
    await journal.flush();
  };
  for (const name of ['a', 'b', 'c']) await add(name);
  const stop = new AbortController();
  const [seen, fresh]: string[][] = [[], []];
  const follow = async (filter: JournalFilter, into: string[] | undefined) => {
    for await (const entry of followJournal(home, filter, stop.signal)) into?.push(entry.name);
  };
  const done = Promise.all([
    follow({ limit: 2 }, seen),
    follow({ name: '[d-e]' }, fresh),
    follow({ name: '?' }, fresh),
  ]);
  await sleep(100);
  for (const name of ['d', 'e', 'f']) await add(name);
  // A line that is not whole yet waits for its end.
  const line = `{"at":"2026-01-01T00:00:00Z","pid":1,"kind":"tool","name":"g","outcome":"ok"}\n`;
  const last = readdirSync(join(home, 'journal')).sort().at(-1) ?? '';
  appendFileSync(join(home, 'journal', last), line.slice(0, 30));
  await sleep(400);
  appendFileSync(join(home, 'journal', last), line.slice(30));
  await sleep(400);
  stop.abort();
  await done;
  assert.deepEqual(seen, ['b', 'c', 'd', 'e', 'f', 'g']);
  assert.deepEqual(fresh, ['d', 'e', 'f', 'g'], 'brackets are no pattern; nothing old without being asked');
});

const tool = (ms: number, outcome: KeptEntry['outcome'] = 'ok') =>
  ({ kind: 'tool', name: 'a', outcome, ms }) as const;

test('totals: calls, errors, nearest-rank percentiles', async () => {
  const many = Array.from({ length: 100 }, (_, i) => tool(100 - i));
  const more = [
    tool(500, 'error'),
    tool(501, 'denied'),
    { kind: 'model', name: 'a', outcome: 'timeout' } as const,
  ];
  assert.deepEqual(await totals([...many, ...more]), [
    { name: 'a', kind: 'tool', calls: 102, errors: 1, p50: 51, p95: 97 },
    { name: 'a', kind: 'model', calls: 1, errors: 1, p50: 0, p95: 0 },
  ]);
  assert.deepEqual(await totals([]), []);
});
