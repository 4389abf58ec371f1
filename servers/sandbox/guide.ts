import type { Prompt } from '../../kit/tool.ts';
import { LIMITS } from './gates/gates.ts';
import type { Sandbox } from './sandbox.ts';

export const guides: Prompt<Sandbox>[] = [
  {
    name: 'forge_a_tool',
    title: 'Forge a tool',
    description: 'Write, test and publish a tool for a task.',
    arguments: [{ name: 'task', description: 'what the tool is to do', required: true }],
    async render({ task = '' }, { config }) {
      const policy = {
        grants: 'A tool without grants is approved when every gate passes.',
        all: 'A person approves every tool: sandbox_approve_tool asks, or says which command to run.',
        none: 'A tool is approved when every gate passes.',
      }[config.ask];
      return `Make a tool for this task: ${task}

1. sandbox_find_tools: perhaps it exists. If one nearly fits, save a new version of that one.
2. sandbox_save_tool:
   - name: snake_case, says what it does. description: one plain sentence, when to use it.
   - input_schema, output_schema: JSON Schema 2020-12, an object at the root, "additionalProperties": false, each property described. No external $ref; no pattern with nested repetition.
   - code: one ES module, at most ${LIMITS.code} characters, \`export default (input) => output\`, may be async. It has ECMAScript, console and timers; no imports, network, files, process. Throw an Error with a clear message for input that makes no sense. The result must be JSON: no undefined, NaN, BigInt, cycles.
   - tests: [{name, input, output}] and [{name, input, error}], error being text that the message contains. Several inputs with different outputs, the edges, one that is refused: tests that a stub passes are refused.
3. sandbox_test_tool: mend what the gates name, save again, test again. The clock and Math.random are fixed under test.
4. ${policy}
5. sandbox_publish_tool: live at once as forged_NAME. Call it once to see. sandbox_rollback_tool undoes.`;
    },
  },
];
