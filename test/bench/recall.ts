import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import MiniSearch from 'minisearch';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { flatten } from '../../host/turn/flatten.ts';
import type { HostTool } from '../../host/mcp/link-types.ts';
import { pick, ToolIndex, type Embedder, type Ranked } from '../../host/retrieval/index.ts';
import { freshPolish, seen, unseen } from '../fixtures/recall/fresh.ts';
import { english, later, polish, type Request } from '../fixtures/recall/requests.ts';
import { figure, median, spread, type Figure, type Scope } from './figure.ts';
import { cache, miniLm, multilingualE5 } from './recall-embedders.ts';
import { peerTools } from './recall-servers.ts';

const SHOWN = 8;
const patient = new AbortController().signal;

/** What share of requests has none of its tools among the eight that a model is shown, of all tools of public servers. */
export async function recall(scope: Scope): Promise<Figure[]> {
  const tools = await peerTools();
  // Vectors are kept between runs: they take minutes on a slow CPU.
  const home = join(cache, 'recall');
  const written = await examples();
  const first = await miniLm(await scope.folder('recall'));
  const second = await multilingualE5();
  try {
    const open = async (embedder?: Embedder, own?: (tool: HostTool) => string[]) => {
      const index = new ToolIndex({ home, embedder, examples: own, patienceMs: 60_000 });
      index.update(tools);
      await index.learn(patient);
      return index;
    };
    const of = (tool: HostTool) => written.get(id(tool)) ?? [];
    const lexical = await measure(await open(), english);
    const minilm = first && { plain: await open(first.embedder), taught: await open(first.embedder, of) };
    const fused = minilm && (await measure(minilm.plain, english));
    const taught = minilm && (await measure(minilm.taught, english));
    const e5 = { plain: await open(second.embedder), taught: await open(second.embedder, of) };
    const inPolish = await measure(e5.taught, polish);
    const bm25 = await plainBm25(tools);
    const cosines = first && (await plainEmbedding(tools, first.embedder));
    const note = first ? undefined : 'not measured: KUZNIA_REAL_OLLAMA and OLLAMA_MODELS_DIR are not set';
    const missed = { unit: '% missed' };
    return [
      figure({
        ...missed,
        name: 'recall.lexical',
        what: `${english.length} requests, ${tools.length} tools of public servers, by words alone`,
        value: lexical.missed,
        bar: 15,
        details: {
          ...lexical.details,
          'with example requests': (await measure(await open(undefined, of), english)).details,
          'plain BM25': shares(bm25),
        },
      }),
      figure({
        ...missed,
        name: 'recall.fused',
        what: 'the same, by words and all-MiniLM-L6-v2',
        value: fused?.missed,
        note,
        bar: 8,
        details: {
          ...fused?.details,
          'MiniLM alone': cosines && shares(cosines),
          'plain BM25 and MiniLM, reciprocal ranks': cosines && shares(reciprocal(bm25, cosines)),
          'multilingual-e5-small instead': (await measure(e5.plain, english)).details,
        },
      }),
      figure({
        ...missed,
        name: 'recall.examples',
        what: 'the same, with hand-written example requests of each tool',
        value: taught?.missed,
        note,
        bar: 5,
        details: {
          ...taught?.details,
          'multilingual-e5-small instead': (await measure(e5.taught, english)).details,
        },
      }),
      figure({
        ...missed,
        name: 'recall.polish',
        what: `${polish.length} requests in Polish, by multilingual-e5-small, with example requests in English`,
        value: inPolish.missed,
        bar: 20,
        details: {
          ...inPolish.details,
          'without example requests': (await measure(e5.plain, polish)).details,
          'all-MiniLM-L6-v2, which knows no Polish': minilm && (await measure(minilm.taught, polish)).details,
          'by words alone, with no model at all': (await measure(await open(), polish)).details,
        },
      }),
      figure({
        name: 'recall.tokens',
        what: 'the tools shown for a request, o200k, the most of all requests',
        unit: 'tokens',
        value: Math.max(...(taught ?? lexical).tokens, ...inPolish.tokens),
        bar: 1500,
        details: { english: spread((taught ?? lexical).tokens), polish: spread(inPolish.tokens) },
      }),
      ...(await speed(home, tools)),
    ];
  } finally {
    await Promise.all([first?.close(), second.close()]);
  }
}

const offered = ({ name, description, inputSchema }: HostTool) => {
  return { name, description, parameters: flatten(inputSchema) };
};

const id = ({ server, name }: HostTool) => `${server}/${name}`;

/** Requests written by hand from what each tool says of itself, a tool a line: what a capable model is to write. */
async function examples(): Promise<Map<string, string[]>> {
  const text = await readFile(new URL('../fixtures/recall/examples.txt', import.meta.url), 'utf8');
  const lines = text.trim().split('\n');
  return new Map(
    lines.map((line) => {
      const [tool = '', ...requests] = line.split(' | ');
      return [tool, requests];
    }),
  );
}

const shownFor = async (index: ToolIndex, { ask }: Request) =>
  pick(await index.rank(ask, patient), { most: SHOWN, pinned: [] });

const foundBy = async (index: ToolIndex, request: Request) =>
  (await shownFor(index, request)).some((tool) => request.right.includes(id(tool)));

