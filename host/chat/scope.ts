import type { ChatMessage, ModelInfo } from '../../kit/model.ts';
import type { Image } from '../mcp/connections.ts';
import { describeImages } from '../models/images.ts';
import { Outside } from '../turn/outside.ts';
import type { Session } from '../session.ts';
import { ownWords } from './attach.ts';

/** What the turns of one conversation have in common: its model's context, and who said what in it. */
export class Scope {
  readonly window;
  readonly outside = new Outside();
  readonly #said: string[] = [];
  readonly #session: Session;

  constructor(session: Session, earlier: readonly ChatMessage[] = []) {
    this.#session = session;
    this.window = session.window();
    for (const { role, content } of earlier) {
      if (role === 'tool') this.outside.add(content);
      if (role === 'user') this.heard(content);
    }
  }

  /** A message: the person's own words in it, and what others wrote. */
  heard(content: string): void {
    const own = ownWords(content);
    this.#said.push(own);
    this.outside.add(content.slice(own.length));
  }

  /** All that a turn is given beside its messages. */
  async forTurn(info: ModelInfo, question: string) {
    const { model, settings } = this.#session;
    const see = async (images: Image[], signal: AbortSignal) => {
      const seen = await describeImages(images, {
        model,
        info,
        settings: settings.models,
        question,
        signal,
      });
      this.outside.add(seen.text ?? '');
      return seen;
    };
    const { window, outside } = this;
    return { ...(await this.#session.forTurns(info)), window, outside, see, said: () => this.#said };
  }

  /** Allows a tool for good, as it is now. */
  async keep(name: string): Promise<void> {
    const { connections, approvals } = this.#session;
    const tools = await connections.tools(new AbortController().signal);
    const tool = tools.find((one) => one.name === name);
    if (tool) await approvals.keep(tool);
  }
}
