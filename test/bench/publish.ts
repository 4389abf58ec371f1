import { setTimeout as pause } from 'node:timers/promises';
import { connect, publish, sandboxServer, type Connected } from './client.ts';
import { figure, median, round, spread, type Figure, type Scope } from './figure.ts';
import { slugify } from './samples.ts';

/** Published in one process, heard of by a client of another. */
export async function publishing(scope: Scope): Promise<Figure[]> {
  const home = await scope.folder('publish');
  const author = await connect(sandboxServer, home);
  const editor = await connect(sandboxServer, home);
  try {
    const versions: [string, string][] = [];
    for (const description of ['Turns a title into a URL slug.', 'Makes a URL slug of a title.']) {
      versions.push([await publish(author, { ...slugify, description }), description]);
    }
    const seen: number[] = [];
    const acknowledged: number[] = [];
    const afterwards: number[] = [];
    let told = 0;
    for (let i = 0; i < scope.rounds(40, 10); i++) {
      const [version = '', description = ''] = versions[i % 2] ?? [];
      // What the last publish caused must be over, so that nothing of it is taken for the next.
      await pause(150);
      const before = editor.changes.length;
      const begun = performance.now();
      const answered = author
        .must('sandbox_publish_tool', { name: 'slugify', version })
        .then(() => performance.now());
      const heard = await listsIt(editor, description, begun);
      const acked = await answered;
      seen.push(heard - begun);
      acknowledged.push(acked - begun);
      afterwards.push(heard - acked);
      told += editor.changes.length - before;
    }
    return [
      figure({
        name: 'publish',
        what: 'publish called -> list_changed at a client of another process, p50',
        unit: 'ms',
        value: median(seen),
        bar: 100,
        details: {
          'from the call': spread(seen),
          'the publish itself, answered': spread(acknowledged),
          'from that answer (below zero: heard before it)': spread(afterwards),
          'list_changed a publish': round(told / seen.length),
        },
      }),
    ];
  } finally {
    await Promise.all([author.close(), editor.close()]);
  }
}

const LATE_MS = 10_000;

/** When the notification came after which the list had the new version; earlier ones were of something else. */
async function listsIt(editor: Connected, description: string, since: number): Promise<number> {
  for (let known = 0; performance.now() - since < LATE_MS;) {
    const changes = editor.changes.filter((at) => at > since);
    const last = changes.at(-1);
    if (last !== undefined && changes.length > known) {
      known = changes.length;
      const { tools } = await editor.page();
      if (tools.some((tool) => tool.description === description)) return last;
    } else await pause(1);
  }
  throw new Error(`no list_changed with the published version within ${LATE_MS} ms`);
}
