import type { TestCase } from './registry/records.ts';
import { openRegistry, type Registry } from './registry/registry.ts';

/** What a person sees before deciding on a version, and how the decision is kept. */
export interface Review {
  text: string;
  status: string;
  approve: (who: string) => Promise<void>;
  refuse: (who: string) => Promise<void>;
  close: () => Promise<void>;
}

/** Opens a version for a person's decision at the command line. Throws ToolError for an unknown one. */
export async function review(home: string, name: string, version: string): Promise<Review> {
  const registry = await openRegistry(home);
  try {
    const { status } = await registry.read(name, version);
    return {
      text: await reviewText(registry, name, version),
      status,
      approve: (who) => registry.approve(name, version, { who, how: 'kuznia approve' }),
      refuse: (who) => registry.refuse(name, version, { who, how: 'kuznia approve' }),
      close: () => registry.close(),
    };
  } catch (error) {
    await registry.close();
    throw error;
  }
}

/** What is wrong with the registry of a home, each with what to do; nothing is changed by looking. */
export async function health(home: string): Promise<string[]> {
  const registry = await openRegistry(home);
  const warnings = registry.warnings();
  await registry.close();
  return warnings;
}

/** Code, tests, grants, gates, and the difference to the version in use. */
export async function reviewText(registry: Registry, name: string, version: string): Promise<string> {
  const { manifest, code, tests, verdict, status } = await registry.read(name, version);
  const live = registry.live().find((one) => one.name === name);
  const grants = manifest.grants.length > 0 ? manifest.grants.join(', ') : 'none';
  const gates = verdict?.gates.map((one) => `${one.passed ? 'ok' : 'FAILED'} ${one.gate}`).join(', ');
  const parts = [
    `${name} ${version} (${status}): ${manifest.description}`,
    `Grants: ${grants}`,
    `Gates: ${gates ?? 'not tested'}`,
    `Input: ${JSON.stringify(manifest.input_schema)}`,
    `Output: ${JSON.stringify(manifest.output_schema ?? 'any value')}`,
    `Tests:\n${tests.map((test) => `  ${testLine(test)}`).join('\n')}`,
    `Code (${manifest.language}):\n${code}`,
  ];
  if (live && live.version !== version) {
    parts.push(
      `Difference to ${live.version}, which is live:\n${await registry.diff(name, live.version, version)}`,
    );
  }
  return parts.join('\n\n').replaceAll(/[^\P{C}\n\t]/gu, escaped);
}

/** Whole, since what was cut out is where something would be hidden. */
function testLine(test: TestCase): string {
  const expected = 'error' in test ? `error "${test.error}"` : JSON.stringify(test.output);
  return `${JSON.stringify(test.input)} -> ${expected}`;
}

/** A character that a terminal or a client would obey or hide, as text. */
const escaped = (character: string) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
