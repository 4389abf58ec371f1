import { text as readAll } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { jsonOrNothing } from '../kit/json.ts';
import type { JsonObject } from '../kit/tool.ts';
import { askFor, fillIn } from './chat/ask.ts';
import { fitArguments } from './turn/arguments.ts';
import {
  unknownTool,
  type Answer,
  type CallResult,
  type Connections,
  type FormField,
  type HostTool,
  type Progress,
  type ServerState,
} from './mcp/connections.ts';
import { painter } from './terminal/display.ts';
import { EXIT, parse, UsageError, type Command, type Io } from './terminal/io.ts';
import { Prompt } from './terminal/prompt.ts';
import { ownerOf } from './servers.ts';
import { openTools } from './session.ts';
import { clean } from './terminal/text.ts';

const help = `
kuznia call: call one tool. What you call by name needs no further approval, unless the tool itself asks.

Usage: kuznia call TOOL [JSON] [--json]

  JSON    its arguments as one JSON object; "-" reads them from standard input
  --json  one line: {"ok", "value"} or {"ok", "error"}
The result goes to standard output, progress to standard error.

Example: kuznia call sandbox_run_code '{"code": "2 ** 64"}'
`;

/** A server may be fetched first, by `npx`; a person waits a while for a call that they named. */
const START_MS = 10_000;

export const command: Command = {
  help,
  async run(argv, io) {
    const { values, positionals } = parse(argv, { json: { type: 'boolean', default: false } });
    const [name, given = '{}', ...more] = positionals;
    if (name === undefined || more.length > 0) {
      throw new UsageError(
        `One tool and one JSON object are needed: kuznia call sandbox_run_code '{"code": "1 + 1"}'`,
      );
    }
    const args = argumentsIn(given === '-' ? await readAll(process.stdin) : given);
    const stop = new AbortController();
    process.once('SIGINT', () => stop.abort()).once('SIGTERM', () => stop.abort());
    const { signal } = stop;
    const { connections, tool } = await opened(name, signal);
    try {
      const fitted = fitArguments(tool.inputSchema, args);
      if (!fitted.ok) throw new UsageError(`${name} was not called: ${fitted.fault}`);
      let undecided = false;
      const ask = async (question: string) => {
        const answer = await decision(question, io);
        undecided ||= answer !== 'yes';
        return answer;
      };
      const onProgress = ({ done, total, note }: Progress) => {
        const said = note || (total ? `${done} of ${total}` : '');
        if (said && !values.json) io.err(`  · ${clean(said)}\n`);
      };
      const fill = async (question: string, fields: FormField[]) => {
        const filled = await filledIn(question, fields, io);
        undecided ||= !filled;
        if (!io.interactive) {
          io.err(`kuznia: ${tool.server} asked: ${clean(question)} Call it at a terminal to answer.\n`);
        }
        return filled;
      };
      const result = await connections.call(name, fitted.value, { signal, ask, fill, onProgress });
      if (values.json) {
        const { ok, value, text } = result;
        io.out(`${JSON.stringify(ok ? { ok, value: value ?? text } : { ok, error: text })}\n`);
      } else if (result.ok) {
        io.out(`${readable(tool, result)}\n`);
      } else {
        io.err(`kuznia: ${clean(result.text)}\n`);
      }
      if (undecided) return EXIT.approval;
      return result.ok ? EXIT.done : EXIT.failed;
    } finally {
      await connections.close();
    }
  },
};

/** The tool of that name, with the servers that it takes: a tool of ours needs nobody else's server to be started. */
async function opened(name: string, signal: AbortSignal) {
  const owner = ownerOf(name);
  if (owner !== undefined) {
    const connections = await openTools(owner);
    const tool = (await connections.tools(signal)).find((one) => one.name === name);
    if (tool) return { connections, tool };
    await connections.close();
  }
  const connections = await openTools();
  try {
    return { connections, tool: await named(name, connections, signal) };
  } catch (error) {
    await connections.close();
    throw error;
  }
}

/** The tool of that name; servers that are still starting are waited for, since it may be theirs. Throws UsageError. */
async function named(name: string, connections: Connections, signal: AbortSignal): Promise<HostTool> {
  for (const began = performance.now(); ; await sleep(100, undefined, { signal })) {
    const all = await connections.tools(signal);
    const found = all.find((one) => one.name === name);
    if (found) return found;
    const states = connections.states();
    if (performance.now() - began < START_MS && states.some(({ state }) => state === 'starting')) continue;
    const away = states.filter(({ state }) => state !== 'ready').map((one) => clean(awayText(one)));
    throw new UsageError([unknownTool(name, all), ...away].join(' '));
  }
}

const awayText = ({ name, reason }: ServerState) =>
  `The server ${name} is away${reason === undefined ? '' : ` (${reason.replace(/\.$/, '')})`}.`;

function argumentsIn(text: string): JsonObject {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(text));
  } catch {
    const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
    throw new UsageError(
      `The arguments must be one JSON object in quotes, for example '{"code": "1 + 1"}'; not: ${shown}`,
    );
  }
}

/** What others wrote for a reader is easier to read than the same as JSON; ours say in a text what is in the value. */
function readable({ foreign }: HostTool, { text, value }: CallResult): string {
  const worded = foreign && text.trim() !== '' && jsonOrNothing(text) === undefined;
  return value && !worded ? JSON.stringify(value, null, 2) : clean(text);
}

/** What a server wants filled in, asked for at the terminal. */
async function filledIn(question: string, fields: FormField[], io: Io): Promise<JsonObject | undefined> {
  if (!io.interactive) return undefined;
  const prompt = new Prompt(process.stdin, process.stdout);
  try {
    io.out(`${clean(question)}\n`);
    return await fillIn(
      fields,
      askFor(io, prompt, () => false),
    );
  } finally {
    prompt.close();
  }
}

/** A question of the tool itself; only a person at a terminal can answer it. */
async function decision(question: string, io: Io): Promise<Answer> {
  if (!io.interactive) return 'unavailable';
  const prompt = new Prompt(process.stdin, process.stdout);
  try {
    io.out(`${clean(question)}\n`);
    const answer = await prompt.confirm(`${painter(io).bold('Allow it?')} [y]es, [N]o: `);
    return answer === 'yes' ? 'yes' : 'no';
  } finally {
    prompt.close();
  }
}
