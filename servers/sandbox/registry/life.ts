import { ToolError } from '../../../kit/tool.ts';
import type { Catalogue } from './catalogue.ts';
import { createTag } from './commits.ts';
import type { Change } from './commits.ts';
import type { TreeEntry } from './objects.ts';
import { MAX_FILE_BYTES, digestOf, manifest, pretty, toFiles, toolName } from './records.ts';
import type { Decider, Status, StoredVerdict, ToolFiles, VerdictRecord } from './records.ts';
import { commitWith } from './snapshot.ts';
import type { Content, Snapshot, Source } from './snapshot.ts';
import { bumpBetween, raised } from './version.ts';
import { tagOf } from './writer.ts';
import type { Plan } from './writer.ts';

/** What a save came to. */
export interface Saved {
  name: string;
  version: string;
  status: Status;
  /** False where the newest version was the same already. */
  created: boolean;
}

/** Where a version stands, from what was decided about it and what is live. */
export async function statusOf(
  main: Snapshot,
  live: Catalogue,
  name: string,
  version: string,
  verdict: StoredVerdict | undefined,
): Promise<Status> {
  if (live.lines.get(name)?.version === version) return 'production';
  if ((await main.retired(name))?.version === version) return 'retired';
  if (!verdict?.verdict.passed || verdict.decision?.approved === false) return 'draft';
  return isApproved(verdict) ? 'approved' : 'testing';
}

/** Whether the policy or a person approved it. */
export function isApproved({ verdict, decision }: StoredVerdict): boolean {
  if (!verdict.passed) return false;
  return decision ? decision.approved : verdict.approval === 'policy';
}

/** One version in a list. */
export interface VersionInfo {
  version: string;
  status: Status;
  /** How its last test ended, if it was tested. */
  passed?: boolean;
  /** Somebody who was asked decided so. */
  decision?: StoredVerdict['decision'];
}

/** Refuses what is no name before it comes near a path or a ref. */
export function checkName(name: string): void {
  if (toolName.safeParse(name).success) return;
  throw new ToolError(
    `${JSON.stringify(name.slice(0, 60))} cannot be the name of a tool: use lower-case ASCII letters, digits and _, beginning with a ` +
      'letter, 48 at most, for example `csv_to_json`.',
  );
}

/** Where a version stands, for a list of them. */
export async function versionInfo(
  main: Snapshot,
  live: Catalogue,
  name: string,
  version: string,
): Promise<VersionInfo> {
  const found = await main.verdict(name, version);
  const status = await statusOf(main, live, name, version, found);
  return { version, status, ...(found && { passed: found.verdict.passed, decision: found.decision }) };
}

/** The version asked for, or the newest one; throws where there is none. */
export async function wanted(main: Snapshot | undefined, name: string, version?: string): Promise<string> {
  const versions = (await main?.versions(name)) ?? [];
  const newest = versions.at(-1);
  if (newest === undefined) {
    throw new ToolError(`There is no tool ${name}. List the tools to see which there are, or save it first.`);
  }
  if (version === undefined) return newest;
  if (!versions.includes(version)) {
    throw new ToolError(`${name} has no version ${version}. It has ${versions.slice(-10).join(', ')}.`);
  }
  return version;
}

/** A new version, unless the newest is the same. */
export async function save(
  source: Source,
  main: Snapshot | undefined,
  live: Catalogue,
  tool: ToolFiles,
): Promise<Plan<Saved>> {
  const { name } = tool.manifest;
  const files = checkedFiles(tool);
  const versions = (await main?.versions(name)) ?? [];
  const newest = versions.at(-1);
  // A version whose files are damaged can be compared with nothing: what comes after it is a new one.
  const before = newest === undefined ? undefined : await main?.content(name, newest).catch(() => undefined);
  if (main && newest !== undefined && before?.digest === digestOf(files)) {
    await tagged(source, main, name, newest);
    const status = await statusOf(main, live, name, newest, await main.verdict(name, newest));
    return { result: { name, version: newest, status, created: false }, changes: [], message: '' };
  }
  const bump = before ? bumpBetween(before.files.manifest, tool.manifest) : 'major';
  let version = newest === undefined ? '1.0.0' : raised(newest, bump);
  // Main was set back by hand: the version is gone from it, but its number was given away.
  while (await source.objects.get(tagOf(name, version))) version = raised(version, 'patch');
  const gone = [...((await main?.folder(`tools/${name}`)) ?? new Map()).keys()].filter(
    (file) => !files.has(file),
  );
  const changes: Change[] = gone.map((file) => ({ path: `tools/${name}/${file}`, content: undefined }));
  for (const [file, content] of files) {
    changes.push(
      { path: `tools/${name}/${file}`, content },
      { path: `versions/${name}/${version}/${file}`, content },
    );
  }
  return {
    result: { name, version, status: 'draft', created: true },
    changes,
    message: `save ${name} ${version}`,
    tag: tagOf(name, version),
  };
}

