import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serveGit } from './http-git.ts';
import { ciRoutes } from './routes-ci.ts';
import { issueRoutes } from './routes-issues.ts';
import { mergeRequestRoutes } from './routes-merge-requests.ts';
import { projectRoutes } from './routes-projects.ts';
import { refRoutes } from './routes-refs.ts';
import { repositoryRoutes } from './routes-repository.ts';
import { isRecord, Raw, Refused, type Route } from './routing.ts';
import { World, type Project, type Token } from './world.ts';

/** What goes wrong, for the next requests that fit. */
export interface Fault {
  method?: string;
  path: RegExp;
  times: number;
  /** Answered instead of the work; or the connection is cut after the work was done. */
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  cut?: boolean;
  /** The body comes byte by byte, so slowly (ms). */
  slow?: number;
}

export interface Sent {
  method: string;
  path: string;
  query: URLSearchParams;
  body: unknown;
  authorization: string | undefined;
}

export interface Double {
  url: string;
  world: World;
  faults: Fault[];
  /** Every API request that came. */
  sent: Sent[];
  close: () => Promise<void>;
}

const routes: Route[] = [
  ...projectRoutes,
  ...repositoryRoutes,
  ...refRoutes,
  ...issueRoutes,
  ...mergeRequestRoutes,
  ...ciRoutes,
];
const compiled = routes.map(([method, path, handle]) => {
  const names: string[] = [];
  const source = path.replace(/[:*](\w+)/g, (found, name: string) => {
    names.push(name);
    return found.startsWith('*') ? '(.+)' : '([^/]+)';
  });
  return { method, names, pattern: new RegExp(`^/api/v4${source}$`), handle };
});

