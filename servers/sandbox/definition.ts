import type { ServerDefinition } from '../../kit/tool.ts';
import { code } from './code.ts';
import { sandboxConfig, type SandboxConfig } from './config.ts';
import { drafts } from './drafts.ts';
import { forgedTools } from './forged.ts';
import { forging } from './forging.ts';
import { guides } from './guide.ts';
import { release } from './release.ts';
import { resources } from './resources.ts';
import { closeSandbox, openSandbox, type Sandbox } from './sandbox.ts';
import { shelf } from './shelf.ts';

export { health, review } from './review.ts';

/** The sandbox server: a model writes a tool, it is tested in isolation, approved, published, improved, rolled back. */
export const sandbox: ServerDefinition<SandboxConfig, Sandbox> = {
  name: 'sandbox',
  title: 'Sandbox',
  instructions:
    'Runs code in isolation and forges tools. Lacking a tool, call sandbox_execute_task, or write one: sandbox_save_tool, sandbox_test_tool, sandbox_publish_tool. Published tools are listed as forged_NAME.',
  config: sandboxConfig,
  open: openSandbox,
  close: closeSandbox,
  tools: [...code, ...drafts, ...release, ...shelf, ...forging],
  resources,
  prompts: guides,
  catalogue: forgedTools,
};
