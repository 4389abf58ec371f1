import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { z } from 'zod';
import { ConfigError, kuzniaHome, readConfigFile, serverConfig } from '../kit/config.ts';
import { cpuClock } from './pace.ts';

const root = mkdtempSync(join(tmpdir(), 'kuznia-config-'));
after(() => rmSync(root, { recursive: true, force: true }));

function homeWith(text: string): string {
  const home = mkdtempSync(join(root, 'home-'));
  writeFileSync(join(home, 'kuznia.json'), text);
  return home;
}

function fault(work: () => unknown): ConfigError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error;
  }
  return assert.fail('it should have failed');
}

test('the data folder: KUZNIA_HOME, XDG_DATA_HOME, ~/.local/share', () => {
  assert.equal(kuzniaHome({ KUZNIA_HOME: '/k', XDG_DATA_HOME: '/x', HOME: '/h' }), '/k');
  assert.equal(kuzniaHome({ KUZNIA_HOME: 'rel', HOME: '/h' }), resolve('rel'));
  assert.equal(kuzniaHome({ KUZNIA_HOME: '~/k', HOME: '/h' }), '/h/k');
  assert.equal(kuzniaHome({ KUZNIA_HOME: '~other/k', HOME: '/h' }), resolve('~other/k'));
  assert.equal(kuzniaHome({ XDG_DATA_HOME: '/x', HOME: '/h' }), '/x/kuznia');
  assert.equal(kuzniaHome({ XDG_DATA_HOME: 'relative', HOME: '/h' }), '/h/.local/share/kuznia');
  assert.equal(kuzniaHome({ KUZNIA_HOME: '', HOME: '/h' }), '/h/.local/share/kuznia');
  assert.equal(kuzniaHome({}), join(homedir(), '.local/share/kuznia'));
});

test('a setting that there is not is told: misspelt, it would count as not set', () => {
  const schema = z.object({ read_only: z.boolean().default(false), url: z.string().optional() });
  const given = (section: object) => () =>
    serverConfig(schema, 'gitlab', { file: { servers: { gitlab: section } }, env: {} });
  assert.match(
    fault(given({ readonly: true })).message,
    /^servers\.gitlab\.readonly .* Did you mean read_only\?$/,
  );
  assert.match(fault(given({ colour: 1 })).message, /There are: read_only, url\.$/);
  assert.deepEqual(given({ read_only: true })(), { read_only: true });
});

test('a configuration file, none, an empty one, one with a byte order mark', () => {
  assert.deepEqual(readConfigFile(homeWith('{"servers":{"a":{}}}')), { servers: { a: {} } });
  assert.deepEqual(readConfigFile(homeWith('\ufeff{"a":1}')), { a: 1 });
  assert.deepEqual(readConfigFile(homeWith(' \n')), {});
  assert.deepEqual(readConfigFile(join(root, 'nowhere')), {});
  const home = mkdtempSync(join(root, 'home-'));
  mkdirSync(join(home, 'kuznia.json'));
  assert.match(fault(() => readConfigFile(home)).message, /kuznia\.json cannot be read \(EISDIR\)/);
});

