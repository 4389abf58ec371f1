import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../host/mcp/connections.ts';
import { doors } from '../host/mcp/doors.ts';
import { ToolIndex } from '../host/retrieval/index.ts';
import { noJournal } from '../kit/journal.ts';
import { openSandboxServer } from './sandbox-kit.ts';

test('a forged tool is found by what its tests are called, which no model is shown', async (t) => {
  const { home, value } = await openSandboxServer();
  const input = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] };
  const draft = (name: string, code: string, first: string) => ({
    name,
    description: 'Puts a text into another form.',
    input_schema: input,
    code,
    tests: [
      { name: first, input: { text: 'Ab' }, output: code.includes('Upper') ? 'AB' : 'ab' },
      {
        name: 'longer',
        input: { text: 'xY z' },
        output: code.includes('Upper') ? 'XY Z' : 'xy z',
      },
    ],
  });
  const upper = draft('form_a', 'export default ({ text }) => text.toUpperCase();', 'licence plate of a car');
  const lower = draft('form_b', 'export default ({ text }) => text.toLowerCase();', 'host name of a server');
  for (const one of [upper, lower]) {
    await value('sandbox_save_tool', one);
    await value('sandbox_test_tool', { name: one.name });
    await value('sandbox_publish_tool', { name: one.name });
  }
  const own = doors([{ kind: 'own', name: 'sandbox', isolated: false }]);
  const connections = await connect(own, { home, journal: noJournal, env: {} });
  t.after(() => connections.close());
  const { signal } = new AbortController();
  const tools = await connections.tools(signal);
  const plate = tools.find(({ name }) => name === 'forged_form_a');
  assert.deepEqual(plate?.examples, ['licence plate of a car', 'longer']);
  assert.doesNotMatch(`${plate.description} ${JSON.stringify(plate.inputSchema)}`, /licence/);
  const index = new ToolIndex({ home: '' });
  index.update(tools);
  const first = async (task: string) => (await index.rank(task, signal))[0]?.tool.name;
  assert.equal(await first('write the licence plate of my car'), 'forged_form_a');
  assert.equal(await first('write the host name of my server'), 'forged_form_b');
});
