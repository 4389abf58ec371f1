import { jsonOrNothing } from '../../kit/json.ts';
import { z } from 'zod';
import type { ChatDone, ChatMessage, ChatRequest, Model, ToolCall } from '../../kit/model.ts';
import type { JsonObject } from '../../kit/tool.ts';
import type { HostTool } from '../mcp/connections.ts';
import { offered } from './offered.ts';
import { repeats } from '../terminal/text.ts';
import type { Window } from './window.ts';

/** Tokens of a choice, and of arguments: code is the longest there is. A small model that rambles is cut. */
const CHOICE_TOKENS = 64;
const ARGUMENT_TOKENS = 2048;
const THOUGHT_TOKENS = 4096;
/** The choice that ends the turn. */
const ANSWER = 'answer';

interface ChooseScope {
  model: Model;
  modelName: string;
  system: string;
  messages: ChatMessage[];
  signal: AbortSignal;
  window: Window;
  /** Compares what was read with what was sent. */
  measured: (request: ChatRequest, done: ChatDone) => Promise<void>;
  /** It thinks whatever it is told, and what it thinks counts as written. */
  thinks: boolean;
}

/**
 * The next call of a model that cannot call tools by itself, or undefined when it would rather answer. Asked in two
 * steps, each constrained by a schema: a 135M model picks the right name from a list, and fills in one tool's arguments
 * better than a choice of many.
 */
export async function choose(scope: ChooseScope, tools: HostTool[]): Promise<ToolCall | undefined> {
  if (tools.length === 0) return undefined;
  const names = tools.map((tool) => tool.name);
  const chosen = await constrained(
    scope,
    [
      {
        role: 'user',
        content: `Which tool is needed next? Say its name, or "${ANSWER}" when none is needed any more.`,
      },
    ],
    {
      type: 'object',
      properties: { tool: { type: 'string', enum: [...names, ANSWER] } },
      required: ['tool'],
    },
    { tools, most: CHOICE_TOKENS },
  );
  const tool = tools.find((one) => one.name === chosen['tool']);
  if (!tool) return undefined;
  const content = `Fill in the arguments of ${tool.name}: ${tool.description}`;
  const args = await constrained(scope, [{ role: 'user', content }], offered(tool).parameters, {
    tools: [],
    most: ARGUMENT_TOKENS,
  });
  return { name: tool.name, arguments: args };
}

/** The messages for a model whose template knows no tools: calls and results as plain text. */
export function asText(messages: ChatMessage[]): ChatMessage[] {
  return messages.map(({ role, content, tool_calls, tool_name, images }) => {
    if (role === 'tool') return { role: 'user', content: `Result of ${tool_name}:\n${content}` };
    const calls = (tool_calls ?? []).map(
      (call) => `I call ${call.name} with ${JSON.stringify(call.arguments)}.`,
    );
    const text = [content, ...calls].filter((line) => line !== '').join('\n');
    return { role, content: text, ...(images && { images }) };
  });
}

/** The system's message, with the tools that there are to choose from. */
export function systemText(system: string, tools: HostTool[]): ChatMessage {
  const lines = tools.map((tool) => `- ${tool.name}: ${tool.description}`);
  return { role: 'system', content: [system, ...(lines.length > 0 ? ['Tools:', ...lines] : [])].join('\n') };
}

async function constrained(
  scope: ChooseScope,
  question: ChatMessage[],
  format: JsonObject,
  { tools, most }: { tools: HostTool[]; most: number },
): Promise<JsonObject> {
  const request: ChatRequest = scope.window.sized({
    model: scope.modelName,
    messages: [systemText(scope.system, tools), ...asText(scope.messages), ...question],
    format,
    think: false,
    options: { temperature: 0, num_predict: scope.thinks ? most + THOUGHT_TOKENS : most },
  });
  let text = '';
  for await (const event of scope.model.chat(request, scope.signal)) {
    if (event.type === 'text') text += event.text;
    else if (event.type === 'done') await scope.measured(request, event);
    if (repeats(text)) break;
  }
  return z.record(z.string(), z.unknown()).catch({}).parse(jsonOrNothing(text));
}
