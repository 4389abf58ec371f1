import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { HostTool, Toolbox } from '../../host/mcp/connections.ts';
import { turn } from '../../host/turn/loop.ts';
import { Outside } from '../../host/turn/outside.ts';
import { ToolIndex } from '../../host/retrieval/index.ts';
import { Window } from '../../host/turn/window.ts';
import type { ChatEvent, ChatMessage, Model, ModelInfo } from '../../kit/model.ts';
import { measure } from '../../kit/model.ts';
import { figure, median, spread, type Figure, type Scope } from './figure.ts';

const info: ModelInfo = { name: 'scripted', capabilities: ['completion', 'tools'], contextLength: 8_192 };
const VERBS = ['list', 'show', 'create', 'close', 'find', 'compare', 'export', 'count', 'merge', 'archive'];
const NOUNS = [
  'issue',
  'branch',
  'invoice',
  'customer',
  'message',
  'pipeline',
  'page',
  'picture',
  'server',
  'user',
];

/** 200 tools of two servers, each with three arguments. */
const tools = ['shop', 'forge'].flatMap((server) =>
  VERBS.flatMap((verb) =>
    NOUNS.map((noun): HostTool => {
      const text = (description: string) => ({ type: 'string', description });
      const properties = { id: text(`the ${noun}`), filter: text('only those'), note: text('what for') };
      return {
        name: `${server}_${verb}_${noun}`,
        server,
        title: `${verb} ${noun}`,
        description: `Use it to ${verb} the ${noun} of the ${server}, with what belongs to it.`,
        inputSchema: { type: 'object', properties },
        effect: 'read',
        long: false,
        foreign: true,
        openWorld: true,
      };
    }),
  ),
);
const result = {
  ok: true,
  text: JSON.stringify({ found: 'a line of some length, '.repeat(40) }),
  untrusted: true,
};
const connections: Toolbox = { tools: async () => tools, call: async () => result };

/** A model that makes three calls, then answers; its own time is taken out. */
function quickModel(): Model & { ms: () => number } {
  let spent = 0;
  let asked = 0;
  async function* chat(...[request]: Parameters<Model['chat']>): AsyncGenerator<ChatEvent> {
    const started = performance.now();
    const measured = measure(request);
    asked += 1;
    const name = request.tools?.find((tool) => tool.name.includes('_'))?.name ?? '';
    const last = asked % 4 === 0;
    spent += performance.now() - started;
    if (last) yield { type: 'text', text: 'Done.' };
    else yield { type: 'tool_call', id: `c${asked}`, name, arguments: { id: `${asked}` } };
    const read = { promptTokens: Math.ceil(measured * 0.8), answerTokens: 12, measured };
    yield { type: 'done', reason: 'stop', ms: 0, context: request.options?.num_ctx ?? 0, ...read };
  }
  const never = async () => {
    throw new Error('the bench asks no such thing');
  };
  return {
    ms: () => spent,
    chat,
    list: never,
    show: async () => info,
    embed: never,
    async *pull() {},
    remove: never,
    running: async () => [],
    reachable: async () => ({ ok: true, version: 'bench' }),
  };
}

/** What the loop itself costs, and whether a day of chat leaves anything behind. */
export async function loop(scope: Scope): Promise<Figure[]> {
  const home = await scope.folder('loop');
  const conversation = { window: new Window(home), index: new ToolIndex({ home }), outside: new Outside() };
  const messages: ChatMessage[] = [];
  const model = quickModel();
  const { signal } = new AbortController();
  const one = async (at: number) => {
    const noun = NOUNS[at % NOUNS.length] ?? '';
    messages.push({ role: 'user', content: `Please ${VERBS[at % 7]} the ${noun} number ${at} and tell me` });
    const begun = { at: performance.now(), model: model.ms() };
    let rounds = 0;
    const options = {
      model,
      info,
      connections,
      messages,
      signal,
      allowed: [],
      approve: async () => 'no' as const,
    };
    for await (const event of turn({ ...options, ...conversation })) {
      if (event.type === 'end') rounds = event.rounds;
    }
    return (performance.now() - begun.at - (model.ms() - begun.model)) / rounds;
  };

  const turns = scope.rounds(2_000, 300);
  const warm = Math.floor(turns / 10);
  for (let at = 0; at < warm; at++) await one(at);
  const before = await memory();
  const rounds: number[] = [];
  for (let at = warm; at < turns; at++) rounds.push(await one(at));
  const after = await memory();
  return [
    figure({
      name: 'loop',
      what: 'the loop itself a model round, 200 tools indexed, p50',
      unit: 'ms',
      value: median(rounds),
      bar: 5,
      details: { rounds: spread(rounds) },
    }),
    figure({
      name: 'day',
      what: `${turns} turns of one chat: memory grown`,
      unit: 'MB',
      value: Math.max(0, (after.rss - before.rss) / 1e6),
      bar: 20,
      details: { 'heap grown, MB': (after.heap - before.heap) / 1e6, messages: messages.length },
    }),
    figure({
      name: 'handles',
      what: `${turns} turns of one chat: open handles more than before`,
      unit: '',
      value: after.handles - before.handles,
      bar: 0,
      details: {},
    }),
  ];
}

/** What is held: pages that a collection frees are given back by a thread of V8's, a moment later. */
async function memory() {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  for (let times = 0; times < 2; times++) {
    if (typeof collect === 'function') collect();
    await sleep(200);
  }
  const { rss, heapUsed } = process.memoryUsage();
  return { rss, heap: heapUsed, handles: process.getActiveResourcesInfo().length };
}
