import { isObject } from '../../../kit/json.ts';

/**
 * What the server, its child process and the child's worker threads say to each other: plain records of strings and
 * numbers, so that nothing of a guest's is ever more than text on the way.
 */

/** The memory of a call that does not say otherwise; instances for it are made in advance. */
export const DEFAULT_MEMORY_BYTES = 64 * 1024 * 1024;

/** How a call ended. */
export type Outcome = 'ok' | Failure;

/** How a call failed. */
export type Failure =
  | 'error'
  | 'timeout'
  | 'out_of_memory'
  | 'output_limit'
  | 'denied'
  | 'bad_input'
  | 'bad_output';

/** One call, as it travels to a worker. Input and schemas are JSON text, empty where there is none. */
export interface Job {
  id: number;
  kind: 'module' | 'snippet';
  code: string;
  input: string;
  inputSchema: string;
  outputSchema: string;
  clock: 'real' | 'fixed';
  timeoutMs: number;
  memoryBytes: number;
  resultBytes: number;
  consoleBytes: number;
}

/** How it ended, as it travels back. `text` is the result as JSON text. */
export interface Reply {
  id: number;
  outcome: Outcome;
  text: string;
  message: string;
  stack: string;
  console: string[];
  ms: number;
}

/** What a worker says: it is ready for a call (and which thread of the system it is, 0 if that cannot be told), a line was printed, the call ended (and whether this worker goes on). */
export type FromWorker =
  | { type: 'ready'; thread: number }
  | { type: 'line'; line: string }
  | { type: 'end'; reply: Reply; dropped: number; retire: boolean };

/** What the child process is told. */
export type ToChild = { type: 'run'; job: Job } | { type: 'cancel'; id: number };

/** What the child process says. */
export type FromChild = { type: 'ready' } | { type: 'reply'; reply: Reply };

/** What a worker is doing, in the shared word through which the child knows where a deadline struck. */
export const STAGES = ['waiting', 'input schema', 'running', 'reading the result', 'output schema'] as const;

/** Index into STAGES. */
export type Stage = 0 | 1 | 2 | 3 | 4;

const OUTCOMES: ReadonlySet<unknown> = new Set<Outcome>([
  'ok',
  'error',
  'timeout',
  'out_of_memory',
  'output_limit',
  'denied',
  'bad_input',
  'bad_output',
]);

function hasStrings(value: Record<string, unknown>, ...names: string[]): boolean {
  return names.every((name) => typeof value[name] === 'string');
}

function hasNumbers(value: Record<string, unknown>, ...names: string[]): boolean {
  return names.every((name) => typeof value[name] === 'number');
}

function isReply(value: unknown): value is Reply {
  return (
    isObject(value) &&
    hasNumbers(value, 'id', 'ms') &&
    hasStrings(value, 'text', 'message', 'stack') &&
    OUTCOMES.has(value['outcome']) &&
    Array.isArray(value['console']) &&
    value['console'].every((line) => typeof line === 'string')
  );
}

/** Whether a worker was sent a call. */
export function isJob(value: unknown): value is Job {
  return (
    isObject(value) &&
    hasNumbers(value, 'id', 'timeoutMs', 'memoryBytes', 'resultBytes', 'consoleBytes') &&
    hasStrings(value, 'code', 'input', 'inputSchema', 'outputSchema') &&
    (value['kind'] === 'module' || value['kind'] === 'snippet') &&
    (value['clock'] === 'real' || value['clock'] === 'fixed')
  );
}

/** Whether the server sent this to the child. */
export function isToChild(value: unknown): value is ToChild {
  if (!isObject(value)) return false;
  if (value['type'] === 'cancel') return hasNumbers(value, 'id');
  return value['type'] === 'run' && isJob(value['job']);
}

/** Whether a worker sent this to the child. */
export function isFromWorker(value: unknown): value is FromWorker {
  if (!isObject(value)) return false;
  if (value['type'] === 'line') return hasStrings(value, 'line');
  if (value['type'] === 'end') {
    return isReply(value['reply']) && hasNumbers(value, 'dropped') && typeof value['retire'] === 'boolean';
  }
  return value['type'] === 'ready' && hasNumbers(value, 'thread');
}

/** Whether the child sent this to the server. */
export function isFromChild(value: unknown): value is FromChild {
  if (!isObject(value)) return false;
  return value['type'] === 'ready' || (value['type'] === 'reply' && isReply(value['reply']));
}

/** A number of bytes, as people say it. */
export function size(bytes: number): string {
  return bytes >= 1024 * 1024
    ? `${+(bytes / 1024 / 1024).toFixed(1)} MiB`
    : `${+(bytes / 1024).toFixed(1)} KiB`;
}
