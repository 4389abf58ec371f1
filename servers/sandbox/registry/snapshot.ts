import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { ToolError } from '../../../kit/tool.ts';
import type { Objects, TreeEntry } from './objects.ts';
import {
  MAX_FILE_BYTES,
  digestOf,
  fromFiles,
  manifest,
  retiredFile,
  storedVerdict,
  toolName,
  toolVersion,
} from './records.ts';
import type { Manifest, StoredVerdict, ToolFiles } from './records.ts';
import { FORMAT, lastKnown } from './repository.ts';
import type { Place } from './repository.ts';
import type { Signer } from './signing.ts';
import { byVersion } from './version.ts';

/** The files of one version, with what they are known by. */
export interface Content {
  tree: string;
  digest: string;
  files: ToolFiles;
  /** The ids of the files. */
  blobs: string[];
}

/** A verdict whose signature holds, with that signature. */
interface SignedVerdict extends StoredVerdict {
  signature: string;
}

/** Where a snapshot is read from, and who vouches for it. */
export interface Source {
  place: Place;
  objects: Objects;
  signer: Signer;
}

/** How often a main that seems damaged is looked at again. */
const ATTEMPTS = 3;

const formatFile = z.object({ format: z.number() });

/**
 * The registry as of one commit of main. Everything is read from that commit's tree, nothing from the working tree:
 * `tools/<name>/` (newest version), `versions/<name>/<version>/`, `verdicts/<name>/<version>.{json,sig}`,
 * `retired/<name>.json`, `catalogue.{json,sig}`, `format.json`.
 */
export class Snapshot {
  readonly commit: string;
  readonly parent: string | undefined;
  /** First line of the commit's message. */
  readonly subject: string;
  readonly root: Map<string, TreeEntry>;
  readonly #source: Source;
  readonly #folders = new Map<string, Promise<Map<string, TreeEntry>>>();

  private constructor(source: Source, commit: Commit, root: Map<string, TreeEntry>) {
    this.#source = source;
    this.commit = commit.id;
    this.parent = commit.parent;
    this.subject = commit.subject;
    this.root = root;
  }

  /** Main as it is now; undefined where nothing was saved yet. */
  static async main(source: Source): Promise<Snapshot | undefined> {
    for (let attempt = 0; ; attempt++) {
      const snapshot = await Snapshot.at(source, 'refs/heads/main');
      if (snapshot) {
        await refuseForeign(source, snapshot);
        return snapshot;
      }
      const damage = await damageOfMain(source.place);
      if (damage === undefined) return undefined;
      // A branch that is just being made looks the same for a moment: git writes its log first.
      if (attempt === ATTEMPTS) throw new ToolError(damage);
      await pause(20 * attempt);
    }
  }

  /** The registry as of `commit`, an id or a ref. */
  static async at(source: Source, commit: string): Promise<Snapshot | undefined> {
    const found = await commitAt(source.objects, commit);
    if (!found) return undefined;
    const root = await source.objects.tree(found.tree);
    if (!root) throw new ToolError(damaged(source.place, `the tree of commit ${found.id}`));
    return new Snapshot(source, found, root);
  }

  /** The names of all tools ever saved. */
  async tools(): Promise<string[]> {
    return [...(await this.folder('versions')).keys()]
      .filter((name) => toolName.safeParse(name).success)
      .sort();
  }

  /** The versions of a tool, oldest first. */
  async versions(name: string): Promise<string[]> {
    const found = await this.folder(`versions/${name}`);
    return [...found.keys()].filter((version) => toolVersion.safeParse(version).success).sort(byVersion);
  }

