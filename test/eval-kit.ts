import { attempt, type Attempt } from '../host/eval/attempt.ts';
import type { Task } from '../host/eval/task.ts';
import { tasks } from '../host/eval/tasks.ts';
import { scriptedModel, type ScriptedAnswer } from '../kit/scripted.ts';
import type { JsonObject } from '../kit/tool.ts';

export const never = new AbortController().signal;
export const info = { name: 'scripted', capabilities: ['completion', 'tools'], contextLength: 32_768 };
export const env = { PATH: process.env['PATH'] };
export const office = tasks.filter((task) => task.tools);
export const sandboxed = tasks.filter((task) => !task.tools);

/** A model that makes these calls, one a round, then answers. */
export const doing = (calls: { tool: string; arguments: JsonObject }[], answer: string): ScriptedAnswer[] => [
  ...calls.map((call) => ({ calls: [{ name: call.tool, arguments: call.arguments }] })),
  { answer },
];

/** One attempt at a task by a model whose answers are these. */
export function run(task: Task, answers: ScriptedAnswer[], deadlineMs = 60_000): Promise<Attempt> {
  const model = scriptedModel({ models: [info], answers });
  return attempt(task, 1, { model, info, env, signal: never, deadlineMs });
}
