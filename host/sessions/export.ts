import type { ChatMessage } from '../../kit/model.ts';
import { redact } from '../../kit/secrets.ts';
import type { Turn } from './sessions.ts';
import { clean, fit } from '../terminal/text.ts';

const MOST_RESULT = 4_000;

/** A conversation as Markdown: what was asked and answered, each call with its arguments and result. */
export function toMarkdown(turns: Turn[]): string {
  const title = fit(clean(turns[0]?.messages[0]?.content ?? 'A conversation'), 80);
  const parts = [`# ${title}`];
  for (const { id, at, model = 'the model', messages } of turns) {
    for (const message of messages) {
      const { role, content } = message;
      if (role === 'user') parts.push(`## You\n\n<sub>${at} · turn ${id}</sub>`, content);
      else if (role === 'assistant') parts.push(...spoken(message, model));
      else if (role === 'tool') parts.push(`Result of \`${message.tool_name}\`:`, fenced(content, ''));
      if (message.images?.length) parts.push(`*${message.images.length} image(s) that are not in this file*`);
    }
  }
  return `${redact(clean(parts.filter((part) => part.trim() !== '').join('\n\n')))}\n`;
}

function spoken({ content, tool_calls: calls = [] }: ChatMessage, model: string): string[] {
  const head = `## ${model}`;
  const told = calls.flatMap((call) => [
    `Calls \`${call.name}\`:`,
    fenced(JSON.stringify(call.arguments, null, 2), 'json'),
  ]);
  return [head, content, ...told];
}

/** In a fence that is longer than any that the text has itself. */
function fenced(text: string, language: string): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((ticks) => ticks.length));
  const fence = '`'.repeat(longest + 1);
  const shown = text.length > MOST_RESULT ? `${text.slice(0, MOST_RESULT)}… [cut]` : text;
  return `${fence}${language}\n${shown}\n${fence}`;
}
