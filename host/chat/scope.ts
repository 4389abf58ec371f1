import type { ModelInfo } from '../../kit/model.ts';
import { Approvals } from '../approvals.ts';
import type { Image } from '../connections.ts';
import { describeImages } from '../images.ts';
import type { TurnOptions } from '../loop.ts';
import { Outside } from '../outside.ts';
import type { Session } from '../session.ts';
import { Window } from '../window.ts';

/** What all turns of one conversation have in common. */
export async function turnScope(
  { settings, runtime, model }: Session,
  info: () => ModelInfo,
  question: () => string,
) {
  const outside = new Outside();
  return {
    outside,
    window: new Window(runtime.home, settings.budget),
    rules: settings.approve,
    kept: await new Approvals(runtime.home).kept(),
    mostTools: settings.budget.tools,
    maxRounds: settings.budget.rounds,
    see: async (images: Image[], signal: AbortSignal, asked = question()) => {
      const options = { model, info: info(), settings: settings.models, question: asked, signal };
      const seen = await describeImages(images, options);
      if (seen.text) outside.add(seen.text);
      return seen;
    },
  } satisfies Partial<TurnOptions>;
}

export type TurnScope = Awaited<ReturnType<typeof turnScope>>;
