import { isDeepStrictEqual } from 'node:util';
import { MAX_PREVIOUS, catalogueFile } from './records.ts';
import type { CatalogueFile, CatalogueLine } from './records.ts';
import type { Signer } from './signing.ts';
import { Snapshot } from './snapshot.ts';
import type { Source } from './snapshot.ts';

/** What is in production, as it was signed. */
export interface Catalogue {
  at: string;
  lines: Map<string, CatalogueLine>;
}

export const emptyCatalogue: Catalogue = { at: '', lines: new Map() };

/** The bytes of `catalogue.json`: sorted, one line a tool, so that a difference reads as one. */
export function render(catalogue: Catalogue): string {
  const names = [...catalogue.lines.keys()].sort();
  const lines = names.map((name) => JSON.stringify(catalogue.lines.get(name)));
  return `{"format":1,"at":${JSON.stringify(catalogue.at)},"tools":[\n${lines.join(',\n')}\n]}\n`;
}

/** The next catalogue: one tool's line changed or removed, and a time that is later than any before. */
export function changed(
  before: Catalogue,
  name: string,
  line: CatalogueLine | undefined,
  atLeast: string,
): Catalogue {
  const lines = new Map(before.lines);
  if (line) lines.set(name, { ...line, previous: line.previous.slice(-MAX_PREVIOUS) });
  else lines.delete(name);
  const last = Math.max(...[before.at, atLeast].map((at) => Date.parse(at) || 0));
  return { at: new Date(Math.max(Date.now(), last + 1)).toISOString(), lines };
}

export type Reading =
  | { ok: true; catalogue: Catalogue }
  /** Not signed by us; `found` is what it says, where that can be read at all. */
  | { ok: false; found: Catalogue | undefined; why: string };

/** Reads the catalogue of a snapshot and checks its signature. */
export async function readCatalogue(snapshot: Snapshot, signer: Signer): Promise<Reading> {
  const { text, signature } = await snapshot.catalogue();
  if (text === undefined) return { ok: false, found: undefined, why: 'catalogue.json is missing or damaged' };
  const found = parse(text);
  if (signature === undefined) return { ok: false, found, why: 'catalogue.sig is missing or damaged' };
  if (!(await signer.verify('catalogue', text, signature))) {
    return { ok: false, found, why: "catalogue.json does not carry this registry's signature" };
  }
  return found
    ? { ok: true, catalogue: found }
    : { ok: false, found, why: 'catalogue.json is not a catalogue' };
}

function parse(text: string): Catalogue | undefined {
  let file: CatalogueFile | undefined;
  try {
    file = catalogueFile.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
  return file && { at: file.at, lines: new Map(file.tools.map((line) => [line.name, line])) };
}

const WALK_LIMIT = 2000;

/** The last catalogue before this one that the key signed, found by going back through main. */
export async function lastGood(from: Snapshot, source: Source): Promise<Catalogue | undefined> {
  let seen = idsOf(from);
  let at = from.parent;
  for (let step = 0; at !== undefined && step < WALK_LIMIT; step++) {
    const snapshot = await Snapshot.at(source, at);
    if (!snapshot) return undefined;
    const ids = idsOf(snapshot);
    if (ids !== seen) {
      const reading = await readCatalogue(snapshot, source.signer);
      if (reading.ok) return reading.catalogue;
    }
    seen = ids;
    at = snapshot.parent;
  }
  return undefined;
}

/** Names the content of the catalogue's files and the format: the same ids, nothing new. */
export function idsOf({ root }: Pick<Snapshot, 'root'>): string {
  return ['catalogue.json', 'catalogue.sig', 'format.json'].map((file) => root.get(file)?.id ?? '').join(' ');
}

const SHOWN = 6;

/** What differs, tool by tool and field by field, for people. */
export function differences(before: Catalogue, after: Catalogue): string {
  const names = [...new Set([...before.lines.keys(), ...after.lines.keys()])].sort();
  const found = names.flatMap((name) => {
    const [was, is] = [before.lines.get(name), after.lines.get(name)];
    if (!was) return [`${name}: added`];
    if (!is) return [`${name}: removed`];
    const fields = differingFields(was, is);
    return fields.length > 0 ? [`${name}: ${fields.join(', ')}`] : [];
  });
  const more = found.length > SHOWN ? `; and ${found.length - SHOWN} more` : '';
  return found.slice(0, SHOWN).join('; ') + more || 'no tool';
}

function differingFields(was: CatalogueLine, is: CatalogueLine): string[] {
  const [before, after] = [new Map(Object.entries(was)), new Map(Object.entries(is))];
  return [...new Set([...before.keys(), ...after.keys()])].filter(
    (key) => !isDeepStrictEqual(before.get(key), after.get(key)),
  );
}

/** The names whose lines differ. */
export function changedNames(before: Catalogue, after: Catalogue): string[] {
  const names = new Set([...before.lines.keys(), ...after.lines.keys()]);
  return [...names].filter((name) => before.lines.get(name)?.commit !== after.lines.get(name)?.commit).sort();
}
