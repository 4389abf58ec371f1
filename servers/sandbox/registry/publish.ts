import { ToolError } from '../../../kit/tool.ts';
import { changed, render } from './catalogue.ts';
import type { Catalogue } from './catalogue.ts';
import type { Change } from './commits.ts';
import { isApproved, tagged, wanted } from './life.ts';
import { pretty } from './records.ts';
import type { CatalogueLine } from './records.ts';
import type { Snapshot, Source } from './snapshot.ts';
import type { Worktree } from './worktree.ts';
import type { Plan } from './writer.ts';

/** Of each tool's tests, in the catalogue: it is read whole at every start. */
const MOST_TESTS = 8;
const LONGEST_NAME = 60;

/** What is live now, and what was before. */
export interface Release {
  version: string;
  previous?: string;
}

/** What changes of the catalogue need to know. */
export interface Market {
  source: Source;
  main: Snapshot | undefined;
  /** The last good one: what the next is made from. */
  live: Catalogue;
  /** When the catalogue on main says it was written, whether it is good or not. */
  at: string;
  /** What is on main is refused: whatever is published next puts it right. */
  refused: boolean;
  worktree: Worktree;
}

/** What the caller's own policy asks of a version that is to go live. */
export interface ReleaseOptions {
  /** Whether a person must approve a tool with these grants, whatever policy it was tested under. */
  needsPerson?: (grants: string[]) => boolean;
}

/** Makes a version live: the one given, or the newest. */
export async function publish(
  market: Market,
  name: string,
  version?: string,
  options?: ReleaseOptions,
): Promise<Plan<Release>> {
  const target = await wanted(market.main, name, version);
  const was = market.live.lines.get(name);
  if (was?.version === target && !market.refused) return unchanged(release(target, was.previous.at(-1)));
  const before = was ?? (await market.main?.retired(name));
  const previous =
    before && before.version !== target ? [...before.previous, before.version] : (before?.previous ?? []);
  return put(market, name, { version: target, previous, message: `publish ${name} ${target}`, options });
}

/** Makes the version live again that was live before: before the one that is, or before the tool was retired. */
export async function rollback(
  market: Market,
  name: string,
  version?: string,
  options?: ReleaseOptions,
): Promise<Plan<Release>> {
  const { main, live } = market;
  if (version !== undefined) await wanted(main, name, version);
  const was = live.lines.get(name);
  const retired = was ? undefined : await main?.retired(name);
  if (!was && !retired) {
    await wanted(main, name);
    throw new ToolError(
      `${name} was never published: there is nothing to roll back to. Publish a version of it.`,
    );
  }
  const stack = was ? was.previous : [...(retired?.previous ?? []), ...(retired ? [retired.version] : [])];
  const target = version ?? stack.at(-1);
  if (target === undefined) {
    throw new ToolError(
      `No version of ${name} was live before ${was?.version ?? 'it'}. Name the version to go back to.`,
    );
  }
  if (was?.version === target)
    throw new ToolError(`${name} ${target} is live already. Name an older version.`);
  const at = stack.lastIndexOf(target);
  // A version that was not live before is gone on to, so that the next rollback leads back here.
  const ahead = was ? [...stack, was.version] : stack;
  const note = was ? `from ${was.version}` : 'after it was retired';
  return put(market, name, {
    version: target,
    previous: at === -1 ? ahead : stack.slice(0, at),
    message: `rollback ${name} ${target} ${note}`,
    options,
  });
}

/** Takes a tool out of production; rolling back brings it back. */
export async function retire(market: Market, name: string): Promise<Plan<Release>> {
  await wanted(market.main, name);
  const was = market.live.lines.get(name);
  if (!was) throw new ToolError(`${name} is not published: there is nothing to retire.`);
  await refuseEdits(market, name);
  const { version, previous } = was;
  const kept = pretty({ version, previous, at: new Date().toISOString() });
  return {
    result: release(version, previous.at(-1)),
    changes: [...(await written(market, name, undefined)), { path: `retired/${name}.json`, content: kept }],
    message: `retire ${name} ${version}`,
  };
}

interface Going {
  version: string;
  previous: string[];
  message: string;
  options: ReleaseOptions | undefined;
}

