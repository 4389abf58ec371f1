import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { UsageError, type Io } from './io.ts';

/** Lines of one paste arrive within this. */
const PASTE_MS = 60;

/**
 * A secret from a pipe, whole and without its last line break; on a terminal one line, which is not shown, wherever stdout
 * goes. Throws UsageError where nothing came, or more than a line was pasted.
 */
export async function typed(label: string, io: Io): Promise<string> {
  if (!process.stdin.isTTY) {
    let text = '';
    for await (const chunk of process.stdin.setEncoding('utf8')) text += String(chunk);
    const value = text.replace(/\r?\n$/, '');
    if (value === '')
      throw new UsageError(
        'Nothing was piped in. For example: pass show gitlab | kuznia secret add gitlab-token',
      );
    return value;
  }
  io.err(label);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  // `terminal` sets the raw mode, in which the terminal shows nothing by itself.
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true, historySize: 0 });
  const read: string[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      lines.on('line', (line) => {
        read.push(line);
        resolve();
      });
      lines.on('close', () => reject(new UsageError('Nothing was typed. Nothing was changed.')));
      lines.on('SIGINT', () => reject(new DOMException('Interrupted.', 'AbortError')));
    });
    // A key of several lines would be cut to its first, and the rest would go to the shell.
    await sleep(PASTE_MS);
    const [value = '', ...more] = [...read, ...(lines.line === '' ? [] : [lines.line])].map((line) =>
      line.trim(),
    );
    if (more.some((line) => line !== ''))
      throw new UsageError(
        'Several lines were pasted. Nothing was changed; pipe them in: kuznia secret add NAME < FILE',
      );
    if (value === '') throw new UsageError('Nothing was typed. Nothing was changed.');
    return value;
  } finally {
    lines.close();
    io.err('\n');
  }
}
