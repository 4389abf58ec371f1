import { inputResponse, type ServerContext } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { PassingCaller } from './passed.ts';

/** What a client says of its elicitation. */
export const elicitation = z.object({ form: z.object({}).optional(), url: z.object({}).optional() });

type Elicits = { form?: unknown; url?: unknown } | undefined;

/** What a person is asked for: yes or no. */
export const decision = z.object({ approve: z.boolean().describe('approve it') });

/** "An empty capabilities object is equivalent to declaring support for form mode only" (MCP, Elicitation). */
export const canFillForms = (said: Elicits) =>
  said !== undefined && (said.form !== undefined || said.url === undefined);

/** The client opens addresses for a person (MCP, Elicitation, URL mode). */
export const canOpenUrls = (said: Elicits) => said?.url !== undefined;

interface Answers {
  mcpReq: Pick<ServerContext['mcpReq'], 'inputResponses'>;
}

/** The person's answer to the question that the last round ended with. */
export function answerOf(ctx: Answers): Pick<PassingCaller, 'answer' | 'form'> {
  const response = inputResponse(ctx.mcpReq.inputResponses, 'decision');
  if (response.kind === 'missing') return { answer: 'none' };
  if (response.kind !== 'elicit' || response.action === 'cancel') return { answer: 'dismissed' };
  if (response.action !== 'accept') return { answer: 'declined' };
  const approved = decision.safeParse(response.content).data?.approve === true;
  return { answer: approved ? 'accepted' : 'declined', form: { ...response.content } };
}

/** "accept" is the person's consent to open the address, not that anything was completed there (MCP, Elicitation). */
export function visitedOf(ctx: Answers): PassingCaller['visited'] {
  const response = inputResponse(ctx.mcpReq.inputResponses, 'visit');
  if (response.kind === 'missing') return undefined;
  return response.kind === 'elicit' && response.action === 'accept' ? 'accepted' : 'declined';
}
