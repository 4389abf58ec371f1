import { readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import type { Connections, HostResource } from '../mcp/connections.ts';

const MOST_OFFERED = 40;
const IMAGE = /\.(png|jpe?g|webp|gif)$/i;
/** Tab is pressed by a person who waits. */
const PATIENCE_MS = 2_000;

type Known = Pick<Connections, 'resources' | 'completeResource' | 'prompts'>;

/** What Tab offers: slash commands at the beginning, servers' prompts among them, files after `/image`, `@server:uri` anywhere. */
export async function complete(
  line: string,
  commands: string[],
  connections: Known,
): Promise<[string[], string]> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const mention = /(?:^|\s)(@\S*)$/.exec(line)?.[1];
  if (mention !== undefined) {
    const offered = await mentions(mention.slice(1), connections, signal);
    return [
      some(
        offered.map((one) => `@${one}`),
        mention,
      ),
      mention,
    ];
  }
  const path = /^\/image\s+(.*)$/.exec(line)?.[1];
  if (path !== undefined) return [await images(path), path];
  if (!/^\/\S*$/.test(line)) return [[], line];
  const prompts = await connections.prompts(signal);
  const all = [
    ...commands.map((name) => `/${name}`),
    ...prompts.map(({ server, name }) => `/${server}:${name}`),
  ];
  return [some(all, line), line];
}

const some = (all: string[], begun: string) =>
  [...new Set(all)].filter((one) => one.startsWith(begun)).slice(0, MOST_OFFERED);

/** Folders, and the pictures in them. */
async function images(begun: string): Promise<string[]> {
  const at = begun.lastIndexOf('/') + 1;
  const folder = begun.slice(0, at);
  const there = folder.replace(/^~(?=\/)/, homedir());
  const entries = await readdir(there === '' ? '.' : there, { withFileTypes: true }).catch(() => []);
  return some(
    entries
      .filter((one) => one.isDirectory() || IMAGE.test(one.name))
      .filter(({ name }) => !name.startsWith('.') || begun.slice(at).startsWith('.'))
      .map((one) => `${folder}${one.name}${one.isDirectory() ? '/' : ''}`),
    begun,
  );
}

async function mentions(begun: string, connections: Known, signal: AbortSignal): Promise<string[]> {
  const resources = await connections.resources(signal);
  const [, server, uri = ''] = /^([\w.-]+):(.*)$/.exec(begun) ?? [];
  if (server === undefined) return resources.map((one) => `${one.server}:`);
  const ways = await Promise.all(
    resources
      .filter((one) => one.server === server)
      .map(async (one) => (one.template ? filled(one, uri, connections, signal) : [one.uri])),
  );
  return ways.flat().map((way) => `${server}:${way}`);
}

/** How a template's URI could go on: to its next variable, or with the values that the server has for it. */
async function filled(
  { server, uri: template }: HostResource,
  begun: string,
  connections: Known,
  signal: AbortSignal,
): Promise<string[]> {
  // RFC 6570, as far as servers use it: `{name}`, `{+name}`, `{/name*}`.
  const parts = template.split(/(\{[^}]+\})/).filter((part) => part !== '');
  const known: Record<string, string> = {};
  let done = '';
  for (const [at, part] of parts.entries()) {
    const rest = begun.slice(done.length);
    const variable = /^\{[+#./;?&]?([\w.]+)/.exec(part)?.[1];
    if (variable === undefined) {
      if (!rest.startsWith(part)) return part.startsWith(rest) ? [done + part] : [];
      done += part;
      continue;
    }
    const next = parts[at + 1];
    // A plain variable holds no `/` or `?`: what begins the next part ends it.
    const end = next === undefined ? -1 : rest.indexOf(next.slice(0, 1));
    if (end <= 0) {
      const argument = { name: variable, value: rest };
      const values = await connections.completeResource(server, template, argument, known, signal);
      return values.map((value) => done + value);
    }
    known[variable] = rest.slice(0, end);
    done += rest.slice(0, end);
  }
  return [done];
}