async function put(
  market: Market,
  name: string,
  { version, previous, message, options }: Going,
): Promise<Plan<Release>> {
  const { source, main } = market;
  if (!main) throw new ToolError(`There is no tool ${name}.`);
  const verdict = await main.verdict(name, version);
  if (!verdict || !isApproved(verdict)) throw await notApproved(main, name, version);
  const { files, digest, commit } = await tagged(source, main, name, version);
  if (verdict.digest !== digest || verdict.commit !== commit) {
    throw new ToolError(
      `${name} ${version} is refused: what was approved is ${verdict.digest.slice(0, 19)}… at ${verdict.commit.slice(0, 10)}, what is ` +
        `there is ${digest.slice(0, 19)}… at ${commit.slice(0, 10)}. Test it again, or save it as a new version.`,
    );
  }
  const { manifest, tests } = files;
  if (manifest.grants.length > 0) {
    throw new ToolError(
      `${name} ${version} asks for ${manifest.grants.join(', ')}, which no lane can give yet, so it is not published. ` +
        'Save a version without grants.',
    );
  }
  if (!verdict.decision && options?.needsPerson?.(manifest.grants)) {
    throw new ToolError(
      `${name} ${version} was approved by policy, but here a person approves: kuznia approve ${name} ${version}`,
    );
  }
  await refuseEdits(market, name);
  const { title, description, input_schema, output_schema } = manifest;
  const line: CatalogueLine = {
    name,
    version,
    ...(title !== undefined && { title }),
    description,
    input_schema,
    ...(output_schema && { output_schema }),
    tests: tests.slice(0, MOST_TESTS).map(({ name }) => name.slice(0, LONGEST_NAME)),
    digest,
    commit,
    approval: verdict.signature,
    previous,
    published_at: new Date().toISOString(),
  };
  const changes = await written(market, name, line);
  if (await main.retired(name)) changes.push({ path: `retired/${name}.json`, content: undefined });
  return { result: release(version, market.live.lines.get(name)?.version), changes, message };
}

async function written(market: Market, name: string, line: CatalogueLine | undefined): Promise<Change[]> {
  const text = render(changed(market.live, name, line, market.at));
  const signature = await market.source.signer.sign('catalogue', text);
  return [
    { path: 'catalogue.json', content: text },
    { path: 'catalogue.sig', content: `${signature}\n` },
  ];
}

async function notApproved(main: Snapshot, name: string, version: string): Promise<ToolError> {
  const found = await main.verdict(name, version);
  if (found?.decision?.approved === false) {
    return new ToolError(`${name} ${version} was refused by ${found.decision.by.who}. Save a new version.`);
  }
  if (found?.verdict.passed) {
    return new ToolError(
      `${name} ${version} waits for a person's approval: kuznia approve ${name} ${version}`,
    );
  }
  if (found) {
    const failed = found.verdict.gates.filter((gate) => !gate.passed).map((gate) => gate.gate);
    return new ToolError(
      `${name} ${version} did not pass its gates (${failed.join(', ')}). Mend it, save it and test it.`,
    );
  }
  if ((await main.folder(`verdicts/${name}`)).has(`${version}.json`)) {
    return new ToolError(
      `The verdict on ${name} ${version} does not carry this registry's signature. Test it again.`,
    );
  }
  return new ToolError(
    `${name} ${version} was not tested yet. Test it with sandbox_test_tool, then publish it.`,
  );
}

async function refuseEdits({ source, main, worktree }: Market, name: string): Promise<void> {
  const edited = main ? await worktree.edits(name, main) : [];
  if (!main || edited.length === 0) return;
  const { folder } = source.place;
  throw new ToolError(
    `${edited.join(' and ')} in ${folder} was edited by hand. What runs is never read from there, so nothing was published. ` +
      `Save the edit as a new version of the tool, or undo it with: git -C ${folder} restore --source=main ${edited.join(' ')}`,
  );
}

function release(version: string, previous: string | undefined): Release {
  return previous === undefined ? { version } : { version, previous };
}

function unchanged(result: Release): Plan<Release> {
  return { result, changes: [], message: '' };
}
