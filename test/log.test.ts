import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { inline } from './support.ts';

/** Runs a script with kit/log.ts in a process of its own, whose stderr is the thing under test. */
function logged(script: string, env: Record<string, string> = {}) {
  const code = `import { log, internalError } from './kit/log.ts'; import { registerSecret } from './kit/secrets.ts';
${script}`;
  const run = spawnSync(process.execPath, inline(code), {
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '', ...env },
  });
  assert.equal(run.status, 0, run.stderr);
  return { lines: run.stderr.trimEnd().split('\n').filter(Boolean), stdout: run.stdout };
}

test('levels, one line an entry, secrets, cut and escapes, stderr only', () => {
  const { lines, stdout } = logged(`
    registerSecret('hunter22', { label: 'pw' });
    log.debug('hidden'); log.info('hidden');
    log.warn('first\\nsecond\\r\\u001b[31mred\\u202e', { user: 'a b', n: 1, none: undefined });
    log.error('pw is hunter22 or ' + Buffer.from('hunter22').toString('base64'));
    log.error('x'.repeat(20000));
    // Cut through a secret: redaction comes first.
    log.error('y'.repeat(7997) + 'hunter22');`);
  assert.equal(stdout, '');
  assert.equal(lines.length, 4);
  const [first = '', second = '', third = '', fourth = ''] = lines;
  assert.match(
    first,
    /^\d{4}-\d\d-\d\dT[\d:.]+Z warn first ⏎ second\\u000d\\u001b\[31mred\\u202e user="a b" n=1$/,
  );
  assert.match(second, / error pw is \[secret:pw\] or \[secret:pw\]$/);
  assert.ok(third.length < 8100 && third.endsWith(' [cut]'));
  assert.ok(!fourth.includes('hun'));
});

test('KUZNIA_LOG sets the least level; an unknown one is the default', () => {
  const script = `log.debug('d'); log.info('i'); log.warn('w'); log.error('e');`;
  assert.equal(logged(script, { KUZNIA_LOG: 'debug' }).lines.length, 4);
  assert.equal(logged(script, { KUZNIA_LOG: 'ERROR' }).lines.length, 1);
  assert.equal(logged(script, { KUZNIA_LOG: 'loud' }).lines.length, 2);
});

test('an internal error is logged whole, with causes, and told by its id', () => {
  const { lines, stdout } = logged(`
    const loop = new Error('loop', { cause: undefined }); loop.cause = loop;
    const cause = Object.assign(new TypeError('deep glpat-AbCdEfGhIjKlMnOpQrSt'), { code: 'E_DEEP', request: { headers: 'tok3n' } });
    console.log(internalError(new Error('outer', { cause })));
    internalError(loop); internalError('text'); internalError(undefined);
    internalError(new AggregateError([new Error('one'), new Error('two')], 'many'));`);
  const id = stdout.trim();
  assert.match(id, /^[0-9a-f]{8}$/);
  assert.equal(lines.length, 5);
  const [outer = '', loop = '', text = '', nothing = '', many = ''] = lines;
  assert.ok(outer.includes(`internal error, id ${id}: Error: outer ⏎ at `), outer);
  assert.match(outer, /caused by TypeError: deep \[secret\] \(E_DEEP\)/);
  assert.ok(!outer.includes('tok3n'));
  assert.equal(loop.split('caused by').length, 5);
  assert.match(text, /: text$/);
  assert.match(nothing, /: a thrown undefined$/);
  assert.match(many, /caused by Error: one.*caused by Error: two/);
});

test('a closed stderr is no reason to stop', () => {
  const { stdout } = logged(`
    const { closeSync } = await import('node:fs'); closeSync(2);
    log.error('nobody hears'); console.log('alive');`);
  assert.equal(stdout, 'alive\n');
});

test('what a long-lived program writes on stderr in pieces is redacted by lines, and no endless line is kept', () => {
  const run = spawnSync(
    process.execPath,
    inline(`import { openCommand } from './kit/command.ts'; import { registerSecret } from './kit/secrets.ts';
      registerSecret('kzcan' + 'ary-in-two-parts', { label: 'split' });
      const script = "process.stderr.write('a kzcan'); setTimeout(() => process.stderr.write('ary-in-two-parts b\\\\nx'.padEnd(300000, 'x')), 200)";
      setTimeout(() => {}, 1500); // nothing of a program keeps us alive
      await openCommand('node', ['-e', script], { what: 'it' }).exited;`),
    { env: { ...process.env, KUZNIA_LOG: 'debug' }, encoding: 'utf8' },
  );
  assert.match(run.stderr, /debug it: a \[secret:split\] b\n/);
  assert.match(run.stderr, /debug it: x{100,}.*\[cut\]/);
  assert.ok(!/ary-in-two|kzcan\b/.test(run.stderr), run.stderr.slice(0, 300));
});
