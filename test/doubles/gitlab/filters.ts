import { yes } from './params.ts';
import type { Issue, MergeRequest, Project } from './model.ts';
import type { Asked } from './routing.ts';

type Item = Issue | MergeRequest;
type Test = (value: string, asked: Asked) => (one: Item) => boolean;

const updated = (one: Item) => Date.parse(one.changed ?? one.at);

const TESTS: Record<string, Test> = {
  state: (value) => (one) => value === 'all' || one.state === value,
  search: (value) => (one) => `${one.title}\n${one.description}`.toLowerCase().includes(value.toLowerCase()),
  labels(value) {
    const wanted = value.split(',').filter(Boolean);
    return (one) => wanted.every((label) => hasLabel(one, label));
  },
  assignee_username: (value) => (one) => one.assignees.some((user) => user.username === value),
  'assignee_username[]': (value) => (one) => one.assignees.some((user) => user.username === value),
  assignee_id: (value) => (one) =>
    value.toLowerCase() === 'none'
      ? one.assignees.length === 0
      : value.toLowerCase() === 'any'
        ? one.assignees.length > 0
        : one.assignees.some((user) => String(user.id) === value),
  author_username: (value) => (one) => one.author.username === value,
  author_id: (value) => (one) => String(one.author.id) === value,
  milestone: (value) => (one) =>
    value === 'None'
      ? one.milestone === null
      : value === 'Any'
        ? one.milestone !== null
        : one.milestone?.title === value,
  issue_type: (value) => (one) => one.type.toLowerCase() === value,
  confidential: (value) => (one) => 'confidential' in one && one.confidential === yes(value),
  wip: (value) => (one) => /^draft:/i.test(one.title) === (value === 'yes'),
  created_after: (value) => (one) => Date.parse(one.at) >= Date.parse(value),
  created_before: (value) => (one) => Date.parse(one.at) <= Date.parse(value),
  updated_after: (value) => (one) => updated(one) >= Date.parse(value),
  updated_before: (value) => (one) => updated(one) <= Date.parse(value),
  scope:
    (value, { user }) =>
    (one) =>
      value.replace('-', '_') === 'assigned_to_me'
        ? one.assignees.includes(user)
        : value.replace('-', '_') !== 'created_by_me' || one.author === user,
};

const hasLabel = (one: Item, label: string) =>
  label.toLowerCase() === 'none'
    ? one.labels.length === 0
    : label.toLowerCase() === 'any'
      ? one.labels.length > 0
      : one.labels.includes(label);

/** Whether an item passes what the query narrows a list by; `not[labels]` and the like turn it round. */
export function fitting(asked: Asked): (one: Item) => boolean {
  const { query } = asked;
  const listed = query.getAll('labels[]');
  const iids = query.getAll('iids[]').map(Number);
  const tests = Object.entries(TESTS).flatMap(([name, test]) => {
    const [value, not] = [query.get(name), query.get(`not[${name}]`)];
    const without = not === null ? undefined : test(not, asked);
    return [
      ...(value === null ? [] : [test(value, asked)]),
      ...(without ? [(one: Item) => !without(one)] : []),
    ];
  });
  tests.push((one) => listed.every((label) => hasLabel(one, label)));
  if (iids.length > 0) tests.push((one) => iids.includes(one.iid));
  return (one) => tests.every((fits) => fits(one));
}

/** In order of what was made, or changed, last; no further than is looked at. */
export function* newestFirst<T extends Item>(
  query: URLSearchParams,
  { touched }: Project,
  items: T[],
): Generator<T> {
  const changes = query.get('order_by') === 'updated_at' ? touched : new Set<Item>();
  if (changes.size > 0) {
    const order = [...changes];
    yield* items.filter((one) => changes.has(one)).sort((a, b) => order.indexOf(b) - order.indexOf(a));
  }
  for (let at = items.length - 1; at >= 0; at--) {
    const one = items[at];
    if (one && !changes.has(one)) yield one;
  }
}

/** A list as `order_by` and `sort` ask for it. */
export function inOrder<T extends Item>(query: URLSearchParams, project: Project, items: T[]): T[] {
  const rows = [...newestFirst(query, project, items)];
  return query.get('sort') === 'asc' ? rows.toReversed() : rows;
}
