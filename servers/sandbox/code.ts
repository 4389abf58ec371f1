import { z } from 'zod';
import { ToolError, toolFor } from '../../kit/tool.ts';
import { bareName, fault, forgedName, runPublished, type Sandbox } from './sandbox.ts';

const tool = toolFor<Sandbox>();

export const code = [
  tool({
    name: 'sandbox_run_code',
    title: 'Run code',
    description:
      'Run JavaScript in isolation (no network, files, imports) and get its value. For computing, parsing, checking.',
    examples: [
      'what is 17 % of 2,431.50',
      'how many weekdays are there between 3 May and 20 June',
      'sort these lines and drop the doubles',
      'check this regular expression against these words',
    ],
    effect: 'read',
    input: z.object({
      code: z
        .string()
        .max(200_000, 'longer than 200,000 characters; run a smaller part')
        .describe('statements, the last one being the value; or `export default (input) => …`'),
      input: z.unknown().optional(),
      timeout_ms: z.number().int().min(1).max(40_000).optional(),
    }),
    output: z.object({ value: z.unknown(), console: z.array(z.string()), ms: z.number() }),
    async run({ code: source, input, timeout_ms }, { runner, config }, { signal }) {
      const verdict = await runner.run(
        {
          program: { code: source, kind: 'snippet' },
          input,
          timeoutMs: timeout_ms ?? config.timeout_ms,
          clock: 'real',
        },
        signal,
      );
      if (verdict.outcome !== 'ok') throw new ToolError(fault('The code', verdict));
      return { value: verdict.value, console: verdict.console, ms: Math.round(verdict.ms * 10) / 10 };
    },
  }),
  tool({
    name: 'sandbox_run_tool',
    title: 'Run a published tool',
    description: 'Run a published tool by name, for clients that do not list its own forged_ entry.',
    examples: ['run the slugify tool on this title', 'use the tool that we made yesterday'],
    effect: 'read',
    input: z.object({ name: z.string(), input: z.record(z.string(), z.unknown()) }),
    output: z.object({ result: z.record(z.string(), z.unknown()) }),
    async run({ name, input }, sandbox, ctx) {
      const started = performance.now();
      const result = await runPublished(sandbox, bareName(name), input, ctx);
      const ms = performance.now() - started;
      // Counted as a use of the tool, whichever way in was taken.
      ctx.journal.record({ kind: 'event', name: forgedName(bareName(name)), outcome: 'ok', ms });
      return { result };
    },
  }),
];