/** Beside the requests that the index was made with: those that it was not, as few of them as were looked at since. */
const aside: [string, Request[]][] = [
  [`of ${later.length} written later`, later],
  [`of ${seen.length} written without sight of the index`, seen],
  [`of ${unseen.length} more, whose misses nobody looked at`, unseen],
];
const asideInPolish: [string, Request[]][] = [[`of ${freshPolish.length} written later`, freshPolish]];

async function measure(index: ToolIndex, requests: Request[]) {
  const tokens: number[] = [];
  const found: boolean[] = [];
  for (const request of requests) {
    const shown = await shownFor(index, request);
    found.push(shown.some((tool) => request.right.includes(id(tool))));
    tokens.push(encode(JSON.stringify(shown.map(offered))).length);
  }
  const details: Record<string, number> = { 'recall@8': percent(found) };
  for (const [name, others] of requests === polish ? asideInPolish : aside) {
    const hits: boolean[] = [];
    for (const one of others) hits.push(await foundBy(index, one));
    details[name] = percent(hits);
  }
  return { missed: 100 - percent(found), details, tokens };
}

const percent = (some: boolean[]) => (100 * some.filter(Boolean).length) / some.length;

type Order = (ask: string) => string[];

const shares = (orders: Map<string, string[]>) => {
  const share = (requests: Request[]) =>
    percent(
      requests.map(({ ask, right }) =>
        (orders.get(ask) ?? []).slice(0, SHOWN).some((one) => right.includes(one)),
      ),
    );
  return {
    'recall@8': share(english),
    ...Object.fromEntries(aside.map(([name, requests]) => [name, share(requests)])),
  };
};

const everything = [english, ...aside.map(([, requests]) => requests)].flat();

const ordered = (order: Order) => new Map(everything.map(({ ask }) => [ask, order(ask)]));

/** What a plain index does: one text a tool, minisearch as it comes. */
async function plainBm25(tools: HostTool[]): Promise<Map<string, string[]>> {
  const index = new MiniSearch<{ id: string; text: string }>({ fields: ['text'] });
  index.addAll(
    tools.map((tool) => ({
      id: id(tool),
      text: `${tool.name.replaceAll(/[_-]/g, ' ')} ${tool.description}`,
    })),
  );
  return ordered((ask) => index.search(ask).map((hit) => String(hit.id)));
}

/** What a plain embedding does: one text a tool, the nearest first. */
async function plainEmbedding(tools: HostTool[], { embed }: Embedder): Promise<Map<string, string[]>> {
  const dot = (a: number[], b: number[]) => a.reduce((sum, x, at) => sum + x * (b[at] ?? 0), 0);
  const told = await embed(
    tools.map((tool) => `${tool.name} ${tool.description}`.slice(0, 1000)),
    patient,
  );
  const asked = await embed(
    everything.map(({ ask }) => ask),
    patient,
  );
  return new Map(
    everything.map(({ ask }, at) => {
      const scores = tools.map((tool, place) => ({
        key: id(tool),
        score: dot(asked[at] ?? [], told[place] ?? []),
      }));
      return [ask, scores.sort((a, b) => b.score - a.score).map(({ key }) => key)];
    }),
  );
}

/** Cormack, Clarke, Buettcher 2009, with their k of 60. */
function reciprocal(...orders: Map<string, string[]>[]): Map<string, string[]> {
  return ordered((ask) => {
    const scores = new Map<string, number>();
    for (const order of orders) {
      for (const [at, key] of (order.get(ask) ?? []).entries()) {
        scores.set(key, (scores.get(key) ?? 0) + 1 / (60 + at + 1));
      }
    }
    return [...scores].sort((a, b) => b[1] - a[1]).map(([key]) => key);
  });
}

/** What retrieval adds to a turn where no embedding model is. */
async function speed(home: string, tools: HostTool[]): Promise<Figure[]> {
  const many = Array.from({ length: 1000 }, (_, at): HostTool[] => {
    const tool = tools[at % tools.length];
    return tool ? [{ ...tool, name: `${tool.name}_${at}` }] : [];
  }).flat();
  const large = new ToolIndex({ home });
  large.update(many);
  const small = new ToolIndex({ home });
  small.update(tools.slice(0, 200));
  const ranks: number[] = [];
  const updates: number[] = [];
  for (const { ask } of english) {
    const begun = performance.now();
    const ranked: Ranked[] = await large.rank(ask, patient);
    ranks.push(performance.now() - begun);
    // As a list that was fetched anew: equal, and no longer the same objects.
    const again = tools.slice(0, 200).map((tool) => ({ ...tool }));
    const then = performance.now();
    small.update(again);
    updates.push(performance.now() - then);
    if (ranked.length !== many.length) throw new Error('a tool is missing from the ranking');
  }
  const told = { unit: 'ms' };
  return [
    figure({
      ...told,
      name: 'recall.rank',
      what: 'ranking 1,000 tools by words, p50',
      value: median(ranks),
      bar: 3,
      details: { ranks: spread(ranks) },
    }),
    figure({
      ...told,
      name: 'recall.update',
      what: 'taking 200 tools that did not change, p50',
      value: median(updates),
      bar: 1,
      details: { updates: spread(updates) },
    }),
  ];
}
