import type { ChatBody } from './ollama-bodies.ts';
import { Refused } from './ollama-wire.ts';

type Messages = ChatBody['messages'];

/** A prompt as the model gets it. */
interface Prompt {
  messages: Messages;
  tokens: number;
}

/** `clip` images count so much (`server/prompt.go`). */
const PICTURE = 768;

export function tokens(messages: Messages, { tools, format }: ChatBody): number {
  const words = JSON.stringify(messages.map((one) => ({ ...one, images: undefined })));
  const pictures = messages.reduce((sum, { images = [] }) => sum + images.length, 0);
  return Math.ceil((words.length + JSON.stringify([tools, format]).length) / 4) + pictures * PICTURE;
}

/**
 * What Ollama does with a prompt past `num_ctx`: the oldest messages go, those of the system and the last one stay
 * (`chatPrompt`); where that does not do, the runner cuts what is left at its front. With `truncate: false` it refuses.
 */
export function fitted(body: ChatBody, context: number, old: boolean): Prompt {
  const whole = tokens(body.messages, body);
  if (whole <= context) return { messages: body.messages, tokens: whole };
  if (!body.truncate && !old) throw new Refused(400, 'the input length exceeds the context length');
  const last = body.messages.length - 1;
  for (let from = 1; from <= last; from++) {
    const system = body.messages.slice(0, from).filter(({ role }) => role === 'system');
    const kept = [...system, ...body.messages.slice(from)];
    const count = tokens(kept, body);
    if (count <= context) return { messages: kept, tokens: count };
    if (from === last) return { messages: cut(kept, context), tokens: context };
  }
  return { messages: cut(body.messages, context), tokens: context };
}

/** The end of a prompt, of which the system's words are the first to go. */
function cut(messages: Messages, context: number): Messages {
  let room = context * 4;
  return messages
    .toReversed()
    .flatMap((one) => {
      const content = room > 0 ? one.content.slice(-room) : '';
      room -= one.content.length;
      return content === '' ? [] : [{ ...one, content }];
    })
    .toReversed();
}
