import type { AuthInfo, Server, ServerContext } from '@modelcontextprotocol/server';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { answerOf, canFillForms, canOpenUrls, elicitation, visitedOf } from './elicit.ts';
import type { Asker, PassingCaller } from './passed.ts';
import { Steps } from './steps.ts';

type Request = ServerContext['mcpReq'];

/** What is known of a request for a call. */
export interface CallContext {
  mcpReq: Pick<Request, 'signal'> &
    Partial<Pick<Request, '_meta' | 'envelope' | 'inputResponses'>> & {
      requestState: () => string | undefined;
      notify: (told: {
        method: 'notifications/progress';
        params: { progressToken: string | number; progress: number };
      }) => Promise<void>;
    };
  http?: { authInfo?: AuthInfo };
}

/** Who makes a call, what their client can do, and what a person answered; `told` waits for the progress to leave. */
export function caller(
  server: Server,
  ctx: CallContext,
  hosted: boolean,
): PassingCaller & { told: () => Promise<void> | undefined } {
  const token = ctx.mcpReq._meta?.progressToken;
  let last: number | undefined;
  const steps = new Steps((params: { progressToken: string | number; progress: number }) =>
    ctx.mcpReq.notify({ method: 'notifications/progress', params }),
  );
  const client = clientOf(server, ctx);
  const { answer, form } = answerOf(ctx);
  return {
    ...whoAsks(client.name, ctx),
    session: server,
    canAsk: client.canAsk,
    canVisit: client.canVisit,
    visited: visitedOf(ctx),
    answer,
    form,
    about: ctx.mcpReq.requestState(),
    turn: hosted ? turnOf(ctx) : undefined,
    progress(done, total, note) {
      if (token === undefined || ctx.mcpReq.signal.aborted) return;
      // "The progress value MUST increase with each notification" (MCP, Progress).
      last = last === undefined ? done : Math.max(done, last + 0.001);
      const step = { progressToken: token, progress: last, total, message: note };
      steps.tell(step);
    },
    // Clients stop listening for progress when the result is there, and handle results first: those that come in one
    // read lose the last steps. A pause only calls with progress pay lets them be read apart.
    told: () => (last === undefined ? undefined : steps.end().then(() => sleep(5))),
  };
}

/** Who asks for what is passed on. */
export const asker = (server: Server, ctx: CallContext): Asker => whoAsks(clientOf(server, ctx).name, ctx);

function whoAsks(name: string, ctx: CallContext): Asker {
  const identity = ctx.http?.authInfo?.clientId;
  // What a client says of itself is no token's name.
  const client = identity === undefined ? name.replace(/^token:/, '') : `token:${identity}`;
  return { client, identity, signal: ctx.mcpReq.signal };
}

/** Our host names the turn of a conversation that a call belongs to. */
function turnOf(ctx: CallContext): string | undefined {
  const turn = ctx.mcpReq._meta?.['kuznia/turn'];
  return typeof turn === 'string' && turn.length <= 64 ? turn : undefined;
}

const envelopeInfo = z.object({
  'io.modelcontextprotocol/clientInfo': z.object({ name: z.string() }).optional(),
  'io.modelcontextprotocol/clientCapabilities': z.object({ elicitation: elicitation.optional() }).optional(),
});

/** Modern requests say who they are themselves; a 2025 connection said it once, at `initialize`. */
function clientOf(server: Server, ctx: CallContext): { name: string; canAsk: boolean; canVisit: boolean } {
  if (ctx.mcpReq.envelope) {
    const said = envelopeInfo.safeParse(ctx.mcpReq.envelope).data;
    const elicits = said?.['io.modelcontextprotocol/clientCapabilities']?.elicitation;
    return {
      name: said?.['io.modelcontextprotocol/clientInfo']?.name ?? 'unknown',
      canAsk: canFillForms(elicits),
      canVisit: canOpenUrls(elicits),
    };
  }
  const elicits = server.getClientCapabilities()?.elicitation;
  return {
    name: server.getClientVersion()?.name ?? 'unknown',
    canAsk: canFillForms(elicits),
    canVisit: canOpenUrls(elicits),
  };
}
