import { z } from 'zod';
import { ConfigError, readConfigFile } from '../kit/config.ts';
import { isObject } from '../kit/json.ts';
import type { Effect } from '../kit/tool.ts';
import { servers } from './servers.ts';
import { nearest } from './terminal/text.ts';

export const roles = ['default', 'code', 'vision', 'small', 'embed'] as const;
export type Role = (typeof roles)[number];

/** One server of `mcpServers`; ours by name, others by how they are started or reached. */
export type ServerSetting =
  | { kind: 'own'; name: string; isolated: boolean }
  | ({ kind: 'command'; name: string } & z.output<typeof commandServer> & Common)
  | ({ kind: 'url'; name: string } & z.output<typeof urlServer> & Common);

interface Common {
  protocol?: 'auto' | '2025' | '2026';
  timeoutS?: number;
  tools?: string[];
  effects?: Record<string, Effect>;
}

const policy = z.enum(['allow', 'ask', 'deny']);
const effect = z.enum(['read', 'write', 'destroy']);
const rule = z.strictObject({
  tool: z.string().min(1),
  effect: effect.optional(),
  policy,
});
/** What is asked about: the first rule that fits a call decides. */
export type ApproveRule = z.output<typeof rule>;

const texts = z.record(z.string(), z.string());
const commandServer = z.strictObject({
  command: z.string().min(1),
  args: z.array(z.string()).default([]),
  env: texts.default({}),
  cwd: z.string().optional(),
});
const urlServer = z.strictObject({
  url: z.string().min(1),
  headers: texts.default({}),
  bearer: z.string().optional(),
  transport: z.enum(['http', 'sse']).default('http'),
});
const common = z.strictObject({
  protocol: z.enum(['auto', '2025', '2026']).optional(),
  timeout_s: z.number().positive().max(3_600).optional(),
  tools: z.array(z.string()).optional(),
  /** What tools do, by pattern: for a server that does not say, or does not say it right. */
  effects: z.record(z.string(), effect).optional(),
  /** Other clients' word for it. */
  type: z.string().optional(),
  disabled: z.boolean().optional(),
});
const ownServer = z.union([z.boolean(), z.strictObject({ isolated: z.boolean().default(false) })]);

const known = {
  models: z.strictObject(Object.fromEntries(roles.map((role) => [role, z.string().optional()]))),
  approve: z.array(rule),
  budget: z.strictObject({
    memory_mb: z.int().positive().optional(),
    context: z.int().min(2_048).optional(),
    tools: z.int().min(1).max(40).optional(),
    rounds: z.int().min(1).max(100).optional(),
  }),
  /** How much thinking models think; their own default when left out. */
  think: z.union([z.boolean(), z.enum(['low', 'medium', 'high'])], {
    error: 'expected true, false, "low", "medium" or "high"',
  }),
  sessions: z.strictObject({
    /** Conversations that nobody went on with for longer are removed; kept until a person removes them when left out. */
    keep_days: z.number().positive().optional(),
  }),
};

export interface HostSettings {
  servers: ServerSetting[];
  models: Partial<Record<Role, string>>;
  approve: ApproveRule[];
  budget: z.output<typeof known.budget>;
  think?: z.output<typeof known.think>;
  sessions: z.output<typeof known.sessions>;
}

const KEYS = ['mcpServers', 'servers', ...Object.keys(known)];

/** The host's part of kuznia.json. Throws ConfigError naming the key, what was expected there, and a near key for an unknown one. */
export function hostSettings(home: string): HostSettings {
  const file = readConfigFile(home);
  for (const key of Object.keys(file)) {
    // The settings of servers may stand there under their variables' names.
    if (KEYS.includes(key) || /^[A-Z][A-Z0-9_]+$/.test(key) || key === '$schema') continue;
    throw new ConfigError(unknownKey(key, '', KEYS), key);
  }
  for (const name of Object.keys(isObject(file['servers']) ? file['servers'] : {})) {
    // Each server checks its own settings.
    if (Object.hasOwn(servers, name)) continue;
    throw new ConfigError(unknownKey(name, 'servers', Object.keys(servers)), `servers.${name}`);
  }
  return {
    servers: serverSettings(file['mcpServers']),
    models: checked('models', known.models, file['models'] ?? {}),
    approve: checked('approve', known.approve, file['approve'] ?? []),
    budget: checked('budget', known.budget, file['budget'] ?? {}),
    ...(file['think'] !== undefined && { think: checked('think', known.think, file['think']) }),
    sessions: checked('sessions', known.sessions, file['sessions'] ?? {}),
  };
}

