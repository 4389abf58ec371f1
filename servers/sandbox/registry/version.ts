import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';

/** How much a version changes for those who call the tool. */
type Bump = 'major' | 'minor' | 'patch';

/** The part of a tool that callers depend on. */
interface Contract {
  input_schema: unknown;
  output_schema?: unknown;
}

/** Written in full, without signs or leading zeros, so that a version has one spelling only. */
export const versionPattern = /^(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})$/;

/** The order of two versions, for `sort`. */
export function byVersion(a: string, b: string): number {
  const left = parts(a);
  const right = parts(b);
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

/** The version after `version`. */
export function raised(version: string, bump: Bump): string {
  const [major, minor, patch] = parts(version);
  if (bump === 'major') return `${major + 1}.0.0`;
  return bump === 'minor' ? `${major}.${minor + 1}.0` : `${major}.${minor}.${patch + 1}`;
}

function parts(version: string): [number, number, number] {
  const found = versionPattern.exec(version);
  return [Number(found?.[1]), Number(found?.[2]), Number(found?.[3])];
}

/**
 * Patch: callers notice nothing. Minor: every old input still holds, and more do. Major: an input that held no
 * longer does, or an answer may come that the old output schema forbids.
 */
export function bumpBetween(before: Contract, after: Contract): Bump {
  const answers = { wide: output(before), narrow: output(after) };
  if (!admits(answers.wide, answers.narrow, 'output')) return 'major';
  if (!admits(after.input_schema, before.input_schema, 'input')) return 'major';
  return admits(before.input_schema, after.input_schema, 'input') ? 'patch' : 'minor';
}

/** Without an output schema a tool answers `{ value }`. */
function output(contract: Contract): unknown {
  return contract.output_schema ?? { type: 'object', properties: { value: {} }, required: ['value'] };
}

type Side = 'input' | 'output';
type Schema = Record<string, unknown>;

/** Says something to people, nothing about which values hold. */
const NOTES = new Set([
  'title',
  'description',
  'examples',
  'default',
  '$comment',
  '$schema',
  '$id',
  'deprecated',
]);
/** Compared by `admits` keyword by keyword; every other keyword must be equal on both sides. */
const KNOWN = new Set(
  `type enum const properties required additionalProperties items uniqueItems
  minimum exclusiveMinimum minLength minItems minProperties
  maximum exclusiveMaximum maxLength maxItems maxProperties`.split(/\s+/),
);
const FLOORS = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties'] as const;
const CEILINGS = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties'] as const;
const DEPTH = 24;

const object = z.record(z.string(), z.unknown());
const list = z.array(z.unknown());
const names = z.array(z.string());

/**
 * Whether each value that `narrow` allows is allowed by `wide` too. Says no where it cannot tell, since raising a
 * version too far does no harm.
 */
function admits(wide: unknown, narrow: unknown, side: Side, depth = 0): boolean {
  if (wide === true || wide === undefined || narrow === false) return true;
  if (isDeepStrictEqual(plain(wide), plain(narrow))) return true;
  const to = object.safeParse(plain(wide)).data;
  const from = object.safeParse(plain(narrow)).data;
  if (!to || !from || depth > DEPTH) return false;
  if (Object.keys(to).length === 0) return true;
  const narrowChoices = choices(from);
  if (narrowChoices) return narrowChoices.every((one) => admits(to, one, side, depth + 1));
  const wideChoices = choices(to);
  if (wideChoices) return wideChoices.some((one) => admits(one, from, side, depth + 1));
  return (
    sameRest(to, from) &&
    typesFit(to, from) &&
    valuesFit(to, from) &&
    boundsFit(to, from) &&
    propertiesFit(to, from, side, depth) &&
    (!('items' in to) || admits(to['items'], from['items'] ?? {}, side, depth + 1))
  );
}

/** Branches of a schema that consists of nothing else; `oneOf` is read as `anyOf`, which is what authors mean. */
function choices(schema: Schema): unknown[] | undefined {
  const [key, ...others] = Object.keys(schema);
  if (others.length > 0 || (key !== 'anyOf' && key !== 'oneOf')) return undefined;
  return list.safeParse(schema[key]).data;
}

function plain(schema: unknown): unknown {
  const parsed = object.safeParse(schema);
  if (!parsed.success) return schema;
  return Object.fromEntries(Object.entries(parsed.data).filter(([key]) => !NOTES.has(key)));
}

function sameRest(to: Schema, from: Schema): boolean {
  return Object.keys(to).every((key) => KNOWN.has(key) || isDeepStrictEqual(to[key], from[key]));
}

function typesFit(to: Schema, from: Schema): boolean {
  const wide = types(to);
  const narrow = types(from);
  if (!wide) return true;
  if (!narrow) return false;
  return narrow.every((one) => wide.includes(one) || (one === 'integer' && wide.includes('number')));
}

/** The types that a schema allows; those of its values where it only lists values. */
function types(schema: Schema): string[] | undefined {
  if (typeof schema['type'] === 'string') return [schema['type']];
  const several = names.safeParse(schema['type']).data;
  if (several) return several;
  return values(schema)?.map((value) => {
    if (value === null) return 'null';
    if (Array.isArray(value)) return 'array';
    return Number.isInteger(value) ? 'integer' : typeof value;
  });
}

function valuesFit(to: Schema, from: Schema): boolean {
  const wide = values(to);
  const narrow = values(from);
  if (!wide) return true;
  return narrow?.every((value) => wide.some((one) => isDeepStrictEqual(one, value))) ?? false;
}

function values(schema: Schema): unknown[] | undefined {
  return 'const' in schema ? [schema['const']] : list.safeParse(schema['enum']).data;
}

function boundsFit(to: Schema, from: Schema): boolean {
  const bound = (schema: Schema, key: string) => (typeof schema[key] === 'number' ? schema[key] : undefined);
  const holds = (key: string, fits: (wide: number, narrow: number) => boolean) => {
    const wide = bound(to, key);
    const narrow = bound(from, key);
    return wide === undefined || (narrow !== undefined && fits(wide, narrow));
  };
  return (
    FLOORS.every((key) => holds(key, (wide, narrow) => wide <= narrow)) &&
    CEILINGS.every((key) => holds(key, (wide, narrow) => wide >= narrow)) &&
    (to['uniqueItems'] !== true || from['uniqueItems'] === true)
  );
}

/**
 * Open objects are judged as people mean them: a caller sends what the schema names. So a new optional input widens
 * although the open schema allowed any value there, and an input that is no longer named is gone.
 */
function propertiesFit(to: Schema, from: Schema, side: Side, depth: number): boolean {
  const wide = object.safeParse(to['properties']).data ?? {};
  const narrow = object.safeParse(from['properties']).data ?? {};
  const always = names.safeParse(from['required']).data ?? [];
  const needed = names.safeParse(to['required']).data ?? [];
  if (!needed.every((name) => always.includes(name))) return false;
  const rest = to['additionalProperties'];
  const restFits = rest === undefined || admits(rest, from['additionalProperties'] ?? true, side, depth + 1);
  if (!restFits) return false;
  return Object.entries(narrow).every(([name, schema]) => {
    if (Object.hasOwn(wide, name)) return admits(wide[name], schema, side, depth + 1);
    if (rest !== undefined && rest !== true) return admits(rest, schema, side, depth + 1);
    return side === 'output' || rest === true;
  });
}