function checkedFiles(tool: ToolFiles): Map<string, string> {
  const { name } = tool.manifest;
  const parsed = manifest.safeParse(tool.manifest);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ToolError(
      `${name} was not saved: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'its manifest is wrong'}.`,
    );
  }
  const files = toFiles({ ...tool, manifest: parsed.data });
  for (const [file, content] of files) {
    const bytes = Buffer.byteLength(content);
    if (bytes > MAX_FILE_BYTES) {
      throw new ToolError(
        `${name} was not saved: ${file} has ${bytes} bytes, the limit is ${MAX_FILE_BYTES}. Make it smaller.`,
      );
    }
  }
  return files;
}

/**
 * The commit at which a version is tagged, and what it consists of. A missing tag is made again where the version was
 * saved; one that stands elsewhere is refused.
 */
export async function tagged(
  source: Source,
  main: Snapshot,
  name: string,
  version: string,
): Promise<Content & { commit: string }> {
  const content = await main.content(name, version);
  if (!content) throw new ToolError(`${name} has no version ${version}.`);
  const tag = tagOf(name, version);
  const found = await source.objects.get(tag);
  if (!found) {
    const saved = await commitWith(source.objects, main.commit, `save ${name} ${version}`);
    if (saved === undefined)
      throw new ToolError(`${tag} is missing, and so is the commit that saved it. Save the tool again.`);
    await createTag(source.place, tag, saved);
    return { ...content, commit: saved };
  }
  const tree = await source.objects.get(`${found.id}:tools/${name}`);
  if (found.type !== 'commit' || tree?.id !== content.tree)
    throw await movedTag(source, main, name, version, found.id);
  return { ...content, commit: found.id };
}

/** Says how a tag that was moved differs from the version, and how to put it back. */
export async function movedTag(
  source: Source,
  main: Snapshot | undefined,
  name: string,
  version: string,
  at: string,
): Promise<ToolError> {
  const theirs = (await source.objects.tree(`${at}:tools/${name}`)) ?? new Map<string, TreeEntry>();
  const ours = (await main?.folder(`versions/${name}/${version}`)) ?? new Map<string, TreeEntry>();
  const names = [...new Set([...theirs.keys(), ...ours.keys()])].sort();
  const differing = names.filter((file) => theirs.get(file)?.id !== ours.get(file)?.id);
  const saved = main && (await commitWith(source.objects, main.commit, `save ${name} ${version}`));
  return new ToolError(
    `${name} ${version} is refused: its tag ${name}/v${version} was moved to ${at.slice(0, 10)}, where ` +
      `${differing.length > 0 ? `${differing.join(', ')} differ` : 'the same files lie, but another commit'}. ` +
      (saved
        ? `Put it back with: git -C ${source.place.folder} update-ref ${tagOf(name, version)} ${saved}`
        : 'Save the tool as a new version.'),
  );
}

/**
 * Keeps what the gates found. What a person decided about the same content stays, whatever the gates say now, and so
 * does that a person must decide: a test under a laxer policy does not take that back.
 */
export async function verdict(
  source: Source,
  main: Snapshot | undefined,
  name: string,
  version: string,
  record: VerdictRecord,
): Promise<Plan<void>> {
  if (!main) throw new ToolError(`There is no tool ${name}. Save it first.`);
  await wanted(main, name, version);
  const { digest, commit } = await tagged(source, main, name, version);
  if (record.digest !== digest) {
    throw new ToolError(
      `The verdict on ${name} ${version} is about other files than were saved. Test it again.`,
    );
  }
  const last = await main.verdict(name, version);
  const before = last?.digest === digest ? last : undefined;
  const decision = before?.decision;
  const approval = before?.verdict.approval === 'person' ? 'person' : record.approval;
  const stored: StoredVerdict = {
    name,
    version,
    digest,
    commit,
    verdict: { ...record, approval },
    ...(decision && { decision }),
  };
  return kept(source, stored, `verdict ${name} ${version} ${record.passed ? 'passed' : 'failed'}`);
}

/** Keeps a person's decision with the verdict that it is about. */
export async function decide(
  source: Source,
  main: Snapshot | undefined,
  name: string,
  version: string,
  decision: { approved: boolean; by: Decider; reason?: string },
): Promise<Plan<void>> {
  await wanted(main, name, version);
  const before = await main?.verdict(name, version);
  if (decision.approved && !before?.verdict.passed) {
    throw new ToolError(
      `${name} ${version} cannot be approved: ${before ? 'its gates did not pass' : 'it was not tested'}. Test it, mend what fails, then approve.`,
    );
  }
  if (!before) throw new ToolError(`${name} ${version} was not tested yet: there is nothing to decide.`);
  const { signature: _, ...stored } = before;
  const event = decision.approved ? 'approve' : 'refuse';
  const note = oneLine(`by ${decision.by.who} (${decision.by.how})`);
  const at = new Date().toISOString();
  return kept(source, { ...stored, decision: { ...decision, at } }, `${event} ${name} ${version} ${note}`);
}

async function kept(source: Source, stored: StoredVerdict, message: string): Promise<Plan<void>> {
  const text = pretty(stored);
  const path = `verdicts/${stored.name}/${stored.version}`;
  const signature = await source.signer.sign('verdict', text);
  return {
    result: undefined,
    changes: [
      { path: `${path}.json`, content: text },
      { path: `${path}.sig`, content: `${signature}\n` },
    ],
    message,
  };
}

/** A person's name in a commit's first line: no control characters, not too long. */
function oneLine(text: string): string {
  return text
    .replaceAll(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, 120);
}