test('a broken file: the line, the column and what is wrong', () => {
  const cases: [string, string][] = [
    ['{\n  "a": 1,\n}', 'line 3, column 1: remove the comma before this }.'],
    ['{\n  "a": {"b": 1, "c": {"b": 2}},\n  "a": 2\n}', 'line 3, column 3: "a" stands twice; keep one.'],
    ['{"x": [{"k": "k"}, {"k": "{", "k": ""}]}', 'line 1, column 31: "k" stands twice; keep one.'],
    ['{\n  "a": [1, 2,]\n}', 'line 2, column 14: remove the comma before this ].'],
    ['{\n  "a": 1\n  "b": 2\n}', 'line 3, column 3: expected a comma before this.'],
    ['{ "a" 1 }', 'line 1, column 6: expected a colon after the name.'],
    ['{ "a": }', 'line 1, column 8: expected a value before this.'],
    ['{ "a": , "b": 1}', 'line 1, column 8: expected a value before this.'],
    ["{ 'a': 1 }", 'line 1, column 3: expected double quotes instead of single ones.'],
    ['{ a: 1 }', 'line 1, column 3: expected a name in double quotes.'],
    ['{ "a": yes }', 'line 1, column 8: "y" is out of place; texts stand in double quotes.'],
    ['{\n  // note\n  "a": 1 }', 'line 2, column 3: JSON has no comments; remove it.'],
    ['{ "a": "b\n" }', 'line 1, column 8: this text has no closing quote on its line, or a bad \\ escape.'],
    ['{ "a": { "b": [1 }', 'line 1, column 18: this } closes nothing.'],
    ['{ "a": { "b": 1 }', 'line 1, column 18: the file ends with 1 of { [ not closed.'],
    ['{ "a": 01 }', 'line 1, column 12: this is no whole JSON text.'],
    ['[1]', 'expected an object, for example {"servers": {}}.'],
  ];
  for (const [text, expected] of cases) {
    const { message } = fault(() => readConfigFile(homeWith(text)));
    assert.ok(message.endsWith(expected), `${text} -> ${message}`);
    assert.match(message, /kuznia\.json/);
  }
  // Whatever is wrong, it ends, and soon.
  for (const text of [
    '{'.repeat(1e5),
    '"'.repeat(1e5),
    '{"a":'.repeat(1e5),
    ' '.repeat(1e6) + 'x',
    ','.repeat(1e5),
  ]) {
    const started = cpuClock();
    assert.match(fault(() => readConfigFile(homeWith(text))).message, /line 1, column/);
    assert.ok(started() < 1000);
  }
});

const schema = z.object({
  url: z.url().optional().meta({ env: 'T_URL' }),
  token: z.string().min(8).meta({ env: 'T_TOKEN', example: 'secret://t-token' }).optional(),
  ask: z.enum(['grants', 'all', 'none']).meta({ env: 'T_ASK' }).default('grants'),
  rounds: z.number().int().min(1).max(9).meta({ env: 'T_ROUNDS' }).default(3),
  quiet: z.boolean().default(false).meta({ env: 'T_QUIET' }),
  hosts: z.array(z.string()).meta({ env: 'T_HOSTS' }).default([]),
  map: z.record(z.string(), z.number()).meta({ env: 'T_MAP' }).default({}),
  plain: z.string().default('x'),
});
const parse = (env: Record<string, string>, file = {}) => serverConfig(schema, 't', { env, file });

test('environment over servers.<name> over the variable in the file over the default', () => {
  const nothing = { ask: 'grants', rounds: 3, quiet: false, hosts: [], map: {}, plain: 'x' };
  assert.deepEqual(parse({}), nothing);
  const file = {
    T_ROUNDS: 4,
    T_ASK: 'none',
    servers: { t: { rounds: 5, plain: 'y' }, other: { plain: 'z' } },
  };
  assert.deepEqual(parse({}, file), { ...nothing, ask: 'none', rounds: 5, plain: 'y' });
  assert.equal(parse({ T_ROUNDS: '6' }, file).rounds, 6);
  assert.equal(parse({ T_ROUNDS: ' ' }, file).rounds, 5, 'an empty variable is not set');
});

test('texts of the environment become numbers, booleans, lists and objects', () => {
  const parsed = parse({ T_ROUNDS: ' 7 ', T_QUIET: 'Yes', T_HOSTS: 'a, b', T_MAP: '{"x":1}' });
  assert.deepEqual([parsed.rounds, parsed.quiet, parsed.hosts, parsed.map], [7, true, ['a', 'b'], { x: 1 }]);
  assert.equal(parse({ T_QUIET: '0' }).quiet, false);
  assert.deepEqual(parse({ T_HOSTS: '["a,b"]' }).hosts, ['a,b']);
  const named = z.object({ n: z.number().default(1) });
  assert.deepEqual(serverConfig(named, 't', { env: { N: '2' }, envNames: { n: 'N' } }), { n: 2 });
});

