import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import { noJournal } from '../kit/journal.ts';
import type { Listing } from '../kit/listing.ts';
import { servers } from '../host/servers.ts';

/** Every tool's schema as clients see it. `UPDATE=1 npm test` renews it, and the table of the README with it. */
const SNAPSHOT = join(import.meta.dirname, 'tools.json');
const README = join(import.meta.dirname, '..', 'README.md');
const TABLE = /(<!-- tools of (\w+): [^>]*-->\n)[\s\S]*?(<!-- \/tools -->)/g;
const LIMITS: Record<string, number> = { sandbox: 3000, gitlab: 6800, auth: 2200 };

const home = await mkdtemp(join(tmpdir(), 'kuznia-tools-'));
const listed: Record<string, Listing[]> = {};
for (const [name, load] of Object.entries(servers)) {
  const mounted = await (await load()).mount({ home, journal: noJournal, env: {} });
  listed[name] = mounted.fixed;
  await mounted.close();
}
await rm(home, { recursive: true, force: true });

const snapshot = `${JSON.stringify(listed, null, 1)}\n`;
const readme = await readFile(README, 'utf8');
const renewed = readme.replace(
  TABLE,
  (_, open: string, server: string, close: string) => `${open}${table(server)}\n${close}`,
);
if (process.env['UPDATE'] === '1') {
  await Promise.all([writeFile(SNAPSHOT, snapshot), writeFile(README, renewed)]);
}

test('the schemas of all tools are those of test/tools.json (else: UPDATE=1 npm test)', async () => {
  assert.equal(snapshot, await readFile(SNAPSHOT, 'utf8'));
});

test('the tool tables of the README are up to date, one a server (else: UPDATE=1 npm test)', async () => {
  assert.deepEqual(
    [...readme.matchAll(TABLE)].map(([, , server]) => server).sort(),
    Object.keys(listed).sort(),
  );
  assert.equal(await readFile(README, 'utf8'), renewed);
});

for (const [server, tools] of Object.entries(listed)) {
  test(`${server}: tools/list stays within its tokens`, () => {
    const tokens = encode(JSON.stringify({ tools })).length;
    assert.ok(tokens <= (LIMITS[server] ?? 3000), `${tokens} tokens`);
  });
  for (const tool of tools) {
    test(`${tool.name}: named, titled, annotated, flat`, () => {
      assert.match(tool.name, /^[a-z][a-z0-9_]*$/);
      assert.ok(tool.title.length > 0 && tool.description.endsWith('.'));
      assert.equal(Object.keys(tool.annotations).length, 4);
      for (const schema of [tool.inputSchema, tool.outputSchema]) {
        assert.equal(schema['type'], 'object');
        assert.ok(!('$schema' in schema) && !('oneOf' in schema) && !('anyOf' in schema));
      }
    });
  }
}

function table(server: string): string {
  const rows = (listed[server] ?? []).map(({ name, description, inputSchema, annotations }) => {
    const required = Array.isArray(inputSchema['required']) ? inputSchema['required'] : [];
    const args = Object.keys(Object(inputSchema['properties'])).map((arg) =>
      required.includes(arg) ? arg : `${arg}?`,
    );
    const effect =
      annotations['readOnlyHint'] === true
        ? 'reads'
        : annotations['destructiveHint'] === true
          ? 'destroys'
          : 'writes';
    return `| \`${name}\` | ${args.map((arg) => `\`${arg}\``).join(' ')} | ${effect} | ${description} |`;
  });
  return ['| tool | arguments | | |', '|---|---|---|---|', ...rows].join('\n');
}
