import { connect, sandboxServer, type Connected } from './client.ts';
import { figure, median, round, spread, type Figure, type Scope } from './figure.ts';
import { cpuOfTree, hasProc, rssMb } from './process.ts';
import { slugify } from './samples.ts';
import { nameOf, stock } from './shelf.ts';

const MANY = 1000;
const FEW = 10;

/** What a shelf of 1,000 published tools costs: at the start, in a list, in a search. */
export async function thousand(scope: Scope): Promise<Figure[]> {
  const homes = { few: await scope.folder('thousand-few'), many: await scope.folder('thousand-many') };
  const begun = performance.now();
  await stock(homes.few, FEW);
  await stock(homes.many, MANY);
  const stocked = Math.round(performance.now() - begun);
  const few: Start[] = [];
  const many: Start[] = [];
  for (let i = 0; i < scope.rounds(10, 3); i++) {
    few.push(await start(homes.few));
    many.push(await start(homes.many));
  }
  const of = (starts: Start[], key: keyof Start) => starts.map((one) => one[key]);
  const inUse = await use(homes.many, scope);
  return [
    figure({
      name: 'thousand.start',
      what: `start with ${MANY} published tools beside ${FEW}: spawn -> first page`,
      unit: 'x',
      value: median(of(many, 'wall')) / median(of(few, 'wall')),
      bar: 1.5,
      details: {
        [`${MANY} tools, ms`]: spread(of(many, 'wall')),
        [`${FEW} tools, ms`]: spread(of(few, 'wall')),
        ...(hasProc && {
          'in CPU-ms, x': round(median(of(many, 'cpu')) / median(of(few, 'cpu'))),
          [`${MANY} tools, CPU-ms`]: spread(of(many, 'cpu')),
          [`${FEW} tools, CPU-ms`]: spread(of(few, 'cpu')),
          [`${MANY} tools, RSS MB`]: spread(of(many, 'rss')),
          [`${FEW} tools, RSS MB`]: spread(of(few, 'rss')),
        }),
        'both registries made in ms': stocked,
      },
    }),
    figure({
      name: 'thousand.list',
      what: `a page of tools/list among ${MANY} tools`,
      unit: 'ms',
      value: median(inUse.pages),
      bar: undefined,
      details: { page: spread(inUse.pages), 'pages of all tools': inUse.pageCount },
    }),
    figure({
      name: 'thousand.find',
      what: `sandbox_find_tools among ${MANY} tools, warm`,
      unit: 'ms',
      value: median(inUse.finds),
      bar: 20,
      details: {
        warm: spread(inUse.finds),
        'the first one, ms': Math.round(inUse.first),
        'right after a publish, ms': Math.round(inUse.afterPublish),
        'that publish itself, ms': Math.round(inUse.publish),
        'the tool meant was among the 8 found': `${inUse.hits} of ${inUse.finds.length}`,
      },
    }),
  ];
}

interface Start {
  wall: number;
  cpu: number;
  rss: number;
}

async function start(home: string): Promise<Start> {
  const begun = performance.now();
  const server = await connect(sandboxServer, home);
  try {
    await server.page();
    const wall = performance.now() - begun;
    if (!hasProc) return { wall, cpu: Number.NaN, rss: Number.NaN };
    return { wall, cpu: await cpuOfTree(server.pid), rss: await rssMb(server.pid) };
  } finally {
    await server.close();
  }
}

async function use(home: string, scope: Scope) {
  const server = await connect(sandboxServer, home);
  try {
    const first = await timed(() => find(server, 0));
    const finds: number[] = [];
    let hits = 0;
    // 37 has no factor in common with the numbers of verbs and nouns, so that it comes by all of them.
    for (let i = 1; i <= scope.rounds(60, 20); i++) {
      const { ms, value } = await timed(() => find(server, (i * 37) % MANY));
      finds.push(ms);
      if (value) hits++;
    }
    const pages: number[] = [];
    let pageCount = 0;
    for (let round = 0; round < scope.rounds(6, 2); round++) pageCount = await listAll(server, pages);
    await server.must('sandbox_save_tool', slugify);
    await server.must('sandbox_test_tool', { name: slugify.name });
    const publish = await timed(() => server.must('sandbox_publish_tool', { name: slugify.name }));
    const after = await timed(() => find(server, 0));
    return { first: first.ms, finds, hits, pages, pageCount, publish: publish.ms, afterPublish: after.ms };
  } finally {
    await server.close();
  }
}

/** Asks for a tool in other words than its own; true where it is among the answers. */
async function find(server: Connected, i: number): Promise<boolean> {
  const { name, verb, noun } = nameOf(i);
  const query = `I need something to ${verb} a list of ${noun}`;
  return JSON.stringify(await server.must('sandbox_find_tools', { query })).includes(`"${name}"`);
}

async function listAll(server: Connected, samples: number[]): Promise<number> {
  let cursor: string | undefined;
  let pages = 0;
  do {
    const { ms, value } = await timed(() => server.page(cursor));
    samples.push(ms);
    cursor = value.next;
    pages++;
  } while (cursor !== undefined);
  return pages;
}

async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; value: T }> {
  const begun = performance.now();
  const value = await work();
  return { ms: performance.now() - begun, value };
}
