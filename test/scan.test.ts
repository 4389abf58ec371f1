import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { MARKER, scanner } from './scan/marker.mjs';

test('a planted secret is found in every encoding, in two parts, and in capitals', () => {
  const value = `${MARKER}-Fq8/+zZ`;
  const bytes = Buffer.from(value);
  const encoded = [
    value,
    value.toUpperCase(),
    encodeURIComponent(value),
    JSON.stringify({ value }),
    [...bytes].map((byte) => `%${byte.toString(16)}`).join(''),
    [...bytes].map((byte) => `\\u00${byte.toString(16)}`).join(''),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    Buffer.from(value, 'utf16le').toString('latin1'),
    ...['', 'a', 'ab', 'abc'].flatMap((before) =>
      (['base64', 'base64url'] as const).map((name) => Buffer.from(before + value).toString(name)),
    ),
  ];
  for (const text of encoded) {
    assert.equal(scanner()(`some text ${text} and more`).length, 1, text);
    for (let at = 1; at < text.length; at += 5) {
      const look = scanner();
      const found = [text.slice(0, at), text.slice(at), ' and more'].flatMap((part) => look(part));
      assert.equal(found.length, 1, `${text} in two parts, at ${at}`);
    }
  }
  assert.deepEqual(scanner()('a canary, test/canary.test.ts, kz-12, [secret:token]'), []);
});

test('a run whose tests leak fails, and says where', { timeout: 60_000 }, async () => {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const leaking = join(import.meta.dirname, 'fixtures', 'leaking.ts');
  const run = spawn(process.execPath, [join(import.meta.dirname, 'run.mjs'), leaking], {
    env,
    stdio: 'pipe',
  });
  let text = '';
  for (const pipe of [run.stdout, run.stderr]) pipe.on('data', (part: Buffer) => (text += part.toString()));
  await once(run, 'close');
  // Spelt so that what is shown of them is none here.
  const said = text.slice(text.indexOf('secrets in any output'));
  assert.match(text, /# pass 1\n# fail 0/);
  assert.equal(run.exitCode, 1);
  assert.match(said, /^secrets in any output: [4-9] \(/);
  for (const where of ['stdout of the run', 'stderr of node', 'file .*2026-01-01', 'result of callTool leak'])
    assert.match(said, new RegExp(where));
});
