import { z } from 'zod';

/** Settings of the sandbox server: `servers.sandbox` in kuznia.json, or the environment. */
export const sandboxConfig = z.object({
  ask: z
    .enum(['grants', 'all', 'none'])
    .default('grants')
    .describe('which tools a person must approve: those with grants, all, or none')
    .meta({ env: 'SANDBOX_ASK' }),
  timeout_ms: z
    .number()
    .int()
    .min(10)
    .max(40_000)
    .default(10_000)
    .describe('deadline of one run')
    .meta({ env: 'SANDBOX_TIMEOUT_MS' }),
  forge_rounds: z
    .number()
    .int()
    .min(1)
    .max(20)
    .default(6)
    .describe('how often the model may mend a tool before the forge gives up')
    .meta({ env: 'SANDBOX_FORGE_ROUNDS' }),
  model: z
    .string()
    .optional()
    .describe('the Ollama model that writes tools; unset: one that is installed')
    .meta({ env: 'KUZNIA_MODEL' }),
  ollama: z.string().optional().describe('where Ollama answers').meta({ env: 'OLLAMA_HOST' }),
});

export type SandboxConfig = z.output<typeof sandboxConfig>;
