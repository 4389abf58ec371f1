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
  format?: string | undefined;
}

const schema: z.ZodType<Schema> = z.lazy(() =>
  z.object({
    type: z.string().optional(),
    enum: z.array(z.unknown()).optional(),
    items: schema.optional(),
    properties: z.record(z.string(), schema).optional(),
    required: z.array(z.string()).optional(),
    $ref: z.string().optional(),
    format: z.string().optional(),
  }),
);
const parameter = z.object({
  in: z.string(),
  name: z.string(),
  required: z.boolean().optional(),
  type: z.string().optional(),
  enum: z.array(z.unknown()).optional(),
  items: schema.optional(),
  format: z.string().optional(),
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
const undocumented = new Set(['pagination', 'id_after', 'id_before', 'page', 'per_page']);

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

/** Where the file says less than GitLab does: `scope` of jobs is a list (its lib/api/ci/jobs.rb), of these statuses. */
const STATUSES =
  'created|waiting_for_resource|preparing|waiting_for_callback|pending|running|success|failed|canceled|canceling|skipped|manual|scheduled';
const corrected = new Map(
  ['jobs', 'pipelines/*/jobs', 'pipelines/*/bridges'].map((path) => [
    `GET /projects/*/${path}`,
    { scope: `string[] ${STATUSES}` },
  ]),
);

/** Of endpoints (`POST /projects/*`), their parameters as test/doubles/gitlab/grape.json has them. */
export function parametersOf(keys: string[]): Record<string, Record<string, string>> {
  const { known } = load();
  const resolve = (one: Schema): Schema =>
    one.$ref ? (known.definitions[one.$ref.replace('#/definitions/', '')] ?? one) : one;
  const table: Record<string, Record<string, string>> = {};
  for (const [path, methods] of Object.entries(known.paths)) {
    for (const [method, { parameters }] of Object.entries(methods)) {
      const key = `${method.toUpperCase()} ${path
        .replace('/api/v4', '')
        .replace('(-/)', '')
        .replaceAll(/\{\w+\}|\*\w+/g, '*')}`;
      if (!keys.includes(key)) continue;
      const row: Record<string, string> = {};
      const put = (name: string, raw: Schema, required: boolean) => {
        const one = resolve(raw);
        const inner = one.type === 'array' && one.items ? resolve(one.items) : one;
        const type = inner.properties ? 'object' : inner.format === 'date-time' ? 'date-time' : inner.type;
        const values = (inner.enum ?? one.enum)?.map(String);
        row[name] =
          `${type ?? ''}${one.type === 'array' ? '[]' : ''}${required ? '!' : ''}${values ? ` ${values.join('|')}` : ''}`;
        if (one.type === 'array') return;
        for (const [part, each] of Object.entries(one.properties ?? {}))
          put(`${name}[${part}]`, each, one.required?.includes(part) ?? false);
      };
      for (const one of parameters) {
        if (path.includes(`*${one.name}`)) continue;
        if (one.in === 'query' || one.in === 'formData')
          put(
            one.name,
            { type: one.type, enum: one.enum, items: one.items, format: one.format },
            one.required ?? false,
          );
        const whole = one.schema && resolve(one.schema);
        for (const [name, each] of Object.entries(whole?.properties ?? {}))
          put(name, each, whole?.required?.includes(name) ?? false);
      }
      table[key] = Object.fromEntries(
        Object.entries({ ...row, ...corrected.get(key) }).sort(([a], [b]) => a.localeCompare(b)),
      );
    }
  }
  return Object.fromEntries(Object.entries(table).sort(([a], [b]) => a.localeCompare(b)));
}
