import type { Asker, PassedOn } from '../../kit/passed.ts';
import { matchTemplate } from '../../kit/template.ts';
import type { Connections, HostPrompt, HostResource } from '../mcp/connections.ts';

/** A line of stdio holds 10 MiB. */
const MOST_CHARS = 7 * 1024 * 1024;

/** Who counts requests, writes them down, and remembers what was read. */
export interface Desk {
  /** Does it for a client; throws where that asked for too much. */
  serve: <T>(what: string, asker: Asker, work: () => Promise<T>) => Promise<T>;
  read: (client: string, text: string) => void;
}

/** Resources and prompts of all servers; a URI belongs to the first that has it, a prompt's name too. */
export function passing(connections: Connections, desk: Desk, settled: Promise<void>): PassedOn {
  /** As the tools: some clients list them once, before a slow server is there. */
  const resources = (signal: AbortSignal) => settled.then(() => connections.resources(signal));
  const prompts = (signal: AbortSignal) => settled.then(() => connections.prompts(signal));
  const ready = () =>
    connections
      .states()
      .filter(({ state }) => state === 'ready')
      .map(({ name }) => name)
      .join(' ');
  return {
    resources: (asker) =>
      desk.serve('resources/list', asker, async () => {
        const all = await resources(asker.signal);
        const seen = new Set<string>();
        return all
          .filter(({ uri }) => !seen.has(uri) && seen.add(uri))
          .map(({ uri, name, title, description, mimeType, template }) => {
            return { uri, name, title, description, mimeType, template };
          });
      }),
    read: (uri, asker) =>
      desk.serve('resources/read', asker, async () => {
        const { client, signal } = asker;
        const owner = ownerOf(uri, await resources(signal));
        if (!owner) return undefined;
        const { contents, text } = await connections.readResource(owner.server, uri, signal);
        desk.read(client, text);
        const size = contents.reduce((sum, part) => sum + ('text' in part ? part.text : part.blob).length, 0);
        if (size <= MOST_CHARS) return contents;
        throw new Error(`${uri.slice(0, 200)} has ${size} characters, which is too much to pass on.`);
      }),
    complete: (template, argument, known, asker) =>
      desk.serve('completion/complete', asker, async () => {
        const all = await resources(asker.signal);
        const owner = all.find((one) => one.template && one.uri === template);
        if (!owner) return [];
        return connections.completeResource(owner.server, template, argument, known, asker.signal);
      }),
    prompts: (asker) =>
      desk.serve('prompts/list', asker, async () =>
        [...byName(await prompts(asker.signal))].map(([name, prompt]) => ({
          name,
          description: prompt.description,
          arguments: prompt.arguments,
        })),
      ),
    prompt: (name, args, asker) =>
      desk.serve('prompts/get', asker, async () => {
        const found = byName(await prompts(asker.signal)).get(name);
        if (!found) return undefined;
        return (await connections.prompt(found.server, found.name, args, asker.signal)).messages;
      }),
    onChange(listener) {
      let before = ready();
      return connections.onChange((what) => {
        const now = ready();
        if (what !== 'offers' && now === before) return;
        before = now;
        listener();
      });
    },
  };
}

/** Listed as it is, or made by a template; templates past RFC 6570 level 1 are known by how they begin. */
function ownerOf(uri: string, all: HostResource[]): HostResource | undefined {
  const templates = all.filter((one) => one.template);
  return (
    all.find((one) => !one.template && one.uri === uri) ??
    templates.find((one) => matchTemplate(one.uri, uri)) ??
    templates.find((one) => {
      const start = one.uri.slice(0, one.uri.indexOf('{'));
      return /\{[+#./;?&]/.test(one.uri) && start.includes(':') && uri.startsWith(start);
    })
  );
}

function byName(prompts: HostPrompt[]): Map<string, HostPrompt> {
  const named = new Map<string, HostPrompt>();
  for (const prompt of prompts) {
    const name = named.has(prompt.name) ? `${prompt.server}_${prompt.name}` : prompt.name;
    if (!named.has(name)) named.set(name, prompt);
  }
  return named;
}
