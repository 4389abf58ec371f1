import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { isRecord, Refused } from './routing.ts';

/** `POST /projects/*` of a route. */
export const routeKey = (method: string, path: string) => `${method} ${path.replaceAll(/[:*]\w+/g, '*')}`;

interface Param {
  name: string;
  type: string;
  required: boolean;
  values: string[] | undefined;
}

const table = z
  .record(z.string(), z.record(z.string(), z.string()))
  .parse(JSON.parse(readFileSync(new URL('grape.json', import.meta.url), 'utf8')));

/** What grape.json says of each endpoint: `integer!`, `string[]`, `string opened|closed`; `!` is required. */
const known = new Map<string, Param[]>(
  Object.entries(table).map(([key, params]) => [
    key,
    Object.entries(params).map(([name, text]) => {
      const [type = '', values] = text.split(' ');
      const required = type.endsWith('!');
      return { name, type: type.replace('!', ''), required, values: values?.split('|') };
    }),
  ]),
);

/** Whole numbers that may also be words (docs.gitlab.com/api/issues, `assignee_id`). */
const WORDS = /^(any|none|current|upcoming|started)$/i;

/** As Grape refuses a request before GitLab looks at it: what is missing, of another type, or none of the values. */
export function checkParams(key: string, given: Record<string, unknown>): void {
  const faults: string[] = [];
  for (const { name, type, required, values } of known.get(key) ?? []) {
    const value = at(given, name);
    if (value === undefined || value === null) {
      // A part of a group is needed only where the group is given.
      const [head = '', ...parts] = name.split('[');
      if (required && (parts.length === 0 || isRecord(given[head])) && value === undefined)
        faults.push(`${name} is missing`);
      continue;
    }
    const list = type.endsWith('[]');
    // Ids or the word None; the table has them as texts.
    const each = list || (type === 'string' && name.endsWith('_ids')) ? items(value) : [value];
    if (each === undefined || !each.every((one) => fits(one, type.replace('[]', ''))))
      faults.push(`${name} is invalid`);
    else if (values && !each.every((one) => values.includes(String(one))))
      faults.push(`${name} does not have a valid value`);
  }
  if (faults.length > 0) throw new Refused(400, { error: faults.join(', ') });
}

function at(given: Record<string, unknown>, name: string): unknown {
  const [head = '', ...parts] = name.split(/[[\]]+/).filter(Boolean);
  return parts.reduce<unknown>((value, part) => (isRecord(value) ? value[part] : undefined), given[head]);
}

/** GitLab takes lists as arrays, with commas, or as a hash of numbers (a form's way). */
function items(value: unknown): unknown[] | undefined {
  if (Array.isArray(value)) return value;
  if (typeof value === 'string') return value.split(',').filter(Boolean);
  if (typeof value === 'number') return [value];
  return isRecord(value) ? Object.values(value) : undefined;
}

function fits(value: unknown, type: string): boolean {
  if (type === 'object') return isRecord(value);
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
    return type === '';
  const text = String(value);
  if (type === 'integer') return /^-?\d+$/.test(text.trim()) || text === '' || WORDS.test(text);
  if (type === 'boolean') return /^(true|false|t|f|1|0|on|off|yes|no|y|n)?$/i.test(text);
  if (type === 'date-time') return text === '' || !Number.isNaN(Date.parse(text));
  return true;
}