/** A GitLab on 127.0.0.1. */
export async function startGitLab(): Promise<Double> {
  const world = new World();
  const faults: Fault[] = [];
  const sent: Sent[] = [];
  const server = createServer((request, response) => {
    void answer(request, response).catch((error: unknown) => {
      response.writeHead(500, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({
          message: '500 Internal Server Error',
          double: String(error instanceof Error ? error.stack : error),
        }),
      );
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', world.url);
    const method = request.method ?? 'GET';
    if (/\.git\/(info\/refs|git-(upload|receive)-pack)$/.test(url.pathname))
      return serveGit(world, request, response, url);
    const text = (await bodyOf(request)).toString('utf8');
    const body: unknown = text === '' ? {} : JSON.parse(text);
    sent.push({
      method,
      path: url.pathname,
      query: url.searchParams,
      body,
      authorization: request.headers.authorization,
    });
    const fault = faults.find(
      (one) => one.times > 0 && (one.method ?? method) === method && one.path.test(url.pathname),
    );
    if (fault) fault.times--;
    if (fault?.status) {
      response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
      response.end(fault.body ?? JSON.stringify({ message: `${fault.status}` }));
      return;
    }
    const { status, headers, content } = await work(method, url, isRecord(body) ? body : {}, request);
    if (fault?.cut) {
      request.socket.destroy();
      return;
    }
    response.writeHead(status, headers);
    if (typeof content === 'string' || Buffer.isBuffer(content)) {
      if (!fault?.slow) return void response.end(content);
      for (const byte of Buffer.from(content)) {
        if (!response.writable) return;
        response.write(Buffer.from([byte]));
        await new Promise((resolve) => setTimeout(resolve, fault.slow));
      }
      return void response.end();
    }
    for await (const part of content)
      if (!response.write(part)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
    response.end();
  }

  async function work(method: string, url: URL, body: Record<string, unknown>, request: IncomingMessage) {
    try {
      const value = await handled(method, url, body, request);
      if (value instanceof Raw)
        return {
          status: value.status,
          headers: { 'content-type': 'application/octet-stream', ...value.headers },
          content: value.body,
        };
      const status =
        value === undefined ? 204 : method === 'POST' && !url.pathname.endsWith('graphql') ? 201 : 200;
      return {
        status,
        headers: { 'content-type': 'application/json' },
        content: value === undefined ? '' : JSON.stringify(value),
      };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return {
        status: error.status,
        headers: { 'content-type': 'application/json' },
        content: JSON.stringify(error.body),
      };
    }
  }

  async function handled(
    method: string,
    url: URL,
    body: Record<string, unknown>,
    request: IncomingMessage,
  ): Promise<unknown> {
    const token = tokenOf(request);
    if (url.pathname === '/api/graphql') return graphql(token, body);
    for (const { method: wanted, names, pattern, handle } of compiled) {
      const found = wanted === method ? pattern.exec(url.pathname) : null;
      if (!found) continue;
      if (!token) throw new Refused(401, '401 Unauthorized');
      if (token.expired)
        throw new Refused(401, {
          error: 'invalid_token',
          error_description: 'Token is expired. You can either do re-authorization or token refresh.',
        });
      const read = ['GET', 'HEAD'].includes(method);
      const fits =
        token.scopes.includes('api') ||
        (read && token.scopes.includes('read_api')) ||
        (names.length === 0 && token.scopes.includes('read_user'));
      if (!fits) {
        throw new Refused(403, {
          error: 'insufficient_scope',
          error_description: 'The request requires higher privileges than provided by the access token.',
          scope: read ? 'api read_api' : 'api',
        });
      }
      const params = Object.fromEntries(
        names.map((name, at) => [name, decodeURIComponent(found[at + 1] ?? '')]),
      );
      const project = /^\/api\/v4\/projects\/[^/]/.test(url.pathname)
        ? visible(params['id'] ?? '', token, method, url)
        : undefined;
      if (project instanceof Raw) return project;
      // Routes outside a project do not look at it.
      return handle({
        world,
        user: token.user,
        token,
        params,
        query: url.searchParams,
        body,
        headers: request.headers,
        project: project ?? nowhere,
      });
    }
    throw new Refused(404, '404 Not Found');
  }

  /** GitLab hides what a user may not see, and sends readers on where a project has moved. */
  function visible(id: string, token: Token, method: string, url: URL): Project | Raw {
    const moved = world.projects.find((one) => one.movedTo !== undefined && one.path === id);
    if (moved?.movedTo) {
      if (method !== 'GET')
        throw new Refused(405, { message: 'Non GET methods are not allowed for moved projects' });
      const target = `${world.url}${url.pathname.replace(/projects\/[^/]+/, `projects/${moved.id}`)}${url.search}`;
      // As Grape words it.
      const said = `This resource has been moved permanently to ${target}.`;
      return new Raw(said, { location: target, 'content-type': 'text/plain' }, 301);
    }
    const found = world.find(id);
    if (!found || (!found.members.has(token.user.id) && found.visibility === 'private'))
      throw new Refused(404, '404 Project Not Found');
    return found;
  }

  function tokenOf(request: IncomingMessage): Token | undefined {
    const given =
      /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? request.headers['private-token'];
    return typeof given === 'string' ? world.tokens.get(given) : undefined;
  }

  function graphql(token: Token | undefined, body: Record<string, unknown>): unknown {
    if (!token || token.expired) throw new Refused(401, { errors: [{ message: 'Invalid token' }] });
    const variables = isRecord(body['variables']) ? body['variables'] : {};
    const project = world.find(String(variables['path']));
    const types = Array.isArray(variables['types']) ? variables['types'] : [];
    if (types.some((one) => !['ISSUE', 'TASK', 'EPIC', 'INCIDENT'].includes(String(one)))) {
      return { errors: [{ message: `Variable $types of type [IssueType!] was provided invalid value` }] };
    }
    const items = project?.issues.filter((one) => types.includes(one.type)) ?? [];
    const nodes = items.map((one) => ({
      iid: String(one.iid),
      title: one.title,
      state: one.state === 'opened' ? 'OPEN' : 'CLOSED',
      workItemType: { name: one.type },
      webUrl: '',
      author: { username: one.author.username },
    }));
    return {
      data: {
        project: project ? { workItems: { nodes, pageInfo: { endCursor: null, hasNextPage: false } } } : null,
      },
    };
  }

  const nowhere: Project = await world.project('none/none', { id: 0, username: '', name: '' });
  world.projects.length = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  world.url = `http://127.0.0.1:${port(server.address())}`;
  return {
    url: world.url,
    world,
    faults,
    sent,
    async close() {
      server.closeAllConnections();
      server.close();
      world.close();
    },
  };
}

const port = (address: string | AddressInfo | null) =>
  typeof address === 'object' && address ? address.port : 0;

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}