test('a wrong value names its variable or key, what is expected and an example', () => {
  const cases: [Record<string, string>, object, string][] = [
    [{ T_ROUNDS: 'many' }, {}, 'T_ROUNDS is "many": expected a number. For example: T_ROUNDS=3'],
    [{ T_QUIET: 'maybe' }, {}, 'T_QUIET is "maybe": expected true or false. For example: T_QUIET=false'],
    [{ T_MAP: '{x' }, {}, 'T_MAP is "{x": expected JSON. For example: T_MAP=...'],
    [
      { T_ASK: 'some' },
      {},
      'T_ASK is "some": expected one of "grants"|"all"|"none". For example: T_ASK=grants',
    ],
    [{ T_URL: 'gitlab' }, {}, 'T_URL is "gitlab": invalid URL. For example: T_URL=https://example.com'],
    [
      {},
      { servers: { t: { rounds: '3' } } },
      'servers.t.rounds in kuznia.json is "3": expected number. For example: "rounds": 3',
    ],
    [
      {},
      { T_ASK: 1 },
      'T_ASK in kuznia.json is 1: expected one of "grants"|"all"|"none". For example: "ask": "grants"',
    ],
    [
      {},
      { servers: { t: { hosts: ['a', 1] } } },
      'servers.t.hosts in kuznia.json -> 1: expected string. For example: "hosts": "one,two"',
    ],
    [{}, { servers: [] }, 'servers in kuznia.json: expected an object.'],
    [{}, { servers: { t: 'x' } }, 'servers.t in kuznia.json: expected an object.'],
  ];
  for (const [env, file, message] of cases) assert.equal(fault(() => parse(env, file)).message, message);
  assert.equal(fault(() => parse({ T_ASK: 'some' })).setting, 'T_ASK');
  const both = fault(() => parse({ T_ASK: 'some', T_URL: 'x' })).message.split('\n');
  assert.equal(both.length, 2);
});

test('a missing value says how to give it; a secret is never shown', () => {
  const needed = z.object({
    url: z.url().meta({ env: 'G_URL', example: 'https://git.example' }),
    key: z.string(),
  });
  const { message, setting } = fault(() => serverConfig(needed, 'g', { env: {} }));
  assert.equal(
    message,
    'G_URL is not set: expected string. Set it in the environment (G_URL=https://git.example), or servers.g.url in kuznia.json.\n' +
      'servers.g.key in kuznia.json is not set: expected string. Add it: "key": "...".',
  );
  assert.equal(setting, 'G_URL');
  const short = fault(() => parse({ T_TOKEN: 'sh0rt' })).message;
  assert.ok(!short.includes('sh0rt') && short.startsWith('T_TOKEN: too small'), short);
  assert.match(short, /For example: T_TOKEN=secret:\/\/t-token$/);
  const elsewhere = fault(() => parse({ T_URL: 'glpat-AbCdEfGhIjKlMnOpQrSt' })).message;
  assert.ok(!elsewhere.includes('AbCdEf'), 'a token in the wrong variable');
});

test('a schema that is no flat object still works from the file', () => {
  const refined = schema.refine((value) => value.rounds !== 2, 'two is refused');
  assert.equal(
    fault(() => serverConfig(refined, 't', { env: { T_ROUNDS: '2' } })).message,
    'servers.t in kuznia.json: two is refused.',
  );
  const piped = z.object({ a: z.string() }).transform(({ a }) => a.length);
  assert.equal(serverConfig(piped, 't', { env: {}, file: { servers: { t: { a: 'abc' } } } }), 3);
});
