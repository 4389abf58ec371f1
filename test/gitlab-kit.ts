import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { gitlab } from '../servers/gitlab/definition.ts';
import { approves, connect, type Driver, type DriverOptions } from './clients.ts';
import { startGitLab, type Double } from './doubles/gitlab/server.ts';
import { isRecord } from './doubles/gitlab/routing.ts';
import type { Project, User } from './doubles/gitlab/model.ts';
import { breaches, noContract } from './gitlab-contract.ts';
import { serveHere } from './support.ts';

export const TOKEN = 'kzcanary-double-0123456789';

export interface Bench {
  double: Double;
  client: Driver;
  root: User;
  anna: User;
  project: Project;
  /** Calls a tool and expects a value. */
  value: (tool: string, input?: Record<string, unknown>) => Promise<Record<string, unknown>>;
  /** Calls a tool and expects an error. */
  fault: (tool: string, input?: Record<string, unknown>) => Promise<string>;
  /** Another server on the same GitLab. */
  serve: (
    env?: Record<string, string>,
    options?: DriverOptions,
    home?: string,
  ) => Promise<Omit<Bench, 'serve'>>;
  /** Requests that write, so far. */
  writes: () => string[];
}

const FILES = {
  'README.md': '# Forge\n\nAn example.\n',
  'package.json': '{\n  "name": "forge",\n  "version": "1.0.0"\n}\n',
  'src/main.ts':
    Array.from({ length: 40 }, (_, at) => `export const line${at + 1} = ${at + 1};`).join('\n') + '\n',
  '.gitlab-ci.yml': 'test:\n  script:\n    - npm test\n',
};

/** A GitLab with a project in it, our server on it, and a client of the first SDK. Requests are held against GitLab's OpenAPI file. */
export async function bench(
  t: TestContext,
  env: Record<string, string> = {},
  options: DriverOptions = { person: approves },
): Promise<Bench> {
  const double = await startGitLab();
  const { world } = double;
  t.after(async () => {
    await double.close();
    const faults = noContract ? [] : double.sent.flatMap((one) => breaches(one) ?? []);
    assert.deepEqual([...new Set(faults)], []);
  });

  const root = world.user('root');
  const anna = world.user('anna');
  world.token(TOKEN, root);
  const project = await world.project('group/forge', root, FILES);
  project.members.set(anna.id, 30);
  const serve: Bench['serve'] = async (more = {}, options = { person: approves }, home) => {
    const { url } = await serveHere(t, gitlab, {
      env: { GITLAB_URL: double.url, GITLAB_TOKEN: TOKEN, ...more },
      home,
    });
    const client = await connect(t, 'v1', { http: url }, options);
    return {
      double,
      client,
      root,
      anna,
      project,
      async value(tool, input) {
        const { isError, text, value } = await client.call(tool, input);
        assert.ok(!isError, `${tool}: ${text}`);
        assert.ok(isRecord(value), text);
        return value;
      },
      async fault(tool, input) {
        const { isError, text } = await client.call(tool, input);
        assert.ok(isError, `${tool} did not fail: ${text.slice(0, 500)}`);
        return text;
      },
      writes: () =>
        double.sent.filter((one) => one.method !== 'GET').map((one) => `${one.method} ${one.path}`),
    };
  };
  return { ...(await serve(env, options)), serve };
}
