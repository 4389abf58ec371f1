import { z } from 'zod';
import { toolFor, ToolError } from '../../kit/tool.ts';
import type { SandboxConfig } from './config.ts';
import { needsPerson } from './gates/gates.ts';
import type { StoredVersion } from './registry/registry.ts';
import { bareName, forgedName, type Sandbox } from './sandbox.ts';
import { reviewText } from './review.ts';

const tool = toolFor<Sandbox>();

const name = z.string().transform(bareName);
const version = z.string().optional();

export const release = [
  tool({
    name: 'sandbox_approve_tool',
    title: 'Approve a tool',
    description: 'Ask a person to approve a tested version. Only needed where the policy wants a person.',
    examples: ['let me look at the new tool and approve it', 'ask me whether this tool may go live'],
    effect: 'write',
    idempotent: true,
    input: z.object({ name, version: z.string() }),
    output: z.object({ name: z.string(), version: z.string(), status: z.string() }),
    async confirm(input, { registry, config }) {
      if (isSettled(await registry.read(input.name, input.version), config)) return undefined;
      const command = `kuznia approve ${input.name} ${input.version}`;
      return { message: await reviewText(registry, input.name, input.version), elsewhere: command };
    },
    async run(input, { registry, config }) {
      if (!isSettled(await registry.read(input.name, input.version), config)) {
        await registry.approve(input.name, input.version, { who: 'person', how: 'elicitation' });
      }
      const { status } = await registry.read(input.name, input.version);
      return { name: input.name, version: input.version, status };
    },
  }),
  tool({
    name: 'sandbox_publish_tool',
    title: 'Publish a tool',
    description: 'Make an approved version live as forged_NAME, for every client at once.',
    examples: ['make the tool live', 'put version 1.0.2 into production'],
    effect: 'write',
    idempotent: true,
    input: z.object({ name, version }),
    output: z.object({ tool: z.string(), version: z.string(), previous: z.string().optional() }),
    async run(input, { registry, config }) {
      const { manifest } = await registry.read(input.name, input.version);
      if (manifest.grants.length > 0) {
        throw new ToolError(
          `${input.name} asks for ${manifest.grants.join(', ')}, and no lane can give that yet, so it cannot be published. Save a version without grants.`,
        );
      }
      const live = await registry.publish(input.name, input.version, policy(config));
      return { tool: forgedName(input.name), version: live.version, ...previous(live.previous) };
    },
  }),
  tool({
    name: 'sandbox_rollback_tool',
    title: 'Roll a tool back',
    description: 'Make the version that was live before (or the given one) live again.',
    examples: ['go back to the version from before', 'the new version of the tool is broken, undo it'],
    effect: 'write',
    input: z.object({ name, version }),
    output: z.object({ tool: z.string(), version: z.string(), previous: z.string().optional() }),
    async run(input, { registry, config }) {
      const live = await registry.rollback(input.name, input.version, policy(config));
      return { tool: forgedName(input.name), version: live.version, ...previous(live.previous) };
    },
  }),
  tool({
    name: 'sandbox_retire_tool',
    title: 'Retire a tool',
    description: 'Take a published tool away; its versions stay, and a rollback brings it back.',
    examples: ['we no longer need this tool, take it away', 'remove the slugify tool'],
    effect: 'write',
    idempotent: true,
    input: z.object({ name, version }),
    output: z.object({ tool: z.string(), version: z.string() }),
    async run(input, { registry }) {
      const live = registry.live().find((one) => one.name === input.name);
      if (live && input.version !== undefined && live.version !== input.version) {
        throw new ToolError(
          `${input.version} of ${input.name} is not live; ${live.version} is. Name that version, or none.`,
        );
      }
      const retired = await registry.retire(input.name);
      return { tool: forgedName(input.name), version: retired.version };
    },
  }),
];

/** Nobody needs to be asked: a person has approved it, or the policy that holds here has. */
function isSettled({ status, decision, manifest }: StoredVersion, config: SandboxConfig): boolean {
  if (decision) return decision.approved;
  return ['approved', 'production'].includes(status) && !needsPerson(manifest.grants, config.ask);
}

/** What this server's policy asks of a version that another one's may have approved. */
export const policy = (config: SandboxConfig) => ({
  needsPerson: (grants: string[]) => needsPerson(grants, config.ask),
});

const previous = (was: string | undefined) => (was === undefined ? {} : { previous: was });
