import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { noJournal } from '../kit/journal.ts';
import type { Model } from '../kit/model.ts';
import { mount, type Mounted, type Outcome } from '../kit/mount.ts';
import { sandbox } from '../servers/sandbox/definition.ts';

export interface Opened {
  home: string;
  mounted: Mounted;
  /** Calls a tool as a client would; the notes of its progress are gathered. */
  call: (
    tool: string,
    input?: object,
    answer?: 'accepted' | 'declined' | 'dismissed' | 'none',
  ) => Promise<Outcome & { notes: string[] }>;
  /** Calls it and expects a value. */
  value: (tool: string, input?: object) => Promise<Record<string, unknown>>;
  /** Calls it and expects an error. */
  fault: (tool: string, input?: object) => Promise<string>;
}

/** The sandbox server in this process, on a home of its own; closed when the test file ends. */
export async function openSandboxServer(
  settings: { ask?: string; model?: Model; home?: string; forge_rounds?: number; timeout_ms?: number } = {},
): Promise<Opened> {
  const { model, home = mkdtempSync(join(tmpdir(), 'kuznia-sandbox-')), ...config } = settings;
  const runtime = { home, journal: noJournal, env: {}, ...(model && { model }) };
  const mounted = await mount(sandbox, sandbox.config.parse(config), runtime);
  after(async () => {
    await mounted.close();
    // One that was given belongs to the giver.
    if (!settings.home) rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  });
  const call: Opened['call'] = async (tool, input = {}, answer = 'none') => {
    const notes: string[] = [];
    const caller = {
      client: 'test',
      signal: new AbortController().signal,
      progress: (_done: number, _total?: number, note?: string) => void notes.push(note ?? ''),
    };
    if (answer === 'none') {
      return { ...(await mounted.call(tool, input, { ...caller, answer, canAsk: false })), notes };
    }
    const asked = await mounted.call(tool, input, { ...caller, answer: 'none', canAsk: true });
    if (asked.kind !== 'ask') throw new Error(`${tool} did not ask`);
    const { about } = asked;
    return { ...(await mounted.call(tool, input, { ...caller, answer, about, canAsk: true })), notes };
  };
  return {
    home,
    mounted,
    call,
    async value(tool, input) {
      const outcome = await call(tool, input);
      if (outcome.kind === 'value') return outcome.value;
      throw new Error(`${tool}: ${'message' in outcome ? outcome.message : outcome.kind}`);
    },
    async fault(tool, input) {
      const outcome = await call(tool, input);
      if (outcome.kind === 'error') return outcome.message;
      throw new Error(`${tool} did not fail: ${JSON.stringify(outcome).slice(0, 300)}`);
    },
  };
}
