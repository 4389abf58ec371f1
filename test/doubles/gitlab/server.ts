import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serveGit } from './http-git.ts';
import { ciRoutes } from './routes-ci.ts';
import { fileRoutes } from './routes-files.ts';
import { issueRoutes } from './routes-issues.ts';
import { labelRoutes } from './routes-labels.ts';
import { mergeRequestRoutes } from './routes-merge-requests.ts';
import { mergingRoutes } from './routes-merging.ts';
import { peopleRoutes } from './routes-people.ts';
import { projectRoutes } from './routes-projects.ts';
import { protectionRoutes } from './routes-protection.ts';
import { refRoutes } from './routes-refs.ts';
import { repositoryRoutes } from './routes-repository.ts';
import { versionRoutes } from './routes-versions.ts';
import { answerGraphql } from './graphql.ts';
import { checkParams, routeKey } from './grape.ts';
import { dressed, limited } from './headers.ts';
import { paramsOf } from './params.ts';
import { Raw, Refused, type Route } from './routing.ts';
import { allow, givenToken, hasToken } from './tokens.ts';
import type { Project, Token, User } from './model.ts';
import { World } from './world.ts';
import { jsonOrNothing } from '../../../kit/json.ts';

/** What goes wrong, for the next requests that fit. */
export interface Fault {
  method?: string;
  path: RegExp;
  times: number;
  /** So many that fit pass first. */
  after?: number;
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
  ...peopleRoutes,
  ...repositoryRoutes,
  ...fileRoutes,
  ...labelRoutes,
  ...refRoutes,
  ...protectionRoutes,
  ...issueRoutes,
  ...mergeRequestRoutes,
  ...mergingRoutes,
  ...versionRoutes,
  ...ciRoutes,
];
/** Whoever sends no token: they see what is public. */
const nobody: User = { id: 0, username: '', name: '' };

/** What nobody's reading reaches, where it is public. */
const OPEN = /^\/(projects|groups|version)(\/|$)/;

/** `POST /projects/*` of every endpoint. */
export const endpoints = routes.map(([method, path]) => routeKey(method, path));

const compiled = routes.map(([method, path, handle]) => {
  const names: string[] = [];
  const source = path.replace(/[:*](\w+)/g, (found, name: string) => {
    names.push(name);
    return found.startsWith('*') ? '(.+)' : '([^/]+)';
  });
  return {
    method,
    names,
    key: routeKey(method, path),
    pattern: new RegExp(`^/api/v4${source}/?$`),
    handle,
    open: OPEN.test(path),
  };
});

function routeOf(method: string, path: string) {
  const fitting = compiled.flatMap((one) => {
    const [, ...given] = one.pattern.exec(path) ?? [undefined];
    return one.pattern.test(path) ? [{ ...one, given }] : [];
  });
  const route =
    fitting.find((one) => one.method === method) ??
    (method === 'HEAD' ? fitting.find((one) => one.method === 'GET') : undefined);
  if (route) return route;
  if (fitting.length > 0) throw new Refused(405, { error: '405 Not Allowed' });
  throw new Refused(404, { error: '404 Not Found' });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Refused(400, { error: 'The path is not encoded as URLs are.' });
  }
}

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
    const body = jsonOrNothing(text) ?? {};
    sent.push({
      method,
      path: url.pathname,
      query: url.searchParams,
      body,
      authorization: request.headers.authorization,
    });
    let fault = faults.find(
      (one) => one.times > 0 && (one.method ?? method) === method && one.path.test(url.pathname),
    );
    if (fault?.after) {
      fault.after--;
      fault = undefined;
    }
    if (fault) fault.times--;
    if (fault?.status) {
      response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
      response.end(fault.body ?? JSON.stringify({ message: `${fault.status}` }));
      return;
    }
    const limits = limited(world, givenToken(request, url) ?? request.socket.remoteAddress ?? '');
    const worked = limits.over
      ? { status: 429, headers: { 'content-type': 'text/plain' }, content: 'Retry later\n' }
      : await work(method, url, text, request);
    const { status, headers, content } = dressed(
      { ...worked, headers: Object.assign(limits.headers, worked.headers) },
      method,
      request.headers['if-none-match'],
    );
    if (fault?.cut) {
      request.socket.destroy();
      return;
    }
    response.writeHead(status, headers);
    if (typeof content === 'string' || Buffer.isBuffer(content)) {
      if (!fault?.slow) return void response.end(content);
      for (const byte of Buffer.from(content)) {
        if (request.socket.destroyed) return;
        response.write(Buffer.from([byte]));
        await new Promise((resolve) => setTimeout(resolve, fault.slow));
      }
      return void response.end();
    }
    for await (const part of content)
      if (!response.write(part)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
    response.end();
  }

  async function work(method: string, url: URL, text: string, request: IncomingMessage) {
    try {
      const value = await handled(method, url, text, request);
      if (value instanceof Raw)
        return {
          status: value.status,
          headers: { 'content-type': 'application/octet-stream', ...value.headers },
          content: value.body,
        };
      const status =
        value === undefined ? 204 : method === 'POST' && !/graphql\/?$/.test(url.pathname) ? 201 : 200;
      return {
        status,
        headers: value === undefined ? {} : { 'content-type': 'application/json' },
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

  async function handled(method: string, url: URL, text: string, request: IncomingMessage): Promise<unknown> {
    // lib/gitlab/middleware/handle_malformed_strings.rb
    if (/%00/.test(url.href) || /\0|\\u0000/.test(text))
      return new Raw('Bad Request', { 'content-type': 'text/plain' }, 400);
    const body = paramsOf(url.searchParams, request.headers['content-type'] ?? '', text);
    const token = tokenOf(request, url);
    if (/^\/api\/graphql\/?$/.test(url.pathname)) return answerGraphql(world, token, body);
    const route = routeOf(method, url.pathname);
    const { names, open, key, handle, given } = route;
    const read = ['GET', 'HEAD'].includes(method);
    if (!token && (hasToken(request, url) || !read || !open)) throw new Refused(401, '401 Unauthorized');
    if (token) allow(token, read, names.length === 0);
    checkParams(key, body);
    const params = Object.fromEntries(names.map((name, at) => [name, decoded(given[at] ?? '')]));
    const user = token?.user ?? nobody;
    const project = /^\/api\/v4\/projects\/[^/]/.test(url.pathname)
      ? visible(params['id'] ?? '', user, method, url)
      : undefined;
    if (project instanceof Raw) return project;
    // Routes outside a project do not look at it.
    return handle({
      world,
      user,
      token: token ?? { user: nobody, scopes: [], expired: false },
      params,
      query: url.searchParams,
      body,
      headers: request.headers,
      project: project ?? nowhere,
    });
  }

  /** GitLab hides what a user may not see, and sends readers on where a project has moved. */
  function visible(id: string, user: User, method: string, url: URL): Project | Raw {
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
    if (!found || (!found.members.has(user.id) && found.visibility === 'private'))
      throw new Refused(404, '404 Project Not Found');
    return found;
  }

  function tokenOf(request: IncomingMessage, url: URL): Token | undefined {
    const given = givenToken(request, url);
    return given === undefined ? undefined : world.tokens.get(given);
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
