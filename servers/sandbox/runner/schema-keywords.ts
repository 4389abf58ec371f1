/**
 * The keywords of JSON Schema 2020-12 that a forged tool may use, and what each must look like, after the
 * specification's own metaschemas (https://json-schema.org/draft/2020-12/schema). What the metaschemas let pass
 * without effect, such as a misspelt keyword, is refused: a model reads that as a rule that holds.
 */

/** What a keyword's value is. */
export type Kind =
  | 'schema'
  | 'schemas'
  | 'schemaMap'
  | 'names'
  | 'nameMap'
  | 'type'
  | 'enum'
  | 'number'
  | 'positive'
  | 'count'
  | 'text'
  | 'flag'
  | 'pattern'
  | 'reference'
  | 'anchor'
  | 'list'
  | 'any';

/** The values of `type`. */
export const TYPES: readonly string[] = ['string', 'number', 'integer', 'boolean', 'object', 'array', 'null'];

const kinds: Record<Kind, string> = {
  schema:
    'items additionalProperties unevaluatedProperties unevaluatedItems propertyNames contains not if then else contentSchema',
  schemas: 'allOf anyOf oneOf prefixItems',
  schemaMap: 'properties patternProperties dependentSchemas $defs definitions',
  names: 'required',
  nameMap: 'dependentRequired',
  type: 'type',
  enum: 'enum',
  number: 'minimum maximum exclusiveMinimum exclusiveMaximum',
  positive: 'multipleOf',
  count: 'minLength maxLength minItems maxItems minProperties maxProperties minContains maxContains',
  text: 'title description format $comment contentEncoding contentMediaType',
  flag: 'uniqueItems deprecated readOnly writeOnly',
  pattern: 'pattern',
  reference: '$ref',
  anchor: '$anchor',
  list: 'examples',
  any: 'const default $schema',
};

/** Keyword to kind. */
export const KEYWORDS: ReadonlyMap<string, Kind> = new Map(
  Object.entries(kinds).flatMap(([kind, words]) =>
    words.split(' ').flatMap((word): [string, Kind][] => (isKind(kind) ? [[word, kind]] : [])),
  ),
);

function isKind(text: string): text is Kind {
  return text in kinds;
}

/** Keywords that are refused, and what to write in their place. */
export const REPLACED: ReadonlyMap<string, string> = new Map([
  ['$dynamicRef', 'use $ref with a reference such as "#/$defs/name"'],
  ['$dynamicAnchor', 'use $defs, and $ref with a reference such as "#/$defs/name"'],
  ['$recursiveRef', 'use $ref with the reference "#"'],
  ['$recursiveAnchor', 'use $ref with the reference "#"'],
  ['$vocabulary', 'leave it out'],
  ['$id', 'leave it out: references stay inside the schema'],
  ['id', 'leave it out; a property of that name goes under properties'],
  ['additionalItems', 'use items, with prefixItems before it'],
  ['dependencies', 'use dependentRequired or dependentSchemas'],
  ['nullable', 'use a type such as ["string", "null"]'],
  ['optional', 'leave the name out of required instead'],
  ['example', 'use examples, which is an array'],
  ['x-mcp-header', 'leave it out: clients would copy such an argument into an HTTP header'],
  ['discriminator', 'use oneOf with a const in each'],
]);

/** Pairs of bounds, the first of which must not pass the second. */
export const BOUNDS: readonly (readonly [string, string])[] = [
  ['minimum', 'maximum'],
  ['minLength', 'maxLength'],
  ['minItems', 'maxItems'],
  ['minProperties', 'maxProperties'],
  ['minContains', 'maxContains'],
];
