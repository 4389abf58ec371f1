import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { isObject, jsonOrNothing } from '../../kit/json.ts';
import { noJournal } from '../../kit/journal.ts';
import { ModelError, type Model, type ModelInfo } from '../../kit/model.ts';
import type { Runtime } from '../../kit/tool.ts';
import { within } from '../../kit/within.ts';
import type { CallRecord } from '../turn/calls.ts';
import type { Connections } from '../mcp/connections.ts';
import { turn, type TurnEnd } from '../turn/loop.ts';
import { layOut, shelfFault } from './bench.ts';
import { fault, type Kind, type MadeCall, type Task } from './task.ts';
import { writes } from './toolbox.ts';

/** How one attempt at one task came out. */
export interface Attempt {
  id: string;
  kind: Kind;
  run: number;
  ok: boolean;
  fault?: string;
  /** The model did not answer at all. */
  silent: boolean;
  rounds: number;
  promptTokens: number;
  answerTokens: number;
  ms: number;
  calls: MadeCall[];
  answer: string;
}

export interface AttemptScope {
  model: Model;
  info: ModelInfo;
  env: Record<string, string | undefined>;
  /** Ends the evaluation. */
  signal: AbortSignal;
  deadlineMs: number;
}

/** The shelf is looked at after a turn that ran into its deadline too. */
const LOOK_MS = 60_000;

/** One attempt, in a home of its own that is gone afterwards. Throws only when `signal` aborts, or our own servers fail. */
export async function attempt(task: Task, run: number, scope: AttemptScope): Promise<Attempt> {
  const home = await mkdtemp(join(tmpdir(), 'kuznia-eval-'));
  const { model, used } = counted(scope.model);
  const { PATH } = scope.env;
  const env = { PATH, KUZNIA_HOME: home, KUZNIA_MODEL: scope.info.name, SANDBOX_ASK: 'none' };
  const runtime: Runtime = { home, journal: noJournal, env, model };
  let connections: Connections | undefined;
  try {
    connections = await layOut(task, runtime, scope.signal);
    const started = performance.now();
    const said = await oneTurn(task, { ...scope, model }, connections);
    const ms = Math.round(performance.now() - started);
    const { answer = '', rounds = 0, calls = [], stopped } = said;
    const look = within(LOOK_MS, scope.signal);
    const wrong =
      stopped ?? fault(task, { answer, calls }, writes) ?? (await shelfFault(task, connections, look));
    const { id, kind } = task;
    const silent = said.silent === true && used.answerTokens === 0;
    const ok = wrong === undefined;
    return { id, kind, run, ok, ...(wrong && { fault: wrong }), silent, rounds, ...used, ms, calls, answer };
  } finally {
    await connections?.close();
    await rm(home, { recursive: true, force: true, maxRetries: 3 });
  }
}

interface Said {
  answer?: string;
  rounds?: number;
  calls?: MadeCall[];
  /** Why there is no answer. */
  stopped?: string;
  silent?: boolean;
}

async function oneTurn(task: Task, scope: AttemptScope, connections: Connections): Promise<Said> {
  const deadline = AbortSignal.timeout(scope.deadlineMs);
  const signal = AbortSignal.any([scope.signal, deadline]);
  const { model, info } = scope;
  const messages = [{ role: 'user' as const, content: task.request }];
  // Nobody is asked: every write of the toolbox may be made, so that the checks see the ones that should not be.
  const approve = async () => 'yes' as const;
  const calls: MadeCall[] = [];
  let end: TurnEnd | undefined;
  try {
    for await (const event of turn({ model, info, connections, messages, approve, allowed: [], signal })) {
      if (event.type === 'result') calls.push(...asMade(event));
      if (event.type === 'end') end = event;
    }
  } catch (error) {
    scope.signal.throwIfAborted();
    if (deadline.aborted) return { calls, stopped: `Not done within ${scope.deadlineMs / 1000} s.` };
    if (!(error instanceof ModelError)) throw error;
    return { calls, stopped: `The model failed: ${error.message}`, silent: true };
  }
  const rounds = end?.rounds;
  if (end?.reason === 'rounds')
    return { calls, rounds, stopped: 'No answer within the greatest number of rounds.' };
  if (end?.reason === 'repeated') return { calls, rounds, stopped: 'The same call was made over and over.' };
  return { calls, rounds, answer: end?.answer };
}

const executed = z.object({ status: z.literal('done'), tool: z.string() });

/** A call, and the forged tool that sandbox_execute_task ran in it. */
function asMade({ tool, arguments: args, ok, text }: CallRecord): MadeCall[] {
  const made = [{ tool, arguments: args, ok }];
  const inner =
    tool === 'sandbox_execute_task' && ok ? executed.safeParse(jsonOrNothing(text)).data : undefined;
  return inner
    ? [...made, { tool: inner.tool, arguments: isObject(args['input']) ? args['input'] : {}, ok }]
    : made;
}

/** The model, and the tokens that it took: those of the forge too. */
function counted(model: Model) {
  const used = { promptTokens: 0, answerTokens: 0 };
  const chat: Model['chat'] = async function* counting(request, signal) {
    for await (const event of model.chat(request, signal)) {
      if (event.type === 'done') {
        used.promptTokens += event.promptTokens;
        used.answerTokens += event.answerTokens;
      }
      yield event;
    }
  };
  return { model: { ...model, chat }, used };
}
