import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { conformance, extend } from './fixtures/conformance.ts';
import { missing, real, serveHere, tempHome } from './support.ts';

/** What a revision requires, and what else the suite runs, reports, and does not count. */
const revisions: { revision: string; required: number; mayFail: string[] }[] = [
  {
    revision: '2025-11-25',
    required: 30,
    mayFail: [],
  },
  {
    revision: '2026-07-28',
    required: 37,
    mayFail: [
      // The tasks extension (SEP-2663): jobs of ours are plain results.
      'tasks-lifecycle',
      'tasks-capability-negotiation',
      'tasks-wire-fields',
      'tasks-request-state-removal',
      'tasks-mrtr-input',
      'tasks-request-headers',
      'tasks-dispatch-and-envelope',
      'tasks-required-task-error',
      'tasks-mrtr-composition',
    ],
  },
];

for (const { revision, required, mayFail } of revisions) {
  const skip = missing('KUZNIA_NODE22', 'KUZNIA_CONFORMANCE');
  test(`conformance: every scenario that ${revision} requires`, { skip, timeout: 180_000 }, async (t) => {
    const { url } = await serveHere(t, conformance, { extend });
    const args = [real('KUZNIA_CONFORMANCE'), 'server', '--url', url, '--requirements', revision];
    const run = promisify(execFile)(real('KUZNIA_NODE22'), [...args, '-o', tempHome(t)], {
      timeout: 170_000,
      maxBuffer: 64 * 1024 * 1024,
    });
    // It exits with 1 when a required scenario fails: the summary says which.
    const { stdout } = await run.catch((error: unknown) => {
      if (error instanceof Error && 'stdout' in error) return { stdout: String(error.stdout) };
      throw error;
    });
    const [summary = '', unscored = ''] = (stdout.split('=== SUMMARY ===')[1] ?? '').split('Not scored for');
    const outside = new Map(
      [...unscored.matchAll(/^\s*([✓✗]) (\S+) \((.+)\)$/gm)].map(([, mark, name]) => [name, mark]),
    );
    const scenarios = [...summary.matchAll(/^([✓✗]) (\S+): (\d+) passed, (\d+) failed/gm)];
    const scored = scenarios.filter(([, , name]) => !outside.has(name));
    const sum = (rows: typeof scenarios, at: number) => rows.reduce((all, row) => all + Number(row[at]), 0);
    t.diagnostic(
      `${revision}: ${/^Total: .*$/m.exec(summary)?.[0]}; required scenarios ${scored.length}, checks ${sum(scored, 3)} passed, ${sum(scored, 4)} failed`,
    );
    const failed = scored.filter(([, mark]) => mark !== '✓').map(([line]) => line);
    assert.deepEqual(failed, [], stdout.slice(-4_000));
    assert.equal(scored.length, required, summary);
    const others = [...outside].flatMap(([name, mark]) => (mark === '✗' ? [name] : []));
    t.diagnostic(`${revision}: not scored, failing: ${others.join(', ') || 'none'}`);
    assert.deepEqual(
      others.filter((name) => name === undefined || !mayFail.includes(name)),
      [],
    );
  });
}
