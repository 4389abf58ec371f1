import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ollamaDouble } from '../doubles/ollama.ts';
import { root } from './client.ts';
import { figure, median, spread, type Figure, type Scope } from './figure.ts';

const foreign = join(root, 'test', 'fixtures', 'foreign.mjs');
const started = (how: string) => ({ command: process.execPath, args: [foreign, how] });

/** A chat with six servers: from its start to its first line, and from Ctrl-C to its next. */
export async function ready(scope: Scope): Promise<Figure[]> {
  const server = await ollamaDouble({ models: [{ name: 'double:4b' }], reply: () => ({ silent: true }) });
  try {
    const home = await scope.folder('ready');
    const well = { notes: started('good'), many: started('many'), more: started('picture') };
    const all = await timed(scope, home, server.url, well);
    const hung = await timed(scope, home, server.url, { ...well, more: started('hangs') });
    return [
      figure({
        name: 'ready',
        what: 'chat ready with six servers, p50',
        unit: 'ms',
        value: median(all.ready),
        bar: 1_500,
        details: { ready: spread(all.ready) },
      }),
      figure({
        name: 'ready-hung',
        what: 'the same, one of them hanging, p50',
        unit: 'ms',
        value: median(hung.ready),
        bar: 2_200,
        details: { ready: spread(hung.ready) },
      }),
      figure({
        name: 'chat-memory',
        what: 'memory of that chat, its servers apart',
        unit: 'MB',
        value: median(all.memory),
        bar: 200,
        details: { memory: spread(all.memory) },
      }),
      figure({
        name: 'cancel',
        what: 'Ctrl-C -> prompt back, before the first byte of an answer, p50',
        unit: 'ms',
        value: median(all.cancel),
        bar: 100,
        details: { cancel: spread(all.cancel) },
      }),
    ];
  } finally {
    await server.close();
  }
}

async function timed(scope: Scope, home: string, ollama: string, mcpServers: object) {
  writeFileSync(join(home, 'kuznia.json'), JSON.stringify({ mcpServers }));
  const figures: Record<'ready' | 'memory' | 'cancel', number[]> = { ready: [], memory: [], cancel: [] };
  for (let round = 0; round < scope.rounds(9, 3); round++) {
    const begun = performance.now();
    const env = { PATH: process.env['PATH'], HOME: home, KUZNIA_HOME: home, OLLAMA_HOST: ollama };
    const chat = spawn(process.execPath, [join(root, 'dist', 'host', 'main.js')], { env });
    const gone = once(chat, 'exit');
    let said = '';
    for (const stream of [chat.stdout, chat.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (said += text));
    }
    await shown(
      () => said.includes('Kuźnia'),
      () => said,
    );
    figures.ready.push(performance.now() - begun);
    figures.memory.push(rss(chat.pid));
    chat.stdin.write('Hello\n');
    await pause(300);
    const pressed = performance.now();
    chat.kill('SIGINT');
    await shown(
      () => said.includes('stopped'),
      () => said,
    );
    figures.cancel.push(performance.now() - pressed);
    chat.stdin.end();
    await gone;
  }
  return figures;
}

async function shown(so: () => boolean, said: () => string): Promise<void> {
  for (let tries = 0; tries < 10_000; tries++) {
    if (so()) return;
    await pause(1);
  }
  throw new Error(`the chat did not get there: ${said().slice(-300)}`);
}

/** Resident memory of a process, in MB; what other systems than Linux have of it is not asked. */
function rss(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1_000;
}
