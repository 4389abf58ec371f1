/**
 * One worker thread: keeps one fresh engine ready, runs one call in it, throws it away, makes the next.
 * It has no deadline of its own: the child's main thread ends it when one strikes.
 */
import { isObject } from '../../../kit/json.ts';
import { readlinkSync } from 'node:fs';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { retiresAfter, runCall, Stop } from './call.ts';
import { Engine, isEngineKit } from './engine.ts';
import { DEFAULT_MEMORY_BYTES, type FromWorker, isJob, type Job, type Reply, type Stage } from './wire.ts';

async function serve(): Promise<void> {
  const data: unknown = workerData;
  if (isMainThread || !parentPort || !isObject(data)) throw new Error('this file is started by child.ts');
  const { kit, stage } = data;
  if (!isEngineKit(kit) || !(stage instanceof Int32Array))
    throw new Error('a worker needs a kit and a stage');
  const port = parentPort;
  const say = (message: FromWorker) => port.postMessage(message);
  const mark = (at: Stage) => void Atomics.store(stage, 0, at);
  const thread = threadNumber();
  let spare = await Engine.open(kit, DEFAULT_MEMORY_BYTES);

  const run = async (job: Job): Promise<void> => {
    const engine = job.memoryBytes === DEFAULT_MEMORY_BYTES ? spare : await Engine.open(kit, job.memoryBytes);
    let room = job.consoleBytes;
    let printed = 0;
    let lost = 0;
    engine.print = (line) => {
      printed++;
      // The prelude counts characters; the limit is in bytes. The ellipsis of a cut line may pass it.
      const bytes = Buffer.byteLength(line);
      const fits = bytes <= room + 3;
      if (room > 0)
        say({ type: 'line', line: fits ? line : `${Buffer.from(line).toString('utf8', 0, room)}…` });
      if (!fits) lost++;
      room -= bytes + 8;
    };
    const started = performance.now();
    const reply: Reply = { id: job.id, outcome: 'ok', text: '', message: '', stack: '', console: [], ms: 0 };
    let broken = false;
    try {
      reply.text = await runCall(engine, job, { mark, printed: () => printed });
    } catch (error) {
      broken = !(error instanceof Stop) || error.fatal;
      reply.outcome = error instanceof Stop ? error.outcome : 'error';
      reply.message = error instanceof Error ? error.message : String(error);
      reply.stack = error instanceof Stop ? error.trace : '';
    }
    reply.ms = performance.now() - started;
    const retire = broken || retiresAfter(engine);
    say({ type: 'end', reply, dropped: lost + (broken ? 0 : dropped(engine)), retire });
    engine.close();
    mark(0);
    if (retire) return;
    if (engine === spare) spare = await Engine.open(kit, DEFAULT_MEMORY_BYTES);
    say({ type: 'ready', thread });
  };

  port.on('message', (message: unknown) => {
    if (isJob(message)) void run(message);
  });
  say({ type: 'ready', thread });
}

function dropped(engine: Engine): number {
  try {
    return engine.call('dropped').toNumber();
  } catch {
    return 0;
  }
}

/** The number by which the system schedules this thread: proc(5), /proc/thread-self, which reads `PID/task/TID`. */
function threadNumber(): number {
  try {
    const [pid, , thread] = readlinkSync('/proc/thread-self').split('/');
    // In a container with the /proc of another the numbers would be those of strangers.
    return Number(pid) === process.pid ? Number(thread) : 0;
  } catch {
    return 0;
  }
}

await serve();
