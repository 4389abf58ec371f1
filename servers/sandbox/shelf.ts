import { isObject } from '../../kit/json.ts';
import { z } from 'zod';
import { readJournal } from '../../kit/journal-read.ts';
import { toolFor } from '../../kit/tool.ts';
import type { LiveTool, ToolSummary } from './registry/registry.ts';
import { bareName, forgedName, type Sandbox } from './sandbox.ts';

const tool = toolFor<Sandbox>();

const summary = z.object({
  name: z.string(),
  version: z.string(),
  status: z.string(),
  live: z.string().optional(),
  description: z.string(),
  uses: z.number().optional(),
});

/** A longer list is cut here; find narrows it down. */
const LISTED = 100;

export const shelf = [
  tool({
    name: 'sandbox_list_tools',
    title: 'List forged tools',
    description: 'Every forged tool with its newest version, status, live version and uses in 30 days.',
    examples: ['which tools did we make ourselves', 'what is live, and how often is it used'],
    effect: 'read',
    input: z.object({ status: z.enum(['draft', 'testing', 'approved', 'production', 'retired']).optional() }),
    output: z.object({ tools: z.array(summary), total: z.number(), note: z.string().optional() }),
    async run({ status }, sandbox) {
      const all = await sandbox.registry.list(status);
      const uses = await useCounts(sandbox.home);
      const tools = all.slice(0, LISTED).map((one) => ({ ...shown(one), uses: uses.get(one.name) ?? 0 }));
      const rest = `The first ${LISTED}; for others ask by status, or sandbox_find_tools.`;
      return { tools, total: all.length, ...(all.length > LISTED && { note: rest }) };
    },
  }),
  tool({
    name: 'sandbox_find_tools',
    title: 'Find forged tools',
    description: 'Forged tools that fit a need, best first. Look here before forging a new one.',
    examples: ['do we already have a tool for invoices', 'is there one of our tools that parses dates'],
    effect: 'read',
    input: z.object({ query: z.string() }),
    output: z.object({ tools: z.array(summary) }),
    async run({ query }, sandbox) {
      const found = await findTools(sandbox, query, 8);
      return { tools: found.map(shown) };
    },
  }),
  tool({
    name: 'sandbox_show_tool',
    title: 'Show a tool',
    description: 'Code, schemas, tests, verdict and history of a version (newest by default).',
    examples: ['show me the code of the slugify tool', 'what did version 1.0.1 change'],
    effect: 'read',
    input: z.object({ name: z.string().transform(bareName), version: z.string().optional() }),
    output: z.object({
      name: z.string(),
      version: z.string(),
      status: z.string(),
      description: z.string(),
      language: z.string(),
      grants: z.array(z.string()),
      input_schema: z.unknown(),
      output_schema: z.unknown().optional(),
      code: z.string(),
      tests: z.array(z.unknown()),
      gates: z.array(z.string()),
      versions: z.array(z.string()),
      history: z.array(z.string()),
      uses: z.number(),
    }),
    async run({ name, version }, { registry, home }) {
      const { manifest, verdict, ...stored } = await registry.read(name, version);
      const [versions, history, uses] = await Promise.all([
        registry.versions(name),
        registry.history(name),
        useCounts(home),
      ]);
      return {
        name,
        version: stored.version,
        status: stored.status,
        description: manifest.description,
        language: manifest.language,
        grants: manifest.grants,
        input_schema: manifest.input_schema,
        ...(manifest.output_schema && { output_schema: manifest.output_schema }),
        code: stored.code,
        tests: stored.tests,
        gates:
          verdict?.gates.map((one) => `${one.gate}: ${one.message ?? (one.passed ? 'passed' : 'failed')}`) ??
          [],
        versions: versions.map((one) => `${one.version} ${one.status}`),
        history: history
          .slice(0, 20)
          .map((one) => `${one.at} ${one.event} ${one.version} ${one.note}`.trim()),
        uses: uses.get(name) ?? 0,
      };
    },
  }),
];

function shown({ name, version, status, live, description }: ToolSummary) {
  return { name, version, status, ...(live !== undefined && { live }), description };
}

/** Tools of any status that fit the words of `query`, best first. */
export async function findTools(sandbox: Sandbox, query: string, limit: number): Promise<ToolSummary[]> {
  const all = await sandbox.registry.list();
  sandbox.search.load(all, () => {
    const live = new Map(sandbox.registry.live().map((one) => [one.name, one]));
    return all.map(({ name, description }) => ({
      name,
      description,
      details: argumentWords(live.get(name)),
      // What can be used at once comes before drafts of the like.
      weight: live.has(name) ? 1 : 0.5,
    }));
  });
  const found = await sandbox.search.find(query, limit);
  const byName = new Map(all.map((one) => [one.name, one]));
  return found.flatMap(({ name }) => byName.get(name) ?? []);
}

/** Names and descriptions of a tool's arguments. */
function argumentWords(tool: LiveTool | undefined): string {
  const properties = tool?.input_schema['properties'];
  return isObject(properties)
    ? Object.entries(properties)
        .map(([name, schema]) => `${name} ${isObject(schema) ? textOf(schema['description']) : ''}`)
        .join(' ')
    : '';
}

const textOf = (value: unknown) => (typeof value === 'string' ? value : '');

const DAY_MS = 24 * 3600 * 1000;
const FRESH_MS = 10_000;
const counted = new Map<string, { at: number; uses: Map<string, number> }>();

/** Calls of each forged tool in the last 30 days, from the journal; counted again after 10 s. */
async function useCounts(home: string): Promise<Map<string, number>> {
  const known = counted.get(home);
  if (known && Date.now() - known.at < FRESH_MS) return known.uses;
  const uses = new Map<string, number>();
  const since = new Date(Date.now() - 30 * DAY_MS);
  for await (const entry of readJournal(home, { since, name: forgedName('*'), outcome: 'ok' })) {
    const name = bareName(entry.name);
    uses.set(name, (uses.get(name) ?? 0) + 1);
  }
  counted.set(home, { at: Date.now(), uses });
  return uses;
}
