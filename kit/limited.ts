import {
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  type CompleteRequest,
  type CompleteResult,
  type GetPromptRequest,
  type GetPromptResult,
  type ListPromptsResult,
  type ListResourcesResult,
  type ListResourceTemplatesResult,
  type ReadResourceRequest,
  type ReadResourceResult,
  type ServerContext,
} from '@modelcontextprotocol/server';

type Handler<Request, Result> = (request: Request, ctx: ServerContext) => Result | Promise<Result>;

interface Offers {
  listResources: Handler<unknown, ListResourcesResult>;
  listTemplates: Handler<unknown, ListResourceTemplatesResult>;
  readResource: Handler<ReadResourceRequest, ReadResourceResult>;
  complete: Handler<CompleteRequest, CompleteResult>;
  listPrompts: Handler<unknown, ListPromptsResult>;
  getPrompt: Handler<GetPromptRequest, GetPromptResult>;
}

/**
 * What is offered beside tools, for the clients that `may` have all of it. Others see that there is nothing: a token that
 * names its tools would read through resources what it may not ask a tool for.
 */
export function limited(offers: Offers, may: (ctx: ServerContext) => boolean): Offers {
  return {
    listResources: (request, ctx) => (may(ctx) ? offers.listResources(request, ctx) : { resources: [] }),
    listTemplates: (request, ctx) =>
      may(ctx) ? offers.listTemplates(request, ctx) : { resourceTemplates: [] },
    readResource(request, ctx) {
      if (may(ctx)) return offers.readResource(request, ctx);
      throw new ResourceNotFoundError(request.params.uri);
    },
    complete: (request, ctx) =>
      may(ctx) ? offers.complete(request, ctx) : { completion: { values: [], total: 0, hasMore: false } },
    listPrompts: (request, ctx) => (may(ctx) ? offers.listPrompts(request, ctx) : { prompts: [] }),
    getPrompt(request, ctx) {
      if (may(ctx)) return offers.getPrompt(request, ctx);
      const why = `There is no prompt \`${request.params.name.slice(0, 80)}\`; there are none for this token.`;
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, why);
    },
  };
}
