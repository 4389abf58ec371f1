import { redactKnown, redactValue } from '../../kit/secrets.ts';
import type { Client } from '@modelcontextprotocol/client';
import type { HostPrompt, HostResource, PromptText, ResourceText } from './link-types.ts';

const LIST_MS = 10_000;

/** The resources and prompts of one server. */
export class Offers {
  readonly #server: string;
  readonly #client: Client;

  constructor(server: string, client: Client) {
    this.#server = server;
    this.#client = client;
  }

  async resources(signal: AbortSignal): Promise<HostResource[]> {
    const client = this.#client;
    if (!client.getServerCapabilities()?.resources) return [];
    const options = { signal, timeout: LIST_MS };
    const [{ resources }, { resourceTemplates }] = await Promise.all([
      client.listResources(undefined, options),
      client.listResourceTemplates(undefined, options).catch(() => ({ resourceTemplates: [] })),
    ]);
    const server = this.#server;
    return redactValue([
      ...resources.map(({ uri, name, title, description, mimeType }) => {
        return { server, uri, name, title, description, mimeType, template: false };
      }),
      ...resourceTemplates.map(({ uriTemplate: uri, name, title, description, mimeType }) => {
        return { server, uri, name, title, description, mimeType, template: true };
      }),
    ]);
  }

  async read(uri: string, signal: AbortSignal): Promise<ResourceText> {
    const answer = await this.#client.readResource({ uri }, { signal, timeout: LIST_MS });
    const { contents } = redactValue(answer);
    const text = contents.map((part) => ('text' in part ? part.text : `[binary: ${part.uri}]`)).join('\n');
    return { text, mimeType: contents[0]?.mimeType, contents };
  }

  /** Values for one variable of a template; `known` holds those that are filled in. */
  async complete(
    uri: string,
    argument: { name: string; value: string },
    known: Record<string, string>,
    signal: AbortSignal,
  ): Promise<string[]> {
    if (!this.#client.getServerCapabilities()?.completions) return [];
    const ref = { type: 'ref/resource' as const, uri };
    const asked = { ref, argument, context: { arguments: known } };
    const { completion } = await this.#client.complete(asked, { signal, timeout: LIST_MS });
    return completion.values.map(redactKnown);
  }

  async prompts(signal: AbortSignal): Promise<HostPrompt[]> {
    if (!this.#client.getServerCapabilities()?.prompts) return [];
    const { prompts } = await this.#client.listPrompts(undefined, { signal, timeout: LIST_MS });
    return redactValue(prompts).map(({ name, description = '', arguments: args = [] }) => ({
      server: this.#server,
      name,
      description,
      arguments: args.map((one) => ({
        name: one.name,
        description: one.description,
        required: one.required ?? false,
      })),
    }));
  }

  async prompt(name: string, args: Record<string, string>, signal: AbortSignal): Promise<PromptText> {
    const asked = { name, arguments: args };
    const { messages } = redactValue(await this.#client.getPrompt(asked, { signal, timeout: LIST_MS }));
    const text = messages
      .map(({ content }) => (content.type === 'text' ? content.text : `[${content.type}]`))
      .join('\n');
    return { text, messages };
  }
}
