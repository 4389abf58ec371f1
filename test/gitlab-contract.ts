import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Sent } from './doubles/gitlab/server.ts';
import { isRecord } from './doubles/gitlab/routing.ts';

const named = process.env['KUZNIA_GITLAB_OPENAPI'];
const file = named ?? new URL('../../shared/contracts/gitlab-openapi-2.0.json', import.meta.url);

/** Why requests cannot be checked here; undefined where GitLab's OpenAPI file is there. */
export const noContract = existsSync(file)
  ? undefined
  : 'no OpenAPI file of GitLab here (KUZNIA_GITLAB_OPENAPI names one)';

interface Schema {
  type?: string | undefined;
  enum?: unknown[] | undefined;
  items?: Schema | undefined;
  properties?: Record<string, Schema> | undefined;
  required?: string[] | undefined;
  $ref?: string | undefined;
}

const schema: z.ZodType<Schema> = z.lazy(() =>
  z.object({
    type: z.string().optional(),
    enum: z.array(z.unknown()).optional(),
    items: schema.optional(),
    properties: z.record(z.string(), schema).optional(),
    required: z.array(z.string()).optional(),
    $ref: z.string().optional(),
  }),
);
const parameter = z.object({
  in: z.string(),
  name: z.string(),
  required: z.boolean().optional(),
  type: z.string().optional(),
  enum: z.array(z.unknown()).optional(),
  schema: schema.optional(),
});
const operation = z.object({ parameters: z.array(parameter).default([]) });
const contract = z.object({
  paths: z.record(z.string(), z.record(z.string(), operation)),
  definitions: z.record(z.string(), schema),
});

let loaded:
  | { known: z.infer<typeof contract>; paths: { pattern: RegExp; path: string; fixed: number }[] }
  | undefined;

function load() {
  if (loaded) return loaded;
  const known = contract.parse(JSON.parse(readFileSync(file, 'utf8')));
  const paths = Object.keys(known.paths).map((path) => {
    const source = path
      .replace('(-/)', '')
      .replace(/[.*+?^$()|[\]\\]/g, '\\$&')
      .replace(/\{\w+\}|\\\*\w+/g, (found) => (found.startsWith('{') ? '[^/]+' : '.+'));
    return {
      path,
      pattern: new RegExp(`^${source}$`),
      fixed: path.split('/').filter((part) => !/[{*]/.test(part)).length,
    };
  });
  paths.sort((a, b) => b.fixed - a.fixed);
  loaded = { known, paths };
  return loaded;
}

/** Documented (docs.gitlab.com/api/rest, keyset paging), and missing from the file. */
const undocumented = new Set(['pagination', 'id_after', 'page', 'per_page']);

/** What of a request the contract does not know; `undefined` where the contract lacks the endpoint. */
export function breaches({ method, path, query, body }: Sent): string[] | undefined {
  const { known, paths } = load();
  const template = paths.find(
    (one) => one.pattern.test(path) && known.paths[one.path]?.[method.toLowerCase()],
  );
  const found = template && known.paths[template.path]?.[method.toLowerCase()];
  if (!found) return undefined;
  const where = `${method} ${template.path}`;
  const faults: string[] = [];
  const resolve = (one: Schema | undefined): Schema | undefined =>
    one?.$ref ? known.definitions[one.$ref.replace('#/definitions/', '')] : one;
  const properties: Record<string, Schema> = {};
  const required: string[] = [];
  for (const one of found.parameters) {
    if (one.in === 'query' || one.in === 'formData')
      properties[one.name] = { type: one.type, enum: one.enum };
    // A path that goes on to the end is said to be in the query.
    if (template.path.includes(`*${one.name}`)) continue;
    if (one.required && (one.in === 'query' || one.in === 'formData')) required.push(one.name);
    const whole = resolve(one.schema);
    Object.assign(properties, whole?.properties);
    required.push(...(whole?.required ?? []));
  }
  const given = new Set<string>();
  for (const name of query.keys()) {
    const key = name.replace(/\[.*$/, '');
    given.add(key);
    if (undocumented.has(name)) continue;
    if (!(key in properties) && !(name in properties) && !(`${key}[]` in properties))
      faults.push(`${where}: query ${name} is unknown`);
    const allowed = properties[key]?.enum;
    if (allowed && !allowed.includes(query.get(name)))
      faults.push(`${where}: query ${name}=${query.get(name)} is none of ${allowed.join(', ')}`);
  }
  const check = (value: unknown, at: Schema | undefined, name: string): void => {
    const kind = resolve(at);
    if (!kind || value === null) return;
    if (kind.enum && !kind.enum.includes(value))
      faults.push(`${where}: ${name} is none of ${kind.enum.join(', ')}`);
    if (kind.type === 'integer' && !Number.isInteger(Number(value)))
      faults.push(`${where}: ${name} is no integer`);
    if (kind.type === 'boolean' && typeof value !== 'boolean') faults.push(`${where}: ${name} is no boolean`);
    if (kind.type === 'array' && Array.isArray(value))
      for (const one of value) check(one, kind.items, `${name}[]`);
    if (kind.properties && isRecord(value)) {
      for (const [key, one] of Object.entries(value)) {
        if (!kind.properties[key]) faults.push(`${where}: ${name}.${key} is unknown`);
        else check(one, kind.properties[key], `${name}.${key}`);
      }
    }
  };
  for (const [name, value] of Object.entries(isRecord(body) ? body : {})) {
    given.add(name);
    if (!properties[name]) faults.push(`${where}: ${name} is unknown`);
    else check(value, properties[name], name);
  }
  for (const name of required)
    // Of a group that may be left out as a whole.
    if (!name.includes('[') && !given.has(name)) faults.push(`${where}: ${name} is missing`);
  return faults;
}