function checked<S extends z.ZodType>(
  key: string,
  schema: S,
  value: unknown,
  more: string[] = [],
): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const at = [key, ...(issue?.path ?? [])].map(String).join('.');
  if (issue?.code === 'unrecognized_keys') {
    const shape = [...schemaKeys(schema, issue.path), ...more];
    throw new ConfigError(unknownKey(issue.keys[0] ?? '', at, shape), at);
  }
  throw new ConfigError(`${at} in kuznia.json: ${issue?.message ?? 'is wrong'}.`, at);
}

function schemaKeys(schema: z.ZodType, path: PropertyKey[]): string[] {
  let one: unknown = schema;
  for (const _step of path) if (one instanceof z.ZodArray) one = one.element;
  return one instanceof z.ZodObject ? Object.keys(one.shape) : [];
}

function unknownKey(key: string, where: string, keys: string[]): string {
  const [near] = nearest(key, keys, 1);
  const path = where === '' ? key : `${where}.${key}`;
  return `${path} in kuznia.json: there is no such setting. ${near ? `Did you mean ${near}?` : `There are: ${keys.join(', ')}.`}`;
}

/** Ours are on unless set to false, and come first: they keep their tools' names. */
function serverSettings(value: unknown = {}): ServerSetting[] {
  if (!isObject(value)) {
    throw new ConfigError(
      'mcpServers in kuznia.json: expected an object, for example {"gitlab": true}.',
      'mcpServers',
    );
  }
  const own = Object.keys(servers).flatMap((name): ServerSetting[] => {
    const given = value[name] ?? true;
    const at = `mcpServers.${name}`;
    if (!ownServer.safeParse(given).success) {
      const other = isObject(given) && ('command' in given || 'url' in given);
      const hint = other ? ' Give the server of others another name.' : '';
      throw new ConfigError(
        `${at} in kuznia.json: ${name} is a server of ours: expected true, false or {"isolated": true}.${hint}`,
        at,
      );
    }
    const said = ownServer.parse(given);
    return said === false ? [] : [{ kind: 'own', name, isolated: said !== true && said.isolated }];
  });
  const others = Object.entries(value)
    .filter(([name]) => !Object.hasOwn(servers, name))
    .flatMap(([name, given]) => foreign(name, given));
  return [...own, ...others];
}

function foreign(name: string, given: unknown): ServerSetting[] {
  const at = `mcpServers.${name}`;
  if (!/^[\w.-]{1,64}$/.test(name)) {
    throw new ConfigError(`${at} in kuznia.json: a server's name has letters, digits, - and _.`, at);
  }
  if (!isObject(given)) {
    const [near] = nearest(name, Object.keys(servers), 1);
    const hint = near ? `Did you mean ${near}?` : 'Expected {"command": …} or {"url": …}.';
    throw new ConfigError(`${at} in kuznia.json: there is no server of ours by that name. ${hint}`, at);
  }
  const [shared, rest] = [{ ...given }, { ...given }];
  for (const key of Object.keys(given)) {
    if (key in common.shape) delete rest[key];
    else delete shared[key];
  }
  const { timeout_s: timeoutS, protocol, tools, effects, disabled, type } = checked(at, common, shared);
  if (disabled) return [];
  const both = { name, protocol, timeoutS, tools, effects };
  const shown = Object.keys(common.shape);
  if ('url' in given) {
    const transport = type === 'sse' ? { transport: 'sse' } : {};
    return [{ kind: 'url', ...both, ...checked(at, urlServer, { ...transport, ...rest }, shown) }];
  }
  if ('command' in given) return [{ kind: 'command', ...both, ...checked(at, commandServer, rest, shown) }];
  throw new ConfigError(`${at} in kuznia.json: needs a command or a url.`, at);
}
