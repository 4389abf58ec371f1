import type { Catalogue } from './catalogue.ts';
import { statusOf } from './life.ts';
import type { Status } from './records.ts';
import type { Snapshot } from './snapshot.ts';

/** One tool in a list. */
export interface ToolSummary {
  name: string;
  title?: string;
  description: string;
  /** The newest version, and where it stands. */
  version: string;
  status: Status;
  /** The version in production, if one is. */
  live?: string;
  versions: number;
  grants: string[];
}

/** Lists of tools. Only what changed since the last one is read again. */
export class Summaries {
  #known = new Map<string, { key: string; summary: Promise<ToolSummary | undefined> }>();
  #lists = new Map<Status | 'any', ToolSummary[]>();
  #of = '';

  async list(main: Snapshot | undefined, live: Catalogue, status?: Status): Promise<ToolSummary[]> {
    const of = `${main?.commit ?? ''} ${live.at}`;
    if (of !== this.#of) {
      this.#of = of;
      this.#lists = new Map();
    }
    const lists = this.#lists;
    const all = lists.get('any') ?? (await this.#all(main, live));
    lists.set('any', all);
    if (status === undefined) return all;
    const some = lists.get(status) ?? all.filter((one) => hasStatus(one, status));
    lists.set(status, some);
    return some;
  }

  async #all(main: Snapshot | undefined, live: Catalogue): Promise<ToolSummary[]> {
    if (!main) return [];
    const [names, versions, verdicts, retired] = await Promise.all([
      main.tools(),
      main.folder('versions'),
      main.folder('verdicts'),
      main.folder('retired'),
    ]);
    const before = this.#known;
    this.#known = new Map();
    const found = names.map((name) => {
      const parts = [versions.get(name)?.id, verdicts.get(name)?.id, retired.get(`${name}.json`)?.id];
      const key = [...parts, live.lines.get(name)?.commit].join(' ');
      const kept = before.get(name);
      const summary = kept?.key === key ? kept.summary : summaryOf(main, live, name);
      // What could not be read is tried again next time.
      summary.catch(() => this.#known.delete(name));
      this.#known.set(name, { key, summary });
      return summary.catch(() => undefined);
    });
    return (await Promise.all(found)).filter((one) => one !== undefined);
  }
}

function hasStatus(one: ToolSummary, status: Status): boolean {
  return one.status === status || (status === 'production' && one.live !== undefined);
}

async function summaryOf(main: Snapshot, live: Catalogue, name: string): Promise<ToolSummary | undefined> {
  const versions = await main.versions(name);
  const version = versions.at(-1);
  if (version === undefined) return undefined;
  const line = live.lines.get(name);
  const rest = { name, version, versions: versions.length, ...(line && { live: line.version }) };
  if (line?.version === version) {
    // All that is listed stands in the catalogue, which is in memory. What is live has no grants.
    const { title, description } = line;
    return { ...rest, ...(title !== undefined && { title }), description, status: 'production', grants: [] };
  }
  const [manifest, verdict] = await Promise.all([main.manifest(name, version), main.verdict(name, version)]);
  const { title, description, grants } = manifest;
  const status = await statusOf(main, live, name, version, verdict);
  return { ...rest, ...(title !== undefined && { title }), description, status, grants };
}
