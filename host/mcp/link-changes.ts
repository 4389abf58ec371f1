import type { Client } from '@modelcontextprotocol/client';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Change } from './link-types.ts';

/** A server that ends each stream at once is not asked for ever. */
const LISTEN_MS = { first: 1_000, most: 60_000, steady: 30_000 };

/** Hears what a server says of changes to its lists; before `connect`. */
export function hearChanges(client: Client, changed: (what: Change) => void): void {
  client.setNotificationHandler('notifications/tools/list_changed', () => changed('tools'));
  client.setNotificationHandler('notifications/resources/list_changed', () => changed('offers'));
  client.setNotificationHandler('notifications/prompts/list_changed', () => changed('offers'));
}

/**
 * From 2026-07-28 on nobody is told of changes unasked ("subscriptions/listen"). Asks again when the stream ends, and takes
 * all lists for changed then. Ends with `signal`, or where the server offers none.
 */
export async function keepListening(
  client: Client,
  changed: (what: Change) => void,
  signal: AbortSignal,
): Promise<void> {
  const { tools, resources, prompts } = client.getServerCapabilities() ?? {};
  const filter = {
    ...(tools?.listChanged && { toolsListChanged: true }),
    ...(resources?.listChanged && { resourcesListChanged: true }),
    ...(prompts?.listChanged && { promptsListChanged: true }),
  };
  if (client.getProtocolEra() !== 'modern' || Object.keys(filter).length === 0) return;
  let wait = LISTEN_MS.first;
  let missed = false;
  while (!signal.aborted) {
    try {
      const began = performance.now();
      const stream = await client.listen(filter, { signal });
      if (missed) (['tools', 'offers'] as const).forEach(changed);
      missed = true;
      if ((await stream.closed) === 'local') return;
      if (performance.now() - began > LISTEN_MS.steady) wait = LISTEN_MS.first;
    } catch {
      // Without the stream its tools can still be called: what it offers now stays until it is connected anew.
    }
    try {
      await sleep(wait, undefined, { signal, ref: false });
    } catch {
      return;
    }
    wait = Math.min(LISTEN_MS.most, wait * 2);
  }
}
