import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ToolError } from '../../kit/tool.ts';
import type { CodeSource } from './source.ts';

const LOOK_MS = 250;
const MOST_BYTES = 16 * 1024;
/** IN + date _ time _ serial _ sender _ part .txt (docs.gammu.org/smsd/files.html). */
const fileName = /^IN(\d{8})_(\d{6})_(\d{2})_(.*)_(\d{2})\.txt$/;
/** The parts of a long SMS are written one after the other. */
const SETTLED_MS = 200;

/** gammu-smsd with its files service: each SMS is a file in the inbox folder. */
export function gammuSource(name: string, inbox: string): CodeSource {
  const list = async () => {
    try {
      return await readdir(inbox);
    } catch {
      throw new ToolError(
        `The inbox of gammu-smsd, ${inbox}, cannot be read. Check servers.auth.sms.${name}.inbox: it is \`inboxpath\` in gammu-smsdrc.`,
      );
    }
  };
  return {
    name,
    kind: 'sms',
    async listen(ears) {
      const seen = new Set<string>();
      const look = async () => {
        const groups = grouped(await list());
        for (const [key, files] of groups) {
          if (seen.has(key)) continue;
          const times = await Promise.all(files.map(async (file) => (await stat(join(inbox, file))).mtimeMs));
          const arrived = Math.max(...times);
          if (Date.now() - arrived < SETTLED_MS) continue;
          seen.add(key);
          if (arrived < ears.since - 1000) continue;
          const parts = await Promise.all(files.sort().map((file) => text(join(inbox, file))));
          const from = fileName.exec(files[0] ?? '')?.[4] ?? '';
          ears.heard({ id: key, from, text: parts.join(''), arrived });
        }
      };
      await look();
      let busy = false;
      const timer = setInterval(() => {
        if (busy) return;
        busy = true;
        look()
          .catch((error: unknown) =>
            ears.failed(error instanceof Error ? error : new Error('unreadable inbox')),
          )
          .finally(() => (busy = false));
      }, LOOK_MS);
      timer.unref();
      return { close: async () => clearInterval(timer) };
    },
    async check() {
      await list();
      return `gammu-smsd, ${inbox}`;
    },
  };
}

function grouped(files: string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const file of files) {
    const [, date, time, serial, sender] = fileName.exec(file) ?? [];
    if (date === undefined) continue;
    const key = [date, time, serial, sender].join('_');
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  return groups;
}

/** `inboxformat = unicode` writes UTF-16 with a byte order mark, the others one byte a character or UTF-8. */
async function text(path: string): Promise<string> {
  const bytes = (await readFile(path)).subarray(0, MOST_BYTES);
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be').decode(bytes);
  const utf8 = new TextDecoder('utf-8').decode(bytes);
  return utf8.includes('\ufffd') ? new TextDecoder('latin1').decode(bytes) : utf8;
}
