import { root } from './root.ts';
import { words } from './words.ts';

/** What a tool does to things, or a request wants done to them, as far as a verb tells. */
export type Act = 'read' | 'write' | 'delete';

const verbs = (text: string) => new Set(text.split(' ').map(root));

const NAMED: [Act, Set<string>][] = [
  ['delete', verbs('delete remove drop clear unlink destroy purge unapprove unprotect')],
  [
    'write',
    verbs(
      'create add insert new make append update edit patch set modify rename move merge push approve protect resolve mark write publish fork upload fill save send reply put',
    ),
  ],
  [
    'read',
    verbs(
      'get list read search find show retrieve query count explain describe view fetch check verify validate lookup inspect whoami discover',
    ),
  ],
];

/** By the first words of its name: `merge_requests_list` lists. */
export function actOf(name: string): Act | undefined {
  for (const word of words(name).slice(0, 3).map(root)) {
    const act = NAMED.find(([, known]) => known.has(word));
    if (act) return act[0];
  }
  return undefined;
}

const POLITE = new Set(
  'please can could would will you i we want to need like d ll m let us me hey hi ok now then just also and go ahead help should'.split(
    ' ',
  ),
);
const QUESTION = verbs('what which who whose when where why how is are was were do does did has have am any');
const SAID: [Act, Set<string>][] = [
  ['delete', verbs('delete remove erase wipe drop purge forget discard trash destroy clear')],
  [
    'write',
    verbs(
      'create make add write insert leave open start set post save store note remember put give send reply answer change rename edit fix update correct replace move mark close switch turn assign attach upload comment copy approve',
    ),
  ],
  ['read', verbs('show list find search look read check see display count compare view print fetch')],
];

/** By how it begins: a question wants to know, an order names its verb. */
export function actWanted(request: string): Act | undefined {
  const said = words(request);
  if (said[0] === 'tell') return said[1] === 'me' ? 'read' : 'write';
  const first = said.find((word) => !POLITE.has(word));
  if (first === undefined) return undefined;
  const verb = root(first);
  if (QUESTION.has(verb)) return 'read';
  return SAID.find(([, known]) => known.has(verb))?.[0];
}
