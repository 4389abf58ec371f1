// A process of its own that writes to a registry: `many HOME PREFIX COUNT` publishes tools, `churn HOME NAME` goes on
// until it is killed. Each acknowledged step is a line on stdout.
import { writeSync } from 'node:fs';
import { openRegistry } from '../servers/sandbox/registry/registry.ts';
import { answering, judged } from './registry-kit.ts';

const [mode = '', home = '', name = '', count = '0'] = process.argv.slice(2);
const said = (step: string, version: string) => writeSync(1, `${step} ${version}\n`);

/** On a very busy machine a writer is told that others were first, and to try again. */
async function patiently<T>(step: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await step();
    } catch (error) {
      if (tries === 8 || !/busy/.test(String(error))) throw error;
    }
  }
}

const registry = await openRegistry(home);
if (mode === 'many') {
  for (let i = 0; i < Number(count); i++) {
    const tool = `${name}_${i}`;
    await patiently(() => registry.save(answering(tool, i)));
    await patiently(() => judged(registry, tool));
    await patiently(() => registry.publish(tool));
    said(tool, 'published');
  }
  await registry.close();
} else {
  for (let i = 0; ; i++) {
    const { version } = await registry.save(answering(name, Date.now() + i));
    said('save', version);
    await judged(registry, name, { version });
    said('verdict', version);
    said('publish', (await registry.publish(name)).version);
    if (i % 3 === 2) said('rollback', (await registry.rollback(name)).version);
  }
}
