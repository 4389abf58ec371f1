import { createHash } from 'node:crypto';
import { z } from 'zod';
import { versionPattern } from './version.ts';

/** ASCII only: no path part, no upper case, no look-alike of another name, and a valid part of a git ref. */
export const toolName = z.string().regex(/^[a-z][a-z0-9_]{0,47}$/);
export const toolVersion = z.string().regex(versionPattern);
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const jsonObject = z.record(z.string(), z.unknown());
const objectId = z.string().regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/);

/** What a tool says of itself: `tool.json`. */
export const manifest = z.object({
  name: toolName,
  title: z.string().optional(),
  description: z.string(),
  language: z.enum(['javascript', 'typescript']),
  lane: z.literal('quickjs'),
  /** What it may reach outside itself. Kept and shown; no lane honours any yet. */
  grants: z.array(z.string()),
  input_schema: jsonObject,
  output_schema: jsonObject.optional(),
  /** What it was written for, e.g. `quickjs-wasi 3.6.2`. */
  engine: z.string(),
});
export type Manifest = z.output<typeof manifest>;

/** One test of a tool: the output it must give, or text that its error's message must contain. */
export const testCase = z.union([
  z.strictObject({ name: z.string(), input: z.unknown(), error: z.string() }),
  z.strictObject({ name: z.string(), input: z.unknown(), output: z.unknown() }),
]);
export type TestCase = z.output<typeof testCase>;

/** A tool whole, as it is saved. */
export interface ToolFiles {
  manifest: Manifest;
  /** As its author wrote it. */
  code: string;
  /** JavaScript made from it, where the language is TypeScript. */
  compiled?: string;
  tests: TestCase[];
}

/** What the gates found, bound to the content they looked at. */
const verdictRecord = z.object({
  digest,
  passed: z.boolean(),
  /** Who has to approve it once it passed: the policy did already, or a person must. */
  approval: z.enum(['policy', 'person']),
  gates: z.array(
    z.object({
      gate: z.string(),
      passed: z.boolean(),
      message: z.string().optional(),
      ms: z.number().optional(),
      details: z.unknown().optional(),
    }),
  ),
  engine: z.string().optional(),
  at: z.string(),
});
export type VerdictRecord = z.output<typeof verdictRecord>;

/** A person, and the way they were asked. */
const decider = z.object({ who: z.string(), how: z.string() });
export type Decider = z.output<typeof decider>;

/** `verdicts/<name>/<version>.json`; its signature lies beside it. */
export const storedVerdict = z.object({
  name: toolName,
  version: toolVersion,
  digest,
  /** The commit that the version's tag stood at when it was tested. */
  commit: objectId,
  verdict: verdictRecord,
  decision: z
    .object({ approved: z.boolean(), by: decider, reason: z.string().optional(), at: z.string() })
    .optional(),
});
export type StoredVerdict = z.output<typeof storedVerdict>;

/** How many versions back a tool can be rolled. */
export const MAX_PREVIOUS = 20;

/** One line of `catalogue.json`: all that is needed to list a tool and to know its code when it is read. */
const catalogueLine = z.object({
  name: toolName,
  version: toolVersion,
  title: z.string().optional(),
  description: z.string(),
  input_schema: jsonObject,
  output_schema: jsonObject.optional(),
  /** Names of its tests: cases that people and models look for it by. */
  tests: z.array(z.string()).optional(),
  digest,
  commit: objectId,
  /** Signature of the verdict that approved it. */
  approval: z.string(),
  /** Versions that were live before, the latest last. */
  previous: z.array(toolVersion).max(MAX_PREVIOUS),
  published_at: z.string(),
});
export type CatalogueLine = z.output<typeof catalogueLine>;

export const catalogueFile = z.object({
  format: z.literal(1),
  /** When it was written; never goes back, so that an older catalogue is known as such. */
  at: z.string(),
  tools: z.array(catalogueLine),
});
export type CatalogueFile = z.output<typeof catalogueFile>;

/** What was live when a tool was retired, so that rolling back brings it back: `retired/<name>.json`. */
export const retiredFile = z.object({ version: toolVersion, previous: z.array(toolVersion), at: z.string() });

/** Where a version stands in its life. */
export type Status = 'draft' | 'testing' | 'approved' | 'production' | 'retired';

/** A file is cut off here: nobody reads more, and everything below is held in memory. */
export const MAX_FILE_BYTES = 1024 * 1024;

/** The files of a version by name, as they are stored. */
export function toFiles(tool: ToolFiles): Map<string, string> {
  const files = new Map([
    ['tool.json', pretty(tool.manifest)],
    ['tool.test.json', pretty(tool.tests)],
  ]);
  if (tool.manifest.language === 'typescript') {
    files.set('tool.ts', tool.code);
    files.set('tool.js', tool.compiled ?? '');
  } else {
    files.set('tool.js', tool.code);
  }
  return files;
}

/** The way back from `toFiles`; throws where the files are not those of a tool. */
export function fromFiles(files: Map<string, string>): ToolFiles {
  const described = manifest.parse(JSON.parse(files.get('tool.json') ?? 'null'));
  const tests = z.array(testCase).parse(JSON.parse(files.get('tool.test.json') ?? 'null'));
  const javascript = files.get('tool.js') ?? '';
  if (described.language === 'javascript') return { manifest: described, code: javascript, tests };
  return { manifest: described, code: files.get('tool.ts') ?? '', compiled: javascript, tests };
}

/** One digest over names and contents; lengths are in it, so that no two sets of files look the same. */
export function digestOf(files: Map<string, string>): string {
  const hash = createHash('sha256');
  for (const name of [...files.keys()].sort()) {
    const content = Buffer.from(files.get(name) ?? '');
    hash.update(`${name}\0${content.length}\0`).update(content);
  }
  return `sha256:${hash.digest('hex')}`;
}

/** JSON for people: indented, with a newline at the end. */
export function pretty(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
