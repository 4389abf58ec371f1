import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '../host/mcp/connections.ts';
import { doors } from '../host/mcp/doors.ts';
import { openJournal } from '../kit/journal.ts';
import { redactKnown, redactValue, registerCode } from '../kit/secrets.ts';
import { keep } from './auth-kit.ts';
import { until } from './support.ts';

// With what each encoding writes otherwise: quotes, slashes, plus signs, more than one byte, bits that make all of base64.
// None that the scan of the whole run knows (scan/marker.mjs): that sees what the server answers before we have cut it.
const secret = 'kzcloak>>Zx"9\\Wą-k2&Lm=3/+?';

/** Whether the secret is in a text, plain or in an encoding that can be told by reading it back. */
function tells(text: string): string | undefined {
  const bytes = Buffer.from(secret);
  const unwrapped = text.replace(/\\r|\\n|\s/g, '');
  const read = (piece: string) => Buffer.from(piece, 'base64').toString('utf8');
  for (const [how, found] of Object.entries({
    plain: text.includes(secret) || text.includes(JSON.stringify(secret).slice(1, -1)),
    base64: [0, 1, 2, 3].some((n) =>
      [...unwrapped.matchAll(/[A-Za-z0-9+/_-]{16,}/g)].some(([run]) =>
        read(run.slice(n)).includes(secret.slice(1, -1)),
      ),
    ),
    hex: unwrapped.replace(/[: ]/g, '').toLowerCase().includes(bytes.toString('hex')),
    url: text.replace(/%25/g, '%').toLowerCase().includes(encodeURIComponent(secret).toLowerCase()),
    percent: text.toLowerCase().includes(`%${bytes.toString('hex').match(/../g)?.join('%') ?? ''}`),
    unicode: text.includes('\\u006b\\u007a\\u0063') || text.includes('\\\\u006b'),
    html: text.includes('&#107;&#122;'),
    bytes: text.includes([...bytes].join(',')),
  }))
    if (found) return how;
  return undefined;
}

test('a server that tells the secret it was given, in every place and form: nothing of it comes through', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'kz-leak-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  await keep(home, { leak: { value: secret } });
  const env = { TOKEN: 'secret://leak' };
  const script = join(import.meta.dirname, 'fixtures', 'leaky.mjs');
  const setting = { kind: 'command' as const, name: 'leaky', command: process.execPath, args: [script], env };
  const before = process.env['KUZNIA_HOME'];
  process.env['KUZNIA_HOME'] = home;
  const connections = await connect(doors([setting]), {
    home,
    journal: openJournal(home),
    env: { KUZNIA_HOME: home },
  });
  t.after(async () => {
    await connections.close();
    if (before === undefined) delete process.env['KUZNIA_HOME'];
    else process.env['KUZNIA_HOME'] = before;
  });
  const { signal } = new AbortController();
  const shown = (what: string, value: unknown) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    assert.equal(tells(text), undefined, `${what}: ${text.slice(0, 3000)}`);
    return text;
  };
  const tools = await connections.tools(signal);
  assert.equal(tools.length, 4);
  assert.match(shown('tools', tools), /\[secret:leak\]/);
  const notes: unknown[] = [];
  const told = await connections.call('tell', {}, { signal, onProgress: (step) => void notes.push(step) });
  for (const part of ['text', 'content', 'value', 'images'] as const)
    shown(`a result's ${part}`, told[part] ?? '');
  assert.ok(told.ok && told.text.includes('[secret:leak]') && notes.length === 1);
  shown('progress', notes);
  shown('an error', await connections.call('fail', {}, { signal }));
  const resources = await connections.resources(signal);
  assert.match(shown('resources', resources), /\[secret:leak\]/);
  shown('a resource', await connections.readResource('leaky', 'x://r/1', signal));
  shown(
    'completions',
    await connections.completeResource('leaky', 'x://{a}', { name: 'a', value: '' }, {}, signal),
  );
  shown('prompts', await connections.prompts(signal));
  shown('a prompt', await connections.prompt('leaky', 'p', {}, signal));
  shown('a death', await connections.call('die', {}, { signal }));
  await until('degraded', () => connections.states().some(({ state }) => state === 'degraded'));
  shown('the state', connections.states());
  await until('back', () => connections.states().some(({ state }) => state === 'ready'), 20_000);
  await connections.call('gasp', {}, { signal });
  const gasp = await until('degraded again', () =>
    connections.states().find(({ state }) => state === 'degraded'),
  );
  assert.match(shown('its last words', gasp), /\[secret:leak\]\.\.\./);
  assert.ok(!JSON.stringify(gasp).includes(secret.slice(-10)), JSON.stringify(gasp));
  for (const file of await readdir(join(home, 'journal'))) {
    shown('the journal', await readFile(join(home, 'journal', file), 'utf8'));
  }
});

test('names of fields are cleared, lists of bytes too; ids that equal a code stay, whatever else was taken out', () => {
  registerCode('739104', { label: 'code', expiresAt: Date.now() + 60_000 });
  assert.deepEqual(
    redactValue({
      iid: '739104',
      n: 739104,
      url: 'https://x.example/-/issues/739104',
      code: '739104',
      '739104': [739104],
    }),
    {
      iid: '739104',
      n: 739104,
      url: 'https://x.example/-/issues/739104',
      code: '[secret:code]',
      '[secret:code]': [739104],
    },
  );
});

test('a code written in escapes is one; an id in a place of a page or in a list of ids is none', () => {
  registerCode('739105', { label: 'code', expiresAt: Date.now() + 60_000 });
  const digits = Array.from('739105', (digit) => digit.charCodeAt(0).toString(16));
  for (const hidden of ['\\u00', '%', '\\x', '&#x'].map((mark) =>
    digits.map((hex) => mark + hex + (mark === '&#x' ? ';' : '')).join(''),
  ))
    assert.equal(redactKnown(`the code is ${hidden}.`), 'the code is [secret:code].');
  for (const id of [
    'https://x.example/-/issues/1#note_739105',
    'https:%2F%2Fx.example%2Fissues%2F739105',
    '{"ids":["12","739105"]}',
    '{"url":"https:\\/\\/x.example\\/issues\\/739105"}',
  ])
    assert.equal(redactKnown(id), id);
  assert.equal(redactKnown('{"codes":["12","739105"]}'), '{"codes":["12","[secret:code]"]}');
});