  /** What the version consists of; undefined where it does not exist. */
  async content(name: string, version: string): Promise<Content | undefined> {
    const entry = (await this.folder(`versions/${name}`)).get(version);
    if (!entry) return undefined;
    return contentOf(this.#source, entry.id, `${name} ${version}`);
  }

  /** What the version says of itself. */
  async manifest(name: string, version: string): Promise<Manifest> {
    const text = await this.#text((await this.folder(`versions/${name}/${version}`)).get('tool.json'));
    const parsed = text === undefined ? undefined : parsedJson(manifest, text);
    if (!parsed) throw new ToolError(damaged(this.#source.place, `tool.json of ${name} ${version}`));
    return parsed;
  }

  /** The verdict on a version, where there is one that this registry's key signed. */
  async verdict(name: string, version: string): Promise<SignedVerdict | undefined> {
    const folder = await this.folder(`verdicts/${name}`);
    const [text, signature] = await Promise.all([
      this.#text(folder.get(`${version}.json`)),
      this.#text(folder.get(`${version}.sig`)),
    ]);
    if (text === undefined || signature === undefined) return undefined;
    if (!(await this.#source.signer.verify('verdict', text, signature))) return undefined;
    const parsed = storedVerdict.safeParse(JSON.parse(text));
    if (!parsed.success || parsed.data.name !== name || parsed.data.version !== version) return undefined;
    return { ...parsed.data, signature: signature.trim() };
  }

  /** What was live when the tool was retired, if it is retired. */
  async retired(name: string): Promise<z.output<typeof retiredFile> | undefined> {
    const text = await this.#text((await this.folder('retired')).get(`${name}.json`));
    return text === undefined ? undefined : parsedJson(retiredFile, text);
  }

  /** The two files of the catalogue, as they are. */
  async catalogue(): Promise<{ text: string | undefined; signature: string | undefined }> {
    const [text, signature] = await Promise.all([
      this.#text(this.root.get('catalogue.json')),
      this.#text(this.root.get('catalogue.sig')),
    ]);
    return { text, signature };
  }

  /** The entries of a folder; none where there is no such folder. Parts of the path must be checked. */
  folder(path: string): Promise<Map<string, TreeEntry>> {
    let found = this.#folders.get(path);
    if (!found) {
      found = this.#readFolder(path);
      this.#folders.set(path, found);
    }
    return found;
  }

  async #readFolder(path: string): Promise<Map<string, TreeEntry>> {
    const cut = path.lastIndexOf('/');
    const above = cut === -1 ? this.root : await this.folder(path.slice(0, cut));
    const entry = above.get(path.slice(cut + 1));
    if (!entry?.folder) return new Map();
    const found = await this.#source.objects.tree(entry.id);
    if (!found) throw new ToolError(damaged(this.#source.place, `${path}/ (${entry.id})`));
    return found;
  }

  async #text(entry: TreeEntry | undefined): Promise<string | undefined> {
    return entry && !entry.folder ? this.#source.objects.text(entry.id) : undefined;
  }
}

interface Commit {
  id: string;
  tree: string;
  /** The first one. */
  parent: string | undefined;
  subject: string;
}

async function commitAt(objects: Objects, name: string): Promise<Commit | undefined> {
  const found = await objects.get(name);
  if (found?.type !== 'commit') return undefined;
  const text = found.data.toString('utf8');
  const end = text.indexOf('\n\n');
  const head = text.slice(0, end);
  return {
    id: found.id,
    tree: /^tree ([0-9a-f]+)$/m.exec(head)?.[1] ?? '',
    parent: /^parent ([0-9a-f]+)$/m.exec(head)?.[1],
    subject: text.slice(end + 2).split('\n')[0] ?? '',
  };
}

const COMMITS_LIMIT = 50_000;

/** The latest commit at or before `from` with this subject. */
export async function commitWith(
  objects: Objects,
  from: string,
  subject: string,
): Promise<string | undefined> {
  let at: string | undefined = from;
  for (let step = 0; at !== undefined && step < COMMITS_LIMIT; step++) {
    const found: Commit | undefined = await commitAt(objects, at);
    if (found?.subject === subject) return found.id;
    at = found?.parent;
  }
  return undefined;
}

/** Reads and checks the files of the tree with this id. */
export async function contentOf(source: Source, tree: string, what: string): Promise<Content> {
  const entries = await source.objects.tree(tree);
  if (!entries) throw new ToolError(damaged(source.place, `the folder of ${what} (${tree})`));
  const files = new Map<string, string>();
  await Promise.all(
    [...entries].map(async ([name, { id, folder }]) => {
      const text = folder ? undefined : await source.objects.text(id, 2 * MAX_FILE_BYTES);
      if (text === undefined) throw new ToolError(damaged(source.place, `${name} of ${what} (${id})`, id));
      files.set(name, text);
    }),
  );
  try {
    return {
      tree,
      digest: digestOf(files),
      files: fromFiles(files),
      blobs: [...entries.values()].map(({ id }) => id),
    };
  } catch (cause) {
    throw new ToolError(`${what} cannot be read: its files are not those of a tool. Save it again.`, {
      cause,
    });
  }
}

/** JSON of ours that does not fit its schema is as good as none. */
function parsedJson<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

async function refuseForeign(source: Source, snapshot: Snapshot): Promise<void> {
  const { folder } = source.place;
  const entry = snapshot.root.get('format.json');
  const text = entry ? await source.objects.text(entry.id) : undefined;
  const format = text === undefined ? undefined : parsedJson(formatFile, text)?.format;
  if (format === undefined) {
    throw new ToolError(
      `${folder} is a git repository, but no registry of Kuźnia (it has no format.json on main). Move it away, or set ` +
        'KUZNIA_HOME to another folder.',
    );
  }
  if (format > FORMAT) {
    throw new ToolError(
      `${folder} was written by a newer Kuźnia (format ${format}; this one knows ${FORMAT}). Update Kuźnia, or set ` +
        'KUZNIA_HOME to another folder. Nothing was changed.',
    );
  }
}

/** No commit at main: fine where there never was one, else it is damaged, and git's log knows where it stood. */
async function damageOfMain(place: Place): Promise<string | undefined> {
  const ref = await readFile(join(place.git, 'refs', 'heads', 'main'), 'latin1').catch(() => undefined);
  const last = await lastKnown(place);
  if (ref === undefined && last === undefined) return undefined;
  const mend = last
    ? `git -C ${place.folder} update-ref refs/heads/main ${last}`
    : `git -C ${place.folder} fsck`;
  return (
    `The branch main in ${place.folder} is damaged or gone. Nothing was changed; what is in memory stays in use. ` +
    (ref === undefined
      ? `Restore it with: ${mend}`
      : `Delete ${place.git}/refs/heads/main, then restore it with: ${mend}`)
  );
}

function damaged(place: Place, what: string, blob?: string): string {
  const file = blob ? join(place.git, 'objects', blob.slice(0, 2), blob.slice(2)) : undefined;
  return (
    `${what} is damaged or missing in ${place.folder}. Nothing else is affected. ` +
    (file
      ? `Restore it from a copy; or delete ${file} and save the same tool again, which writes it anew.`
      : `Run \`git -C ${place.folder} fsck\` and restore it from a copy.`)
  );
}
