import { short } from '../gates/compare.ts';
import { typeOf } from '../gates/contract.ts';
import type { TestCase } from '../registry/records.ts';
import type { JsonObject } from '../../../kit/tool.ts';

/** A worked example that the person gave; what it says is never changed. */
export interface Example {
  input: unknown;
  output: unknown;
}

/** What a tool is to be, before there is code. */
export interface Plan {
  name: string;
  description: string;
  input_schema: JsonObject;
  output_schema: JsonObject;
}

/** Said once, before every question about writing a tool. */
export const SYSTEM = [
  'You write small, exact tools in JavaScript.',
  'A tool is one ES module with a default export: a function from one input object to one output object.',
  'It has ECMAScript, console and timers; no imports, network, files or process.',
  'For input that makes no sense it throws an Error whose message says what is wrong.',
].join(' ');

export const planPrompt = (task: string, examples: Example[]) =>
  `Plan one tool for this task:\n${task}\n${shown(examples)}
Give it a snake_case name, one sentence that says when to use it, its input fields and its output fields.`;

export const codePrompt = (plan: Plan, task: string, examples: Example[]) =>
  `Write the tool \`${plan.name}\`: ${plan.description}
Task: ${task}
Input: ${typeOf(plan.input_schema)}
Output: ${typeOf(plan.output_schema)}
${shown(examples)}
Answer with one \`\`\`js block that ends in \`export default\`, and nothing else.`;

export const testsPrompt = (plan: Plan, code: string, fault: string) =>
  `Write tests for the tool \`${plan.name}\`: ${plan.description}
\`\`\`js
${code}
\`\`\`
${fault}Give at least three inputs with the outputs that are right for them, worked out step by step, all different; and inputs that it must refuse, with a part of the error's message.`;

export const blamePrompt = (plan: Plan, code: string, problems: string[]) =>
  `The tool \`${plan.name}\` (${plan.description}) fails its tests.
\`\`\`js
${code}
\`\`\`
${bullets(problems)}
What is wrong: the code, or what the tests expect?`;

export const repairPrompt = (plan: Plan, code: string, problems: string[]) =>
  `Mend the tool \`${plan.name}\`: ${plan.description}
Input: ${typeOf(plan.input_schema)}
Output: ${typeOf(plan.output_schema)}
\`\`\`js
${code}
\`\`\`
Problems:
${bullets(problems)}
Answer with the whole mended code in one \`\`\`js block, and nothing else.`;

export const changePlanPrompt = (plan: Plan, change: string) =>
  `The tool \`${plan.name}\` (${plan.description}) takes ${typeOf(plan.input_schema)} and returns ${typeOf(plan.output_schema)}.
Change it: ${change}
Say what it is after the change: name as before, one sentence, all its input fields and all its output fields, changing no more than is needed.`;

export const changeCodePrompt = (plan: Plan, code: string, change: string, tests: TestCase[]) =>
  `Change the tool \`${plan.name}\`: ${change}
Input: ${typeOf(plan.input_schema)}
Output: ${typeOf(plan.output_schema)}
\`\`\`js
${code}
\`\`\`
It must still pass:
${bullets(tests.map(testLine))}
Answer with the whole new code in one \`\`\`js block, and nothing else.`;

export const changeTestsPrompt = (plan: Plan, code: string, change: string) =>
  `The tool \`${plan.name}\` was changed: ${change}
\`\`\`js
${code}
\`\`\`
Give two or more tests that show the change: inputs with the outputs that are right for them.`;

export const choosePrompt = (task: string, tools: { name: string; description: string }[]) =>
  `Task: ${task}
Tools:
${bullets(tools.map((tool) => `${tool.name}: ${tool.description}`))}
Which one does exactly this task? Answer "none" if none does.`;

export const argumentsPrompt = (task: string, input: unknown, tool: { name: string; description: string }) =>
  `Task: ${task}
${input === undefined ? '' : `Input: ${JSON.stringify(input)}\n`}Fill in the input of the tool \`${tool.name}\`: ${tool.description}`;

function shown(examples: Example[]): string {
  if (examples.length === 0) return '';
  return `Examples:\n${bullets(examples.map(({ input, output }) => `${short(input)} gives ${short(output)}`))}\n`;
}

function testLine(test: TestCase): string {
  return 'error' in test
    ? `${short(test.input)} throws "${test.error}"`
    : `${short(test.input)} gives ${short(test.output)}`;
}

const bullets = (lines: string[]) => lines.map((line) => `- ${line}`).join('\n');
