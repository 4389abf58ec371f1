import { join } from 'node:path';
import { ToolError } from '../../../kit/tool.ts';
import { movedTag } from './life.ts';
import type { CatalogueLine } from './records.ts';
import { Snapshot, contentOf } from './snapshot.ts';
import type { Source } from './snapshot.ts';
import { stampOf } from './watch.ts';
import { tagOf } from './writer.ts';

/** A published tool, ready to run. */
export interface Program {
  name: string;
  version: string;
  digest: string;
  /** JavaScript. */
  code: string;
  inputSchema: Record<string, unknown>;
  outputSchema?: Record<string, unknown>;
}

interface Kept {
  line: CatalogueLine;
  program: Promise<Program>;
  /** Files whose change makes us look again: the tag and the code's objects. */
  witnesses: string[];
  /** How they were when it was checked; undefined while it is being read. */
  stamp: string | undefined;
}

/** Tools' code is small; this many of them are kept. */
const MAX_KEPT = 512;

/**
 * The code of published tools, read from the tagged object, checked against the approved digest, and kept. A call
 * finds it in memory: it only looks whether the files it came from are untouched, which takes some microseconds.
 */
export class Programs {
  readonly #source: Source;
  readonly #kept = new Map<string, Kept>();

  constructor(source: Source) {
    this.#source = source;
  }

  /** The code of this line of the catalogue. Throws ToolError where what is stored is not what was approved. */
  async get(line: CatalogueLine): Promise<Program> {
    const known = this.#kept.get(line.name);
    if (known && known.line.commit === line.commit && isUntouched(known)) return known.program;
    const refs = this.#refFiles(line);
    const before = stampsOf(refs);
    const witnesses = [...refs];
    const kept: Kept = { line, program: this.#load(line, witnesses), witnesses, stamp: undefined };
    this.#kept.delete(line.name);
    this.#kept.set(line.name, kept);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MAX_KEPT) break;
      this.#kept.delete(oldest);
    }
    try {
      const program = await kept.program;
      // Moved while it was read: the next call reads it again.
      kept.stamp = before === stampsOf(refs) ? stampsOf(witnesses) : '';
      return program;
    } catch (error) {
      if (this.#kept.get(line.name) === kept) this.#kept.delete(line.name);
      throw error;
    }
  }

  /** Reads ahead what will be asked for. */
  async warm(lines: CatalogueLine[]): Promise<void> {
    for (const line of lines.slice(0, MAX_KEPT / 2)) await this.get(line).catch(() => undefined);
  }

  async #load(line: CatalogueLine, witnesses: string[]): Promise<Program> {
    const { objects, place } = this.#source;
    const { name, version } = line;
    const tag = await objects.get(tagOf(name, version));
    if (tag && tag.id !== line.commit) {
      throw await movedTag(this.#source, await Snapshot.main(this.#source), name, version, tag.id);
    }
    // Without its tag it still is the approved commit; the next writer makes the tag again.
    const tree = await objects.get(`${line.commit}:tools/${name}`);
    if (!tree) {
      throw new ToolError(
        `${name} ${version} is refused: commit ${line.commit.slice(0, 10)}, which was approved, is damaged or missing in ` +
          `${place.folder}. Run \`git -C ${place.folder} fsck\`, restore it from a copy, or save and publish the tool again.`,
      );
    }
    const { files, digest, blobs } = await contentOf(this.#source, tree.id, `${name} ${version}`);
    if (digest !== line.digest) {
      throw new ToolError(
        `${name} ${version} is refused: its stored files have digest ${digest}, approved was ${line.digest}. ` +
          `Run \`git -C ${place.folder} fsck --full\` to see which object was changed; restore it, or save and publish the tool again.`,
      );
    }
    for (const id of blobs) witnesses.push(join(place.git, 'objects', id.slice(0, 2), id.slice(2)));
    const { input_schema, output_schema } = files.manifest;
    return {
      name,
      version,
      digest,
      code: files.compiled ?? files.code,
      inputSchema: input_schema,
      ...(output_schema && { outputSchema: output_schema }),
    };
  }

  #refFiles({ name, version }: CatalogueLine): string[] {
    return [tagOf(name, version), 'packed-refs'].map((ref) => join(this.#source.place.git, ref));
  }
}

function isUntouched({ stamp, witnesses }: Kept): boolean {
  return stamp === undefined || stamp === stampsOf(witnesses);
}

function stampsOf(files: string[]): string {
  return files.map(stampOf).join(' ');
}
