import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gitlab } from '../servers/gitlab/definition.ts';
import { approves } from './clients.ts';
import { bench, TOKEN } from './gitlab-kit.ts';
import { isRecord } from './doubles/gitlab/routing.ts';
import { tempHome } from './support.ts';

const CALLS = 300;
/** Named in a failure; another one: WALK_SEED=7. */
const SEED = Number(process.env['WALK_SEED'] ?? 1);

/** mulberry32: the same walk each time. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const HOSTILE = [
  '',
  ' ',
  '\0',
  '\u202e',
  '💥'.repeat(50),
  'x'.repeat(300),
  'x'.repeat(50_000),
  '-rf',
  '--output=/tmp/x',
  '../../etc/passwd',
  '..%2f..%2fetc',
  '/etc/passwd',
  '.git/config',
  'a//b',
  '%00',
  '%zz',
  '$(id)',
  '@{-1}',
  'HEAD~1',
  'main..other',
  'main^{/x}',
  'refs/heads/main',
  '/close',
  'secret://gitlab-token',
  'null',
  '1e9',
  'http://169.254.169.254/x/-/issues/1',
  'https://evil.example/group/forge/-/merge_requests/1',
  '{"a":1}',
];

/** Calls with wrong types, nulls, hostile texts, and some that are right, made from the tools' own schemas. */
function walker(seed: number, places: string[], numbers: string[]) {
  const roll = dice(seed);
  const pick = <T>(from: T[]): T => from[Math.floor(roll() * from.length)] ?? assert.fail('nothing to pick');
  const odd = (depth = 0): unknown => {
    const kind = Math.floor(roll() * 8);
    if (kind < 4) return pick([...HOSTILE, ...places]);
    if (kind === 4) return roll() < 0.2 ? null : pick<unknown>([0, -1, 2 ** 53, 1.5, true, false]);
    if (depth > 2) return null;
    const parts = Array.from({ length: Math.floor(roll() * 3) }, () => odd(depth + 1));
    return kind === 5
      ? parts
      : Object.fromEntries(parts.map((one) => [pick(['action', 'path', 'text']), one]));
  };
  const fitting = (schema: unknown, name: string): unknown => {
    if (!isRecord(schema)) return odd();
    const { enum: values, type, items, properties } = schema;
    if (Array.isArray(values)) return pick(values);
    if (name === 'project') return pick(places);
    if (['issue', 'merge_request', 'pipeline', 'job'].includes(name)) return pick(numbers);
    if (/branch|ref|from|to$/.test(name)) return pick(['main', 'fix', ...HOSTILE]);
    if (name === 'path' || name === 'file') return pick(['README.md', 'src/main.ts', ...HOSTILE]);
    if (name === 'wait_s') return 0;
    if (name === 'folder') return pick(['forge', 'other', ...HOSTILE]);
    if (type === 'array') return [fitting(items, name)];
    if (type === 'boolean') return roll() < 0.5;
    if (type === 'integer' || type === 'number') return Math.floor(roll() * 4);
    if (isRecord(properties)) return object(schema, 0.4);
    return pick(['hello', '1h', ...HOSTILE]);
  };
  const object = (schema: Record<string, unknown>, share: number): Record<string, unknown> => {
    const { properties, required } = schema;
    const needed = new Set(Array.isArray(required) ? required : []);
    const named = Object.entries(isRecord(properties) ? properties : {});
    return Object.fromEntries(
      named.flatMap(([name, one]) =>
        needed.has(name) || roll() < share ? [[name, roll() < 0.12 ? odd() : fitting(one, name)]] : [],
      ),
    );
  };
  return { roll, pick, object };
}

test(`a walk of ${CALLS} calls with anything in them (seed ${SEED}): errors that say what to do, and no more`, async (t) => {
  const found = await bench(t, { GITLAB_ROOTS: tempHome(t) }, { person: approves });
  const { client, double, project, root, value } = found;
  const { world } = double;
  await project.repo.commit('fix', 'main', 'Fix', [
    { action: 'update', file_path: 'README.md', content: Buffer.from('# Forge\n\nOther.\n') },
  ]);
  world.issue(project, root, 'One');
  world.mergeRequest(project, root, 'Fix', 'fix');
  const pipeline = world.pipeline(project, 'main', 'a'.repeat(40), { status: 'failed' });
  const job = world.job(pipeline, 'test', 'failed', { log: Buffer.from('Error: x\n') });
  await value('git_clone', { project: 'group/forge' });
  const places = ['group/forge', 'group/forge', String(project.id), `${double.url}/group/forge`];
  const { pick, object } = walker(SEED, places, ['1', '2', String(pipeline.id), String(job.id)]);
  let done = 0;
  for (let at = 0; at < CALLS; at++) {
    const tool = pick(gitlab.tools);
    if (tool.name.startsWith('gitlab_glab')) continue;
    const input = object(tool.inputSchema(), 0.35);
    const { isError, text } = await client.call(tool.name, input);
    const where = `${at}: ${tool.name} ${JSON.stringify(input).slice(0, 500)} -> ${text.slice(0, 800)}`;
    assert.ok(!text.includes(TOKEN), where);
    if (!isError) {
      done++;
      continue;
    }
    assert.doesNotMatch(text, /internal error|TypeError|\[object|fault of its own/i, where);
    assert.ok(text.length > 10 && text.length < 2500, where);
    // It ends as a sentence does, not in the middle of what somebody else said.
    assert.match(text, /[.!?)]["'`]?\s*$/, where);
  }
  assert.ok(done > 20 && done < CALLS - 50, `${done} calls did something`);
  assert.ok(await project.repo.resolve('HEAD'));
});
